"""The shared layers: attention against the plain formula, keys and values reused, sinusoids that tell numbers apart.
Called by pytest; legend B N D as in models/layers.py."""

import math

import pytest
import torch

from models.layers import Attention, FeedForward, mlp, sinusoid


@pytest.fixture
def attention() -> Attention:
    """Four heads of width eight."""
    return Attention(32, 4).requires_grad_(False)


def plain_attention(layer: Attention, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """Softmax attention head by head, with RMS-normalised queries and keys."""
    query = layer.query(x)
    key, value = layer.key_value(context).split(32, dim=-1)
    heads: list[torch.Tensor] = []
    for q, k, v in zip(query.split(8, -1), key.split(8, -1), value.split(8, -1), strict=True):
        q, k = (t / (t.square().mean(-1, keepdim=True) + 1e-6).sqrt() for t in (q, k))
        heads.append((q @ k.transpose(1, 2) / math.sqrt(8)).softmax(-1) @ v)
    return layer.out(torch.cat(heads, dim=-1))


def test_cross_attention_equals_the_plain_formula(attention: Attention) -> None:
    x, context = torch.randn(2, 3, 32), torch.randn(2, 5, 32)
    ours = attention(x, attention.keys_values(context))
    torch.testing.assert_close(ours, plain_attention(attention, x, context), rtol=1e-4, atol=1e-5)


def test_self_attention_equals_the_plain_formula(attention: Attention) -> None:
    x = torch.randn(2, 3, 32)
    torch.testing.assert_close(attention(x), plain_attention(attention, x, x), rtol=1e-4, atol=1e-5)


def test_order_of_the_context_does_not_matter(attention: Attention) -> None:
    x, context = torch.randn(1, 3, 32), torch.randn(1, 5, 32)
    straight = attention(x, attention.keys_values(context))
    torch.testing.assert_close(attention(x, attention.keys_values(context.flip(1))), straight, rtol=0, atol=1e-5)


def test_sinusoid_is_cosines_then_sines_of_falling_frequencies() -> None:
    features = sinusoid(torch.tensor([0.0, 2.5]), 8)
    frequencies = [1.0, 10_000**-0.25, 10_000**-0.5, 10_000**-0.75]
    assert features[0].tolist() == [1.0] * 4 + [0.0] * 4
    expected = [math.cos(2.5 * f) for f in frequencies] + [math.sin(2.5 * f) for f in frequencies]
    torch.testing.assert_close(features[1], torch.tensor(expected), rtol=0, atol=1e-6)


def test_sinusoid_tells_every_diffusion_time_apart() -> None:
    features = sinusoid(torch.arange(1000), 256)
    assert torch.pdist(features).min() > 0.1


def test_adaptor_has_the_layers_asked_for() -> None:
    adaptor = mlp(6, 16, 3)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in adaptor) == 3
    assert adaptor(torch.randn(2, 6)).shape == (2, 16)


def test_feed_forward_keeps_the_width_and_widens_inside() -> None:
    layer = FeedForward(8, 4.0)
    assert layer(torch.randn(2, 3, 8)).shape == (2, 3, 8)
    assert [tuple(weight.shape) for weight in layer.parameters() if weight.ndim == 2] == [(32, 8), (8, 32)]
