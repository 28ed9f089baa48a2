"""Both systems at once, each in a process of its own, and what that suggests for a profile. Used by models.py and command."""

from typing import Any

import numpy as np
import torch

from runtime.bench.system2_process import Beside
from runtime.bench.systems import Choice, FastBench
from runtime.host.clock import robot_time_ns
from runtime.supervisor.pace import fitting_period_s

AT_ONCE_RUNS = 240  # of System 1 beside System 2; chosen: thirty cycles of 1:8


def both_at_once(fast: FastBench, choice: Choice, ratio: int, limit_s: float = 60.0) -> dict[str, float]:
    """System 1 flat out while System 2, in a process of its own, runs once for every `ratio` runs, or as often as it can.

    System 1 runs until System 2 has answered, so every run of the one is beside the other; after `limit_s` System 2 is asked no
    more. Raises RuntimeFault when System 2's process ends, mostly for want of memory.
    """
    times_ms: list[float] = []
    with Beside(choice) as slow:
        began_ns, asked_at, asked = robot_time_ns(), -ratio, 0
        ends_ns, wanted = began_ns + round(limit_s * 1e9), AT_ONCE_RUNS
        while len(times_ms) < wanted or len(slow.times_ms) < asked:
            idle = len(slow.times_ms) == asked
            if idle and len(times_ms) - asked_at >= ratio and len(times_ms) < wanted:
                slow.ask()
                asked, asked_at = asked + 1, len(times_ms)
            started_ns = robot_time_ns()
            fast.run()
            times_ms.append((robot_time_ns() - started_ns) / 1e6)
            slow.check()
            if robot_time_ns() > ends_ns:
                wanted = len(times_ms)
        elapsed_s = (robot_time_ns() - began_ns) / 1e9
        used_gib = _used_gib(fast.device)
    chunks_per_s = len(times_ms) / elapsed_s
    return {
        "system1_chunks_per_s": round(chunks_per_s, 2),
        "system1_actions_per_s": round(chunks_per_s * fast.config.horizon, 1),
        "system1_p50_ms": round(float(np.percentile(times_ms, 50)), 2),
        "system1_p99_ms": round(float(np.percentile(times_ms, 99)), 2),
        "system2_runs": asked,
        "system2_p50_ms": round(float(np.percentile(slow.times_ms, 50)), 2),
        "system2_p99_ms": round(float(np.percentile(slow.times_ms, 99)), 2),
    } | ({"gpu_memory_in_use_gib": used_gib} if used_gib else {})


def suggest(measured: dict[str, float], frame_hz: float = 30.0) -> dict[str, float]:
    """A period and a ratio for the measured machine, and the age of conditions that they give.

    The period is a whole number of frames that leaves a quarter of the time free; the ratio lets System 2 finish within
    its cycle. A condition's age at use lies between System 2's time and that plus the cycle. `measured` is what `both_at_once`
    gives.
    """
    period_s = fitting_period_s(measured["system1_p99_ms"] / 1000, frame_hz)
    slow_s = measured["system2_p99_ms"] / 1000
    ratio = max(1, int(np.ceil(slow_s / period_s)))
    return {
        "period_s": round(period_s, 4),
        "ratio": ratio,
        "expected_age_p50_ms": round(1000 * (measured["system2_p50_ms"] / 1000 + ratio * period_s / 2), 1),
        "expected_age_p99_ms": round(1000 * (slow_s + ratio * period_s), 1),
    }


def _used_gib(device: torch.device) -> float:
    """What all processes together hold of a GPU, their contexts included."""
    if device.type != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info(device)
    return round((total - free) / 2**30, 2)


def rates(figures: dict[str, Any], name: str, horizon: int) -> dict[str, float]:
    """Chunks and actions a second of System 1 alone, of its row: an action is one target of `horizon` in a chunk."""
    chunks_per_s = 1000 / figures[name]["p50_ms"]
    return {"chunks_per_s": round(chunks_per_s, 2), "actions_per_s": round(chunks_per_s * horizon, 1)}
