"""What one arm is sent, tick after tick: the newest target while there is one, else the next step of a stop. Deterministic.
Called by the process that holds an arm's bus (runtime/devices/can_bus.py) and by the simulator.

Every target says how the arm moves there, and so how it can stop: where the next one does not come in time, the arm is braked
within its limits, whatever became of `arms`. A target is sent half a tick after it was due, so that the motors see an even
rhythm although ticks begin unevenly. Where a late one finds its place taken by the stop's first step, the next step is taken
from that target. Nothing is sent that limits on speed, acceleration and jerk forbid.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.arm_link import STILL, ArmCommand
from runtime.arms.joint_limits import brake_joints, track_joints
from runtime.host.clock import seconds
from runtime.host.compiled import compiled

Array = NDArray[np.float64]
FRESH_S = 0.05  # age up to which a target is sent; chosen: ten ticks at 200 Hz, as old as feedback may be
_WAITED_TICKS = 0.5  # for a target, after it is due; chosen: a tick takes a tenth of that on a robot's computer
_STANDS_TICKS = 3.0
"""After so many without anything sent the motors have reached the last target, and stand. Chosen: one or two late ones are
passed over, the way between two targets then takes so much longer."""
_MOST_TICKS = 20  # that are tracked at once; chosen: a simulator catches up no more (simulator.py), a bus three
_LONGEST_STOP_TICKS = 400  # that are counted; chosen: three times what a stop from 3 rad/s takes at 200 Hz
_ROUNDING = 1e-9  # rad, per s or per s2; float64 rounds a tick by 1e-15


class TargetStream:
    """The targets of one arm with J = 7 joints, in ticks of `dt_s`."""

    def __init__(self, limits: Array, dt_s: float, stands: bool = True) -> None:
        """`limits` (5, J) as joint_limits.py takes them. `stands`: the motors stand while this process is held up; those of a
        simulator stand still with it."""
        self._limits, self._dt_s, self._tick_ns = np.ascontiguousarray(limits), dt_s, seconds(dt_s)
        self._waited_ns = round(_WAITED_TICKS * self._tick_ns)
        self._stands_ns = round(_STANDS_TICKS * self._tick_ns) if stands else None
        self._sent: Array | None = None  # (3, J): q, dq, ddq of what was sent last
        self._due_ns = self._sent_ns = 0  # when that was due, and when it was sent
        self._target = np.zeros((3, limits.shape[1]))  # the newest whose time has come
        self._stamp_ns = 0  # when it was due
        self._unsent = False  # nothing came of it yet
        self._wanted = self._target  # that, or a step of the stop from there
        self._wanted_ns = 0  # when that is due
        self._next: ArmCommand | None = None  # a newer one, whose time has not come
        self._seen_ns = 0  # stamp of the newest that was seen

    @property
    def begun(self) -> bool:
        """Whether it is known where the arm was sent last."""
        return self._sent is not None

    @property
    def q(self) -> Array:
        """(J,) what was sent last."""
        assert self._sent is not None
        return self._sent[0]

    @property
    def moves(self) -> bool:
        """Whether what was sent last is not the end of a way."""
        return self._sent is not None and (bool(self._sent[1:].any()) or not np.array_equal(self._sent, self._wanted))

    def begin(self, q: Array, now_ns: int) -> None:
        """Begin where the arm is, q (J,), at rest; nothing is sent by that."""
        self._sent = self._wanted = self._target = np.stack((q, np.zeros_like(q), np.zeros_like(q)))
        self._due_ns = self._wanted_ns = now_ns - self._waited_ns - self._tick_ns
        self._sent_ns = now_ns

    def end(self) -> None:
        """Forget where the arm was sent, and what waits: it has no power, or somebody led it away."""
        self._sent = self._next = None

    def pass_over(self) -> None:
        """Do not send what `due` has given: it is too far away."""
        self._next = None

    def silent_ns(self, now_ns: int) -> int:
        """How long nothing has been sent."""
        return now_ns - self._sent_ns

    def next_ns(self, now_ns: int) -> int:
        """When the next target or step of a stop is due to be sent; `now_ns` where the arm stands and none is expected."""
        return self._due_ns + self._tick_ns + self._waited_ns if self.silent_ns(now_ns) < self._tick_ns else now_ns

    def due(self, command: ArmCommand, now_ns: int) -> ArmCommand | None:
        """The target that an arm may be sent to next: new, fresh, and its time has come.

        One whose time has not come waits here: a reader in step with `arms` finds a newer one at its next look, as early.
        """
        if self._next is None or not _is_fresh(self._next, now_ns):
            self._next = command if self._is_new(command, now_ns) else None
            self._seen_ns = command.stamp_ns if self._next is command else self._seen_ns
        early = self._next is None or now_ns - self._next.stamp_ns < self._waited_ns
        return None if early else self._next

    def step(self, command: ArmCommand, now_ns: int) -> bool:
        """Advance `q` to what is to be sent now.

        Args:
            command: The newest that `arms` gave.
            now_ns: CLOCK_MONOTONIC.

        Returns:
            Whether there is something to send.
        """
        assert self._sent is not None
        if now_ns < self._sent_ns:  # a clock that went back: the last target was sent a tick ago
            back_ns = self._sent_ns + self._tick_ns - now_ns
            self._due_ns, self._wanted_ns, self._sent_ns = (
                at_ns - back_ns for at_ns in (self._due_ns, self._wanted_ns, self._sent_ns)
            )
        self._take_due(command if self._is_new(command, now_ns) else None, now_ns)
        if self._next is not None and now_ns - self._waited_ns - self._wanted_ns >= self._tick_ns:
            return False  # those between were passed over while this process was held up: the next one comes at once
        self._brake_wanted(now_ns)
        ticks = round((self._wanted_ns - self._due_ns) / self._tick_ns)
        if ticks < 1 or now_ns - self._wanted_ns < self._waited_ns or not (self._unsent or self.moves):
            return False
        if self._stands_ns is not None and now_ns - self._sent_ns > self._stands_ns:
            self._sent, ticks = np.stack((self._sent[0], *np.zeros((2, len(self._sent[0]))))), 1
        self._sent, self._due_ns, self._sent_ns = self._after(self._sent, ticks), self._wanted_ns, now_ns
        self._unsent = False
        return True

    def _is_new(self, command: ArmCommand, now_ns: int) -> bool:
        return command.stamp_ns != self._seen_ns and _is_fresh(command, now_ns)

    def _take_due(self, newer: ArmCommand | None, now_ns: int) -> None:
        """Take the targets whose time has come: the one that waited, and a `newer` one, which else waits."""
        if newer is not None:
            self._seen_ns = newer.stamp_ns
        for command in (self._next, newer):
            if command is not None and now_ns - command.stamp_ns >= self._waited_ns:
                self._take(command)
                self._next = None
            elif command is not None:
                self._next = command

    def _take(self, command: ArmCommand) -> None:
        """Want a new target. One that does not continue the last is to rest where it is, whatever it says of its speed."""
        before, self._target = self._target, np.array((command.q, command.dq, command.ddq))
        ticks = max(1, round((command.stamp_ns - self._stamp_ns) / self._tick_ns))
        credible = continues(self._limits, before, self._target, ticks, self._dt_s)
        self._wanted = self._target if credible else np.array((command.q, STILL, STILL))
        self._stamp_ns = self._wanted_ns = command.stamp_ns
        self._unsent = True

    def _brake_wanted(self, now_ns: int) -> None:
        """Advance what is wanted along its stop, to the newest tick whose time has come."""
        ticks = (now_ns - self._waited_ns - self._wanted_ns) // self._tick_ns
        if ticks < 1:
            return
        for _ in range(min(ticks, _LONGEST_STOP_TICKS)):
            self._wanted = brake_joints(self._limits, self._wanted, self._dt_s)
        self._wanted_ns += ticks * self._tick_ns

    def _after(self, sent: Array, ticks: int) -> Array:
        """(3, J) what is wanted, some ticks after what was sent, or as near to that as the limits allow."""
        if continues(self._limits, sent, self._wanted, ticks, self._dt_s):
            return self._wanted
        q, dq, _ = self._wanted
        for left in range(min(ticks, _MOST_TICKS) - 1, -1, -1):
            sent = np.ascontiguousarray(
                track_joints(self._limits, sent, q - left * self._dt_s * dq, dq, self._dt_s)[:3]
            )
        return sent


def _is_fresh(command: ArmCommand, now_ns: int) -> bool:
    return 0 <= now_ns - command.stamp_ns <= seconds(FRESH_S)


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
