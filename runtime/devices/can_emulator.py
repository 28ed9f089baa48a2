"""The emulated arms' process (`--can`): both CAN buses with a Piper each, whose joints are the simulated robot's; and the
leaders that lead them, on the same buses where demonstrations are recorded, or on their own.
Started by the supervisor (runtime/process/base.py).

Faults can be switched on while it runs (runtime/process/fault_injection.py).
"""

from collections.abc import Callable
from pathlib import Path

from drivers.arm_link import Array, TargetSlot
from drivers.cobot_magic import SIDES
from drivers.emulated_bus import EmulatedBus, LeaderBus, leader_socket_of, socket_of
from drivers.piper_emulator import Faults, PiperEmulator
from drivers.piper_leader_emulator import PiperLeaderEmulator
from drivers.sim.can_body import SimulatedBody
from runtime.devices import can_log
from runtime.process.base import Process
from runtime.process.fault_injection import FaultFile

_START_S = 0.01  # between two looks for the simulator, which makes the joints; chosen


def main(process: Process) -> None:
    """Both buses at 200 Hz until asked to end; then write down what the arms heard (can_log.py)."""
    bodies = {side: SimulatedBody(side, process.folder) for side in SIDES}
    while process.running and not all(body.there for body in bodies.values()):
        process.pause(_START_S)
        process.stepped()
    folder = process.folder
    leaders = {side: PiperLeaderEmulator(_hand(folder, side)) for side in SIDES}
    led = leaders if process.role.recording else {}
    arms = {side: PiperEmulator(body, led=bool(led)) for side, body in bodies.items()}
    buses = {side: EmulatedBus(socket_of(folder, side), arm, led.get(side)) for side, arm in arms.items()}
    alone = leaders if process.settings.arms.leaders == "own" else {}
    others = [LeaderBus(leader_socket_of(folder, side), leader) for side, leader in alone.items()]
    process.settle()
    faults = FaultFile(folder, Faults, SIDES)
    while process.running:
        for bus in (*buses.values(), *others):
            bus.step()
        for side, wanted in (faults.changed() or {}).items():
            arms[side].faults = wanted
        process.stepped()
    for bus in others:
        bus.close()
    for side, bus in buses.items():
        bus.close()
        can_log.save(process.session, side, arms[side].heard)


def _hand(folder: Path, side: str) -> Callable[[], Array | None]:
    """Where the emulated operator (runtime/devices/leader_emulator.py) leads a leader: q (7,), None before it does."""
    slot = TargetSlot(folder, "leader", side)

    def held() -> Array | None:
        command = slot.read()
        return command.q if command.stamp_ns else None

    return held
