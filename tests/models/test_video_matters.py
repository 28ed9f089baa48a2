"""What the released Video2Act code got wrong: the video window must reach the tokens and the chunk.
Called by pytest; all networks are real, tiny and untrained."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.policy import ConditionTokens, InstructionEmbedding
from models.system1 import FastSystem
from models.system2 import SlowSystem

Untrained = Callable[[int], Checkpoint]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]
Shots = list[NDArray[np.uint8]]


@pytest.fixture
def slow(untrained: Untrained) -> SlowSystem:
    """System 2."""
    return untrained(1).slow()


@pytest.fixture
def instruction(untrained: Untrained) -> InstructionEmbedding:
    """An encoded instruction."""
    return untrained(1).instructor().encode(["hand the block over"])[0]


def encode_video(slow: SlowSystem, high: Shots, low: Shots, instruction: InstructionEmbedding) -> ConditionTokens:
    """Tokens of two windows of pictures, from empty rings."""
    slow.high.clear()
    slow.low.clear()
    for ring, shots in ((slow.high, high), (slow.low, low)):
        for number, shot in enumerate(shots):
            slow.encode(ring, number, shot)
    return slow.encode_video(list(range(len(high))), list(range(len(low))), instruction)


def predict_chunk(
    fast: FastSystem, shots: Shots, instruction: InstructionEmbedding, tokens: ConditionTokens
) -> NDArray[np.float32]:
    """A chunk of the same observation, with other conditions."""
    seen = fast.encode_images((1,), fast.prepare(tuple(shots)))
    return fast.predict_chunk((seen, seen), np.zeros(14), instruction, tokens, 0.1, np.zeros((0, 14)), 5)


def test_tokens_have_the_configured_shapes(
    slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures
) -> None:
    tokens = encode_video(slow, pictures(2, 1), pictures(4, 2), instruction)
    assert tokens.spatial.shape == (6, 32)
    assert tokens.motion.shape == (5, 32)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_frame_of_the_high_window_changes_the_spatial_tokens_only(
    slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures, changed: int
) -> None:
    high, low = pictures(2, 1), pictures(4, 2)
    before = encode_video(slow, high, low, instruction)
    high[changed] = 255 - high[changed]
    after = encode_video(slow, high, low, instruction)
    assert (after.spatial - before.spatial).abs().max() > 1e-3
    assert torch.equal(after.motion, before.motion)


@pytest.mark.parametrize("changed", [0, 3])
def test_a_frame_of_the_low_window_changes_the_motion_tokens_only(
    slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures, changed: int
) -> None:
    high, low = pictures(2, 1), pictures(4, 2)
    before = encode_video(slow, high, low, instruction)
    low[changed] = 255 - low[changed]
    after = encode_video(slow, high, low, instruction)
    assert (after.motion - before.motion).abs().max() > 1e-3
    assert torch.equal(after.spatial, before.spatial)


def test_order_of_the_low_window_changes_the_motion_tokens(
    slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures
) -> None:
    high, low = pictures(2, 1), pictures(4, 2)
    before = encode_video(slow, high, low, instruction)
    after = encode_video(slow, high, low[::-1], instruction)
    assert (after.motion - before.motion).abs().max() > 1e-3


def test_instruction_changes_the_tokens(untrained: Untrained, slow: SlowSystem, pictures: Pictures) -> None:
    instructor = untrained(1).instructor()
    high, low = pictures(2, 1), pictures(4, 2)
    one, other = (
        encode_video(slow, high, low, instructor.encode([text])[0]) for text in ("hand it over", "put it down")
    )
    assert (one.spatial - other.spatial).abs().max() > 1e-5


@pytest.mark.parametrize("stream", ["high", "low"])
def test_changing_only_the_video_changes_the_chunk(
    untrained: Untrained, slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures, stream: str
) -> None:
    fast, shots = untrained(1).fast(), pictures(3, 3)
    high, low = pictures(2, 1), pictures(4, 2)
    before = predict_chunk(fast, shots, instruction, encode_video(slow, high, low, instruction))
    window = high if stream == "high" else low
    window[-1] = 255 - window[-1]
    after = predict_chunk(fast, shots, instruction, encode_video(slow, high, low, instruction))
    assert np.abs(after - before).max() > 1e-5


def test_same_windows_give_the_same_tokens_bit_for_bit(
    slow: SlowSystem, instruction: InstructionEmbedding, pictures: Pictures
) -> None:
    first, second = (encode_video(slow, pictures(2, 1), pictures(4, 2), instruction) for _ in range(2))
    assert torch.equal(first.spatial, second.spatial)
    assert torch.equal(first.motion, second.motion)


def test_sets_of_pictures_are_encoded_once_and_the_oldest_is_dropped(untrained: Untrained, pictures: Pictures) -> None:
    fast = untrained(1).fast()
    first = fast.encode_images((0,), fast.prepare(tuple(pictures(3, 0))))
    assert fast.encode_images((0,), fast.prepare(tuple(pictures(3, 1)))) is first
    for key in range(1, 9):
        fast.encode_images((key,), fast.prepare(tuple(pictures(3, key))))
    assert not fast.has((0,))
    assert fast.has((8,))


def test_a_constant_scene_has_no_motion_and_a_moving_one_has(
    untrained: Untrained, slow: SlowSystem, pictures: Pictures
) -> None:
    """Before the Q-former. On latents it is zero; on features the model's own place in time leaves a little."""
    text = untrained(1).instructor().encode(["go"])[0].video
    still, moving = pictures(1, 3) * 4, pictures(4, 3)
    sizes: list[tuple[float, float]] = []
    for first, window in ((0, still), (10, moving)):
        for number, picture in enumerate(window):
            slow.encode(slow.low, first + number, picture)
        latents = slow.low.window_latents(range(first, first + 4))
        features = slow.backbone.features(latents, text)
        by_time = latents.permute(0, 2, 3, 4, 1)
        shares = [slow.filter(x, x)[1].abs().mean() / x.abs().mean() for x in (by_time, features)]
        sizes.append((float(shares[0]), float(shares[1])))
    (still_latents, still_features), (moving_latents, moving_features) = sizes
    assert still_latents < 1e-5 and moving_latents > 1e-2
    assert still_features < 0.03 and moving_features > 10 * still_features


@pytest.mark.parametrize("place", ["features", "latents"])
@pytest.mark.parametrize("encoding", ["frames", "causal"])
def test_every_arrangement_sees_the_video(
    place: str, encoding: str, tiny: PolicyConfig, untrained: Untrained, pictures: Pictures
) -> None:
    filters = tiny.filters.model_copy(update={"place": place, "low_bin": 0})
    video = tiny.video.model_copy(update={"encoding": encoding})
    torch.manual_seed(5)
    slow = SlowSystem(tiny.model_copy(update={"filters": filters, "video": video})).eval()
    instruction = untrained(1).instructor().encode(["go"])[0]
    made: list[ConditionTokens] = []
    for seed in (1, 2):
        for number, picture in enumerate(pictures(4, seed)):
            slow.encode(slow.low, number, picture)
            slow.encode(slow.high, number, picture)
        made.append(slow.encode_video([2, 3], [0, 1, 2, 3], instruction))
        slow.low.clear()
        slow.high.clear()
    assert (made[0].spatial - made[1].spatial).abs().max() > 1e-4
    assert (made[0].motion - made[1].motion).abs().max() > 1e-4
