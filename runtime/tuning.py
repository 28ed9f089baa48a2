"""What an operator may change in mid-run: it travels with the episode, so every step and every replay sees the same."""

from runtime import wire
from runtime.config import Settings


def ratio(settings: Settings, episode: wire.Episode) -> int:
    """System-1 runs for each run of System 2."""
    return episode.ratio or settings.ratio


def blend(settings: Settings, episode: wire.Episode) -> wire.Blend:
    """How chunks are joined."""
    return episode.blend or settings.trajectory.blend
