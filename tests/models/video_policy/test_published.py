"""Stable Video Diffusion in its publisher's layout: tiny, saved by diffusers' own classes, and read into the video model.
Called by pytest."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.config.source import Source
from models.errors import ModelError
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import Published
from models.video_policy.sizes import full
from models.video_policy.video_model import Given, VideoModel

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny: VideoPolicyConfig) -> tuple[Path, VideoModel]:
    """The folder, and the model whose weights lie in it."""
    folder = tmp_path_factory.mktemp("svd")
    torch.manual_seed(9)
    model = VideoModel(tiny).eval()
    model.network.unet.save_pretrained(folder / "unet")
    model.vae.save_pretrained(folder / "vae")
    return folder, model


def named(tiny: VideoPolicyConfig, folder: Path) -> VideoModel:
    """A model that is to have a folder's weights."""
    return VideoModel(tiny.model_copy(update={"published": Published(video_unet=Source(repo=str(folder)))})).eval()


@torch.inference_mode()
def test_published_weights_are_taken_whole(
    published: tuple[Path, VideoModel], tiny: VideoPolicyConfig, given: Given, noise: torch.Tensor
) -> None:
    folder, theirs = published
    ours = named(tiny, folder)
    s = torch.tensor([0.5, 2.0])
    assert not torch.allclose(ours.denoise(noise, s, given)[0], theirs.denoise(noise, s, given)[0], atol=1e-3)
    ours.load_published(torch.float32)
    torch.testing.assert_close(ours.denoise(noise, s, given)[0], theirs.denoise(noise, s, given)[0])
    pictures = torch.rand(1, 3, 3, 16, 32)
    torch.testing.assert_close(ours.encode(pictures), theirs.encode(pictures))


@pytest.fixture
def copied(published: tuple[Path, VideoModel], tmp_path: Path) -> Path:
    return Path(shutil.copytree(published[0], tmp_path / "svd"))


def refusal(tiny: VideoPolicyConfig, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        named(tiny, folder).load_published(torch.float32)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_models_configuration_is_refused(copied: Path, tiny: VideoPolicyConfig) -> None:
    place = copied / "unet/config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"cross_attention_dim": 16}))
    assert refusal(tiny, copied) == (
        f"{place}: cross_attention_dim: the policy expects 12, got 16; give the model that the policy names"
    )


@pytest.mark.parametrize(("part", "name"), [("unet", "conv_out.bias"), ("vae", "quant_conv.weight")])
def test_a_missing_weight_is_refused(copied: Path, tiny: VideoPolicyConfig, part: str, name: str) -> None:
    place = copied / part / WEIGHTS
    save_file({key: weight for key, weight in load_file(place).items() if key != name}, place, {"format": "pt"})
    assert refusal(tiny, copied) == f"{copied / part}: {name} is missing; give the model that the policy names"


@pytest.mark.parametrize(("part", "name"), [("unet", "conv_out.bias"), ("vae", "quant_conv.weight")])
def test_a_misshapen_weight_is_refused(copied: Path, tiny: VideoPolicyConfig, part: str, name: str) -> None:
    place = copied / part / WEIGHTS
    weights = load_file(place)
    save_file(weights | {name: torch.cat([weights[name]] * 2)}, place, {"format": "pt"})
    assert name in refusal(tiny, copied)


def test_a_weight_that_is_no_number_is_refused(copied: Path, tiny: VideoPolicyConfig) -> None:
    place = copied / "unet" / WEIGHTS
    weights = load_file(place)
    weights["conv_out.bias"][0] = float("nan")
    save_file(weights, place, {"format": "pt"})
    assert "conv_out.bias: 1 of 4 values are not finite" in refusal(tiny, copied)


def test_a_folder_that_lacks_a_part_is_refused(copied: Path, tiny: VideoPolicyConfig) -> None:
    shutil.rmtree(copied / "vae")
    assert refusal(tiny, copied).startswith(f"{copied / 'vae'}: config.json is missing")
    assert refusal(tiny, copied / "nowhere").startswith(f"published.video_unet: {copied / 'nowhere'} does not exist")


def test_the_hubs_weights_must_be_on_this_machine(
    tiny: VideoPolicyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = full().published.video_unet
    assert source is not None and source.revision is not None and len(source.revision) == 40
    with pytest.raises(ModelError, match=r"^published.video_unet: stabilityai/.* is not complete on this machine"):
        VideoModel(tiny.model_copy(update={"published": Published(video_unet=source)})).load_published(torch.float32)


def test_a_policy_without_published_weights_says_so(tiny: VideoPolicyConfig) -> None:
    with pytest.raises(
        ModelError, match=r"^policy tiny: names no published video model; give it as `published.video_unet`$"
    ):
        VideoModel(tiny).load_published(torch.float32)
