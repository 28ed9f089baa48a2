"""The video model: pictures to latents, a noisy clip to a clean one with the features on the way, latents to pictures.

Made by imagination.py and by stage 1's training. Legend: B batch, K cameras, T frames of a clip, c h w a latent, H W px.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from torch import nn

from models import published
from models.errors import ModelError
from models.published import diffusers_model
from models.video_policy import edm, frames
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.unet import FeatureUnet


@dataclass(frozen=True)
class Given:
    """What a clip is imagined from."""

    current: torch.Tensor
    """(B, K, c, h, w) latents of the current pictures, not scaled."""
    text: torch.Tensor
    """(B, 1, D) pooled text token."""

    def without(self) -> "Given":
        """The same with nothing given: zeros, which training shows for what it drops."""
        return Given(torch.zeros_like(self.current), torch.zeros_like(self.text))

    def and_then(self, other: "Given") -> "Given":
        """Both in one batch, (2 B, ...)."""
        return Given(torch.cat([self.current, other.current]), torch.cat([self.text, other.text]))


class VideoModel(nn.Module):
    """Stable Video Diffusion for several cameras: VAE and U-Net of diffusers around EDM's preconditioning (edm.py)."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.network = FeatureUnet(config)
        self.vae: Any = AutoencoderKLTemporalDecoder(**_arguments(config))

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take published weights.

        Args:
            folder: in diffusers' layout: `unet` and `vae`.
            dtype: what they are brought to.

        Raises:
            ModelError: the folder holds another model, or not all of it.
        """
        self.network.load(folder / "unet", dtype)
        self.vae = diffusers_model(AutoencoderKLTemporalDecoder, folder / "vae", _arguments(self.config), (), dtype)

    def load_published(self, dtype: torch.dtype) -> None:
        """Take the weights that the configuration names. Raises ModelError as `load`, or where they are not on this machine."""
        source = self.config.published.video_unet
        if source is None:
            raise ModelError(
                f"policy {self.config.name}: names no published video model; give it as `published.video_unet`"
            )
        self.load(published.folder("video_unet", source), dtype)

    def encode_current(self, pictures: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Latents of the current pictures as they stand beside the noisy ones: the posterior's mode, not scaled.

        Args:
            pictures: (B, K, 3, H, W) RGB in -1..1.
            noise: the same shape, standard normal; `clip.augmentation` of it is added to the pictures.

        Returns:
            (B, K, c, h, w).
        """
        return self._mode(pictures + self.config.clip.augmentation * noise)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Latents of a clip, which noise is added to: the posterior's mode, scaled to about variance 1.

        Args:
            pictures: (B, T, 3, H, W) RGB in -1..1.

        Returns:
            (B, T, c, h, w).
        """
        return self._mode(pictures) * self.config.autoencoder.scaling

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures for people. Each camera's frames are decoded by themselves, since the decoder mixes frames in time.

        Args:
            latents: (B, T, c, h, w) scaled, as `encode` gives them.

        Returns:
            (B, K, n, 3, H, W) RGB in -1..1, without the padding.
        """
        cameras = range(len(self.config.clip.cameras))
        return torch.stack([self.decode_camera(latents, camera) for camera in cameras], dim=1)

    def decode_camera(self, latents: torch.Tensor, camera: int) -> torch.Tensor:
        """One camera's pictures.

        Args:
            latents: as `decode`.
            camera: its place among the clip's cameras.

        Returns:
            (B, n, 3, H, W) RGB in -1..1.
        """
        apart = frames.by_camera(self.config.clip, latents)[:, camera]
        flat = apart.flatten(0, 1) / self.config.autoencoder.scaling
        made = self.vae.decode(flat, num_frames=self.config.clip.frames).sample
        return made.unflatten(0, apart.shape[:2]).clamp(-1, 1)

    def denoise(
        self, noisy: torch.Tensor, s: torch.Tensor, given: Given
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The clean clip, as far as it can be seen.

        Args:
            noisy: (B, T, c, h, w) float32, a clip's latents and noise of level s.
            s: (B,) float32.
            given: pictures and text of the B clips.

        Returns:
            (B, T, c, h, w) float32, and the U-Net's features as FeatureUnet gives them.
        """
        factors = edm.scalings(s)
        dtype = given.current.dtype
        scaled = (noisy * edm.per_sample(factors.entry, noisy)).to(dtype)
        entry = torch.cat([scaled, frames.beside(self.config.clip, given.current)], dim=2)
        output, features = self.network(entry, factors.noise, given.text)
        clean = noisy * edm.per_sample(factors.skip, noisy) + output.float() * edm.per_sample(factors.out, noisy)
        return clean, features

    def _mode(self, pictures: torch.Tensor) -> torch.Tensor:
        latents = self.vae.encode(pictures.flatten(0, 1)).latent_dist.mode()
        return latents.unflatten(0, pictures.shape[:2])


def _arguments(config: VideoPolicyConfig) -> dict[str, Any]:
    chosen = config.autoencoder
    return {
        "down_block_types": ("DownEncoderBlock2D",) * len(chosen.widths),
        "block_out_channels": chosen.widths,
        "layers_per_block": chosen.layers,
        "latent_channels": chosen.latent_channels,
        "scaling_factor": chosen.scaling,
    }
