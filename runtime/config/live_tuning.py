"""What an operator, or how fast the machine is, may change in mid-run: it travels with the episode, so every step and every
replay sees the same.
Called by both systems' steps, the status line and the console.
"""

from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages


def ratio(settings: Settings, episode: messages.Episode) -> int:
    """System-1 runs for each run of System 2: the episode's, or the settings' where it says 0."""
    return episode.ratio or settings.ratio


def blend(settings: Settings, episode: messages.Episode) -> messages.Blend:
    """How chunks are joined: the episode's way, or the settings' where it says None."""
    return episode.blend or settings.trajectory.blend


def period_ns(settings: Settings, episode: messages.Episode) -> int:
    """From the start of one run of System 1 to the next: the episode's, or the settings' where it says 0."""
    return episode.period_ns or seconds(settings.system1.first_period_s)
