"""A Video Policy's folder: written, read, refused, and its published parts left out. Called by pytest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection
from word_tokenizer import TEXT, word_tokenizer

from models.checkpoint import Checkpoint
from models.config.source import Source
from models.errors import ModelError
from models.identity import ABOUT, stored_config, video2act_config
from models.video_policy.checkpoint import ACTION, IMAGINATION, VideoPolicyCheckpoint, save
from models.video_policy.checkpoint import TEXT as TEXT_PART
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import ClipText, Published
from models.video_policy.video_model import VideoModel


def drawn(config: VideoPolicyConfig, seed: int = 1) -> VideoPolicyCheckpoint:
    return VideoPolicyCheckpoint.untrained(config, seed, np.zeros(14), np.full(14, 0.3))


def written(folder: Path, made: VideoPolicyCheckpoint, video_trained: bool = True) -> Path:
    networks = {
        IMAGINATION: made.imaginer().imagination,
        ACTION: made.chunk_maker().sampler,
        TEXT_PART: made.instructor(),
    }
    save(folder, made.config, made.statistics, networks, video_trained)
    return folder


def states(made: VideoPolicyCheckpoint) -> list[dict[str, torch.Tensor]]:
    parts = (made.imaginer().imagination, made.chunk_maker().sampler, made.instructor())
    return [part.state_dict() for part in parts]


def equal(ones: list[dict[str, torch.Tensor]], others: list[dict[str, torch.Tensor]]) -> bool:
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in zip(ones, others, strict=True)
    )


def test_a_folder_gives_back_what_was_written(tiny: VideoPolicyConfig, tmp_path: Path) -> None:
    made = drawn(tiny)
    loaded = VideoPolicyCheckpoint.load(written(tmp_path / "policy", made))
    assert equal(states(loaded), states(made)) and loaded.config == tiny
    assert loaded.needs == made.needs and loaded.id != made.id
    assert json.loads((tmp_path / "policy" / ABOUT).read_text())["policy"] == "video-policy"
    assert np.array_equal(loaded.statistics.spread, made.statistics.spread)


def test_an_untrained_policy_follows_from_its_seed(tiny: VideoPolicyConfig) -> None:
    assert equal(states(drawn(tiny)), states(drawn(tiny)))
    other = states(drawn(tiny, 2))
    for one, two in zip(states(drawn(tiny)), other, strict=True):
        assert any(not torch.equal(one[name], two[name]) for name in one)


def test_families_are_not_taken_for_each_other(tiny: VideoPolicyConfig, tmp_path: Path) -> None:
    folder = written(tmp_path / "policy", drawn(tiny))
    assert isinstance(stored_config(folder), VideoPolicyConfig)
    with pytest.raises(ModelError, match=r"policy: is a Video Policy; give one of Video2Act$"):
        video2act_config(folder)
    with pytest.raises(ModelError, match=r"policy: is a Video Policy; give one of Video2Act$"):
        Checkpoint.load(folder)
    about = json.loads((folder / ABOUT).read_text()) | {"policy": "world-model"}
    (folder / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ModelError, match=r"unknown policy 'world-model' \(known: video2act, video-policy\); update"):
        stored_config(folder)


def test_a_folder_that_contradicts_itself_is_refused(tiny: VideoPolicyConfig, tmp_path: Path) -> None:
    folder = written(tmp_path / "policy", drawn(tiny))

    def changed(**action: int) -> VideoPolicyConfig:
        return tiny.model_copy(update={"action": tiny.action.model_copy(update=action)})

    with pytest.raises(ModelError, match=r"stats.json has shape \(8, 14\), config.json \(4, 14\); give another"):
        VideoPolicyCheckpoint.load(folder, changed(targets=4))
    other = VideoPolicyCheckpoint.load(folder, changed(time_width=20))
    with pytest.raises(ModelError, match=r"action.network.\S+ is \(.*\), expected \(.*\); give another checkpoint"):
        other.chunk_maker()


@pytest.fixture
def published(tiny: VideoPolicyConfig, tmp_path: Path) -> VideoPolicyConfig:
    """The tiny policy, of a published video model and a published text tower of the real classes."""
    torch.manual_seed(9)
    model = VideoModel(tiny).eval()
    model.network.unet.save_pretrained(tmp_path / "svd" / "unet")
    model.vae.save_pretrained(tmp_path / "svd" / "vae")
    sizes: Any = {"num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 258, "num_hidden_layers": 2}
    clip = CLIPTextConfig(
        hidden_size=16, projection_dim=12, eos_token_id=1, pad_token_id=0, bos_token_id=0, max_position_embeddings=40, **sizes
    )  # fmt: skip
    CLIPTextModelWithProjection(clip).save_pretrained(tmp_path / "clip")
    word_tokenizer(tmp_path / "clip", ends=True)
    sources = Published(video_unet=Source(repo=str(tmp_path / "svd")), clip_text=Source(repo=str(tmp_path / "clip")))
    return VideoPolicyConfig.model_validate(
        tiny.model_copy(update={"published": sources, "text": ClipText(width=12)}).model_dump()
    )


def test_published_parts_are_read_where_they_were_published(published: VideoPolicyConfig, tmp_path: Path) -> None:
    made = drawn(published)
    theirs = load_file(tmp_path / "svd" / "unet" / "diffusion_pytorch_model.safetensors")
    ours = made.imaginer().imagination.video.network.unet.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    folder = written(tmp_path / "policy", made, video_trained=False)
    names = load_file(folder / "model.safetensors").keys()
    assert names and not any(name.startswith("imagination.video.") for name in names)
    assert equal(states(VideoPolicyCheckpoint.load(folder)), states(made))
    tuned, wanted = written(tmp_path / "tuned", made, video_trained=True), states(made)
    (tmp_path / "svd").rename(tmp_path / "elsewhere")
    assert equal(states(VideoPolicyCheckpoint.load(tuned)), wanted), "it holds its own video model"
    with pytest.raises(ModelError, match=r"published.video_unet: .*svd does not exist; give another folder"):
        VideoPolicyCheckpoint.load(folder).imaginer()


def test_instructions_are_one_token_of_the_text_tower(published: VideoPolicyConfig) -> None:
    instructor = drawn(published).instructor()
    one, other = instructor.encode([TEXT, "put the block"])
    assert one.video.states.shape == (1, 1, 12) and one.video.pooled.shape == (1, 12)
    assert not torch.allclose(one.video.pooled, other.video.pooled, atol=1e-3)
    assert torch.equal(instructor.encode([TEXT])[0].video.states, one.video.states), "alone as beside others"
    assert instructor.encode([" ".join([TEXT] * 30)])[0].video.pooled.isfinite().all(), "longer than it can read"


def test_a_text_tower_of_another_width_is_refused(published: VideoPolicyConfig) -> None:
    values = published.model_dump()
    values["text"]["width"] = values["unet"]["text_width"] = 20
    with pytest.raises(ModelError, match=r"clip: hidden width: the policy's text.width expects 20, got 12"):
        drawn(VideoPolicyConfig.model_validate(values)).instructor().encode([TEXT])


def test_the_small_encoders_token_is_the_mean_of_its_states(tiny: VideoPolicyConfig) -> None:
    instructor = drawn(tiny).instructor()
    (found,) = instructor.encode([TEXT])
    assert instructor.encoder is not None
    assert torch.equal(found.video.pooled, instructor.encoder(TEXT).mean(1))
