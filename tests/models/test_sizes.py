"""The full size has the weights that the paper's parts have, counted without allocating them."""

import hashlib
from typing import Any

import pytest
import torch

from models.action_dit import ActionTransformer
from models.backbones.hunyuan import HunyuanBackbone
from models.config import Hunyuan
from models.errors import ModelError
from models.sizes import by_name, full
from models.system1 import image_encoder
from models.system2 import make_backbone


@pytest.mark.parametrize(("single_blocks", "weights"), [(5, 7_865_299_264), (40, 12_821_012_544)])
def test_the_video_model_has_hunyuans_weights(single_blocks: int, weights: int) -> None:
    chosen = full().video.backbone
    assert isinstance(chosen, Hunyuan)
    with torch.device("meta"):
        backbone = HunyuanBackbone(chosen.model_copy(update={"single_blocks": single_blocks}))
    assert sum(weight.numel() for weight in backbone.transformer.parameters()) == weights


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
    """Angles, and whole pictures on grey; System 2's windows as before."""
    config = by_name(name)
    assert (config.targets, config.eyes_resize, config.resize) == ("physical", "pad", "crop")
    assert config.head.norm == "variance"


def test_what_came_later_changes_no_id_of_before() -> None:
    """Sessions, tables and robots know a policy by its id."""
    config = by_name("small")
    text = config.model_dump_json()
    for name in ("image_resize", "targets", "norm"):
        assert f'"{name}":' in text
    before = ",".join(part for part in text.split(",") if not part.startswith(('"image_resize":', '"targets":')))
    before = before.replace(',"norm":"rms"', "")
    assert config.digest() == hashlib.sha256(before.encode()).hexdigest()[:16]
    assert config.model_copy(update={"targets": "physical"}).digest() != config.digest()
    assert config.model_copy(update={"image_resize": "pad"}).digest() != config.digest()
    head = config.head.model_copy(update={"norm": "variance"})
    assert config.model_copy(update={"head": head}).digest() != config.digest()
