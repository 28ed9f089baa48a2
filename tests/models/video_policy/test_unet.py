"""The video U-Net's five places, and what goes into it. Called by pytest."""

from typing import Any

import numpy as np
import pytest
import torch

from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.unet import PLACES, level_channels
from models.video_policy.video_model import Given, VideoModel

LEVEL = torch.tensor([0.75, 0.75])  # entry 0.8


def read_by(model: VideoModel, noisy: torch.Tensor, given: Given) -> tuple[torch.Tensor, ...]:
    """What diffusers' U-Net is called with: clip, noise level, text, added conditioning."""
    calls: list[tuple[torch.Tensor, ...]] = []

    def hook(_module: Any, arguments: Any) -> None:
        calls.append(arguments)

    handle = model.network.unet.register_forward_pre_hook(hook)
    with torch.inference_mode():
        model.denoise(noisy, LEVEL, given)
    handle.remove()
    return calls[0]


def changed(model: VideoModel, noisy: torch.Tensor, given: Given, update: dict[str, float]) -> torch.Tensor:
    """The clean clip under other settings of the clip."""
    config = model.config.model_copy(update={"clip": model.config.clip.model_copy(update=update)})
    other = VideoModel(config).eval()
    other.load_state_dict(model.state_dict())
    with torch.inference_mode():
        return other.denoise(noisy, LEVEL, given)[0]


def test_five_places_from_the_finest_to_the_coarsest(
    imagination: Imagination, noise: torch.Tensor, given: Given, tiny: VideoPolicyConfig
) -> None:
    clean, places = imagination.video.denoise(noise, LEVEL, given)
    assert clean.shape == noise.shape == (2, 7, 4, 8, 16)
    assert [tuple(place.shape) for place in places] == [
        (2, 32, 7, 8, 16), (2, 64, 7, 4, 8), (2, 96, 7, 2, 4), (2, 128, 7, 1, 2), (2, 96, 7, 1, 2),
    ]  # fmt: skip
    assert level_channels(tiny) == (32, 64, 96, 128, 96)


def test_a_places_features_are_what_that_layer_gives(
    imagination: Imagination, noise: torch.Tensor, given: Given
) -> None:
    """The finest is the input of the last normalisation: nothing comes between them in the whole network."""
    seen: list[torch.Tensor] = []

    def hook(_module: Any, arguments: tuple[torch.Tensor]) -> None:
        seen.append(arguments[0])

    handle = imagination.video.network.unet.conv_norm_out.register_forward_pre_hook(hook)
    _, places = imagination.video.denoise(noise, LEVEL, given)
    handle.remove()
    torch.testing.assert_close(places[0].transpose(1, 2).flatten(0, 1), seen[0], rtol=0, atol=0)
    assert not any(layer._forward_hooks for layer in imagination.video.network.unet.modules())  # pyright: ignore[reportPrivateUsage]


def test_places_are_those_of_the_paper() -> None:
    assert set(PLACES) == {
        "down_blocks.2.downsamplers.0",
        "up_blocks.0.resnets.1",
        "up_blocks.1.attentions.1",
        "up_blocks.2.attentions.1",
        "up_blocks.3.attentions.1",
    }


def test_noisy_latents_come_first_scaled_and_each_cameras_picture_behind_them(
    imagination: Imagination, noise: torch.Tensor, given: Given
) -> None:
    entry, level, text, _ = read_by(imagination.video, noise, given)
    torch.testing.assert_close(entry[:, :, :4], 0.8 * noise)
    for camera, frames in enumerate((slice(0, 3), slice(3, 5), slice(5, 7))):
        beside = given.current[:, camera, None].expand(2, frames.stop - frames.start, 4, 8, 16)
        assert torch.equal(entry[:, frames, 4:], beside)
    np.testing.assert_allclose(level, [-0.0719205] * 2, rtol=1e-5)
    assert torch.equal(text, given.text)


def test_the_added_conditioning_is_the_public_codes(
    imagination: Imagination, noise: torch.Tensor, given: Given
) -> None:
    added = read_by(imagination.video, noise, given)[3]
    np.testing.assert_allclose(added, [[6, 100, 0.02]] * 2, rtol=1e-6)


@pytest.mark.parametrize("update", [{"augmentation": 0.2}, {"fps": 12.0}, {"motion_bucket": 10.0}])
def test_each_added_condition_changes_the_clip(
    imagination: Imagination, noise: torch.Tensor, given: Given, update: dict[str, float]
) -> None:
    before = changed(imagination.video, noise, given, {})
    assert not torch.allclose(changed(imagination.video, noise, given, update), before, atol=1e-6)


def test_augmentation_puts_noise_of_its_size_on_the_pictures(imagination: Imagination) -> None:
    """The picture latents are those of a noisier picture; with no noise they are the picture's own, not scaled."""
    random = torch.Generator().manual_seed(6)
    pictures = torch.rand((1, 3, 3, 16, 32), generator=random) * 2 - 1
    noise = torch.randn(pictures.shape, generator=random)
    model = imagination.video
    with torch.inference_mode():
        still = model.encode_current(pictures, torch.zeros_like(noise))
        noisy = model.encode_current(pictures, noise)
        theirs = model.vae.encode((pictures + 0.02 * noise)[0]).latent_dist
        clip = model.encode(pictures)
    torch.testing.assert_close(noisy[0], theirs.mode())
    assert not torch.allclose(noisy, still, atol=1e-5)
    torch.testing.assert_close(clip, 0.18215 * still)


def test_pictures_come_back_out_camera_by_camera(imagination: Imagination, noise: torch.Tensor) -> None:
    """One camera's frames do not change another's, and the padding changes nothing."""
    with torch.inference_mode():
        before = imagination.video.decode(noise)
        assert before.shape == (2, 3, 2, 3, 16, 32)
        assert before.abs().max() <= 1
        assert torch.equal(imagination.video.decode(noise.index_fill(1, torch.tensor([0]), 9.0)), before)
        after = imagination.video.decode(noise.index_fill(1, torch.tensor([4]), 9.0))  # the left wrist's second frame
    assert [torch.equal(after[:, camera], before[:, camera]) for camera in range(3)] == [True, False, True]
