"""Which chunk the arms execute: dropped, refused, or spliced into the trajectory. Deterministic.
Called by step.py for each chunk, and by motion.py when the arms begin to run.
"""

from dataclasses import replace

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.arms import parking, safety
from runtime.arms.state import NONE, ArmsConfig, ArmsState, Executing
from runtime.arms.trajectory import Piece, Style, Trajectory, evaluate, join, lay
from runtime.messaging import messages


def consider(config: ArmsConfig, state: ArmsState, chunk: messages.ActionChunk, due_ns: int, now_ns: int) -> float:
    """Drop, refuse or splice a chunk, and count what is not used. A chunk outside the ranges latches a fault.

    Args:
        config: Limits, style and settings.
        state: Changed by what becomes of the chunk.
        chunk: Decoded; q (H, 14) float32, rad, grippers m.
        due_ns: When this tick's target is.
        now_ns: When it began.

    Returns:
        The largest velocity step at the seam, rad/s, as `_splice` gives it; -1 for a chunk that is not spliced in.
    """
    settings = config.settings
    in_order = (chunk.epoch, chunk.seq) > state.last_chunk
    current = (chunk.episode, chunk.instruction) == (state.episode, state.instruction)
    if not in_order or not current or safety.expired(settings.safety, chunk, now_ns):
        state.dropped += 1
        return -1.0
    state.last_chunk = (chunk.epoch, chunk.seq)
    if fault := safety.refuse(settings.safety, config.limits, chunk):
        state.rejected += 1
        state.machine = state.machine.latch(fault=fault)
        return -1.0
    begins_ns = _begins_ns(config, state, state.machine.mode, chunk.t0_ns, due_ns)
    piece = lay(chunk.q.astype(np.float64), begins_ns, chunk.dt_ns, _style(config, state))
    state.refusal = safety.jump(settings.safety, piece.at(due_ns).q, state.commanded.q)
    if state.refusal:
        state.rejected += 1
        return -1.0
    return _splice(config, state, chunk, piece, due_ns)


def _begins_ns(config: ArmsConfig, state: ArmsState, mode: messages.Mode, t0_ns: int, due_ns: int) -> int:
    """When a chunk's first target is due: at its own time, but not before this tick's where the arms stand.

    What it saw of standing arms is still so, and on a slow machine its targets of by now could be too far away for ever. A
    `prefix` is continued at the times it was made for.
    """
    stands = mode == "HOLD" and parking.stands(state.commanded)
    return max(t0_ns, due_ns) if stands and _style(config, state).blend != "prefix" else t0_ns


def _splice(config: ArmsConfig, state: ArmsState, chunk: messages.ActionChunk, piece: Piece, due_ns: int) -> float:
    """Execute a chunk from now on. Returns the largest velocity step it makes, rad/s, without grippers; -1: none was run
    before.
    """
    before = evaluate(state.trajectory, due_ns) if state.machine.mode == "RUNNING" else None
    state.trajectory = join(state.trajectory, piece, state.commanded_ns, state.commanded, _style(config, state))
    state.executing = Executing(
        chunk.epoch, chunk.seq, chunk.observation_ns, chunk.conditions_capture_ns, chunk.conditions_limit_ns,
        guided=chunk.conditions_seq != NONE,
    )  # fmt: skip
    after = evaluate(state.trajectory, due_ns)
    if before is None or after is None:
        return -1.0
    return float(np.abs(after.dq - before.dq)[WITHOUT_GRIPPERS].max())


def forget(state: ArmsState) -> None:
    """Drop what was planned for another episode or instruction, before it is carried out any further."""
    state.trajectory, state.executing, state.refusal = Trajectory(), Executing(), ""


def restart(config: ArmsConfig, state: ArmsState, was: messages.Mode) -> Trajectory:
    """The newest chunk alone, begun again from the commanded pose; its offset fades out, unless nothing is blended at all.

    Args:
        config: The style, whose blend does not count here.
        state: Its newest piece is taken, nothing is changed.
        was: The mode before this tick: arms that held begin the chunk at its beginning.
    """
    style, newest = _style(config, state), state.trajectory.pieces[-1]
    newest = replace(newest, t0_ns=_begins_ns(config, state, was, newest.t0_ns, state.commanded_ns))
    style = style if style.blend == "none" else replace(style, blend="fade")
    return join(Trajectory(), newest, state.commanded_ns, state.commanded, style)


def _style(config: ArmsConfig, state: ArmsState) -> Style:
    return config.style if state.blend is None else replace(config.style, blend=state.blend)
