"""The emulated arms' process (`--can`): both CAN buses with a Piper each, whose joints are the simulated robot's; and with the
masters that lead them, where demonstrations are recorded.

Faults can be switched on while it runs: it reads `faults.json` in the run's folder, {"left": {"silent": true}}, when it changes
(drivers/piper_emulator.py lists them).
"""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from drivers.arm_link import Array, TargetSlot
from drivers.cobot_magic import SIDES
from drivers.emulated_bus import EmulatedBus, socket_of
from drivers.piper_emulator import Faults, PiperEmulator
from drivers.piper_master import PiperMaster
from drivers.sim.can_body import SimulatedBody
from runtime import wire_check
from runtime.process import Process, log

_FAULTS = "faults.json"
_START_S = 0.01


def main(process: Process) -> None:
    """Both buses at 200 Hz until asked to end."""
    bodies = {side: SimulatedBody(side, process.folder) for side in SIDES}
    while process.running and not all(body.there for body in bodies.values()):
        process.pause(_START_S)
        process.stepped()
    led = process.settings.arms.masters == "shared"
    arms = {side: PiperEmulator(body, led=led) for side, body in bodies.items()}
    masters = {side: PiperMaster(_hand(process.folder, side)) if led else None for side in SIDES}
    buses = {side: EmulatedBus(socket_of(process.folder, side), arm, masters[side]) for side, arm in arms.items()}
    process.settle()
    seen_ns = 0
    while process.running:
        for bus in buses.values():
            bus.step()
        seen_ns = switch(process.folder / _FAULTS, seen_ns, arms)
        process.stepped()
    for side, bus in buses.items():
        bus.close()
        wire_check.save(process.session, side, arms[side].heard)


def _hand(folder: Path, side: str) -> Callable[[], Array | None]:
    """Where the emulated operator (runtime/masters.py) leads a master."""
    slot = TargetSlot(folder, "master", side)

    def held() -> Array | None:
        told = slot.read()
        return told.q if told.stamp_ns else None

    return held


def switch(path: Path, seen_ns: int, arms: dict[str, PiperEmulator]) -> int:
    """Take over the faults of a changed file. Returns when it was changed."""
    try:
        changed_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return seen_ns
    if changed_ns == seen_ns:
        return seen_ns
    try:
        wanted = json.loads(path.read_text())
        faults = {side: Faults.model_validate(wanted.get(side, {})) for side in arms}
    except (ValueError, ValidationError, AttributeError) as error:
        log.error("%s: %s; the faults stay as they are", path, " ".join(str(error).split()[:20]))
        return changed_ns
    for side, arm in arms.items():
        arm.faults = faults[side]
    return changed_ns
