"""An arm's CAN bus: the newest target in, stamped readings out. One process a bus, the only one with the vendor's SDK.

A target is forwarded while it is fresh: when `arms` stops, the arm holds its last one.
"""

from dataclasses import dataclass
from typing import Literal

from drivers.arm_link import ReadingSlot, TargetSlot
from drivers.can_hub import INTERFACE
from drivers.cobot_magic import OPEN_GRIP_M
from drivers.emulated_bus import socket_of
from drivers.errors import DriverError
from drivers.piper import PiperArm
from runtime.clock import now_ns, seconds
from runtime.process import Process, log

_FRESH_S = 0.05
_LOOK_S = 0.001
_ENABLE_S = 3.0
_AGAIN_S = 1.0


@dataclass
class Memory:
    """What a step remembers."""

    enabled: bool = False
    forwarded_ns: int = 0


def step(memory: Memory, stamp_ns: int | None, fault: str, now: int) -> Literal["enable", "forward", ""]:
    """What to do about the newest target, which was written at `stamp_ns`: the first one switches the motors on.

    Nothing goes to an arm that reports a `fault`, and it is not switched on again by itself.
    """
    if fault or stamp_ns is None or stamp_ns == memory.forwarded_ns or now - stamp_ns > seconds(_FRESH_S):
        return ""
    if not memory.enabled:
        return "enable"
    memory.forwarded_ns = stamp_ns
    return "forward"


def main(process: Process) -> None:
    """Serve one arm until asked to end; it stays powered and holds."""
    side = process.name.removeprefix("can_")
    readings, targets = ReadingSlot(process.folder, side), TargetSlot(process.folder, "can", side)
    arm = PiperArm(side, str(socket_of(process.folder, side)), INTERFACE, stroke_m=OPEN_GRIP_M, tell=readings.write)
    memory = Memory()
    while process.running and not _connected(process, arm):
        process.pause(_AGAIN_S)
    process.settle()
    while process.running:
        target = targets.read()
        reading = arm.read()
        fault = reading.fault if reading is not None else ""
        action = step(memory, None if target is None else target[0], fault, now_ns())
        if action == "enable":
            memory.enabled = _enabled(process, arm)
        elif action == "forward" and target is not None:
            arm.command(target[1], target[0])
        process.pause(_LOOK_S)
        process.stepped()
    arm.close()
    targets.close()


def _connected(process: Process, arm: PiperArm) -> bool:
    try:
        arm.connect()
    except DriverError as error:
        log.info("%s", error)
        process.stepped()
        return False
    return True


def _enabled(process: Process, arm: PiperArm) -> bool:
    try:
        arm.enable(_ENABLE_S)
    except DriverError as error:
        process.fault("arm", str(error))
        process.pause(_AGAIN_S)
        return False
    return True
