"""System 1's eyes and ears: token counts, independence of the pictures in a batch, and places that reach the tokens.
Called by pytest."""

from typing import Literal

import pytest
import torch

from models.config.encoders import Keypoints, Siglip
from models.config.policy import PolicyConfig
from models.instructor import Instructor
from models.system1 import image_encoder

Kind = Literal["siglip", "keypoints", "deep keypoints"]
KINDS: tuple[Kind, ...] = ("siglip", "keypoints", "deep keypoints")


def settings(kind: Kind) -> Siglip | Keypoints:
    """A small encoder of 32 px pictures."""
    if kind != "siglip":
        blocks = 1 if kind == "deep keypoints" else 0
        return Keypoints(image_px=32, width=32, points=8, channels=(8, 8), grid=4, blocks=blocks)
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


@pytest.mark.parametrize("blocks, wider", [(0, False), (2, True)])
def test_blocks_let_a_place_hear_what_is_around_it(blocks: int, wider: bool) -> None:
    """Without them a place of the maps sees 16 px, none of them 24 px away. Norms mix all places, and are left out here."""
    config = Keypoints(image_px=96, width=32, points=8, channels=(8, 8), blocks=blocks)
    encoder = image_encoder(config, 1).eval().requires_grad_(False)
    for module in encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.GroupNorm):
                setattr(module, name, torch.nn.Identity())
    maps: list[torch.Tensor] = []
    heat = next(module for name, module in encoder.named_modules() if name.endswith("heat"))
    heat.register_forward_hook(lambda _module, given, _made: maps.append(given[0]))
    picture = torch.rand(1, 3, 96, 96)
    other = picture.clone()
    other[..., 48 + 24] = 1 - other[..., 48 + 24]  # a column, right of the place that is compared
    for shown in (picture, other):
        encoder(shown)
    changed = (maps[0] - maps[1])[0, :, 12, 12].abs().max()  # 4 px a place: column 48
    assert (changed > 1e-6) == wider


def test_sizes_that_blocks_cannot_have_are_refused() -> None:
    with pytest.raises(ValueError, match="channels: the second must be a multiple of 8 with blocks, got 12"):
        Keypoints(image_px=64, width=32, channels=(8, 12), blocks=1)
    with pytest.raises(ValueError, match="image_px: must be a multiple of 8 with blocks, got 100"):
        Keypoints(image_px=100, width=32, blocks=1)


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
