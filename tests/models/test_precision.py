"""bfloat16 and float8, in which the full size runs on a GPU, tried on the CPU: both systems work and stay near float32.

Called by pytest; real classes at a tiny size.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.policy import ConditionTokens
from models.system2 import SlowSystem

Untrained = Callable[[int], Checkpoint]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


def understand(slow: SlowSystem, shots: list[NDArray[np.uint8]], checkpoint: Checkpoint) -> ConditionTokens:
    for number, shot in enumerate(shots):
        slow.encode(slow.low, number, shot)
        slow.encode(slow.high, number, shot)
    return slow.encode_video([2, 3], [0, 1, 2, 3], checkpoint.instructor().encode(["go"])[0])


def test_system2_in_bfloat16_is_near_float32(untrained: Untrained, pictures: Pictures) -> None:
    """Over several random networks: of a single one the rounding is 2 to 8 %."""
    departs: list[float] = []
    for seed in (1, 2, 3):
        checkpoint, shots = untrained(seed), pictures(4, 1)
        exact = understand(checkpoint.slow(), shots, checkpoint)
        rough = understand(checkpoint.slow(dtype=torch.bfloat16), shots, checkpoint)
        for ours, theirs in ((exact.spatial, rough.spatial), (exact.motion, rough.motion)):
            assert theirs.dtype == torch.bfloat16
            departs.append(float((ours - theirs.float()).abs().mean() / ours.abs().mean()))
    assert np.mean(departs) < 0.05


def test_system1_in_bfloat16_is_near_float32(untrained: Untrained, pictures: Pictures) -> None:
    checkpoint, shots = untrained(1), tuple(pictures(3, 2))
    config = checkpoint.config
    tokens = ConditionTokens(torch.zeros(6, 32), torch.zeros(5, 32))
    chunks: list[NDArray[np.float32]] = []
    for dtype in (torch.float32, torch.bfloat16):
        fast = checkpoint.fast(dtype=dtype)
        seen = fast.encode_images((1,), fast.prepare(shots))
        assert seen.dtype == dtype
        instruction = checkpoint.instructor().encode(["go"])[0]
        chunks.append(
            fast.predict_chunk(
                (seen, seen), np.zeros(config.joints), instruction, tokens, 0.1, np.zeros((0, config.joints)), 1
            )
        )
    assert np.abs(chunks[0] - chunks[1]).max() < 0.05 * np.ptp(chunks[0])
    assert chunks[1].dtype == np.float32


def test_float8_storage_is_near_float32(untrained: Untrained, pictures: Pictures) -> None:
    checkpoint, shots = untrained(1), pictures(4, 1)
    exact, rough = understand(checkpoint.slow(), shots, checkpoint), checkpoint.slow()
    rough.backbone.store_in_float8(torch.float32)
    block: Any = rough.backbone.transformer.transformer_blocks[0]
    assert block.attn.to_q.weight.dtype == block.norm1.linear.weight.dtype == torch.float8_e4m3fn
    tokens = understand(rough, shots, checkpoint)
    for ours, theirs in ((exact.spatial, tokens.spatial), (exact.motion, tokens.motion)):
        assert not torch.equal(ours, theirs)
        assert (ours - theirs).abs().mean() < 0.1 * ours.abs().mean()
