"""System 2 as the runtime uses it: clips follow from the frames' numbers, pictures and the instruction. Called by pytest."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import images
from models.errors import ModelError
from models.policy import InstructionEmbedding
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination, Imagined
from models.video_policy.imaginer import Imaginer, Outlook

FRAMES = {"head": 5, "left_wrist": 4, "right_wrist": 5}


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def text(config: VideoPolicyConfig, value: float = 0.5) -> InstructionEmbedding:
    return InstructionEmbedding.of_pooled(torch.full((1, config.text.width), value))


@pytest.fixture
def imaginer(imagination: Imagination) -> Imaginer:
    return Imaginer(imagination)


def imagined(imaginer: Imaginer, frames: dict[str, int] = FRAMES, value: float = 0.5, changed: str = "") -> Imagined:
    return outlook(imaginer, frames, value, changed).imagined


def outlook(imaginer: Imaginer, frames: dict[str, int] = FRAMES, value: float = 0.5, changed: str = "") -> Outlook:
    """A clip from fresh frames; `changed` is a camera that saw something else."""
    imaginer.clear()
    for place, (camera, number) in enumerate(frames.items()):
        imaginer.encode(camera, number, picture(place + (10 if camera == changed else 0)))
    return imaginer.imagine(frames, text(imaginer.config, value))


def test_the_same_frames_and_words_give_the_same_bits(imaginer: Imaginer) -> None:
    one, again = imagined(imaginer), imagined(imaginer)
    assert torch.equal(one.features, again.features) and torch.equal(one.latents, again.latents)


@pytest.mark.parametrize("camera", list(FRAMES))
def test_every_camera_is_seen(imaginer: Imaginer, camera: str) -> None:
    assert not torch.allclose(imagined(imaginer).features, imagined(imaginer, changed=camera).features, atol=1e-4)


def test_words_and_frame_numbers_are_heard(imaginer: Imaginer) -> None:
    """Other numbers draw other noise, so that one clip's chance is not every clip's."""
    one = imagined(imaginer)
    assert not torch.allclose(one.features, imagined(imaginer, value=-0.5).features, atol=1e-4)
    assert not torch.allclose(one.latents, imagined(imaginer, dict.fromkeys(FRAMES, 6)).latents, atol=1e-2)


def test_a_frame_is_encoded_once_and_forgotten_after_others(imaginer: Imaginer) -> None:
    imaginer.encode("head", 1, picture(1))
    before = imaginer.imagination.video.vae
    imaginer.imagination.video.vae = None  # nothing is left to encode with
    imaginer.encode("head", 1, picture(2))
    imaginer.imagination.video.vae = before
    for number in range(2, 10):
        imaginer.encode("head", number, picture(number))
    assert not imaginer.has("head", 1) and imaginer.has("head", 9)
    with pytest.raises(ModelError, match=r"^frame 1 of head was not encoded; encode it before asking for its clip$"):
        imaginer.imagine({"head": 1, "left_wrist": 1, "right_wrist": 1}, text(imaginer.config))


def test_pictures_are_what_the_head_camera_saw_and_what_follows(imaginer: Imaginer) -> None:
    one = outlook(imaginer)
    found = imaginer.pictures(one)
    assert found.shape == (3, 16, 32, 3) and found.dtype == np.uint8
    seen = images.resize(images.to_tensor(picture(0), torch.device("cpu")), 16, 32, "crop")[0]
    decoded = imaginer.imagination.video.decode(one.imagined.latents)[0, 0].detach()
    for shown, wanted in zip(found, (seen, *decoded), strict=True):
        assert np.abs(shown - (wanted.permute(1, 2, 0).numpy() * 127.5 + 127.5)).max() <= 0.51


def test_large_pictures_are_shown_small(tiny: VideoPolicyConfig) -> None:
    clip = tiny.clip.model_copy(update={"height_px": 96, "width_px": 128})
    imaginer = Imaginer(Imagination(tiny.model_copy(update={"clip": clip})).eval())
    assert imaginer.pictures(outlook(imaginer)).shape == (3, 48, 64, 3)


def test_warming_up_leaves_no_trace(imaginer: Imaginer) -> None:
    assert imaginer.warm_up().imagined.features.isfinite().all()
    assert not any(imaginer.has(camera, 0) for camera in FRAMES)
