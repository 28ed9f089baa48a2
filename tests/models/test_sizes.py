"""The full size has the weights that the paper's parts have, counted without allocating them."""

import functools
import operator
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_hunyuan_video import AutoencoderKLHunyuanVideo
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoTransformer3DModel

from models import filters, images
from models.action_dit import ActionTransformer
from models.backbones.hunyuan import HunyuanBackbone
from models.backbones.wan import WanBackbone
from models.config.encoders import Siglip
from models.config.filters import Filters
from models.config.policy import PolicyConfig
from models.config.video import Hunyuan, Wan
from models.errors import ModelError
from models.sizes import by_name, full, full_wan, small
from models.system1 import image_encoder
from models.system2 import make_backbone

WAN_TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "in_channels": 48,
    "out_channels": 48,
    "text_dim": 4096,
    "freq_dim": 256,
    "ffn_dim": 14336,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "image_dim": None,
    "added_kv_proj_dim": None,
    "rope_max_seq_len": 1024,
}
WAN_VAE: dict[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "dropout": 0.0,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 16,
}
# Of the 48 values of `latents_mean` and `latents_std`, each times its place: what a value in the wrong place changes.
MEANS, SPREADS = -7.0659, 758.3531
SMALL, BEFORE = "668f72e226d0f199", "b25a5b735646dd9e"
"""Digests of the size `small`, as sessions have recorded them: now, and before these settings."""


@pytest.mark.parametrize(("single_blocks", "weights"), [(5, 7_865_299_264), (40, 12_821_012_544)])
def test_the_video_model_has_hunyuans_weights(single_blocks: int, weights: int) -> None:
    chosen = full().video.backbone
    assert isinstance(chosen, Hunyuan)
    with torch.device("meta"):
        backbone = HunyuanBackbone(chosen.model_copy(update={"single_blocks": single_blocks}))
    assert sum(weight.numel() for weight in backbone.transformer.parameters()) == weights


@pytest.mark.parametrize(("blocks", "weights"), [(20, 3_363_220_672), (30, 4_999_787_712)])
def test_the_released_video_model_has_wans_weights(blocks: int, weights: int) -> None:
    """Wan2.2-TI2V-5B has 4,999,787,712 in 30 blocks, which take up 19,999,150,848 bytes as published."""
    chosen = full_wan().video.backbone
    assert isinstance(chosen, Wan)
    with torch.device("meta"):
        backbone = WanBackbone(chosen.model_copy(update={"blocks": blocks}))
    assert sum(weight.numel() for weight in backbone.transformer.parameters()) == weights


def plain(model: Any) -> dict[str, Any]:
    """A model's configuration in diffusers without what diffusers notes for itself."""
    return {name: value for name, value in model.config.items() if not name.startswith("_")}


def test_hunyuans_numbers_are_those_of_its_published_configuration() -> None:
    """diffusers' defaults are that model's; only the depth is ours."""
    with torch.device("meta"):
        ours: Any = HunyuanBackbone(full().video.backbone)  # pyright: ignore[reportArgumentType]
        theirs: Any = HunyuanVideoTransformer3DModel()
        autoencoder: Any = AutoencoderKLHunyuanVideo()
    assert plain(ours.transformer) == plain(theirs) | {"num_single_layers": 5}
    assert plain(ours.vae) == plain(autoencoder)


def test_wans_numbers_are_those_of_its_published_configuration() -> None:
    """`transformer/config.json` and `vae/config.json` of Wan2.2-TI2V-5B-Diffusers."""
    with torch.device("meta"):
        backbone: Any = make_backbone(full_wan().video)
    transformer, vae = dict(backbone.transformer.config), dict(backbone.vae.config)
    assert {name: transformer[name] for name in WAN_TRANSFORMER} == WAN_TRANSFORMER
    assert {name: vae[name] for name in WAN_VAE} == WAN_VAE
    sums = [sum(place * value for place, value in enumerate(vae[name])) for name in ("latents_mean", "latents_std")]
    assert sums == pytest.approx([MEANS, SPREADS], abs=1e-9)


def test_the_eyes_and_the_language_are_the_published_ones() -> None:
    """`config.json` of siglip-so400m-patch14-384 and of t5-v1_1-xxl."""
    image, text = full().image, full().text
    assert isinstance(image, Siglip)
    assert (image.width, image.feed_forward, image.depth, image.heads) == (1152, 4304, 27, 16)
    assert (image.image_px, image.patch_px) == (384, 14)
    assert (text.width, text.feed_forward, text.depth, text.heads) == (4096, 10240, 24, 64)


def test_the_head_has_rdts_weights_and_few_more() -> None:
    config = full()
    positions = 2 * len(config.cameras) * config.image.tokens
    with torch.device("meta"):
        head = ActionTransformer(config, config.image.width, positions, config.spatial_former.width)
    added = sum(weight.numel() for weight in head.added())
    weights = sum(weight.numel() for weight in head.parameters()) - added
    assert round(weights / 1e9, 3) == 1.228
    assert added < 0.01 * weights


def test_siglip_so400m_gives_729_tokens_a_picture() -> None:
    config = full()
    with torch.device("meta"):
        encoder = image_encoder(config.image, 3)
        tokens = encoder(torch.zeros(3, 3, 384, 384))
    assert tuple(tokens.shape) == (3, config.image.tokens, 1152) == (3, 729, 1152)


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(ModelError, match="gigantic"):
        by_name("gigantic")


def test_wans_first_blocks_and_windows_are_the_released_ones() -> None:
    config = by_name("full-wan")
    with torch.device("meta"):
        backbone: Any = make_backbone(config.video)
        pictures = torch.zeros(1, 3, config.video.low.frames, config.video.low.height_px, config.video.low.width_px)
        latents = backbone.vae.encode(pictures).latent_dist.mode()
    blocks = list(backbone.transformer.blocks)
    assert len(blocks) == 20
    assert tuple(latents.shape) == (1, 48, 16, 14, 14)
    assert [config.video.high.frames, config.video.low.frames] == [1, 61]


@pytest.mark.parametrize("name", ["full", "full-wan"])
def test_the_papers_sizes_give_rdts_head_what_it_was_trained_on(name: str) -> None:
    """Angles, and whole pictures on grey for its eyes."""
    config = by_name(name)
    assert (config.targets, config.eyes_resize) == ("physical", "pad")
    assert config.head.norm == "variance"


@pytest.mark.parametrize("name", ["small", "full", "full-wan"])
def test_windows_show_the_whole_picture_without_bars(name: str) -> None:
    """A bright border of a camera's picture is there on all four sides of both windows, and nothing beyond it."""
    config = by_name(name)
    picture = torch.zeros(1, 3, 480, 640)
    for strip in (picture[..., :40, :], picture[..., -40:, :], picture[..., :40], picture[..., -40:]):
        strip.fill_(1.0)
    for window in (config.video.high, config.video.low):
        shown = images.resize(picture, window.height_px, window.width_px, config.resize)
        for edge in (shown[..., 0, :], shown[..., -1, :], shown[..., 0], shown[..., -1]):
            assert edge.min() > 0.99


def test_the_released_filters_act_on_latents() -> None:
    """Its example configuration: Sobel and FFT, 1 to 7 Hz of 16 latent frames that it counts at 16 Hz; 8 Hz falls away."""
    config = by_name("full-wan")
    chosen = config.filters
    assert (chosen.place, chosen.spatial, chosen.motion) == ("latents", "sobel", "fft")
    assert (chosen.border, chosen.laplacian, chosen.root_floor) == ("zeros", "absolute", 1e-6)
    assert filters.band(chosen, 16, config.video.low.span_s) == (1, 7)
    assert full().filters == small().filters == Filters()


LATER: dict[str, Any] = {
    "image_resize": "pad",
    "targets": "physical",
    "head.norm": "variance",
    "head.guess_blend": 12,
    "spatial_former.scaled": True,
    "motion_former.scaled": True,
    "spatial_former.blocks": 3,
    "motion_former.blocks": 3,
    "published.transformer": {"repo": "/data/wan.safetensors", "revision": None},
    "filters.border": "zeros",
    "filters.laplacian": "absolute",
    "filters.root_floor": 1e-6,
}


def before_later() -> PolicyConfig:
    """`small` as it was before its tokens were scaled, and before its guess continued what is committed."""
    formers = ("spatial_former", "motion_former")
    parts = {name: getattr(small(), name).model_copy(update={"scaled": False}) for name in formers}
    return small().model_copy(update=parts | {"head": small().head.model_copy(update={"guess_blend": 0})})


@pytest.mark.parametrize("path", LATER)
def test_what_came_later_changes_no_id_of_before(path: str) -> None:
    """Sessions, tables and robots know a policy by its id. A field counts once it is not at its default."""
    *parts, name = path.split(".")
    now = full() if name == "transformer" else before_later()  # only with a published video model
    before, changed = now.model_dump(), now.model_dump()
    functools.reduce(operator.getitem, parts, before).pop(name)
    functools.reduce(operator.getitem, parts, changed)[name] = LATER[path]
    assert (small().digest(), before_later().digest()) == (SMALL, BEFORE)
    assert PolicyConfig.model_validate(before).digest() == now.digest()
    assert PolicyConfig.model_validate(changed).digest() != now.digest()
