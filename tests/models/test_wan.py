"""Our loop over the truncated Wan2.2 against diffusers' own forward pass of the whole model, at a tiny size.
Called by pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from models.backbones.backbone import VideoText
from models.backbones.wan import WanBackbone
from models.config.policy import PolicyConfig
from models.config.video import Wan
from models.placement import place
from models.policy import InstructionEmbedding
from models.sizes import full_wan
from models.system2 import SlowSystem, make_backbone

Pictures = Callable[[int, int], list[NDArray[np.uint8]]]


@pytest.fixture
def whole(wan: Wan) -> WanBackbone:
    """A model with three more blocks than the one that is kept."""
    return WanBackbone(wan.model_copy(update={"blocks": wan.blocks + 3})).eval().requires_grad_(False)


@pytest.fixture
def truncated(wan: Wan, whole: WanBackbone) -> WanBackbone:
    """The first blocks of `whole`."""
    backbone = WanBackbone(wan).eval().requires_grad_(False)
    weights = whole.state_dict()
    backbone.load_state_dict({name: weights[name] for name in backbone.state_dict()})
    return backbone


def inputs(config: Wan) -> tuple[torch.Tensor, VideoText]:
    """Latents of three frames on a 4 x 6 grid, and a text."""
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn((1, config.latent_channels, 3, 4, 6), generator=generator)
    return latents, VideoText(torch.randn((1, 7, config.text_dim), generator=generator), torch.zeros(1, 0))


def test_it_runs_in_bfloat16(wan: Wan) -> None:
    """As on a GPU: the latents' mean and spread stay exact, what comes out is what the transformer takes."""
    backbone = place(WanBackbone(wan).eval().requires_grad_(False), torch.device("cpu"), torch.bfloat16)
    latents = backbone.encode(torch.zeros(1, 3, 5, 64, 96, dtype=torch.bfloat16))
    text = VideoText(torch.zeros(1, 4, wan.text_dim, dtype=torch.bfloat16), torch.zeros(1, 0))
    assert latents.dtype == torch.bfloat16
    assert torch.isfinite(backbone.features(latents, text)).all()


def test_features_equal_the_whole_models_hooked_block(whole: WanBackbone, truncated: WanBackbone, wan: Wan) -> None:
    latents, text = inputs(wan)
    outputs: list[torch.Tensor] = []
    block: Any = whole.transformer.blocks[wan.blocks - 1]
    handle = block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    whole.transformer(
        hidden_states=latents, timestep=torch.zeros(1, dtype=torch.long), encoder_hidden_states=text.states
    )
    handle.remove()
    assert torch.equal(truncated.features(latents, text).flatten(1, 3), outputs[0])


def test_features_stand_on_the_patch_grid(truncated: WanBackbone, wan: Wan) -> None:
    assert truncated.features(*inputs(wan)).shape == (1, 3, 2, 3, wan.width)


def test_latents_are_normalised_modes_a_sixteenth_as_large(truncated: WanBackbone, wan: Wan) -> None:
    picture = torch.rand((1, 3, 1, 64, 96), generator=torch.Generator().manual_seed(4)) * 2 - 1
    latent = truncated.encode(picture)
    assert latent.shape == (1, wan.latent_channels, 1, 4, 6)
    assert torch.equal(latent, truncated.encode(picture))
    mode = truncated.vae.encode(picture).latent_dist.mode()
    mean, spread = (torch.tensor(values).reshape(1, -1, 1, 1, 1) for values in (wan.latent_mean, wan.latent_spread))
    torch.testing.assert_close(latent * spread + mean, mode)


def test_text_and_latents_each_change_the_features(truncated: WanBackbone, wan: Wan) -> None:
    latents, text = inputs(wan)
    before = truncated.features(latents, text)
    other = VideoText(text.states + 1, text.pooled)
    assert not torch.equal(truncated.features(latents, other), before)
    assert not torch.equal(truncated.features(latents + 1, text), before)


def test_system2_runs_on_it(tiny: PolicyConfig, wan: Wan) -> None:
    sizes = {"height_px": 64, "width_px": 64}
    video = tiny.video.model_copy(
        update={
            "backbone": wan,
            "high": tiny.video.high.model_copy(update=sizes),
            "low": tiny.video.low.model_copy(update=sizes),
        }
    )
    slow = SlowSystem(tiny.model_copy(update={"video": video})).eval()
    assert isinstance(make_backbone(video), WanBackbone)
    slow.warm_up()
    assert 0 not in slow.low


@pytest.fixture
def released(tiny: PolicyConfig, wan: Wan) -> PolicyConfig:
    """`full-wan`, tiny: its encoding, numbers of frames and filters."""
    video = full_wan().video
    sizes = {"height_px": 64, "width_px": 96}
    windows = {name: getattr(video, name).model_copy(update=sizes) for name in ("high", "low")}
    changes = {"video": video.model_copy(update={"backbone": wan, **windows}), "filters": full_wan().filters}
    return tiny.model_copy(update=changes)


def test_the_released_size_gives_the_video_model_filtered_latents(
    released: PolicyConfig, wan: Wan, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest frame's latent as Sobel's magnitudes, the long window's without its mean and its fastest change."""
    slow: Any = SlowSystem(released).eval()
    numbers = list(range(61))
    for number, picture in enumerate(pictures(61, 4)):
        slow.encode(slow.low, number, picture)
    slow.encode(slow.high, 60, pictures(1, 9)[0])
    read: list[torch.Tensor] = []

    def features(latents: torch.Tensor, _text: VideoText) -> torch.Tensor:
        read.append(latents)
        return torch.zeros(1, latents.shape[2], 2, 3, wan.width)

    monkeypatch.setattr(slow.backbone, "features", features)
    text = VideoText(torch.zeros(1, 1, wan.text_dim), torch.zeros(1, 0))
    with torch.inference_mode():
        slow.encode_video([60], numbers, InstructionEmbedding(torch.zeros(1, 1, wan.text_dim), text))
        high, low = slow.high.window_latents([60])[0].numpy(), slow.low.window_latents(numbers)[0].numpy()
    assert (high.shape, low.shape) == ((4, 1, 4, 6), (4, 16, 4, 6))
    for channel in range(4):
        plane = high[channel, 0].astype(np.float64)
        gx, gy = (ndimage.sobel(plane, axis, mode="constant") for axis in (0, 1))
        np.testing.assert_allclose(read[0][0, channel, 0].numpy(), np.sqrt(gx**2 + gy**2 + 1e-6), rtol=1e-4, atol=1e-5)
    spectrum = np.fft.fft(low.astype(np.float64), axis=1)
    spectrum[:, [0, 8]] = 0  # the mean, and what changes from one latent frame to the next
    np.testing.assert_allclose(read[1][0].numpy(), np.fft.ifft(spectrum, axis=1).real, rtol=1e-4, atol=1e-4)


def test_statistics_must_fit_the_channels(wan: Wan) -> None:
    with pytest.raises(ValueError, match="latent_mean: expected 5"):
        Wan.model_validate(wan.model_dump() | {"latent_channels": 5})
