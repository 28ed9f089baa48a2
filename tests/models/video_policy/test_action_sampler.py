"""System 1: chunks beside a float64 reference, what they depend on, and the committed targets. Called by pytest."""

import copy
import itertools
import math

import pytest
import torch

from models.errors import ModelError
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig

Inputs = dict[str, torch.Tensor]


@pytest.fixture
def inputs(tiny: VideoPolicyConfig) -> Inputs:
    """For two chunks; the second begins with three committed targets."""
    random = torch.Generator().manual_seed(8)
    shape = (2, tiny.action.targets, tiny.action.joints)
    committed = torch.zeros(shape[:2], dtype=torch.bool)
    committed[1, :3] = True
    return {
        "features": torch.randn((2, 3, 2, tiny.feature_width), generator=random),
        "moment": torch.randn((2, tiny.action.time_width), generator=random),
        "noise": torch.randn(shape, generator=random),
        "prefix": torch.randn(shape, generator=random),
        "committed": committed,
    }


@torch.inference_mode()
def chunk(sampler: ActionSampler, inputs: Inputs, **changes: torch.Tensor) -> torch.Tensor:
    return sampler.sample(**(inputs | changes))


@torch.inference_mode()
def reference(sampler: ActionSampler, inputs: Inputs) -> torch.Tensor:
    """In float64, one pass with each set of features, at the formulas of the public code."""
    network = copy.deepcopy(sampler.network).double()
    ends = 700 ** (1 / 7), 0.002 ** (1 / 7)
    levels = [ends[0] ** 7, ((ends[0] + ends[1]) / 2) ** 7, ends[1] ** 7, 0.0]
    features, committed = inputs["features"].double(), inputs["committed"]
    moment, prefix = inputs["moment"].double(), inputs["prefix"].double()
    x = inputs["noise"].double() * math.sqrt(700**2 + 1)
    for step, (now, following) in enumerate(itertools.pairwise(levels)):
        root = math.sqrt(now**2 + 1)
        time = torch.full((2,), math.log(now) / 4, dtype=torch.float64)
        given, without = (
            x / root**2 - now / root * network(x / root, time, features[:, step, place], moment, prefix, committed)
            for place in (0, 1)
        )
        x = x + (following - now) * (x - (2 * given - without)) / now
    x[1, :3] = prefix[1, :3]
    return x


def test_a_chunk_is_that_of_a_reference_in_float64(sampler: ActionSampler, inputs: Inputs) -> None:
    """Which passes once with each set of features: so guidance in one batch is two passes."""
    theirs = reference(sampler, inputs)
    assert theirs.std() > 0.1
    torch.testing.assert_close(chunk(sampler, inputs).double(), theirs, rtol=1e-3, atol=2e-3)


def test_a_chunk_is_the_same_again_and_another_with_other_noise(sampler: ActionSampler, inputs: Inputs) -> None:
    before = inputs["noise"].clone()
    first = chunk(sampler, inputs)
    assert torch.equal(chunk(sampler, inputs), first)
    assert torch.equal(inputs["noise"], before)
    assert not torch.allclose(chunk(sampler, inputs, noise=before.flip(0)), first, atol=1e-4)


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("place", range(2))
def test_a_chunk_changes_with_every_steps_features(
    sampler: ActionSampler, inputs: Inputs, step: int, place: int
) -> None:
    features = inputs["features"].clone()
    features[0, step, place] += 1
    before, after = chunk(sampler, inputs), chunk(sampler, inputs, features=features)
    assert not torch.allclose(after[0], before[0], atol=1e-5)
    torch.testing.assert_close(after[1], before[1], rtol=1e-4, atol=1e-4)


def test_committed_targets_come_out_bit_for_bit_and_the_others_follow_them(
    sampler: ActionSampler, inputs: Inputs
) -> None:
    before = chunk(sampler, inputs)
    assert torch.equal(before[1, :3], inputs["prefix"][1, :3])
    other = inputs["prefix"].clone()
    other[1, 1] += 1
    after = chunk(sampler, inputs, prefix=other)
    assert not torch.allclose(after[1, 3:], before[1, 3:], atol=1e-5)


def test_what_is_not_committed_and_the_noise_beneath_what_is_are_not_looked_at(
    sampler: ActionSampler, inputs: Inputs
) -> None:
    prefix, noise = inputs["prefix"].clone(), inputs["noise"].clone()
    prefix[0], prefix[1, 3:], noise[1, :3] = 99.0, 99.0, 99.0
    assert torch.equal(chunk(sampler, inputs, prefix=prefix, noise=noise), chunk(sampler, inputs))


def test_committed_is_not_the_same_as_a_prefix_of_zeros(sampler: ActionSampler, inputs: Inputs) -> None:
    zeros = torch.zeros_like(inputs["prefix"])
    free = chunk(sampler, inputs, prefix=zeros, committed=torch.zeros_like(inputs["committed"]))
    assert not torch.allclose(chunk(sampler, inputs, prefix=zeros)[1, 3:], free[1, 3:], atol=1e-4)


def test_features_of_another_size_are_refused(sampler: ActionSampler, inputs: Inputs) -> None:
    with pytest.raises(
        ModelError, match=r"^features: expected shape \(3, 2, 16\), got \(2, 2, 16\); use one checkpoint"
    ):
        chunk(sampler, inputs, features=inputs["features"][:, :2])
