"""What operators change in mid-run, as the supervisor keeps it: instruction, ratio, blend, the episode. Deterministic.
Called by robot.py for each wish from the console.
"""

from dataclasses import dataclass, replace

from runtime.messaging import messages


@dataclass(frozen=True)
class Plan:
    """What the supervisor repeats to all processes at 5 Hz."""

    instruction: str
    started_ns: int  # of the episode
    instruction_number: int = 1
    episode: int = 1
    ratio: int = 0  # 0: that of the settings
    blend: messages.Blend | None = None
    period_ns: int = 0  # of System 1; 0: that of the settings


def step(plan: Plan, wish: messages.Steering, now_ns: int) -> Plan:
    """The plan after a wish; what the wish leaves out stays."""
    if wish.instruction is not None and wish.instruction != plan.instruction:
        plan = replace(plan, instruction=wish.instruction, instruction_number=plan.instruction_number + 1)
    if wish.next_episode:
        plan = replace(plan, episode=plan.episode + 1, started_ns=now_ns)
    return replace(plan, ratio=wish.ratio or plan.ratio, blend=wish.blend or plan.blend)


def describe(plan: Plan, wish: messages.Steering) -> list[str]:
    """What a wish changes, a line each, for the operator's terminal."""
    lines: list[str] = []
    if wish.instruction is not None:
        lines.append(f"instruction: {wish.instruction}")
    if wish.ratio is not None:
        lines.append(f"ratio: 1:{wish.ratio}")
    if wish.blend is not None:
        lines.append(f"blend: {wish.blend}")
    if wish.result is not None:
        lines.append(f"episode {plan.episode}: {wish.result}" + (f": {wish.note}" if wish.note else ""))
    if wish.next_episode:
        lines.append(f"episode {plan.episode + 1} begins")
    return lines
