"""Grad-CAM's arithmetic against finite differences and hand-made maps. Called by pytest."""

import numpy as np
import pytest
import torch
from torch import nn

from models.config.encoders import Keypoints
from models.config.policy import PolicyConfig
from models.grad_cam import grad_cam, onto, own_gradients
from models.system1 import image_encoder


def test_of_a_linear_head_the_map_is_the_weighted_sum_of_its_channels() -> None:
    """y = 3 * sum of channel 0 - 2 * sum of channel 1: the weights are 3 and -2, whatever the activations are."""
    activations = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[2.0, 1.0], [0.0, 0.0]]]])  # (1, 2, 2, 2)
    gradients = torch.tensor([3.0, -2.0]).expand_as(activations)
    assert grad_cam(activations, gradients).tolist() == [[[3.0, 0.0], [4.0, 0.0]]]


def test_it_agrees_with_finite_differences_of_a_small_network() -> None:
    torch.manual_seed(1)
    head = nn.Sequential(nn.Flatten(0), nn.Linear(2 * 3 * 4 * 5, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    activations = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    step, slopes = 1e-5, torch.zeros(5, dtype=torch.float64)
    with torch.no_grad():
        for channel in range(5):
            added = torch.zeros(5, dtype=torch.float64)
            added[channel] = step  # to all places at once: the slope is the sum of the gradients over places
            slopes[channel] = (head(activations + added) - head(activations - added)).item() / (2 * step)
        wanted = torch.zeros(2, 3, 4, dtype=torch.float64)
        for place in np.ndindex(2, 3, 4):
            wanted[place] = max(0.0, float((slopes / 24 * activations[place]).sum()))
    leaf = activations.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(head(leaf).sum(), leaf)
    torch.testing.assert_close(grad_cam(activations, gradients).double(), wanted, rtol=1e-4, atol=1e-6)


def test_own_gradients_show_what_a_mean_hides() -> None:
    """A head that reads the difference of two places has gradients of mean 0."""
    activations = torch.tensor([[[[2.0], [1.0]]]])
    gradients = torch.tensor([[[[1.0], [-1.0]]]])
    assert grad_cam(activations, gradients).tolist() == [[[0.0, 0.0]]]
    assert own_gradients(activations, gradients).tolist() == [[[2.0, 0.0]]]


def test_a_map_lies_where_the_network_saw_the_picture() -> None:
    found = torch.tensor([[1.0, 2.0]])
    assert onto(found, 2, 4, (0.25, 0.0, 0.5, 1.0)).tolist() == [[0, 1, 2, 0]] * 2, "cropped to the middle"
    # in between: quarters of the way from one place's middle to the next
    assert onto(found, 1, 4, (0.0, 0.0, 1.0, 1.0)).tolist() == [[1.0, 1.25, 1.75, 2.0]]
    assert onto(found, 1, 2, (-0.5, 0.0, 2.0, 1.0)).tolist() == [[1.25, 1.75]], "letterboxed: the sides are no picture"


@pytest.mark.parametrize("kind", ["keypoints", "siglip"])
def test_tokens_follow_from_the_maps_that_are_explained(kind: str, tiny: PolicyConfig) -> None:
    config = Keypoints(image_px=32, width=32, points=4, channels=(8, 8), grid=2) if kind == "keypoints" else tiny.image
    encoder, pictures = image_encoder(config, 3).eval(), torch.randn(6, 3, 32, 32)
    maps = encoder.feature_maps(pictures)
    assert torch.equal(encoder.tokens_of(maps), encoder(pictures))
    changed = pictures.clone()
    changed[1, :, :8, :8] += 1.0
    apart = (encoder.feature_maps(changed) - maps).abs().flatten(1).amax(1)
    assert (apart > 0).tolist() == [False, True, False, False, False, False], "each picture has its own map"
