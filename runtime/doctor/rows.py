"""All rows of the doctor's table: which parts of a robot are asked, in which order. Each part's own rows: machine.py, buses.py,
cameras.py, other_programs.py.

Called by command.py, and by the robot command before a real robot starts. With --can the emulated arms are checked through the
same driver, on buses of their own.
"""

import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from drivers.can_hub import INTERFACE
from drivers.cobot_magic import SIDES, ready_pose
from drivers.emulated_bus import EmulatedBus, LeaderBus, leader_socket_of, socket_of
from drivers.piper import PiperArm
from drivers.piper_emulator import Faults, KinematicBody, PiperEmulator
from drivers.piper_leader_emulator import PiperLeaderEmulator
from runtime.config.settings import Settings
from runtime.doctor import buses, cameras, machine, other_programs
from runtime.doctor.bounded import Check, in_turn
from runtime.doctor.table import Row
from runtime.process.role import POLICY, Role

_REPLUG = "unplug its USB-CAN adapter and plug it in again"


def examine(settings: Settings, faults: dict[str, Faults] | None = None, role: Role = POLICY) -> list[Row]:
    """All rows of the table.

    Args:
        settings: Of the robot: real, emulated or simulated.
        faults: Of the emulated arms, by side; for tests.
        role: What the run is for; a recording needs no policy.
    """
    rows = machine.check(settings, role)
    if settings.can:
        rows += in_turn(
            *(
                Check(
                    f"arm {side}",
                    partial(_emulated, side, settings, (faults or {}).get(side, Faults()), role.recording),
                )
                for side in SIDES
            )
        )
    elif settings.arms.kind == "piper":
        rows += in_turn(*_real(settings, role.recording))
    return rows + cameras.check(settings)


def _real(settings: Settings, led: bool) -> Iterator[Check]:
    """What is asked of real arms, in order: who else holds them, then each arm, then the leaders on buses of their own."""
    arms = settings.arms
    yield Check("other programs", partial(other_programs.check, (*arms.interfaces, *arms.leader_interfaces)))
    for side, interface, usb in zip(SIDES, arms.interfaces, arms.usb_places, strict=True):
        yield Check(f"arm {side}", partial(_arm, side, interface, usb, settings, led), _REPLUG)
    if arms.leaders == "own":
        for side, interface in zip(SIDES, arms.leader_interfaces, strict=True):
            yield Check(f"leader {side}", partial(_leader, side, interface), _REPLUG)


def _arm(side: str, interface: str, usb: str, settings: Settings, led: bool) -> list[Row]:
    row = buses.check_interface(side, interface, usb)
    return (
        [row] if row.verdict == "fail" else [row, *buses.check_arm(PiperArm(side, interface, led=led), settings, led)]
    )


def _emulated(side: str, settings: Settings, faults: Faults, led: bool) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="video2act-doctor-") as folder, _bus(Path(folder), side, faults):
        arm = PiperArm(side, str(socket_of(Path(folder), side)), INTERFACE, led=led)
        rows = [Row(f"bus {side}", "pass", "emulated"), *buses.check_arm(arm, settings, led)]
        if settings.arms.leaders == "own":
            rows.append(buses.check_leader(side, str(leader_socket_of(Path(folder), side)), INTERFACE))
        return rows


def _leader(side: str, interface: str) -> list[Row]:
    row = buses.check_interface(f"{side} leader", interface, "")
    return [row] if row.verdict == "fail" else [row, buses.check_leader(side, interface)]


@contextmanager
def _bus(folder: Path, side: str, faults: Faults) -> Generator[None]:
    arm = PiperEmulator(KinematicBody())
    arm.faults = faults
    bus, ended = EmulatedBus(socket_of(folder, side), arm), threading.Event()
    leader = LeaderBus(leader_socket_of(folder, side), PiperLeaderEmulator(lambda: ready_pose()[:7]))

    def speak() -> None:
        while not ended.is_set():
            bus.step()
            leader.step()

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        leader.close()
        bus.close()
