"""A policy of a few thousand weights: the small one with fewer of everything, all parts still there.
For the model tests, and for live runs of which the policy's answers are not what is tested."""

from pathlib import Path

import numpy as np

from drivers.cobot_magic import ready_pose
from models.checkpoint import Checkpoint, save
from models.config.encoders import Keypoints, Siglip
from models.config.policy import PolicyConfig
from models.config.video import Window
from models.sizes import small

_GRIPPERS = [6, 13]
_REACH_RAD, _REACH_M = 0.3, 0.03  # around the ready pose: clear of the table and of joint limits


def configuration() -> PolicyConfig:
    """For the model tests: chunks of eight targets, and SigLIP's layers for the pictures."""
    config = small()
    backbone = config.video.backbone.model_copy(
        update={
            "heads": 2,
            "head_dim": 16,
            "rope_axes": (4, 6, 6),
            "dual_blocks": 2,
            "single_blocks": 1,
            "text_dim": 16,
            "pooled_dim": 16,
            "vae_channels": (8, 8, 8, 8),
            "latent_channels": 4,
        }
    )
    video = config.video.model_copy(
        update={
            "backbone": backbone,
            "high": Window(frames=2, height_px=32, width_px=48, stride_s=1 / 30),
            "low": Window(frames=4, height_px=32, width_px=32, stride_s=0.1),
        }
    )
    former = config.spatial_former.model_copy(update={"tokens": 6, "width": 32, "depth": 1})
    return config.model_copy(
        update={
            "name": "tiny",
            "video": video,
            "spatial_former": former,
            "motion_former": former.model_copy(update={"tokens": 5}),
            "image": Siglip(image_px=32, width=32, depth=1, heads=4, patch_px=16, feed_forward=128),
            "text": config.text.model_copy(update={"width": 16, "depth": 1, "heads": 2, "feed_forward": 32}),
            "head": config.head.model_copy(update={"width": 32, "depth": 2, "token_targets": 2, "guess_width": 0}),
            "horizon": 8,
        }
    )


def store(folder: Path) -> Path:
    """A checkpoint for live runs, of random weights; it moves the arms about the ready pose. Its folder."""
    eyes = Keypoints(image_px=32, width=32, points=4, channels=(8, 8), grid=2)  # SigLIP's library loads for seconds
    config = configuration().model_copy(update={"image": eyes, "horizon": small().horizon})
    rest, reach = ready_pose(), np.full(config.joints, _REACH_RAD)
    reach[_GRIPPERS] = _REACH_M
    rest[_GRIPPERS] -= _REACH_M
    drawn = Checkpoint.untrained(config, 0, rest, reach)
    save(folder, config, drawn.statistics, {"slow": drawn.slow(), "fast": drawn.fast(), "text": drawn.instructor()})
    return folder
