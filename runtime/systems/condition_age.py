"""How old conditions may be, and whether System 2 keeps up with the ratio, by how long its last conditions took.
Deterministic. Called by system1_step.py at every run.
"""

import math

from runtime.config import live_tuning
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages


def conditions_limit_ns(settings: Settings, episode: messages.Episode, durations_ns: tuple[int, ...]) -> int:
    """The age above which conditions may not be used: min(max_condition_age_s, 1.5 x (cycle + System 2's p99 + period)).

    The cycle is n periods, or System 2's p99 when it is saturated; the last period is that in which the last chunk made
    with a condition is executed. Half as much again is chosen, for runs that come late.

    Args:
        settings: Of the run.
        episode: What it tunes of n, System-1 runs for each condition, and of their period.
        durations_ns: How long System 2's last conditions took.

    Returns:
        ns.
    """
    slowest_ns = _quantile(durations_ns, 0.99)
    period_ns = live_tuning.period_ns(settings, episode)
    cycle_ns = max(live_tuning.ratio(settings, episode) * period_ns, slowest_ns)
    return min(seconds(settings.safety.max_condition_age_s), (cycle_ns + slowest_ns + period_ns) * 3 // 2)


def saturated(settings: Settings, episode: messages.Episode, durations_ns: tuple[int, ...]) -> bool:
    """Whether System 2's median duration is longer than n periods."""
    cycle_ns = live_tuning.ratio(settings, episode) * live_tuning.period_ns(settings, episode)
    return _quantile(durations_ns, 0.5) > cycle_ns


def _quantile(values: tuple[int, ...], share: float) -> int:
    """Nearest-rank quantile of ns values, 0 without any; a hundred numbers need no array library."""
    if not values:
        return 0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
