"""System 1's eyes and ears: token counts, independence of the pictures in a batch, and places that reach the tokens.
Called by pytest."""

from typing import Literal

import pytest
import torch

from models.config.encoders import Keypoints, Siglip
from models.config.policy import PolicyConfig
from models.instructor import Instructor
from models.system1 import image_encoder

Kind = Literal["siglip", "keypoints"]
KINDS: tuple[Kind, ...] = ("siglip", "keypoints")


def settings(kind: Kind) -> Siglip | Keypoints:
    """A small encoder of 32 px pictures."""
    if kind == "keypoints":
        return Keypoints(image_px=32, width=32, points=8, channels=(8, 8), grid=4)
    return Siglip(image_px=32, width=32, depth=1, heads=4, patch_px=8, feed_forward=128)


@pytest.mark.parametrize("kind", KINDS)
def test_encoder_gives_the_announced_number_of_tokens(kind: Kind) -> None:
    config = settings(kind)
    tokens = image_encoder(config, 3)(torch.randn(3, 3, 32, 32))
    assert tokens.shape == (3, config.tokens, config.width)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_a_set_do_not_mix(kind: Kind) -> None:
    encoder = image_encoder(settings(kind), 1).eval().requires_grad_(False)
    pictures = torch.randn(2, 3, 32, 32)
    alone = torch.cat([encoder(pictures[:1]), encoder(pictures[1:])])
    torch.testing.assert_close(encoder(pictures), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_where_something_is_changes_the_tokens(kind: Kind) -> None:
    encoder = image_encoder(settings(kind), 1).eval().requires_grad_(False)
    picture = torch.full((1, 3, 32, 32), -1.0)
    picture[..., 4:10, 4:10] = 1.0
    assert (encoder(picture) - encoder(picture.roll(16, dims=-1))).abs().max() > 1e-2


def test_any_text_is_encoded_without_padding(tiny: PolicyConfig) -> None:
    embedding = Instructor(tiny).eval().encode(["größer: 手"])[0]
    length = len("größer: 手".encode()) + 1  # bytes and the end mark
    assert embedding.language.shape == (1, length, tiny.text.width)
    assert embedding.video.states.shape == (1, length, tiny.video.backbone.text_dim)
    assert embedding.video.pooled.shape == (1, tiny.video.backbone.pooled_dim)


def test_long_text_is_cut(tiny: PolicyConfig) -> None:
    assert Instructor(tiny).eval().encode(["x" * 1000])[0].language.shape[1] == tiny.text.max_tokens


def test_other_words_give_another_embedding(tiny: PolicyConfig) -> None:
    instructor = Instructor(tiny).eval()
    left, right = instructor.encode(["take left"])[0], instructor.encode(["take righ"])[0]
    assert (left.language - right.language).abs().max() > 1e-3
