"""The judge of what reached the arms: every limit, tick after tick, and what was found in all. Used by fuzz.py.

Motion is judged by finite differences, distances of links by the simulator's shapes, not by the limits' capsules.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.arms.collision import arm_distance_m, fingertip_height_m, link_points
from runtime.arms.limits import Array, Limits
from runtime.bench.shapes import SimulatedShapes

_ROUNDING = 1e-6  # of finite differences: float64 loses six digits in the third one


@dataclass
class Found:
    """What was sent, refused and broken; adds up over workers."""

    chunks: Counter[str] = field(default_factory=Counter)  # by kind
    undecodable: int = 0
    ticks: int = 0
    sent: int = 0  # ticks in which targets went out
    running: int = 0
    disturbed: Counter[str] = field(default_factory=Counter)  # ticks, by what was held up
    faults: int = 0
    spliced: int = 0
    wrong_bytes: int = 0  # ticks whose frames at an arm were not those of the tick's target
    broken: Counter[str] = field(default_factory=Counter)  # limits, by name
    share: dict[str, float] = field(default_factory=dict)  # of each limit, at most
    travelled_rad: float = 0.0  # of the joint that went farthest

    def add(self, other: "Found") -> None:
        """Add what another worker found."""
        for name in ("undecodable", "ticks", "sent", "running", "faults", "spliced", "wrong_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.chunks.update(other.chunks)
        self.disturbed.update(other.disturbed)
        self.broken.update(other.broken)  # `+=` would forget those that are at 0
        self.travelled_rad = max(self.travelled_rad, other.travelled_rad)
        for name, share in other.share.items():
            self.share[name] = max(share, self.share.get(name, 0.0))


class Judge:
    """Compares targets with the limits, and adds to what was found."""

    def __init__(self, found: Found, limits: Limits, dt_s: float, begin: Array) -> None:
        self.found = found
        self._limits, self._dt_s, self._begin = limits, dt_s, begin
        self._shapes = SimulatedShapes()

    def judge(self, sent: Sequence[Array]) -> None:
        """Judge the newest of two to four targets (14,) that follow each other, rad and m, the newest last."""
        limits, dt_s, found = self._limits, self._dt_s, self.found
        q = np.stack(sent)
        dq = np.diff(q, axis=0) / dt_s
        ddq = np.diff(dq, axis=0) / dt_s
        jerk = np.diff(ddq, axis=0) / dt_s
        middle, half = (limits.high + limits.low) / 2, (limits.high - limits.low) / 2
        shares: dict[str, Any] = {
            "range": np.abs(q[-1] - middle) / half,
            "velocity": np.abs(dq[-1]) / limits.velocity,
            "acceleration": np.abs(ddq[-1]) / limits.acceleration,
        }
        if len(jerk):
            shares["jerk"] = np.abs(jerk[-1]) / limits.jerk
        for name, each in shares.items():
            share = float(each.max())
            found.share[name] = max(share, found.share.get(name, 0.0))
            found.broken[name] += share > 1 + _ROUNDING
        points = link_points(q[-1], limits.bases)
        found.broken["fingertip height"] += fingertip_height_m(points, limits.table_m) < limits.min_fingertip_m
        found.broken["distance of the arms"] += arm_distance_m(points) < limits.min_arm_distance_m
        height_m, own_m = self._shapes.measure(q[-1]).min(axis=0)
        found.broken["link height"] += bool(height_m < limits.min_link_height_m)
        found.broken["distance within an arm"] += bool(own_m < limits.min_own_distance_m)
        found.travelled_rad = max(found.travelled_rad, float(np.abs(q[-1] - self._begin).max()))
