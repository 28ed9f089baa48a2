"""When System 2 is due: once for n runs of System 1, and at every new beginning. Deterministic. Called by system2_step.py.

The trigger is a level, not an edge: the first condition and the one after a HOLD come by themselves.
"""

from typing import Literal

from runtime.config import live_tuning
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.systems.system2_state import System2Config, System2Inputs, System2State

Trigger = Literal["ratio", "epoch", "episode", "instruction", "age", "free"]


def decide(config: System2Config, state: System2State, inputs: System2Inputs, now_ns: int) -> Trigger | None:
    """Whether a condition is due, and why.

    Args:
        config: Settings and policy.
        state: Of the last condition.
        inputs: The newest messages.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        The first trigger that applies: a new episode or instruction, free pacing, another life of System 1, n runs since the
        last condition (paper 3.3), its age; None: not yet.
    """
    run, epoch = run_of(inputs.system1)
    settings, ratio = config.settings, live_tuning.ratio(config.settings, inputs.episode)
    if inputs.episode.number != state.episode:
        return "episode"
    if inputs.instruction.number != state.instruction:
        return "instruction"
    if settings.pacing == "free":
        return "free"
    if epoch != state.system1_epoch:
        return "epoch"
    if run >= state.run + ratio:
        return "ratio"
    if now_ns - state.capture_ns > _refresh_ns(settings, state, inputs):
        return "age"
    return None


def run_of(message: messages.Message | None) -> tuple[int, int]:
    """System 1's run number and epoch; before its first chunk the run counts as 0."""
    if isinstance(message, messages.ActionChunk):
        return message.run, message.epoch
    return 0, message.epoch if message is not None else 0


def _refresh_ns(settings: Settings, state: System2State, inputs: System2Inputs) -> int:
    """Age at which a condition is renewed although System 1 has not come n runs further.

    When System 1 made no chunk since, a fresh condition waits for its first. When it is only slow, the condition is
    renewed before it passes the limit that System 1 told; a shorter age would bend the ratio.
    """
    system1, ratio = inputs.system1, live_tuning.ratio(settings, inputs.episode)
    period_ns = live_tuning.period_ns(settings, inputs.episode)
    if not isinstance(system1, messages.ActionChunk) or system1.run <= state.run:
        return (ratio + 1) * period_ns
    return max((ratio + 2) * period_ns, system1.conditions_limit_ns * 3 // 4)
