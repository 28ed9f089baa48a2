"""Faults that show only when an operator does something: motors that come on late, ranges that the doctor reads.
Used by arm_rows.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.can_hub import INTERFACE
from drivers.emulated_bus import socket_of
from drivers.piper import PiperArm
from runtime.config.loading import load_settings
from runtime.doctor.buses import check_arm
from runtime.errors import RuntimeFault
from runtime.faults.injections import switch
from runtime.faults.live_robot import LiveRobot

_RELEASE_S = 30.0  # longest way to the rest pose; chosen


@dataclass(frozen=True)
class LateEnable:
    """Motors that take `late_s` to switch on after `arm`; meanwhile nothing may be armed."""

    late_s: float

    def prepare(self, robot: LiveRobot) -> None:
        """Release the arms, which have to be armed before they can be late."""
        if not robot.release(_RELEASE_S):
            raise RuntimeFault(f"the arms were not released within {_RELEASE_S:.0f} s: {robot.reasons}")
        switch(robot.folder, {"left": {"late_enable_s": self.late_s}})

    def begin(self, robot: LiveRobot) -> str:
        robot.command("arm")
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        switch(robot.folder, {})
        return {}


@dataclass(frozen=True)
class CorruptLimits:
    """Stored ranges that make no sense: the doctor reads them on the running robot's bus; it forbids to arm a real one."""

    def prepare(self, robot: LiveRobot) -> None:
        switch(robot.folder, {"left": {"corrupt_limits": True}})

    def begin(self, robot: LiveRobot) -> str:
        arm = PiperArm("left", str(socket_of(robot.folder, "left")), INTERFACE)
        row = next(row for row in check_arm(arm, load_settings([])) if row.name.endswith("ranges"))
        return f"doctor: {row.found}" if row.verdict == "fail" else ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        switch(robot.folder, {})
        return {}
