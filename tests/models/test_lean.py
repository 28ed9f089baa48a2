"""The lean video models against the plain ones: the same features and latents but for rounding, in fewer operations, none of
which a CUDA graph would refuse. Called by pytest; real classes at a tiny size."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from capturable import Capturable
from torch.utils.flop_counter import FlopCounterMode

from models.backbones.backbone import Backbone, VideoText
from models.backbones.hunyuan import HunyuanBackbone
from models.backbones.lean import LeanBackbone
from models.backbones.lean_of import lean_of
from models.backbones.wan import WanBackbone
from models.config.video import Hunyuan, Wan
from models.placement import place

CPU = torch.device("cpu")
Pair = tuple[Backbone, LeanBackbone, Any]


@pytest.fixture(params=["hunyuan", "wan"])
def config(request: pytest.FixtureRequest, hunyuan: Hunyuan, wan: Wan) -> Hunyuan | Wan:
    return hunyuan if request.param == "hunyuan" else wan


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def plain_of(config: Hunyuan | Wan, dtype: torch.dtype = torch.float32) -> Backbone:
    torch.manual_seed(3)
    backbone = HunyuanBackbone(config) if isinstance(config, Hunyuan) else WanBackbone(config)
    return place(backbone.eval().requires_grad_(False), CPU, dtype)


def both(config: Hunyuan | Wan, dtype: torch.dtype = torch.float32) -> tuple[Backbone, LeanBackbone]:
    plain = plain_of(config, dtype)
    return plain, lean_of(copy.deepcopy(plain), config).eval()


def text_of(config: Hunyuan | Wan, words: int = 7, dtype: torch.dtype = torch.float32, seed: int = 2) -> VideoText:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn((1, words, config.text_dim), generator=generator)
    return VideoText(states.to(dtype), torch.randn((1, config.pooled_dim), generator=generator).to(dtype))


def latents_of(config: Hunyuan | Wan, frames: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn((1, config.latent_channels, frames, 4, 6), generator=generator).to(dtype)


def picture_of(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand((1, 3, 1, 64, 96), generator=torch.Generator().manual_seed(5)) * 2 - 1).to(dtype)


def lean_features(lean: LeanBackbone, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
    reading = lean.read(text)
    return lean.features(latents, reading.words, reading.modulation)


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference as a share of the largest value."""
    return float((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max())


@pytest.mark.parametrize(("frames", "words"), [(3, 7), (1, 2), (5, 7)])
def test_features_are_the_plain_ones_but_for_rounding(config: Hunyuan | Wan, frames: int, words: int) -> None:
    plain, lean = both(config)
    latents, text = latents_of(config, frames), text_of(config, words)
    assert apart(lean_features(lean, latents, text), plain.features(latents, text)) < 1e-6


def test_bfloat16_is_as_near_to_float32_as_the_plain_ones_is(config: Hunyuan | Wan) -> None:
    exact = plain_of(config).features(latents_of(config), text_of(config))
    plain, lean = both(config, torch.bfloat16)
    latents, text = latents_of(config, dtype=torch.bfloat16), text_of(config, dtype=torch.bfloat16)
    ours = lean_features(lean, latents, text)
    assert ours.dtype == torch.bfloat16
    assert apart(ours, exact) < 1.3 * apart(plain.features(latents, text), exact) + 1e-3


def test_another_instruction_changes_the_reading_and_the_features(config: Hunyuan | Wan) -> None:
    _, lean = both(config)
    first, second = (lean_features(lean, latents_of(config), text_of(config, seed=seed)) for seed in (2, 9))
    assert apart(first, second) > 1e-3


def test_a_lone_frames_latent_is_the_plain_one(config: Hunyuan | Wan) -> None:
    plain, lean = both(config)
    assert apart(lean.encode(picture_of()), plain.encode(picture_of())) < 3e-6
    rough_plain, rough = both(config, torch.bfloat16)
    picture = picture_of(torch.bfloat16)
    exact = plain.encode(picture_of())
    assert rough.encode(picture).dtype == torch.bfloat16
    assert apart(rough.encode(picture), exact) < 1.5 * apart(rough_plain.encode(picture), exact) + 1e-2


def test_a_lone_frame_takes_a_third_of_the_multiplications(config: Hunyuan | Wan) -> None:
    def flop(call: Callable[[], Any]) -> int:
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    plain, lean = both(config)
    assert flop(lambda: lean.encode(picture_of())) < 0.45 * flop(lambda: plain.encode(picture_of()))


CEILINGS = {"dual-stream": 41, "single-stream": 20, "transformer": 48}
"""Operations of a block, views left out. A CPU has some five for each RMSNorm, a GPU one: Hunyuan's blocks have two and one
of them, Wan's three."""


def test_blocks_have_few_operations_and_none_that_a_capture_refuses(config: Hunyuan | Wan) -> None:
    _, lean = both(config)
    latents, reading = latents_of(config), lean.read(text_of(config))
    lean.features(latents, reading.words, reading.modulation)  # the tables of places
    with Capturable() as seen:
        lean.features(latents, reading.words, reading.modulation)
    blocks = lean.blocks()
    assert seen.launches <= sum(CEILINGS[kind] * len(blocks[kind]) for kind in blocks) + 6


def test_a_frames_encoding_has_nothing_that_a_capture_refuses(config: Hunyuan | Wan) -> None:
    plain, lean = both(config)
    with Capturable() as seen:
        lean.encode(picture_of())
    with Capturable() as before:
        plain.encode(picture_of())
    assert seen.launches < before.launches


def test_features_and_frames_are_one_graph_each(config: Hunyuan | Wan) -> None:
    torch.compiler.reset()
    _, lean = both(config)
    latents, reading = latents_of(config), lean.read(text_of(config))
    eager = lean.features(latents, reading.words, reading.modulation)
    traced: Any = torch.compile(lean.features, fullgraph=True, backend="eager")
    assert torch.equal(traced(latents, reading.words, reading.modulation), eager)
    encode: Any = torch.compile(lean.encode, fullgraph=True, backend="eager")
    assert torch.equal(encode(picture_of()), lean.encode(picture_of()))


def test_no_weight_is_held_twice_and_none_is_lost(config: Hunyuan | Wan) -> None:
    whole = plain_of(config)
    before = sum(weight.numel() for weight in whole.transformer.parameters())
    lean = lean_of(whole, config)
    after = sum(weight.numel() for name, weight in lean.named_parameters() if not name.startswith("frames."))
    assert after == before
    left = [
        name for name, _ in whole.transformer.named_parameters() if "blocks" in name and "token_refiner" not in name
    ]
    assert left == []


def test_float8_weights_are_taken_over_as_they_are(config: Hunyuan | Wan) -> None:
    plain = plain_of(config)
    plain.store_in_float8(torch.float32)
    lean = lean_of(copy.deepcopy(plain), config).eval()
    stored = [weight for weight in lean.parameters() if weight.dtype == torch.float8_e4m3fn]
    assert sum(weight.numel() for weight in stored) > 0.8 * sum(
        weight.numel() for block in lean.blocks().values() for part in block for weight in part.parameters()
    )
    latents, text = latents_of(config), text_of(config)
    assert apart(lean_features(lean, latents, text), plain.features(latents, text)) < 1e-6
