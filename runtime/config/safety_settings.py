"""Settings of the safety layer: the limits and ages by which the arms run, and where the arms stand.
Read by settings.py, which has the tree; the limits act in runtime/arms/limits.py, the ages in runtime/arms/safety.py.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, BASE_YAW_RAD, HIGH, LOW, TABLE_TOP_M
from models.field import Says
from runtime.config.bounds import (
    Acceleration,
    Age,
    Apart,
    Clearance,
    ConditionAge,
    Height,
    Jerk,
    Outside,
    Place,
    Speed,
)
from runtime.config.section import Section

_PIPER_RAD_S, _PIPER_RAD_S2 = 3.0, 5.0
"""What a Piper's firmware accepts at most (frames 0x473 and 0x47C); its data sheet's 180 to 225 degrees/s (Table 2) are
more."""
_LONGEST_STROKE_M = 0.1  # of the maker's second gripper; the paper's opens 85 mm (appendix A), the SDK stops at 70 mm
_EACH = "one per joint (j1 to j6, gripper)"
RangeEnds = Annotated[tuple[Place, Place, Place, Place, Place, Place, Place], Says(unit="rad; gripper m", each=_EACH)]
Velocities = Annotated[
    tuple[Speed, Speed, Speed, Speed, Speed, Speed, Speed], Says(unit="rad/s; gripper m/s", each=_EACH)
]
Accelerations = Annotated[
    tuple[Acceleration, Acceleration, Acceleration, Acceleration, Acceleration, Acceleration, Acceleration],
    Says(unit="rad/s²; gripper m/s²", each=_EACH),
]
Jerks = Annotated[tuple[Jerk, Jerk, Jerk, Jerk, Jerk, Jerk, Jerk], Says(unit="rad/s³; gripper m/s³", each=_EACH)]
Foot = Annotated[tuple[Place, Place, Place, Place], Says(unit="m, m, m, rad", each="x, y, z and yaw")]


class Mount(Section):
    """Where the arms stand, measured on the robot at hand: fingertip height and the arms' distance are computed from it."""

    left: Foot = (BASE_X_M["left"], BASE_Y_M, TABLE_TOP_M, BASE_YAW_RAD)
    """Base of the left arm: x to the robot's right, y forward, z up (m), and yaw, 0 along x (rad)."""
    right: Foot = (BASE_X_M["right"], BASE_Y_M, TABLE_TOP_M, BASE_YAW_RAD)
    """Base of the right arm, in the same way."""
    table_m: float = Field(default=TABLE_TOP_M, ge=-5, le=5)
    """Height of the table top, along the same z."""
    measured: bool = False
    """Whether the mount was measured on this robot; the defaults are the simulated robot's."""


class Safety(Section):
    """Limits and ages; per joint in the order j1..j6, gripper, for one arm (both arms have the same)."""

    low: RangeEnds = LOW
    """Lower ends of the joints' ranges: the tightest of the paper's Table 2, the SDK and the arm."""
    high: RangeEnds = HIGH
    """Upper ends of the joints' ranges, from the same sources."""
    velocity: Velocities = (3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.25)
    """Highest speed of each joint."""
    acceleration: Accelerations = (5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 2.0)
    """Highest acceleration of each joint."""
    jerk: Jerks = (100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 60.0)
    """Highest jerk of each joint."""
    jump_rad: Apart = 0.35
    """A chunk that starts farther than this from the commanded pose is refused."""
    outside_rad: Outside = 0.5
    """A chunk with a target farther than this outside a joint's range is refused and latches a fault."""
    gripper_nm: float = Field(default=1.0, gt=0, le=5)
    """Highest torque of a gripper."""
    following_rad: Apart = 0.8
    """Largest difference between a commanded and a measured joint; beyond it a fault is latched."""
    mount: Mount = Mount()
    min_fingertip_m: Height = 0.0
    """Lowest height of a fingertip above the table."""
    min_arm_distance_m: Clearance = 0.01
    """Smallest distance between the links of the two arms."""
    min_link_height_m: Height = 0.005
    """Lowest height above the table of any other link that moves; fingers have --safety.min_fingertip_m."""
    min_own_distance_m: Clearance = 0.005
    """Smallest distance between links of one arm, its base included, that are not joined to each other."""
    max_feedback_age_s: Age = 0.05
    """Largest age of joint feedback with which the arms run."""
    max_chunk_age_s: Age = 0.6
    """Largest age of a chunk's observation with which the arms run."""
    max_condition_age_s: ConditionAge = 4.0
    """Largest age of System 2's condition with which the arms run."""
    max_health_age_s: Age = 0.15
    """Largest age of the cameras' report with which the arms run."""
    max_supervision_age_s: Age = 1.0
    """Largest age of the supervisor's message with which the arms run; it sends five per second."""
    max_deadman_age_s: Age = 0.3
    """Longest silence of the operator's page before a HOLD, where the operator asked for the deadman."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for joint, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if low >= high:
                raise ValueError(f"--safety.low {low}: must be below --safety.high {high} (joint {joint + 1})")
        return self

    def check_within_the_arms(self) -> None:
        """Raises ValueError where a limit is wider than a Piper's own; the gripper's stroke differs from arm to arm."""
        for name, allowed in (("velocity", _PIPER_RAD_S), ("acceleration", _PIPER_RAD_S2)):
            if (most := max(getattr(self, name)[:6])) > allowed:
                raise ValueError(f"--safety.{name} {most}: must be at most {allowed} on a Piper")
        for joint in range(6):
            if self.low[joint] < LOW[joint] or self.high[joint] > HIGH[joint]:
                raise ValueError(
                    f"--safety.low, --safety.high: joint {joint + 1} of a Piper must be {LOW[joint]} to {HIGH[joint]} rad, "
                    f"got {self.low[joint]} to {self.high[joint]}"
                )
        if self.high[6] > _LONGEST_STROKE_M:
            raise ValueError(f"--safety.high {self.high[6]}: a gripper must open to at most {_LONGEST_STROKE_M} m")
