"""What the motors saw of a run: targets at their sending times, against the limits; and when they began to brake.
Called by matrix.py once a run has ended: emulated arms write down then what they heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import SIDES
from drivers.piper_emulator import Heard, heard_rad
from runtime.arms.limits import Array, Limits
from runtime.arms.motor_view import shares_at
from runtime.devices import can_log
from runtime.errors import SessionError
from runtime.faults.live_robot import Tick

Times = NDArray[np.int64]
_STILL_RAD_S = 0.02  # chosen: four steps of the bus (0.001 degrees) a tick are 0.014 rad/s
_AT_SPEED = (
    0.97  # of the highest speed from the fault on: below it an arm brakes; chosen: forwarding jitters by some percent
)
_WINDOW = 4  # targets over which a speed is taken; chosen: 20 ms at 200 Hz, over which late and early ones cancel out


@dataclass(frozen=True)
class MotorView:
    """Targets of some joints: their limits, times (N,) ns, and angles (N, J) rad."""

    limits: Limits
    at_ns: Times
    q: Array

    def places(self, from_ns: int, to_ns: int) -> slice:
        """Which of the targets are of a stretch."""
        first, last = np.searchsorted(self.at_ns, (from_ns, to_ns))
        return slice(int(first), int(last))


def emulated(session: Path, limits: Limits) -> tuple[MotorView, ...]:
    """Both emulated arms' views of a run that has ended, by what they wrote down. Raises SessionError: they did not."""
    views: list[MotorView] = []
    for side in SIDES:
        path = can_log.path_of(session, side)
        if not path.exists():
            raise SessionError(f"{path}: does not exist; the emulated arms were killed")
        with np.load(path) as record:
            at_ns, joints = record["at_ns"], record["joints"]
        q = heard_rad([Heard(0, bytes(row)) for row in joints])
        views.append(MotorView(limits, at_ns, q))
    return tuple(views)


def simulated(ticks: Sequence[Tick], limits: Limits) -> tuple[MotorView, ...]:
    """The simulated arms' view: the targets of `arms`, in the rhythm in which they are due (runtime/arms/target_stream.py).

    Nobody writes down what the simulator makes of missing ones: a stop of `arms` itself is judged by the emulated arms.
    """
    if not ticks:
        return ()
    at_ns = np.array([tick.deadline_ns for tick in ticks], np.int64)
    return (MotorView(limits, at_ns, np.stack([tick.q for tick in ticks])),)


def shares(views: Sequence[MotorView], from_ns: int, to_ns: int) -> dict[str, float]:
    """The largest share of each limit in a stretch, over all views; empty: nothing was sent."""
    found: dict[str, float] = {}
    for view in views:
        if not len(view.at_ns):
            continue
        part = view.places(from_ns, to_ns)
        for name, each in shares_at(view.limits, view.at_ns, view.q).items():
            if len(each[part]):
                found[name] = max(found.get(name, 0.0), float(each[part].max()))
    return found


def braked_ms(view: MotorView, began_ns: int, to_ns: int) -> float | None:
    """From a fault until an arm begins to brake to its next stand, ms; None: it stood already, or never came to a stand."""
    part = view.places(began_ns, to_ns)
    at_ns, q = view.at_ns[part], view.q[part]
    if len(at_ns) <= _WINDOW:
        return None
    passed_s = np.maximum(at_ns[_WINDOW:] - at_ns[:-_WINDOW], 1) / 1e9
    speed = np.abs(q[_WINDOW:] - q[:-_WINDOW]).max(axis=1) / passed_s
    # A pause between targets is a stand too: an arm holds its last one.
    stands = (speed < _STILL_RAD_S).nonzero()[0]
    if not len(stands) or stands[0] == 0:
        return None
    until = int(stands[0])
    fastest = float(speed[:until].max())
    begins = int((speed[:until] >= _AT_SPEED * fastest).nonzero()[0][-1])
    return max(0.0, (int(at_ns[begins + _WINDOW]) - began_ns) / 1e6)
