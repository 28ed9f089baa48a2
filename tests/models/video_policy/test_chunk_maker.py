"""System 1 as the runtime uses it: what its chunks depend on, with eyes and without. Called by pytest."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import normalize
from models.config.encoders import Keypoints
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.chunk_maker import ChunkMaker
from models.video_policy.config import VideoPolicyConfig

KEY = (4, 4, 5)


@pytest.fixture(params=["without eyes", "with eyes"])
def config(request: pytest.FixtureRequest, tiny: VideoPolicyConfig) -> VideoPolicyConfig:
    eyes = Keypoints(image_px=32, width=8, points=4, channels=(4, 8), grid=2)
    action = tiny.action.model_copy(update={"eyes": eyes if request.param == "with eyes" else None})
    return tiny.model_copy(update={"action": action})


@pytest.fixture
def maker(config: VideoPolicyConfig) -> ChunkMaker:
    torch.manual_seed(5)
    sampler = ActionSampler(config).eval()
    made = ChunkMaker(sampler, normalize.untrained(config.action.targets, np.zeros(14), np.full(14, 0.5)))
    made.keep(KEY, made.prepare(pictures(1)))
    return made


def pictures(seed: int) -> tuple[NDArray[np.uint8], ...]:
    return tuple(np.random.default_rng(seed).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8))


def given(config: VideoPolicyConfig) -> dict[str, Any]:
    random = torch.Generator().manual_seed(6)
    shape = (config.diffusion.steps, config.feature_sets, config.feature_width)
    return {
        "key": KEY,
        "q": np.linspace(-0.2, 0.2, 14),
        "features": torch.randn(shape, generator=random),
        "age_s": 0.2,
        "prefix": np.zeros((0, 14)),
        "noise_seed": 7,
    }


def apart(maker: ChunkMaker, **changes: Any) -> float:
    """How far a chunk is from that of other inputs, rad."""
    inputs = given(maker.config)
    return float(np.abs(maker.predict_chunk(**inputs) - maker.predict_chunk(**inputs | changes)).max())


def test_the_same_inputs_give_the_same_bytes(maker: ChunkMaker) -> None:
    inputs = given(maker.config)
    first = maker.predict_chunk(**inputs)
    assert first.shape == (8, 14) and first.dtype == np.float32
    maker.clear()
    maker.keep(KEY, maker.prepare(pictures(1)))
    assert maker.predict_chunk(**inputs).tobytes() == first.tobytes()


def test_a_chunk_follows_features_age_joints_and_noise(maker: ChunkMaker) -> None:
    inputs = given(maker.config)
    assert apart(maker, features=inputs["features"] + 0.5) > 1e-4
    assert apart(maker, age_s=0.9) > 1e-4
    assert apart(maker, q=inputs["q"] + 0.1) > 1e-2, "targets are counted from the joints"
    assert apart(maker, noise_seed=8) > 1e-4


def test_a_chunk_begins_with_what_is_committed(maker: ChunkMaker) -> None:
    prefix = np.linspace(-0.1, 0.1, 3 * 14).reshape(3, 14)
    inputs: dict[str, Any] = given(maker.config) | {"prefix": prefix}
    chunk = maker.predict_chunk(**inputs)
    assert np.array_equal(chunk[:3], prefix.astype(np.float32))
    assert apart(maker, prefix=prefix) > 1e-3


def test_only_eyes_see_the_newest_pictures(maker: ChunkMaker) -> None:
    maker.keep((9, 9, 9), maker.prepare(pictures(2)))
    assert (apart(maker, key=(9, 9, 9)) > 1e-4) == (maker.config.action.eyes is not None)


def test_sets_are_kept_for_a_few_chunks_and_forgotten(maker: ChunkMaker) -> None:
    for number in range(8):
        maker.keep((number,) * 3, maker.prepare(pictures(number)))
    assert not maker.has(KEY) and maker.has((7, 7, 7))
    maker.clear()
    assert not maker.has((7, 7, 7))


def test_warming_up_leaves_no_trace(maker: ChunkMaker) -> None:
    assert np.isfinite(maker.warm_up()).all()
    assert not maker.has((0,))
    assert maker.weights == sum(weight.numel() for weight in maker.sampler.parameters())
