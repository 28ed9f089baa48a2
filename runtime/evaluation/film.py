"""Keeps a filmed episode: as an animated picture that every browser shows, and as a captioned strip of stills.
Called by command.py.
"""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from runtime.evaluation.rollouts import Episode
from runtime.host import captions
from runtime.host.captions import INK, LINE_PX, MARGIN_PX, PAPER

_PICTURE_MS = 100  # how long each is shown: every third of 30 a second (command.py)
_QUALITY, _STRIP_QUALITY = 60, 75  # of WebP and JPEG; chosen by eye, letters need more
_STILLS = 6  # in a strip; chosen by eye


def write(folder: Path, task: str, episode: Episode) -> Path:
    """Write the film as TASK_SEED_success.webp or TASK_SEED_failure.webp, and the strip beside it as .jpg. Returns the film's
    path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verdict = "success" if episode.outcome.success else "failure"
    path = folder / f"{task}_{episode.seed}_{verdict}.webp"
    pictures = [Image.open(io.BytesIO(jpeg)) for jpeg in episode.outcome.film]
    first, *rest = pictures
    first.save(path, save_all=True, append_images=rest, duration=_PICTURE_MS, loop=0, quality=_QUALITY)
    strip(pictures, caption(task, episode)).save(path.with_suffix(".jpg"), quality=_STRIP_QUALITY)
    return path


def caption(task: str, episode: Episode) -> str:
    """Which scene it was and how it went; of a failure its class and what ended it, as far as they are known."""
    outcome = episode.outcome
    if outcome.success:
        went = f"success after {outcome.seconds:.1f} s"
    else:
        kind = f"failure ({outcome.failure})" if outcome.failure else "failure"
        went = f"{kind}: " + (
            f"FAULT: {outcome.fault}" if outcome.fault else f"not done within {outcome.seconds:.1f} s"
        )
    return f"{task}, scene {episode.seed}: {went}" + (f"; {outcome.holds} holds" if outcome.holds else "")


def strip(pictures: Sequence[Image.Image], text: str) -> Image.Image:
    """Stills from the first to the last picture, side by side, each with its time; `text` stands above them."""
    places = [round(place * (len(pictures) - 1) / (_STILLS - 1)) for place in range(_STILLS)]
    width, height = pictures[0].size
    font = captions.font()
    made = Image.new("RGB", (_STILLS * width, height + LINE_PX), PAPER)
    draw = ImageDraw.Draw(made, "RGBA")
    draw.text((MARGIN_PX, LINE_PX // 2), captions.fitted(text, font, made.width), fill=INK, font=font, anchor="lm")
    for column, place in enumerate(places):
        made.paste(pictures[place], (column * width, LINE_PX))
        time = f"{place * _PICTURE_MS / 1e3:.1f} s"
        corner = (column * width + MARGIN_PX, LINE_PX + height - MARGIN_PX)
        captions.label(draw, corner, time, font)
    return made
