"""Explanations of tiny policies with the real classes: the chunk is System 1's own, and maps show what moves it.
Called by pytest."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import normalize
from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.config.video import Wan
from models.explanation import TARGETS, Branch, Explainer, MadeOf
from models.policy import ConditionTokens

Shots = Callable[[int, int], list[NDArray[np.uint8]]]
ARMS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
PREFIX = np.full((3, 14), 0.01)
FILTERED = [
    Branch("raw", "high", below_filter=True),
    Branch("sobel", "high"),
    Branch("raw", "low", below_filter=True),
    Branch("fft", "low"),
]


def checkpoint(config: PolicyConfig) -> Checkpoint:
    """An untrained policy."""
    return Checkpoint(config, normalize.untrained(config.horizon, np.zeros(14), np.full(14, 0.5)), None, 1)


def moment(policy: Checkpoint, shots: Shots) -> MadeOf:
    """Random pictures, three committed targets."""
    instruction = policy.instructor().encode(["hand the block over"])[0]
    video = policy.config.video
    return MadeOf(
        sets=(tuple(shots(3, 1)), tuple(shots(3, 2))),
        windows={"high": tuple(shots(video.high.frames, 3)), "low": tuple(shots(video.low.frames, 4))},
        q=np.linspace(-0.1, 0.1, 14),
        instruction=instruction,
        age_s=0.2,
        prefix=PREFIX,
        noise_seed=5,
    )


def chunk(policy: Checkpoint, given: MadeOf) -> NDArray[np.float32]:
    """What both systems make of the same, as in a live run."""
    slow, fast = policy.slow(), policy.fast()
    high, low = given.windows["high"], given.windows["low"]
    for ring, shots in ((slow.high, high), (slow.low, low)):
        for number, picture in enumerate(shots):
            slow.encode(ring, number, picture)
    seen = slow.encode_video(list(range(len(high))), list(range(len(low))), given.instruction)
    rounded = ConditionTokens(*(part.bfloat16().float() for part in (seen.spatial, seen.motion)))
    sets = [fast.encode_images((number,), fast.prepare(one)) for number, one in enumerate(given.sets)]
    return fast.predict_chunk(sets, given.q, given.instruction, rounded, given.age_s, given.prefix, given.noise_seed)


@pytest.fixture
def wan_policy(tiny: PolicyConfig, wan: Wan) -> PolicyConfig:
    """With Wan's classes, and filters on latents, as the released code."""
    filters = tiny.filters.model_copy(update={"place": "latents"})
    sizes = {
        name: window.model_copy(update={"height_px": 64, "width_px": 96})
        for name, window in (("high", tiny.video.high), ("low", tiny.video.low))
    }
    return tiny.model_copy(
        update={"video": tiny.video.model_copy(update={"backbone": wan, **sizes}), "filters": filters}
    )


def test_the_chunk_is_the_one_that_system_1_makes(tiny: PolicyConfig, pictures: Shots) -> None:
    policy = checkpoint(tiny)
    given = moment(policy, pictures)
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(given)
    np.testing.assert_allclose(found.chunk, chunk(policy, given), rtol=0, atol=1e-6)
    assert np.array_equal(found.chunk[:3], PREFIX.astype(np.float32))


def test_the_scalar_is_the_squared_motion_of_the_arms(tiny: PolicyConfig, pictures: Shots) -> None:
    """Of wide ranges, which cut nothing: the first free targets against the joints, without grippers."""
    policy = checkpoint(tiny)
    wide = np.full(14, 1e3, np.float32)
    policy.statistics = replace(policy.statistics, low=-wide, high=wide, squash=False)
    given = moment(policy, pictures)
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(given)
    assert tiny.horizon < 3 + TARGETS, "all free targets count"
    moved = np.delete(found.chunk[3:] - given.q, (6, 13), axis=1)
    assert found.motion_rad2 == pytest.approx(float(np.square(moved).sum()), rel=1e-4)


def test_all_layers_of_a_policy_with_siglip_have_maps(tiny: PolicyConfig, pictures: Shots) -> None:
    policy = checkpoint(tiny)
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(moment(policy, pictures))
    assert list(found.eyes) == ["head", "left_wrist", "right_wrist"]
    assert all(maps.shape == (2, 2) for maps in found.eyes.values())
    assert list(found.video) == FILTERED
    assert [maps.shape for maps in found.video.values()] == [(2, 3), (2, 3), (2, 2), (2, 2)]
    assert all(maps.max() > 0 for maps in (*found.eyes.values(), *found.video.values()))


def test_below_a_filter_the_mean_gradient_is_nothing(tiny: PolicyConfig, pictures: Shots) -> None:
    """Why raw features are shown by their own gradients: a constant added to a channel leaves the chunk as it is."""
    policy = checkpoint(tiny)
    slow = policy.slow()
    high, low = torch.randn(1, 2, 2, 3, 32), torch.randn(1, 4, 2, 2, 32)
    moved = torch.randn(32)
    for before, after in zip(slow.filtered(high, low), slow.filtered(high + moved, low + moved), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-4)


def test_wan_and_filters_on_latents_can_be_explained(wan_policy: PolicyConfig, pictures: Shots) -> None:
    policy = checkpoint(wan_policy)
    given = moment(policy, pictures)
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(given)
    assert list(found.video) == [Branch("sobel on latents", "high"), Branch("fft on latents", "low")]
    np.testing.assert_allclose(found.chunk, chunk(policy, given), rtol=0, atol=1e-6)


def test_without_filters_raw_features_have_grad_cam(tiny: PolicyConfig, pictures: Shots) -> None:
    filters = tiny.filters.model_copy(update={"spatial": "none", "motion": "none"})
    policy = checkpoint(tiny.model_copy(update={"filters": filters}))
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(moment(policy, pictures))
    assert list(found.video) == [Branch("raw", "high"), Branch("raw", "low")]


def test_a_camera_that_the_policy_does_not_see_has_no_map(tiny: PolicyConfig, pictures: Shots) -> None:
    policy = checkpoint(tiny.model_copy(update={"inputs": "no_head"}))
    found = Explainer(policy.slow(), policy.fast(), ARMS).explain(moment(policy, pictures))
    assert list(found.eyes) == ["left_wrist", "right_wrist"]
