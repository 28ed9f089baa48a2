"""A sheet of small images, a row an episode and a column a camera: red and blue swapped show at once. Called by check.py."""

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from models.config.policy import CAMERAS

_WIDTH_PX, _HEIGHT_PX, _LABEL_PX, _GAP_PX = 160, 120, 14, 4  # chosen: 100 episodes are 14,000 px high
_PAPER, _INK = (255, 255, 255), (0, 0, 0)  # white and black, by definition


class Sheet:
    """Rows as they come; `save` draws them."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, dict[str, Image.Image]]] = []

    def add(self, label: str, jpegs: Mapping[str, bytes]) -> None:
        """A row: JPEGs by camera, in true colours as they will be learnt from. One that is damaged stays blank."""
        self._rows.append((label, {camera: small for camera, jpeg in jpegs.items() if (small := _small(jpeg))}))

    def save(self, path: Path) -> None:
        """Write it, in the format of the file's ending. Raises OSError."""
        high = _LABEL_PX + _HEIGHT_PX + _GAP_PX
        size = (len(CAMERAS) * (_WIDTH_PX + _GAP_PX), max(1, len(self._rows)) * high)
        sheet = Image.new("RGB", size, _PAPER)
        draw = ImageDraw.Draw(sheet)
        for place, (label, images) in enumerate(self._rows):
            draw.text((2, place * high), label.encode("ascii", "replace").decode(), fill=_INK)
            for column, camera in enumerate(CAMERAS):
                if camera in images:
                    sheet.paste(images[camera], (column * (_WIDTH_PX + _GAP_PX), place * high + _LABEL_PX))
        sheet.save(path)


def _small(jpeg: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(jpeg)) as picture:
            return picture.convert("RGB").resize((_WIDTH_PX, _HEIGHT_PX))
    except OSError:
        return None
