"""Puts System 2's conditions of another scene in place of an episode's own (`--swap system2`): does the policy listen to them?

Used by world.py. The partner's scene has the same task and instruction, is played first and to its end with its own conditions;
its newest condition of the same time since the start then stands in for each one of the episode.
"""

from dataclasses import dataclass, field

from drivers.task_names import KEPT_FROM
from runtime.messaging import messages

_APART = 500_000  # between a scene and its partner; chosen: no evaluation plays so many


@dataclass
class Conditions:
    """What System 2 made in an episode, and what System 1 hears instead, both with their times since the start, ns."""

    own: list[tuple[int, messages.Conditions]] = field(default_factory=list)
    given: list[tuple[int, messages.Conditions]] = field(default_factory=list)  # empty: it hears its own

    def heard(self, made: messages.Conditions, since_ns: int) -> messages.Conditions:
        """Note a condition. Returns what System 1 hears of it: the same message, with the arrays that are put in."""
        self.own.append((since_ns, made))
        if not self.given:
            return made
        earlier = [condition for time_ns, condition in self.given if time_ns <= since_ns]
        return made.model_copy(update={"arrays": (earlier or [self.given[0][1]])[-1].arrays})


def partner_of(seed: int) -> int:
    """The scene whose conditions are put in: of evaluation as well, and among no others that are played."""
    return KEPT_FROM + (seed - KEPT_FROM + _APART) % (2 * _APART)
