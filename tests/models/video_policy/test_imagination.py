"""System 2: the sampled clip beside a float64 reference of our own, guidance, and where gradients end. Called by pytest."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import torch

from models.video_policy import edm
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.video_model import Given


def reference(imagination: Imagination, given: Given, noise: torch.Tensor) -> torch.Tensor:
    """The same clip in float64: diffusers' U-Net called directly, once with the conditions and once without, at the formulas
    of the public code, step by step along the flow's slope."""
    unet: Any = copy.deepcopy(imagination.video.network.unet).double()
    beside = given.current.double()[:, [0, 0, 0, 1, 1, 2, 2]]
    added = torch.tensor([[6.0, 100.0, 0.02]], dtype=torch.float64).expand(len(noise), 3)
    ends = 700 ** (1 / 7), 0.002 ** (1 / 7)
    levels = [ends[0] ** 7, ((ends[0] + ends[1]) / 2) ** 7, ends[1] ** 7, 0.0]
    x = noise.double() * math.sqrt(700**2 + 1)
    for now, following in itertools.pairwise(levels):
        clean: list[torch.Tensor] = []
        for share in (1.0, 0.0):
            entry = torch.cat([x / math.sqrt(now**2 + 1), share * beside], dim=2)
            time = torch.full((len(noise),), math.log(now) / 4, dtype=torch.float64)
            output = unet(entry, time, share * given.text.double(), added).sample
            clean.append(x / (now**2 + 1) - now / math.sqrt(now**2 + 1) * output)
        guided = clean[1] + 2.0 * (clean[0] - clean[1])
        x = x + (following - now) * (x - guided) / now
    return x


@torch.inference_mode()
def test_the_clip_is_that_of_a_reference_in_float64(
    imagination: Imagination, given: Given, noise: torch.Tensor
) -> None:
    """Which passes by itself with pictures and with none: so guidance in one batch is two passes."""
    ours, theirs = imagination.imagine(given, noise).latents.double(), reference(imagination, given, noise)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-3)


@torch.inference_mode()
def test_a_guided_step_is_two_passes(imagination: Imagination, given: Given, noise: torch.Tensor) -> None:
    s = torch.full((2,), 5.0)
    clean, features = imagination.step(noise * 5, 5.0, given)
    shown, shown_features = imagination.features(noise * 5, s, given)
    hidden, hidden_features = imagination.features(noise * 5, s, given.without())
    torch.testing.assert_close(clean, hidden + 2 * (shown - hidden), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(features[:, 0], shown_features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features[:, 1], hidden_features, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(shown_features, hidden_features, atol=1e-4)


@torch.inference_mode()
def test_an_imagination_is_the_same_again_and_leaves_its_noise(
    imagination: Imagination, given: Given, noise: torch.Tensor, tiny: VideoPolicyConfig
) -> None:
    before = noise.clone()
    first, second = imagination.imagine(given, noise), imagination.imagine(given, noise)
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(first.features, second.features)
    assert torch.equal(noise, before)
    assert first.features.shape == (2, 3, 2, tiny.feature_width)


@torch.inference_mode()
def test_every_steps_features_change_with_each_picture_and_the_text(
    imagination: Imagination, given: Given, noise: torch.Tensor
) -> None:
    """One clip as it is, three with another picture of one camera, one with another text. The features without the conditions
    change only through the clip: not at the first step."""
    current, text = given.current[:1].repeat(5, 1, 1, 1, 1), given.text[:1].repeat(5, 1, 1)
    for camera in range(3):
        current[1 + camera, camera] += 1
    text[4] += 1
    features = imagination.imagine(Given(current, text), noise[:1].repeat(5, 1, 1, 1, 1)).features
    change = (features[1:] - features[:1]).abs().amax(dim=3)  # (changed, steps, sets)
    assert (change[:, :, 0] > 1e-5).all()
    assert (change[:, 0, 1] < 1e-6).all()
    assert (change[:, 1:, 1] > 1e-6).all()


@torch.inference_mode()
def test_without_guidance_there_is_one_pass_and_one_vector(
    imagination: Imagination, given: Given, noise: torch.Tensor, tiny: VideoPolicyConfig
) -> None:
    plain = {"guidance": 1.0, "action_guidance": 1.0}
    alone = Imagination(tiny.model_copy(update={"diffusion": tiny.diffusion.model_copy(update=plain)})).eval()
    alone.load_state_dict(imagination.state_dict())
    batches: list[int] = []
    alone.video.network.unet.register_forward_pre_hook(lambda _module, given: batches.append(len(given[0])))
    found = alone.imagine(given, noise)
    assert found.features.shape == (2, 3, 1, tiny.feature_width)
    assert batches == [2, 2, 2]


def test_the_action_loss_never_reaches_the_video_model(
    imagination: Imagination, sampler: ActionSampler, given: Given, noise: torch.Tensor, tiny: VideoPolicyConfig
) -> None:
    """It reaches all of the adapter and of the action network. The video's own loss does reach the U-Net."""
    s = torch.tensor([0.4, 3.0])
    chunk = torch.randn(2, tiny.action.targets, tiny.action.joints)
    clean, features = imagination.features(noise, s, given)
    predicted = sampler.denoise(
        chunk, s, features, sampler.network.moment(torch.tensor([0.1, 0.6]), None),
        torch.zeros_like(chunk), torch.zeros(2, tiny.action.targets, dtype=torch.bool),
    )  # fmt: skip
    ((predicted - chunk) ** 2 * edm.per_sample(edm.weight(s), chunk)).mean().backward(retain_graph=True)
    assert all(weight.grad is None for weight in imagination.video.parameters())
    for network in (imagination.adapter, sampler):
        without = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
        assert without == []
    clean.square().mean().backward()
    reached = [weight.grad is not None for weight in imagination.video.network.parameters()]
    assert np.mean(reached) > 0.99
