"""How old conditions may be, and whether System 2 keeps up with the ratio, by how long its last conditions took.
Deterministic. Called by system1_step.py at every run.
"""

import math

from runtime.config.settings import Settings
from runtime.host.clock import seconds


def conditions_limit_ns(settings: Settings, durations_ns: tuple[int, ...], ratio: int) -> int:
    """The age above which conditions may not be used: min(max_condition_age_s, 1.5 x (cycle + System 2's p99 + period)).

    The cycle is n periods, or System 2's p99 when it is saturated; the last period is that in which the last chunk made
    with a condition is executed. Half as much again is chosen, for runs that come late.

    Args:
        settings: Of the run.
        durations_ns: How long System 2's last conditions took.
        ratio: n, System-1 runs for each condition.

    Returns:
        ns.
    """
    slowest_ns = _quantile(durations_ns, 0.99)
    period_ns = seconds(settings.system1.period_s)
    cycle_ns = max(ratio * period_ns, slowest_ns)
    return min(seconds(settings.safety.max_condition_age_s), (cycle_ns + slowest_ns + period_ns) * 3 // 2)


def saturated(settings: Settings, durations_ns: tuple[int, ...], ratio: int) -> bool:
    """Whether System 2's median duration is longer than n periods."""
    return _quantile(durations_ns, 0.5) > ratio * seconds(settings.system1.period_s)


def _quantile(values: tuple[int, ...], share: float) -> int:
    """Nearest-rank quantile of ns values, 0 without any; a hundred numbers need no array library."""
    if not values:
        return 0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
