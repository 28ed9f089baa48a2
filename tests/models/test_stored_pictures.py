"""Pictures of any usual kind become JPEGs of the same picture. Called by pytest."""

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from models.data import stored_pictures

SHOWN = np.zeros((16, 24, 3), np.uint8)
SHOWN[:, :12], SHOWN[:, 12:] = (200, 40, 20), (30, 60, 210)


def png(picture: Any) -> bytes:
    made = io.BytesIO()
    Image.fromarray(picture).save(made, "PNG")
    return made.getvalue()


def same(jpeg: bytes, wanted: Any = SHOWN) -> bool:
    shown = simplejpeg.decode_jpeg(jpeg).astype(int)
    return shown.shape == wanted.shape and np.abs(shown[:, [4, 20]] - wanted[:, [4, 20]]).max() < 12


OPAQUE = np.concatenate([SHOWN, np.full((16, 24, 1), 128, np.uint8)], axis=2)


@pytest.mark.parametrize(
    "stored",
    [
        SHOWN,
        SHOWN.transpose(2, 0, 1),
        OPAQUE,
        OPAQUE.transpose(2, 0, 1),
        SHOWN.astype(np.float32) / 255,
        SHOWN.astype(np.float64),
        SHOWN.astype(np.int64),
    ],
    ids=["uint8", "channels first", "RGBA", "RGBA first", "float to 1", "float to 255", "int"],
)
def test_an_array_is_the_same_picture(stored: Any) -> None:
    plain, swapped = (stored_pictures.of_arrays([stored, stored], turned) for turned in (False, True))
    assert len(plain) == 2 and all(map(same, plain))
    assert same(swapped[0], SHOWN[:, :, ::-1])


@pytest.mark.parametrize("stored", [SHOWN[:, :, 0], SHOWN[:, :, :1], SHOWN[:, :, :1].transpose(2, 0, 1)])
def test_grey_is_grey(stored: Any) -> None:
    (jpeg,) = stored_pictures.of_arrays([stored], False)
    assert same(jpeg, np.repeat(SHOWN[:, :, :1], 3, axis=2))


def test_a_dark_float_picture_among_bright_ones_stays_dark() -> None:
    dark, bright = np.full((16, 24, 3), 1.0, np.float32), np.full((16, 24, 3), 200.0, np.float32)
    first, _ = stored_pictures.of_arrays([dark, bright], False)
    assert simplejpeg.decode_jpeg(first).max() < 5


@pytest.mark.parametrize(
    "stored", [np.zeros((16, 24, 2), np.uint8), np.full((16, 24, 3), 256.0), np.full((16, 24, 3), -1)]
)
def test_what_is_no_picture_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match=r"a picture of shape|values of a picture from"):
        stored_pictures.of_arrays([stored], False)


def test_files_of_pictures() -> None:
    jpeg = simplejpeg.encode_jpeg(SHOWN, 90)
    assert stored_pictures.of_bytes(jpeg + bytes(40), swapped=False) == jpeg, "not touched"
    assert same(stored_pictures.of_bytes(jpeg, swapped=True), SHOWN[:, :, ::-1])
    for stored in (png(SHOWN), png(SHOWN) + bytes(7), png(OPAQUE)):
        assert same(stored_pictures.of_bytes(stored, swapped=False))
    assert same(stored_pictures.of_bytes(png(SHOWN), swapped=True), SHOWN[:, :, ::-1])
    assert stored_pictures.of_bytes(b"no picture of any kind", swapped=False) == b""
    assert stored_pictures.of_bytes(b"", swapped=False) == b""
