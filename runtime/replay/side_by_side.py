"""What a what-if changed: both tables side by side, and how far the commanded joints are apart. Called by command.py."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.messaging import messages
from runtime.replay.index import Index
from runtime.replay.written_session import Topical

_FIGURES = (
    ("runs of System 1", "system1_runs"),
    ("runs of System 2", "system2_runs"),
    ("runs of System 1 for each run of System 2", "ratio_measured"),
    ("age of conditions, ms (p50)", "condition_age_ms.p50"),
    ("velocity step at a seam, rad/s (p99)", "seam_velocity_jump_rad_s.p99"),
    ("share of ticks in RUNNING", "running_fraction"),
    ("share of RUNNING ticks changed by a limit", "limited_fraction"),
    ("holds", "holds"),
)


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Lines with both tables' figures side by side."""

    def figure(table: Mapping[str, Any], path: str) -> str:
        value: Any = table
        for name in path.split("."):
            value = value.get(name) if value is not None else None
        return "-" if value is None else f"{value:g}"

    lines = [f"{'':<40}{'recorded':>12}{'what if':>12}"]
    return lines + [f"{name:<40}{figure(before, path):>12}{figure(after, path):>12}" for name, path in _FIGURES]


def departed(origin: Index, arrived: Sequence[Topical]) -> str:
    """One line: how far the commands would have been from those that were sent, over the ticks at which both were running."""
    apart: list[float] = []
    first: messages.SafetyState | None = None
    for topic, message in arrived:
        if isinstance(message, messages.SafetyState) and message.mode == "FAULT" and first is None:
            first = message
        if not isinstance(message, messages.ArmTarget):
            continue
        was = origin.messages.get((topic, message.epoch, message.seq))
        if isinstance(was, messages.ArmTarget) and was.mode == message.mode == "RUNNING":
            apart.append(float(np.abs(was.q - message.q)[WITHOUT_GRIPPERS].max()))
    reported = f"; it would have ended in FAULT: {'; '.join(first.reasons)}" if first is not None else ""
    if not apart:
        return f"the two are never RUNNING at the same time{reported}"
    p50, p99 = np.percentile(apart, [50, 99])
    return f"distance of the commanded joints: {p50:.3f} rad p50, {p99:.3f} p99, {max(apart):.3f} max{reported}"
