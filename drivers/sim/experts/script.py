"""A script of both arms' movements, as joint targets at 30 Hz: minimum jerk from stop to stop, within what joints may do.

Used by the experts; what they write is what a demonstration records as actions.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import OPEN_GRIP_M, SIDES
from drivers.errors import DriverError
from drivers.sim.experts.reach import Hand, hand_of, joints_for
from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ

Array = NDArray[np.float64]
_LIMITS = (1.6, 5.0, 100.0)
"""Of a joint: rad/s, rad/s2, rad/s3. The last two are the safety layer's. Chosen: half of its speed, to demonstrate calmly."""
_LARGEST_RESIDUAL = 2e-3  # m and rad, of a pose that counts as reached; chosen: a grasp forgives 15 mm
_SLOWER = 1.3  # factor on a movement's time when it asks too much of a joint; chosen
_SLOWEST = 7  # of these factors at most; chosen: the movement then takes 6.3 times as long
_OPEN_S = 0.4  # in which closed grippers open before a script; as the experts take for a grip


class Unreachable(DriverError):
    """A stop that the arm cannot reach, or cannot reach slowly enough in the task's time."""


@dataclass
class Script:
    """The targets written so far, and where they leave both arms; `begin` makes one."""

    rows: list[Array]  # (14,) each
    hands: list[Hand]
    joints: list[Array]
    grips_m: list[float]

    @classmethod
    def begin(cls, physics: Physics) -> "Script":
        """An empty script from the arms' last targets on; grippers that are closed open first."""
        commands = physics.commands()
        joints = [q[:6] for q in commands]
        script = cls([], [hand_of(q) for q in joints], joints, [float(q[6]) for q in commands])
        if min(script.grips_m) < OPEN_GRIP_M:
            script.grip(_OPEN_S, dict.fromkeys(range(len(SIDES)), OPEN_GRIP_M))
        return script

    def move(self, seconds: float, stops: dict[int, Hand]) -> None:
        """Bring arms (0 left, 1 right) to their stops, together, while the others stay; slower if a joint would be too fast.

        Raises Unreachable where a stop, or the way to it, cannot be reached.
        """
        slower = 0
        while True:
            rows, joints = self._way(seconds * _SLOWER**slower, stops)
            most = demands(np.array([np.concatenate(self.joints), *rows]))
            if (more := _slower(most)) == 0:
                break
            if slower == _SLOWEST:
                raise Unreachable("a joint would need {:.1f} rad/s, {:.0f} rad/s², {:.0f} rad/s³".format(*most))
            slower = min(slower + more, _SLOWEST)
        self.rows += [self._row(row) for row in rows]
        self.joints = joints
        for side, stop in stops.items():
            self.hands[side] = stop

    def grip(self, seconds: float, opening_m: dict[int, float]) -> None:
        """Bring grippers (by side) to openings in m, evenly; the arms stay."""
        begin = list(self.grips_m)
        steps = round(seconds * DEMONSTRATION_HZ)
        for step in range(1, steps + 1):
            for side, wanted_m in opening_m.items():
                self.grips_m[side] = begin[side] + (wanted_m - begin[side]) * step / steps
            self.rows.append(self._row(np.concatenate(self.joints)))

    def wait(self, seconds: float) -> None:
        """Keep arms and grippers where they are."""
        self.rows += [self._row(np.concatenate(self.joints))] * round(seconds * DEMONSTRATION_HZ)

    def targets(self) -> Array:
        """All targets written so far, (T, 14), 30 a second; rad, gripper m."""
        return np.array(self.rows)

    def _way(self, seconds: float, stops: dict[int, Hand]) -> tuple[list[Array], list[Array]]:
        """Both arms' joints (12,) at each step, and where they end.

        Arms that were pushed or moved by hand may begin in a pose that no `Hand` describes; the difference fades on the way.
        """
        rows: list[Array] = []
        joints, solved = [q.copy() for q in self.joints], [q.copy() for q in self.joints]
        for side in stops:
            solved[side], _ = joints_for(self.hands[side], joints[side])
        lacks = [begun - found for begun, found in zip(self.joints, solved, strict=True)]
        steps = max(1, round(seconds * DEMONSTRATION_HZ))
        for step in range(1, steps + 1):
            share = minimum_jerk(step / steps)
            for side, stop in stops.items():
                hand = self.hands[side].mixed(stop, share)
                solved[side], residual = joints_for(hand, solved[side])
                if residual > _LARGEST_RESIDUAL:
                    raise Unreachable(f"the {SIDES[side]} arm cannot reach {hand}: {residual:.3f} m or rad remain")
                joints[side] = solved[side] + (1 - share) * lacks[side]
            rows.append(np.concatenate(joints))
        return rows, joints

    def _row(self, joints: Array) -> Array:
        left, right = joints[:6], joints[6:]
        return np.concatenate([left, [self.grips_m[0]], right, [self.grips_m[1]]])


def _slower(most: tuple[float, float, float]) -> int:
    """How many factors slower a way has to be at least, by its demands; n times as slow asks for 1/n, 1/n² and 1/n³."""
    factor = max(
        (asked / limit) ** (1 / power) for power, (asked, limit) in enumerate(zip(most, _LIMITS, strict=True), 1)
    )
    return 0 if factor <= 1 else max(1, int(math.log(factor, _SLOWER)))


def demands(way: Array) -> tuple[float, float, float]:
    """Largest speed, acceleration and jerk of any joint on a way (T, J), 30 steps a second, that begins and ends at rest."""
    way = np.concatenate([way[:1], way[:1], way, way[-1:], way[-1:]])
    speed, acceleration, jerk = (
        np.abs(np.diff(way, order, axis=0)).max() * DEMONSTRATION_HZ**order for order in (1, 2, 3)
    )
    return float(speed), float(acceleration), float(jerk)


def minimum_jerk(share: float) -> float:
    """Share of a way that is done after a share s of its time: 10 s^3 - 15 s^4 + 6 s^5 (Flash and Hogan 1985)."""
    return share**3 * (10 - 15 * share + 6 * share**2)


def first_reachable(write: Callable[..., Script], most_steps: int, *choices: Sequence[float]) -> Array:
    """Try scripts until the arms can follow one in time.

    Args:
        write: makes a script of one value of each choice; may raise Unreachable.
        most_steps: that a script may take.
        choices: all their combinations are tried, in order, the last one changing fastest.

    Returns:
        Targets (T, 14) of the first script that fits.

    Raises:
        Unreachable: none does; with the last reason.
    """
    reason = Unreachable("no grasp to choose from")
    for chosen in itertools.product(*choices):
        try:
            targets = write(*chosen).targets()
        except Unreachable as error:
            reason = error
            continue
        if len(targets) <= most_steps:
            return targets
        reason = Unreachable(f"{len(targets)} steps, of {most_steps}")
    raise reason
