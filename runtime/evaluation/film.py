"""Keeps a filmed episode as an animated picture that every browser shows."""

import io
from pathlib import Path

from PIL import Image

from runtime.evaluation.rollouts import Episode

_PICTURE_MS = 100
_QUALITY = 60


def write(folder: Path, task: str, episode: Episode) -> Path:
    """`TASK_SEED_success.webp` or `..._failure.webp`."""
    folder.mkdir(parents=True, exist_ok=True)
    verdict = "success" if episode.outcome.success else "failure"
    path = folder / f"{task}_{episode.seed}_{verdict}.webp"
    first, *rest = [Image.open(io.BytesIO(jpeg)) for jpeg in episode.outcome.film]
    first.save(path, save_all=True, append_images=rest, duration=_PICTURE_MS, loop=0, quality=_QUALITY)
    return path
