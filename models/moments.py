"""What both systems are given at one step of a demonstration, as in a live run: pictures, joints, and older conditions.

Called by runtime/evaluation/influence.py; models/influence.py compares the moments of several scenes.
Legend: T steps, J joints, N tokens of a set of pictures, K System 2's tokens, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.chunk_predictor import ChunkPredictor
from models.condition_maker import ConditionMaker
from models.data.episode import DEMONSTRATION_HZ
from models.policy import ConditionTokens, InstructionEmbedding
from models.train.prepared import decoded, history_steps, window_frames

_ON_THE_WAY_S = 0.035  # from exposure to a run's start: the middle of what training draws (models/train/samples.py)


@dataclass(frozen=True)
class Scene:
    """A demonstration, perhaps only its first steps."""

    name: str
    text: str
    """The first wording of what was to be done."""
    jpegs: Mapping[str, Sequence[bytes]]
    """By camera, one a step."""
    q: NDArray[np.floating]
    """(T, J) observed; rad, gripper m."""
    targets: NDArray[np.floating]
    """(T, J) demonstrated; may go on where pictures end."""


@dataclass(frozen=True)
class Moment:
    """What a chunk is predicted from at one step of a scene, and what was demonstrated there."""

    scene: str
    sets: tuple[torch.Tensor, torch.Tensor]
    """Tokens (N, D) of the set before and of the newest one."""
    q: NDArray[np.float64]
    """(J,) observed."""
    conditions: ConditionTokens | None
    """(K, D) each, rounded as they travel; None: a policy without video."""
    age_s: float
    """Of the newest frame that the conditions saw."""
    targets: NDArray[np.floating]
    """(n, J) demonstrated from the step on."""


@torch.inference_mode()
def moment(
    fast: ChunkPredictor,
    slow: ConditionMaker | None,
    instruction: InstructionEmbedding,
    scene: Scene,
    step: int,
    lag_steps: int,
) -> Moment:
    """Read a step of a scene.

    Args:
        fast: System 1, which encodes the pictures.
        slow: System 2, whose frames are forgotten; None: a policy without video.
        instruction: what the video model reads.
        scene: with pictures up to the step.
        step: of the newest pictures.
        lag_steps: how much earlier the newest frame of the conditions was; none is earlier than the first.

    Returns:
        The moment. Raises ModelError for a damaged picture.
    """
    config = fast.config
    sets = [
        fast.encoded(fast.prepare(tuple(decoded(scene.jpegs[camera][at]) for camera in config.cameras)))
        for at in (max(0, step - history_steps(config)), step)
    ]
    last = max(0, step - lag_steps)
    return Moment(
        scene=scene.name,
        sets=(sets[0], sets[1]),
        q=np.asarray(scene.q[step], np.float64),
        conditions=None if slow is None else _conditions(slow, instruction, scene.jpegs[config.cameras[0]], last),
        age_s=(step - last) / DEMONSTRATION_HZ + _ON_THE_WAY_S,
        targets=scene.targets[step:],
    )


def _conditions(
    slow: ConditionMaker, instruction: InstructionEmbedding, heads: Sequence[bytes], last: int
) -> ConditionTokens:
    """System 2's tokens of the windows that end at a step, in bfloat16's numbers."""
    slow.clear()
    frames = window_frames(slow.config.video, last)
    for name, ring in (("high", slow.high), ("low", slow.low)):
        for number in frames[name]:
            if number not in ring:
                slow.encode(ring, number, decoded(heads[number]))
    made = slow.encode_video(frames["high"], frames["low"], instruction)
    slow.clear()
    return ConditionTokens(*(part.to(torch.bfloat16).float() for part in (made.spatial, made.motion)))
