"""Our loop over the truncated HunyuanVideo against diffusers' own forward pass of the whole model, at a tiny size.
Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoTransformer3DModel

from models.backbones.backbone import VideoText
from models.backbones.hunyuan import HunyuanBackbone
from models.config.video import Hunyuan

Hooked = Callable[[torch.Tensor, VideoText, int], torch.Tensor]


@pytest.fixture
def whole(hunyuan: Hunyuan) -> HunyuanBackbone:
    """A model with two more single-stream blocks than the one that is kept."""
    config = hunyuan.model_copy(update={"single_blocks": hunyuan.single_blocks + 2})
    return HunyuanBackbone(config).eval().requires_grad_(False)


@pytest.fixture
def truncated(hunyuan: Hunyuan, whole: HunyuanBackbone) -> HunyuanBackbone:
    """The first blocks of `whole`."""
    return truncate(whole, hunyuan)


def truncate(whole: HunyuanBackbone, config: Hunyuan) -> HunyuanBackbone:
    """A backbone of fewer blocks with the weights of `whole`."""
    backbone = HunyuanBackbone(config).eval().requires_grad_(False)
    weights = whole.state_dict()
    backbone.load_state_dict({name: weights[name] for name in backbone.state_dict()})
    return backbone


def inputs(config: Hunyuan, words: int = 7) -> tuple[torch.Tensor, VideoText]:
    """Latents of three frames on a 4 x 6 grid, and a text without padding."""
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn((1, config.latent_channels, 3, 4, 6), generator=generator)
    states = torch.randn((1, words, config.text_dim), generator=generator)
    return latents, VideoText(states, torch.randn((1, config.pooled_dim), generator=generator))


def hooked(model: HunyuanVideoTransformer3DModel, block: Any, latents: torch.Tensor, text: VideoText, pad: int) -> Any:
    """Image tokens that diffusers' forward pass gives after `block`, with `pad` padding words behind the text."""
    outputs: list[torch.Tensor] = []
    handle = block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output[0]))
    words = text.states.shape[1]
    padding = torch.full((1, pad, text.states.shape[2]), 9.0)
    model(
        hidden_states=latents,
        timestep=torch.zeros(1, dtype=torch.long),
        encoder_hidden_states=torch.cat([text.states, padding], dim=1),
        encoder_attention_mask=(torch.arange(words + pad) < words)[None],
        pooled_projections=text.pooled,
        guidance=torch.tensor([6000.0]),
    )
    handle.remove()
    return outputs[0]


@pytest.mark.parametrize("pad", [0, 5])
def test_features_equal_the_whole_models_hooked_block(
    whole: HunyuanBackbone, truncated: HunyuanBackbone, pad: int
) -> None:
    latents, text = inputs(truncated.config)
    last = len(truncated.transformer.single_transformer_blocks) - 1
    expected = hooked(whole.transformer, whole.transformer.single_transformer_blocks[last], latents, text, pad)
    torch.testing.assert_close(truncated.features(latents, text).flatten(1, 3), expected, rtol=1e-4, atol=1e-5)


def test_features_of_dual_blocks_alone_equal_the_hooked_block(whole: HunyuanBackbone) -> None:
    truncated = truncate(whole, whole.config.model_copy(update={"dual_blocks": 1, "single_blocks": 0}))
    latents, text = inputs(truncated.config)
    expected = hooked(whole.transformer, whole.transformer.transformer_blocks[0], latents, text, 0)
    torch.testing.assert_close(truncated.features(latents, text).flatten(1, 3), expected, rtol=1e-4, atol=1e-5)


def test_features_stand_on_the_patch_grid(truncated: HunyuanBackbone) -> None:
    latents, text = inputs(truncated.config)
    assert truncated.features(latents, text).shape == (1, 3, 2, 3, truncated.config.width)


def test_features_are_deterministic(truncated: HunyuanBackbone) -> None:
    latents, text = inputs(truncated.config)
    assert torch.equal(truncated.features(latents, text), truncated.features(latents, text))


def test_text_guidance_and_latents_each_change_the_features(whole: HunyuanBackbone, hunyuan: Hunyuan) -> None:
    latents, text = inputs(hunyuan)
    features = whole.features(latents, text)
    unguided = truncate(whole, whole.config.model_copy(update={"guidance": 1.0}))
    assert not torch.allclose(unguided.features(latents, text), features, atol=1e-4)
    assert not torch.allclose(whole.features(latents, VideoText(-text.states, text.pooled)), features, atol=1e-4)
    assert not torch.allclose(whole.features(latents, VideoText(text.states, -text.pooled)), features, atol=1e-4)
    assert not torch.allclose(whole.features(latents.flip(2), text), features.flip(1), atol=1e-4)


def test_latent_is_the_scaled_mode_and_deterministic(truncated: HunyuanBackbone) -> None:
    picture = torch.rand(1, 3, 32, 48) * 2 - 1
    picture = picture.unsqueeze(2)
    latent = truncated.encode(picture)
    moments: Any = truncated.vae.encode(picture)
    assert latent.shape == (1, truncated.config.latent_channels, 1, 4, 6)
    assert torch.equal(latent, moments.latent_dist.mean * 0.476986)
    assert torch.equal(latent, truncated.encode(picture))
