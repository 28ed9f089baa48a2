"""A Video Policy of diffusers' own classes at a tiny size: two frames of each of three cameras, three steps."""

from pathlib import Path

import numpy as np

from drivers.cobot_magic import ready_pose
from models.config.encoders import Text
from models.video_policy.checkpoint import ACTION, IMAGINATION, TEXT, VideoPolicyCheckpoint, save
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import ActionNet, Adapter, Autoencoder, Clip, Diffusion, VideoUnet


def config() -> VideoPolicyConfig:
    """Every level of the U-Net has other channels, and a latent is wider than high: nothing can be mistaken for another."""
    return VideoPolicyConfig(
        name="tiny",
        clip=Clip(height_px=16, width_px=32, frames=2),
        autoencoder=Autoencoder(widths=(32, 32), layers=1),
        unet=VideoUnet(widths=(32, 64, 96, 128), layers=1, heads=(1, 2, 3, 4), text_width=12, added_width=8),
        adapter=Adapter(merged=(16, 12), narrowed=(12, 8), joined=(16, 12, 8)),
        action=ActionNet(widths=(16, 24, 32), time_width=16, targets=8),
        diffusion=Diffusion(steps=3),
        text=Text(width=12, depth=1, heads=2, feed_forward=16, max_tokens=32),
    )


def store(folder: Path) -> None:
    """Write a checkpoint, of random weights, that stays close to the ready pose: chunks as long as others', few steps."""
    whole = config()
    action = whole.action.model_copy(update={"targets": 48})
    made = VideoPolicyCheckpoint.untrained(
        whole.model_copy(update={"action": action}), 3, ready_pose() - 0.01, np.full(14, 0.05)
    )
    networks = {
        IMAGINATION: made.imaginer().imagination, ACTION: made.chunk_maker().sampler, TEXT: made.instructor(),
    }  # fmt: skip
    save(folder, made.config, made.statistics, networks, video_trained=True)
