"""bfloat16, in which the full size runs on a GPU, tried on the CPU: both systems work and stay near float32.

Called by pytest; real classes at a tiny size.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.policy import ConditionTokens
from models.slow import SlowSystem

Untrained = Callable[[int], Checkpoint]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


def understand(slow: SlowSystem, shots: list[NDArray[np.uint8]], checkpoint: Checkpoint) -> ConditionTokens:
    for number, shot in enumerate(shots):
        slow.encode(slow.low, number, shot)
        slow.encode(slow.high, number, shot)
    return slow.perceive([2, 3], [0, 1, 2, 3], checkpoint.instructor().encode("go"))


def test_system2_in_bfloat16_is_near_float32(untrained: Untrained, pictures: Pictures) -> None:
    checkpoint, shots = untrained(1), pictures(4, 1)
    exact = understand(checkpoint.slow(), shots, checkpoint)
    rough = understand(checkpoint.slow().to(torch.bfloat16), shots, checkpoint)
    for ours, theirs in ((exact.spatial, rough.spatial), (exact.motion, rough.motion)):
        assert theirs.dtype == torch.bfloat16
        assert (ours - theirs.float()).abs().mean() < 0.05 * ours.abs().mean()


def test_system1_in_bfloat16_is_near_float32(untrained: Untrained, pictures: Pictures) -> None:
    checkpoint, shots = untrained(1), tuple(pictures(3, 2))
    config = checkpoint.config
    tokens = ConditionTokens(torch.zeros(6, 32), torch.zeros(5, 32))
    chunks: list[NDArray[np.float32]] = []
    for dtype in (torch.float32, torch.bfloat16):
        fast = checkpoint.fast().to(dtype)
        seen = fast.look((1,), fast.prepare(shots))
        assert seen.dtype == dtype
        instruction = checkpoint.instructor().encode("go")
        chunks.append(
            fast.act((seen, seen), np.zeros(config.joints), instruction, tokens, 0.1, np.zeros((0, config.joints)), 1)
        )
    assert np.abs(chunks[0] - chunks[1]).max() < 0.05 * np.ptp(chunks[0])
    assert chunks[1].dtype == np.float32
