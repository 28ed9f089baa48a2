"""The networks of the policy that the settings name, and its encoded instructions. Used by system1, system2, text, replay."""

import numpy as np
import torch

from drivers.cobot_magic import rest_pose
from models.checkpoint import Checkpoint, load_embedding
from models.errors import ModelError
from models.policy import InstructionEmbedding
from runtime.config import Settings, System
from runtime.errors import RuntimeFault
from runtime.instructions import EmbeddingCache

# How far an untrained policy may move from the rest pose: rad, gripper m. Small enough to stay clear of the table.
_UNTRAINED_REACH = np.array([0.6, 0.4, 0.4, 0.6, 0.3, 0.6, 0.03] * 2)
_OPEN_GRIPPERS = [6, 13]


def open_checkpoint(settings: Settings) -> Checkpoint:
    """The trained policy of `policy.checkpoint`, or an untrained one from the seed. Raises RuntimeFault with one line."""
    if settings.policy.checkpoint is None:
        rest = rest_pose()
        rest[_OPEN_GRIPPERS] -= _UNTRAINED_REACH[6]  # the middle of what the gripper then does
        return Checkpoint.untrained(settings.policy.size, settings.seed, rest, _UNTRAINED_REACH)
    try:
        return Checkpoint.load(settings.policy.checkpoint)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def prepare_torch(system: System) -> None:
    """Fixed threads and deterministic kernels: what a replay repeats bit for bit."""
    torch.set_num_threads(system.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)


class Embeddings:
    """Encoded instructions as tensors, out of the cache; the last one asked for stays in memory."""

    def __init__(self, cache: EmbeddingCache) -> None:
        self._cache = cache
        self._held: tuple[str, InstructionEmbedding] | None = None

    def __call__(self, key: str) -> InstructionEmbedding:
        """The embedding of a key."""
        if self._held is None or self._held[0] != key:
            self._held = (key, load_embedding(self._cache.path(key)))
        return self._held[1]
