"""The frame ring: what is written is read, what is overwritten is gone, a torn picture never comes out.

Rings lie in the test's own folder, so nothing is left in /dev/shm.
"""

import errno
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging.frame_ring import FrameRing, slot_bytes

WIDTH_PX, HEIGHT_PX, SLOTS = 64, 48, 8


def picture(value: int, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> NDArray[np.uint8]:
    return np.full((height_px, width_px, 3), value % 256, np.uint8)


@pytest.fixture
def ring(tmp_path: Path) -> Generator[FrameRing]:
    made = FrameRing.create(tmp_path / "head.ring", WIDTH_PX, HEIGHT_PX, SLOTS)
    yield made
    made.close()


def test_a_frame_comes_back_with_its_pixels_time_and_jpeg(ring: FrameRing) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8)
    ring.write(1, 123, pixels, b"jpeg bytes")
    stored = ring.read(1)
    assert stored is not None
    assert (stored.number, stored.capture_ns, stored.jpeg) == (1, 123, b"jpeg bytes")
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert ring.read_jpeg(1) == b"jpeg bytes"


def test_a_read_picture_is_a_copy(ring: FrameRing) -> None:
    ring.write(1, 0, picture(1), b"")
    stored = ring.read(1)
    assert stored is not None
    ring.write(1 + SLOTS, 0, picture(2), b"")
    assert (stored.pixels == 1).all()


def test_a_picture_can_be_read_into_a_given_array(ring: FrameRing) -> None:
    ring.write(1, 0, picture(9), b"")
    out = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    stored = ring.read(1, out)
    assert stored is not None and stored.pixels is out
    assert (out == 9).all()


def test_newest_counts_from_zero(ring: FrameRing) -> None:
    assert ring.newest == 0
    for number in range(1, 2 * SLOTS + 3):
        ring.write(number, 0, picture(number), b"")
        assert ring.newest == number


def test_nothing_is_there_before_the_first_frame(ring: FrameRing) -> None:
    for number in range(2 * SLOTS):
        assert ring.read(number) is None, number
        assert ring.read_jpeg(number) is None, number


def test_a_future_frame_is_not_there_yet(ring: FrameRing) -> None:
    ring.write(1, 0, picture(1), b"")
    assert ring.read(2) is None
    assert ring.read_jpeg(1 + SLOTS) is None


def test_an_overwritten_frame_is_gone_and_its_neighbours_stay(ring: FrameRing) -> None:
    for number in range(1, SLOTS + 3):
        ring.write(number, number, picture(number), bytes([number]))
    assert ring.read(1) is None and ring.read(2) is None and ring.read_jpeg(2) is None
    for number in range(3, SLOTS + 3):
        stored = ring.read(number)
        assert stored is not None and (stored.pixels == number).all() and stored.jpeg == bytes([number])


def test_another_process_sees_the_same_ring(ring: FrameRing) -> None:
    reader = FrameRing.attach(ring.path)
    ring.write(5, 7, picture(5), b"x")
    stored = reader.read(5)
    reader.close()
    assert stored is not None and stored.capture_ns == 7
    assert (reader.width_px, reader.height_px, reader.slots) == (WIDTH_PX, HEIGHT_PX, SLOTS)


def test_a_reader_that_leaves_takes_nothing_away(ring: FrameRing) -> None:
    ring.write(1, 0, picture(1), b"")
    FrameRing.attach(ring.path).close()
    again = FrameRing.attach(ring.path)
    stored = again.read(1)
    again.close()
    assert stored is not None


def test_a_successor_takes_the_ring_over(ring: FrameRing) -> None:
    for number in range(1, 6):
        ring.write(number, 0, picture(number), b"")
    successor = FrameRing.create(ring.path, WIDTH_PX, HEIGHT_PX, SLOTS)
    assert successor.newest == 5
    successor.write(6, 0, picture(6), b"")
    successor.close()
    stored, before = ring.read(6), ring.read(5)
    assert stored is not None and before is not None
    assert (stored.pixels == 6).all() and (before.pixels == 5).all()


def test_a_ring_of_another_size_is_made_anew(ring: FrameRing) -> None:
    ring.write(1, 0, picture(1), b"")
    other = FrameRing.create(ring.path, WIDTH_PX, HEIGHT_PX, SLOTS + 1)
    assert (other.slots, other.newest) == (SLOTS + 1, 0)
    other.close()


def test_a_ring_of_another_shape_but_the_same_size_is_made_anew(ring: FrameRing) -> None:
    other = FrameRing.create(ring.path, HEIGHT_PX, WIDTH_PX, SLOTS)
    shape = (other.width_px, other.height_px)
    other.close()
    assert shape == (HEIGHT_PX, WIDTH_PX)


def test_a_ring_whose_maker_was_killed_before_its_header_is_made_anew(ring: FrameRing) -> None:
    with ring.path.open("r+b") as file:
        file.write(b"\0" * 64)
    other = FrameRing.create(ring.path, WIDTH_PX, HEIGHT_PX, SLOTS)
    other.write(1, 5, picture(1), b"")
    stored = other.read(1)
    other.close()
    assert stored is not None and stored.capture_ns == 5


@pytest.mark.parametrize(
    "shape", [(WIDTH_PX, HEIGHT_PX, 3), (HEIGHT_PX, WIDTH_PX), (HEIGHT_PX, WIDTH_PX, 4), (1, 1, 3)]
)
def test_a_picture_of_another_size_is_refused(shape: tuple[int, ...], ring: FrameRing) -> None:
    with pytest.raises(RuntimeFault, match=rf"expected frames of {HEIGHT_PX}x{WIDTH_PX}"):
        ring.write(1, 0, np.zeros(shape, np.uint8), b"")
    assert ring.newest == 0


def test_a_jpeg_that_does_not_fit_is_refused_and_the_neighbour_unharmed(ring: FrameRing) -> None:
    most = WIDTH_PX * HEIGHT_PX * 3 // 2
    ring.write(2, 0, picture(2), b"b")
    ring.write(1, 0, picture(1), b"a" * most)
    with pytest.raises(RuntimeFault, match=str(most + 1)):
        ring.write(1 + SLOTS, 0, picture(3), b"a" * (most + 1))
    stored = ring.read(2)
    assert stored is not None and stored.jpeg == b"b" and (stored.pixels == 2).all()
    assert ring.read_jpeg(1) == b"a" * most


def test_a_file_that_is_no_ring_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "head.ring"
    path.write_bytes(b"\0" * 4096)
    with pytest.raises(RuntimeFault, match="another version wrote this frame ring"):
        FrameRing.attach(path)


def test_a_missing_ring_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FrameRing.attach(tmp_path / "head.ring")


def test_only_the_owner_may_read_the_pictures(ring: FrameRing) -> None:
    assert ring.path.stat().st_mode & 0o777 == 0o600


class FileSystem(NamedTuple):
    """The part of os.statvfs_result that is asked for."""

    f_bavail: int
    f_frsize: int


def test_another_camera_that_takes_the_room_meanwhile_gives_the_same_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", taken)
    with pytest.raises(RuntimeFault, match=r"MiB free, frames of head need 1 MiB.*--shm-size"):
        FrameRing.create(tmp_path / "head.ring", 640, 480, 1)


def test_a_file_system_that_is_too_small_gives_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(path: Path) -> FileSystem:
        return FileSystem(1 << 14, 1 << 12)  # a container's 64 MB

    monkeypatch.setattr(os, "statvfs", small)
    with pytest.raises(RuntimeFault, match=r"64 MiB free.*--shm-size") as caught:
        FrameRing.create(tmp_path / "head.ring", 640, 480, 100)
    assert "\n" not in str(caught.value) and "head" in str(caught.value)
    assert not (tmp_path / "head.ring").exists()


def test_slots_hold_header_pixels_and_jpeg_on_whole_lines() -> None:
    for width_px, height_px in ((1, 1), (64, 48), (640, 480), (333, 17)):
        size = slot_bytes(width_px, height_px)
        assert size % 64 == 0
        assert size >= 24 + width_px * height_px * 3 + width_px * height_px * 3 // 2


def test_a_torn_picture_never_comes_out(tmp_path: Path) -> None:
    """A writer at full speed in a ring of two slots; each picture, stamp and JPEG is of one value."""
    width_px, height_px = 320, 240
    ring = FrameRing.create(tmp_path / "head.ring", width_px, height_px, 2)
    reader = FrameRing.attach(ring.path)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ring.write(number, number, picture(number, height_px, width_px), bytes([number % 256]) * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    whole = 0
    until_ns = robot_time_ns() + seconds(1.0)
    while robot_time_ns() < until_ns:
        number = reader.newest
        stored, jpeg = reader.read(number), reader.read_jpeg(number)
        if stored is not None and number:
            whole += 1
            value = number % 256
            assert stored.capture_ns == number
            assert stored.pixels.min() == stored.pixels.max() == value
            assert stored.jpeg == bytes([value]) * 1000
        assert jpeg is None or number == 0 or jpeg == bytes([number % 256]) * 1000
    stop.set()
    writer.join()
    for opened in (ring, reader):
        opened.close()
    assert whole > 20
