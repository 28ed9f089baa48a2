"""Keeps a filmed episode: as an animated picture that every browser shows, and as a strip of stills."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from runtime.evaluation.rollouts import Episode

_PICTURE_MS = 100
_QUALITY = 60
_STILLS = 6


def write(folder: Path, task: str, episode: Episode) -> Path:
    """`TASK_SEED_success.webp` or `..._failure.webp`, which is returned, and the strip beside it as `.jpg`."""
    folder.mkdir(parents=True, exist_ok=True)
    verdict = "success" if episode.outcome.success else "failure"
    path = folder / f"{task}_{episode.seed}_{verdict}.webp"
    pictures = [Image.open(io.BytesIO(jpeg)) for jpeg in episode.outcome.film]
    first, *rest = pictures
    first.save(path, save_all=True, append_images=rest, duration=_PICTURE_MS, loop=0, quality=_QUALITY)
    strip(pictures).save(path.with_suffix(".jpg"), quality=_QUALITY)
    return path


def strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Stills from the first to the last picture, side by side."""
    chosen = [pictures[round(place * (len(pictures) - 1) / (_STILLS - 1))] for place in range(_STILLS)]
    made = Image.new("RGB", (sum(picture.width for picture in chosen), chosen[0].height))
    left = 0
    for picture in chosen:
        made.paste(picture, (left, 0))
        left += picture.width
    return made
