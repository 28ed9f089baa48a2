"""What training reads of a demonstration, made once: a file an episode and kind, as models/train/prepared.py describes.

Made by runtime/training/clip_preparation.py, read by both stages.
samples: runs of pictures that a VAE learns from. latents: every picture of every camera after the VAE, from which any clip is
cut. joints: what the action network learns from.
Legend: T steps, K cameras, n frames of a clip, N samples, c h w a latent, J joints, S px.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from models import images
from models.data.episode import Episode
from models.data.foreign_files import REMOVE
from models.errors import ModelError
from models.train.augmentation import Film
from models.train.choices import Augmentation
from models.train.prepared import SAMPLES, Tensors, decoded, follower_targets, leader_targets, resized
from models.video_policy import frames
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.video_model import VideoModel

Source = Literal["leader", "follower"]
_BATCH = 32  # pictures that go through the VAE at once; chosen: it bounds memory


def samples(episode: Episode, config: VideoPolicyConfig, seed: int) -> Tensors:
    """What a VAE learns from: pictures (N, n, 3, H, W) uint8, each row one camera's frames of a clip, in their sequence."""
    random, clip = np.random.default_rng(seed), config.clip
    rows: list[torch.Tensor] = []
    for _ in range(SAMPLES):
        camera = clip.cameras[int(random.integers(len(clip.cameras)))]
        steps = clip_steps(config, int(random.integers(len(episode))), len(episode))[1 : 1 + clip.frames]
        jpegs = _pictures_of(episode, camera)
        seen = [resized(decoded(jpegs[step]), (clip.height_px, clip.width_px), "crop") for step in steps]
        rows.append(torch.stack(seen))
    return {"pictures": torch.stack(rows)}


def clip_steps(config: VideoPolicyConfig, step: int, length: int) -> list[int]:
    """The steps of a clip's frames, `frames.cameras` says of which camera; after the episode its last picture stays.

    Args:
        config: its clip.
        step: of the current pictures.
        length: of the episode.

    Returns:
        One for each of the clip's frames.
    """
    return [min(step + offset, length - 1) for offset in frames.offsets(config.clip)]


@torch.inference_mode()
def latents(episode: Episode, video: VideoModel, seed: int, changed: Augmentation | None = None) -> Tensors:
    """Every picture after the VAE, (T, K, c, h, w) float16: `clean` as a clip's frames are, `current` as current pictures are.

    Args:
        episode: the demonstration.
        video: whose VAE encodes.
        seed: draws the noise on the current pictures, and how pictures are changed.
        changed: how they are; None: not at all.
    """
    clip, found = video.config.clip, list[tuple[torch.Tensor, torch.Tensor]]()
    random = torch.Generator().manual_seed(seed)
    weight = next(video.vae.parameters())
    for place, camera in enumerate(clip.cameras):
        film = None if changed is None else Film(changed, seed + place)
        pictures = _sized(_pictures_of(episode, camera), video.config, film)
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        for part in pictures.split(_BATCH):
            noise = torch.randn(part.shape, generator=random)
            shown, noise = (one[None].to(weight.device, weight.dtype) for one in (part, noise))
            both = video.encode(shown)[0], video.encode_current(shown, noise)[0]
            kept.append((both[0].to("cpu", torch.float16), both[1].to("cpu", torch.float16)))
        found.append((torch.cat([clean for clean, _ in kept]), torch.cat([current for _, current in kept])))
    return {
        "clean": torch.stack([clean for clean, _ in found], dim=1),
        "current": torch.stack([current for _, current in found], dim=1),
    }


def _sized(jpegs: Sequence[bytes], config: VideoPolicyConfig, film: Film | None) -> torch.Tensor:
    """A camera's pictures (T, 3, H, W) in -1..1 as the runtime encodes them."""
    clip, found = config.clip, list[torch.Tensor]()
    for jpeg in jpegs:
        picture = decoded(jpeg)
        picture = picture if film is None else film.changed(picture)
        tensor = images.to_tensor(picture, torch.device("cpu"))
        found.append(images.resize(tensor, clip.height_px, clip.width_px, "crop"))
    return torch.cat(found)


def joints(episode: Episode, config: VideoPolicyConfig, source: Source) -> Tensors:
    """What the action network learns from: q (T, J), targets (T + A, J) float32, and with eyes pictures (T, K, 3, S, S) uint8.

    Args:
        episode: the demonstration.
        config: whether there are eyes.
        source: as Acting.targets.
    """
    made = {"q": torch.from_numpy(episode.q), "targets": torch.from_numpy(targets(episode, source))}
    if (eyes := config.action.eyes) is None:
        return made
    size = (eyes.image_px, eyes.image_px)
    seen = [
        torch.stack([resized(decoded(jpeg), size, "crop") for jpeg in _pictures_of(episode, camera)])
        for camera in config.clip.cameras
    ]
    return made | {"pictures": torch.stack(seen, dim=1)}


def targets(episode: Episode, source: Source) -> NDArray[np.float32]:
    """The target of each step, (T + A, J), as Acting.targets says."""
    return leader_targets(episode) if source == "leader" else follower_targets(episode)


def _pictures_of(episode: Episode, camera: str) -> list[bytes]:
    """A camera's pictures. Raises ModelError where the demonstration has none: films may be of the head camera alone."""
    if camera not in episode.jpegs:
        raise ModelError(
            f"camera {camera} is missing (it has {', '.join(episode.jpegs)}), which Video Policy imagines; give "
            f"--policy.clip.cameras {','.join(episode.jpegs)}, or {REMOVE}"
        )
    return episode.jpegs[camera]
