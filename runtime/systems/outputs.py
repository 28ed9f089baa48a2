"""What comes out of a run: a chunk, or why there is none, as messages. Used by System 1, and by the tracker in its place."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.messaging import messages

_NONE = -1


class Skipping(Protocol):
    """A state that counts its skips."""

    skips: int


@dataclass(frozen=True)
class Made:
    """Of which run a chunk is, and what it was made from."""

    run: int  # counts from 1 in this epoch
    episode: messages.Episode
    instruction: messages.Instruction
    joints: messages.JointState
    inputs: tuple[messages.InputRef, ...]
    epoch: int
    now: int


def chunk(
    made: Made,
    q: NDArray[np.float32],
    t0_ns: int,
    dt_ns: int,
    *,
    observation_ns: int,
    conditions: messages.Conditions | None,
    conditions_limit_ns: int,
    checkpoint_id: str,
    frame_returned_ns: int,
    timing: messages.Timing,
    committed: int = 0,
    noise_seed: int = 0,
    saturated: bool = False,
) -> messages.ActionChunk:
    """The message of targets q (H, J), rad, grippers m. Without conditions it is as fresh as its pictures."""
    joints = made.joints
    mine = joints.chunk_epoch == made.epoch
    return messages.ActionChunk(
        seq=made.run - 1,
        epoch=made.epoch,
        stamp_ns=made.now,
        episode=made.episode.number,
        inputs=made.inputs,
        q=q,
        t0_ns=t0_ns,
        dt_ns=dt_ns,
        run=made.run,
        observation_ns=observation_ns,
        conditions_epoch=_NONE if conditions is None else conditions.epoch,
        conditions_seq=_NONE if conditions is None else conditions.seq,
        conditions_capture_ns=observation_ns if conditions is None else conditions.capture_ns,
        conditions_limit_ns=conditions_limit_ns,
        previous_seq=joints.chunk_seq if mine else _NONE,
        consumed=joints.consumed if mine else 0,
        committed=committed,
        noise_seed=noise_seed,
        instruction=made.instruction.number,
        checkpoint_id=checkpoint_id,
        frame_returned_ns=frame_returned_ns,
        saturated=saturated,
        timing=timing,
    )


def skip(
    state: Skipping,
    episode: messages.Episode,
    inputs: tuple[messages.InputRef, ...],
    reason: str,
    epoch: int,
    now_ns: int,
) -> messages.Skip:
    """The message, counted; `inputs` are what the run had consumed."""
    state.skips += 1
    return messages.Skip(
        seq=state.skips - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=episode.number,
        inputs=inputs,
        reason=reason,
    )
