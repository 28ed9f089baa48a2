"""Which chunk the arms execute: dropped, refused, or spliced into the trajectory. Pure; part of arms_step."""

from dataclasses import replace

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.arms import parking, safety
from runtime.arms.state import Executing, Memory, Rules
from runtime.arms.trajectory import Piece, Style, Trajectory, evaluate, join, lay
from runtime.messaging import messages


def consider(rules: Rules, memory: Memory, chunk: messages.ActionChunk, deadline_ns: int, now: int) -> float:
    """Drop, refuse or splice a chunk."""
    settings = rules.settings
    in_order = (chunk.epoch, chunk.seq) > memory.last_chunk
    current = (chunk.episode, chunk.instruction) == (memory.episode, memory.instruction)
    if not in_order or not current or safety.expired(settings.safety, chunk, now):
        memory.dropped += 1
        return -1.0
    memory.last_chunk = (chunk.epoch, chunk.seq)
    if fault := safety.refuse(settings.safety, rules.limits, chunk):
        memory.rejected += 1
        memory.machine.fault = fault
        return -1.0
    begins_ns = _begins_ns(rules, memory, memory.machine.mode, chunk.t0_ns, deadline_ns)
    piece = lay(chunk.q.astype(np.float64), begins_ns, chunk.dt_ns, _style(rules, memory))
    memory.refusal = safety.jump(settings.safety, piece.at(deadline_ns).q, memory.commanded.q)
    if memory.refusal:
        memory.rejected += 1
        return -1.0
    return _splice(rules, memory, chunk, piece, deadline_ns)


def _begins_ns(rules: Rules, memory: Memory, mode: messages.Mode, t0_ns: int, deadline_ns: int) -> int:
    """When a chunk's first target is due. Arms that stand begin it at its beginning, since what it saw of them is still so: on
    a slow machine its targets of by now could be too far away for ever. A `prefix` is continued at the times it was made for.
    """
    stands = mode == "HOLD" and parking.stands(memory.commanded)
    return max(t0_ns, deadline_ns) if stands and _style(rules, memory).blend != "prefix" else t0_ns


def _splice(rules: Rules, memory: Memory, chunk: messages.ActionChunk, piece: Piece, deadline_ns: int) -> float:
    """Execute a chunk from now on. Returns the largest velocity step of the arms' joints that it makes, -1: none was run."""
    before = evaluate(memory.trajectory, deadline_ns) if memory.machine.mode == "RUNNING" else None
    memory.trajectory = join(memory.trajectory, piece, memory.commanded_ns, memory.commanded, _style(rules, memory))
    memory.executing = Executing(
        chunk.epoch, chunk.seq, chunk.observation_ns, chunk.conditions_capture_ns, chunk.conditions_limit_ns
    )
    after = evaluate(memory.trajectory, deadline_ns)
    if before is None or after is None:
        return -1.0
    return float(np.abs(after.dq - before.dq)[WITHOUT_GRIPPERS].max())


def forget(memory: Memory) -> None:
    """What was planned for another episode or instruction is not carried out any further."""
    memory.trajectory, memory.executing, memory.refusal = Trajectory(), Executing(), ""


def restart(rules: Rules, memory: Memory, was: messages.Mode) -> Trajectory:
    """The newest chunk alone, begun anew from the commanded pose; unless nothing is blended at all, the offset fades."""
    style, newest = _style(rules, memory), memory.trajectory.pieces[-1]
    newest = replace(newest, t0_ns=_begins_ns(rules, memory, was, newest.t0_ns, memory.commanded_ns))
    style = style if style.blend == "none" else replace(style, blend="fade")
    return join(Trajectory(), newest, memory.commanded_ns, memory.commanded, style)


def _style(rules: Rules, memory: Memory) -> Style:
    return rules.style if memory.blend is None else replace(rules.style, blend=memory.blend)
