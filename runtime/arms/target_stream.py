"""What one arm is sent, tick after tick: the newest target while there is one, else the next step of a stop. Deterministic.
Called by the process that holds an arm's bus (runtime/devices/can_bus.py) and by the simulator.

Every target says how the arm moves there, and so how it can stop: where the next one does not come in time, the arm is braked
within its limits, whatever became of `arms`. A target is sent half a tick after it was due, so that the motors see an even
rhythm although ticks begin unevenly; a late one finds its place taken by the stop's first step, and the next one goes on from
there. Nothing is sent that limits on speed, acceleration and jerk forbid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.arm_link import ArmCommand
from runtime.arms.joint_limits import brake_joints, track_joints
from runtime.host.clock import seconds
from runtime.host.compiled import compiled

Array = NDArray[np.float64]
FRESH_S = 0.05  # age up to which a target is sent; chosen: ten ticks at 200 Hz, as old as feedback may be
_WAITED_TICKS = 0.5  # for a target, after it is due; chosen: a tick takes a tenth of that on a robot's computer
_STANDS_TICKS = 3.0
"""After so many without anything sent the motors have reached the last target, and stand. Chosen: one or two late ones are
passed over, the way between two targets then takes so much longer."""
_ROUNDING = 1e-9  # rad, per s or per s2; float64 rounds a tick by 1e-15


class TargetStream:
    """The targets of one arm with J = 7 joints, in ticks of `dt_s`."""

    def __init__(self, limits: Array, dt_s: float, stands: bool = True) -> None:
        """`limits` (5, J) as joint_limits.py takes them. `stands`: the motors stand while this process is held up; those of a
        simulator stand still with it."""
        self._limits, self._dt_s, self._tick_ns = np.ascontiguousarray(limits), dt_s, seconds(dt_s)
        self._waited_ns = round(_WAITED_TICKS * self._tick_ns)
        self._stands_ns = round(_STANDS_TICKS * self._tick_ns) if stands else None
        self._motion: Array | None = None  # (3, J): q, dq, ddq of what was sent last
        self._due_ns = self._sent_ns = 0

    @property
    def begun(self) -> bool:
        """Whether it is known where the arm was sent last."""
        return self._motion is not None

    @property
    def q(self) -> Array:
        """(J,) what was sent last."""
        assert self._motion is not None
        return self._motion[0]

    @property
    def moves(self) -> bool:
        """Whether what was sent last is not the end of a way."""
        return self._motion is not None and bool(self._motion[1:].any())

    def begin(self, q: Array, now_ns: int) -> None:
        """Begin where the arm is, q (J,), at rest; nothing is sent by that."""
        self._motion = np.stack((q, np.zeros_like(q), np.zeros_like(q)))
        self._due_ns, self._sent_ns = now_ns - self._waited_ns - self._tick_ns, now_ns

    def end(self) -> None:
        """Forget where the arm was sent: it has no power, or somebody led it away."""
        self._motion = None

    def silent_ns(self, now_ns: int) -> int:
        """How long nothing has been sent."""
        return now_ns - self._sent_ns

    def next_ns(self, now_ns: int) -> int:
        """When the next target or step of a stop is due to be sent; `now_ns` where the arm stands and none is expected."""
        return self._due_ns + self._tick_ns + self._waited_ns if self.silent_ns(now_ns) < self._tick_ns else now_ns

    def is_due(self, command: ArmCommand, now_ns: int) -> bool:
        """Whether a target is new, fresh, and its time has come."""
        age_ns = now_ns - command.stamp_ns
        return command.stamp_ns > self._due_ns and self._waited_ns <= age_ns <= seconds(FRESH_S)

    def step(self, command: ArmCommand, now_ns: int) -> bool:
        """Advance `q` to what is to be sent now.

        Args:
            command: The newest that `arms` gave.
            now_ns: CLOCK_MONOTONIC.

        Returns:
            Whether there is something to send.
        """
        motion = self._motion
        assert motion is not None
        if now_ns < self._sent_ns:  # a clock that went back: the last target was sent a tick ago
            self._due_ns += now_ns - self._tick_ns - self._sent_ns
            self._sent_ns = now_ns - self._tick_ns
        stood = self._stands_ns is not None and now_ns - self._sent_ns > self._stands_ns
        if stood:
            motion[1:] = 0
        if self.is_due(command, now_ns):
            ticks = 1 if stood else max(1, round((command.stamp_ns - self._due_ns) / self._tick_ns))
            target = np.stack((command.q, command.dq, command.ddq))
            self._motion = target if self._continues(motion, target, ticks) else self._toward(motion, target)
            self._due_ns = command.stamp_ns
        else:
            ticks = (now_ns - self._waited_ns - self._due_ns) // self._tick_ns
            is_next = command.stamp_ns > self._due_ns and 0 <= now_ns - command.stamp_ns < self._waited_ns
            if ticks < 1 or is_next or not self.moves:
                return False
            for _ in range(ticks):
                motion = brake_joints(self._limits, motion, self._dt_s)
            self._motion = motion
            self._due_ns += ticks * self._tick_ns
        self._sent_ns = now_ns
        return True

    def _continues(self, motion: Array, target: Array, ticks: int) -> bool:
        return bool(continues(self._limits, motion, target, ticks, self._dt_s))

    def _toward(self, motion: Array, target: Array) -> Array:
        return np.ascontiguousarray(track_joints(self._limits, motion, target[0], target[1], self._dt_s)[:3])


@compiled("b1(f8[:,::1],f8[:,::1],f8[:,::1],i8,f8)")
def continues(limits: Array, motion: Array, target: Array, ticks: int, dt_s: float) -> Any:
    """Whether a target can follow what was sent last, some ticks later, within speed, acceleration and jerk.

    After one tick it is asked of the arithmetic of joint_limits.py, to the last digit. After several the way may differ from
    that of the mean speed by a quarter of the acceleration's: so much it is when half of the time is spent at each limit.

    Args:
        limits: (5, J).
        motion: (3, J) sent last.
        target: (3, J).
        ticks: Between both.
        dt_s: One tick.
    """
    passed_s = ticks * dt_s
    for joint in range(motion.shape[1]):
        velocity, acceleration, jerk = limits[2, joint], limits[3, joint], limits[4, joint]
        q, dq, ddq = target[0, joint], target[1, joint], target[2, joint]
        before_dq, before_ddq = motion[1, joint], motion[2, joint]
        way = q - motion[0, joint]
        if abs(dq) > velocity + _ROUNDING or abs(ddq) > acceleration + _ROUNDING:
            return False
        if abs(ddq - before_ddq) > jerk * passed_s + _ROUNDING:
            return False
        if ticks == 1:
            if abs(way - dq * dt_s) > _ROUNDING or abs(dq - before_dq - ddq * dt_s) > _ROUNDING:
                return False
        elif (
            abs(dq - before_dq) > acceleration * passed_s + _ROUNDING
            or abs(way - (dq + before_dq) / 2 * passed_s) > acceleration * passed_s**2 / 4
        ):
            return False
    return True
