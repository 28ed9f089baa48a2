"""The networks of the policy that the settings name, and its encoded instructions.
Used by system1, system2, text, replay and evaluation.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from drivers.cobot_magic import ready_pose
from models.checkpoint import CPU, Checkpoint
from models.config import PolicyConfig
from models.errors import ModelError
from models.placement import usual_type
from runtime.config.policy import policy_config
from runtime.config.settings import Settings, System
from runtime.errors import RuntimeFault
from runtime.policy import fit
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.policy.protocols import EncodedInstruction
from runtime.policy.video2act import FastVideo2Act, SlowVideo2Act, read_instruction

Made = TypeVar("Made")

# How far an untrained policy may move from the ready pose: rad, gripper m. Chosen: small enough to stay clear of the table.
_UNTRAINED_REACH = np.array([0.6, 0.4, 0.4, 0.6, 0.3, 0.6, 0.03] * 2)
_OPEN_GRIPPERS = [6, 13]  # the grippers' places in a vector of all joints


def open_checkpoint(settings: Settings) -> Checkpoint:
    """The trained policy of `policy.checkpoint`, or an untrained one from the seed.

    Raises:
        RuntimeFault: It cannot be loaded, or this robot does not fit it (fit.py).
    """
    checkpoint = _opened(settings)
    fit.check(checkpoint.needs, settings)
    return checkpoint


def _opened(settings: Settings) -> Checkpoint:
    if settings.policy.checkpoint is None:
        rest = ready_pose()
        rest[_OPEN_GRIPPERS] -= _UNTRAINED_REACH[6]  # the middle of what the gripper then does
        return Checkpoint.untrained(policy_config(settings), settings.seed, rest, _UNTRAINED_REACH)
    try:
        return Checkpoint.load(settings.policy.checkpoint, policy_config(settings))
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def device_of(system: System, config: PolicyConfig) -> tuple[torch.device, torch.dtype]:
    """Where a system's networks go, and in which type.

    Raises:
        RuntimeFault: There is no such device.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if system.device == "auto" else system.device
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeFault(
            f"device {name}: torch finds {torch.cuda.device_count()} GPUs on this machine; give cpu or auto"
        )
    return device, usual_type(config, device) if system.dtype == "auto" else getattr(torch, system.dtype)


def slow_system(settings: Settings, checkpoint: Checkpoint) -> SlowVideo2Act:
    """System 2 on its device, warmed up, compiled or stored in float8 as the settings say. Raises RuntimeFault with one
    line.
    """
    device, dtype = device_of(settings.system2, checkpoint.config)
    if settings.system2.storage == "float8":  # small before it goes to the device: the device may not hold it otherwise
        slow = _made(lambda: checkpoint.slow(CPU, dtype))
        slow.backbone.store_in_float8(dtype)
        slow.to(device)
    else:
        slow = _made(lambda: checkpoint.slow(device, dtype))
    if settings.system2.compile:
        slow.backbone.compile_blocks()
    slow.warm_up()
    return SlowVideo2Act(slow, checkpoint.needs)


def fast_system(settings: Settings, checkpoint: Checkpoint) -> FastVideo2Act:
    """System 1 on its device, warmed up, and compiled if the settings say so. Raises RuntimeFault with one line."""
    fast = _made(lambda: checkpoint.fast(*device_of(settings.system1, checkpoint.config)))
    if settings.system1.compile:
        fast.compile_networks()
    fast.warm_up()
    return FastVideo2Act(fast, checkpoint.needs)


def _made(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def prepare_torch(system: System) -> None:
    """Fixed threads and deterministic kernels: what a replay repeats bit for bit.

    New memory is not filled before it is written to: nothing reads it, and it takes 4,500 operations a chunk at full size.
    """
    torch.set_num_threads(system.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


class Embeddings:
    """Encoded instructions as tensors, out of the cache; only the last one asked for stays in memory."""

    def __init__(self, cache: EmbeddingCache) -> None:
        self._cache = cache
        self._held: tuple[str, EncodedInstruction] | None = None

    def __call__(self, key: str) -> EncodedInstruction:
        """The embedding of a key that is in the cache. Raises RuntimeFault where it cannot be read."""
        if self._held is None or self._held[0] != key:
            self._held = (key, read_instruction(self._cache.path(key)))
        return self._held[1]
