"""What comes out of a run, as messages: a chunk, or why there is none.
Used by System 1's step, and by the tracker's in its place.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.messaging import messages

_NONE = -1  # a number that is not there, as messages.ActionChunk says


class Skipping(Protocol):
    """A step's state that counts the skips it made."""

    skips: int


@dataclass(frozen=True)
class Made:
    """Of which run a chunk is, and what it was made from."""

    run: int  # counts from 1 in this epoch
    episode: messages.Episode
    instruction: messages.Instruction
    joints: messages.JointState
    conditions: messages.Conditions | None  # None for a policy without a slow system
    observation_ns: int  # when its newest pictures were taken
    frame_returned_ns: int  # when the driver handed over the newest picture
    inputs: tuple[messages.InputRef, ...]
    epoch: int
    now_ns: int


def chunk(
    made: Made,
    q: NDArray[np.float32],
    t0_ns: int,
    dt_ns: int,
    *,
    conditions_limit_ns: int,
    checkpoint_id: str,
    timing: messages.Timing,
    committed: int = 0,
    noise_seed: int = 0,
    saturated: bool = False,
) -> messages.ActionChunk:
    """The message of one run's targets.

    Without conditions the chunk counts as fresh as its pictures. What the message says of the chunk before is taken from
    `made.joints`, unless another life of this process made that chunk.

    Args:
        made: The run, and what it consumed.
        q: (H, J) rad, grippers m, absolute.
        t0_ns: When the first target is due, CLOCK_MONOTONIC.
        dt_ns: Between two targets.
        conditions_limit_ns: Age above which the arms may not use these conditions.
        checkpoint_id: Of the policy.
        timing: Measured; a replay does not compare it.
        committed: Leading targets that continue the chunk before.
        noise_seed: That the policy was given.
        saturated: Whether System 2 takes longer than its cycle.
    """
    joints, conditions = made.joints, made.conditions
    mine = joints.chunk_epoch == made.epoch
    return messages.ActionChunk(
        seq=made.run - 1,
        epoch=made.epoch,
        stamp_ns=made.now_ns,
        episode=made.episode.number,
        inputs=made.inputs,
        q=q,
        t0_ns=t0_ns,
        dt_ns=dt_ns,
        run=made.run,
        observation_ns=made.observation_ns,
        conditions_epoch=_NONE if conditions is None else conditions.epoch,
        conditions_seq=_NONE if conditions is None else conditions.seq,
        conditions_capture_ns=made.observation_ns if conditions is None else conditions.capture_ns,
        conditions_limit_ns=conditions_limit_ns,
        previous_seq=joints.chunk_seq if mine else _NONE,
        consumed=joints.consumed if mine else 0,
        committed=committed,
        noise_seed=noise_seed,
        instruction=made.instruction.number,
        checkpoint_id=checkpoint_id,
        frame_returned_ns=made.frame_returned_ns,
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
    """The message of a run that made no chunk, counted in `state`.

    Args:
        state: Its `skips` grow by one.
        episode: That was being run.
        inputs: What the run had consumed.
        reason: For the operator, with value and limit.
        epoch: Of this process.
        now_ns: When the run began.
    """
    state.skips += 1
    return messages.Skip(
        seq=state.skips - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=episode.number,
        inputs=inputs,
        reason=reason,
    )
