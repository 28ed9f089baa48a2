"""The ring of camera frames in shared memory: one writer, many readers, by number or newest, torn reads impossible.
Written by the cameras process; read by both systems, the recorder and the console.

A file on /dev/shm is mapped rather than `multiprocessing.shared_memory`, whose readers unlink the segment for everybody
when they exit (below Python 3.13). Beside the pixels lie the JPEG bytes that the session logs.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import RuntimeFault

_RING = struct.Struct("<8sqqqq")  # magic, width, height, slots, newest number
_SLOT = struct.Struct("<qqq")  # number (negative while being written), capture_ns, JPEG size
_MAGIC = b"v2aring1"
_NEWEST_OFFSET = _RING.size - 8  # the last field of the header
_NUMBER = struct.Struct("<q")
_TIMES = struct.Struct("<qq")
_MAP_FLAGS = (
    mmap.MAP_SHARED | mmap.MAP_POPULATE
)  # else the first lap costs a page fault each 4 KiB: 3 to 7 ms a picture


@dataclass(frozen=True)
class StoredFrame:
    """A copy of one slot, whole: the writer may overwrite it meanwhile."""

    number: int
    capture_ns: int
    pixels: NDArray[np.uint8]  # (H, W, 3), RGB
    jpeg: bytes


class FrameRing:
    """Frames `number`, `number - 1`, ... of one camera; older ones are overwritten."""

    def __init__(self, path: Path, mapping: mmap.mmap) -> None:
        self.path, self._map = path, mapping
        magic, self.width_px, self.height_px, self.slots, _ = _RING.unpack_from(mapping)
        if magic != _MAGIC:
            raise RuntimeFault(f"{path}: another version wrote this frame ring")
        self._pixel_bytes = self.width_px * self.height_px * 3
        self._stride = slot_bytes(self.width_px, self.height_px)

    @classmethod
    def create(cls, path: Path, width_px: int, height_px: int, slots: int) -> "FrameRing":
        """Make the file, or take over the one a predecessor left (numbers go on).

        Args:
            path: In the run's folder.
            width_px: Of all its pictures.
            height_px: Likewise.
            slots: Frames that it holds.

        Raises:
            RuntimeFault: The file does not fit into the shared memory that is free.
        """
        size = _RING.size + slots * slot_bytes(width_px, height_px)
        left = cls._left_behind(path, size)
        if left is not None and (left.width_px, left.height_px, left.slots) == (width_px, height_px, slots):
            return left
        free = os.statvfs(path.parent)
        free_bytes = free.f_bavail * free.f_frsize
        no_room = RuntimeFault(
            f"{path.parent}: {free_bytes >> 20} MiB free, frames of {path.stem} need "
            f"{size >> 20} MiB; enlarge it (in a container: --shm-size=2g)"
        )
        if free_bytes < size:
            raise no_room
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            mapping = mmap.mmap(descriptor, size, flags=_MAP_FLAGS)
        except OSError:  # several cameras ask at once: only the attempt shows whether there is room for all
            raise no_room from None
        finally:
            os.close(descriptor)
        _RING.pack_into(mapping, 0, _MAGIC, width_px, height_px, slots, 0)
        return cls(path, mapping)

    @classmethod
    def _left_behind(cls, path: Path, size: int) -> "FrameRing | None":
        """The ring a predecessor made; None when there is none, or it was killed before its header was written."""
        try:
            return cls.attach(path) if path.stat().st_size == size else None
        except (FileNotFoundError, RuntimeFault):
            return None

    @classmethod
    def attach(cls, path: Path) -> "FrameRing":
        """Map an existing ring.

        Raises:
            FileNotFoundError: The cameras have not made it yet.
            RuntimeFault: It is no ring of this version.
        """
        descriptor = os.open(path, os.O_RDWR)
        try:
            return cls(path, mmap.mmap(descriptor, 0, flags=_MAP_FLAGS))
        finally:
            os.close(descriptor)

    @property
    def newest(self) -> int:
        """The number of the newest whole frame, 0 before the first."""
        return _NUMBER.unpack_from(self._map, _NEWEST_OFFSET)[0]

    def write(self, number: int, capture_ns: int, pixels: NDArray[np.uint8], jpeg: bytes) -> None:
        """Store a frame in place of the oldest one. Only one process may write.

        Args:
            number: Counts up from 1.
            capture_ns: Of the exposure, CLOCK_MONOTONIC.
            pixels: (height, width, 3) uint8 RGB.
            jpeg: Of the same picture; at most half as many bytes.

        Raises:
            RuntimeFault: Another picture size, or a JPEG that does not fit.
        """
        if pixels.shape != (self.height_px, self.width_px, 3):
            raise RuntimeFault(
                f"{self.path.stem}: expected frames of {self.height_px}x{self.width_px}, got {pixels.shape}"
            )
        if len(jpeg) > self._pixel_bytes // 2:
            raise RuntimeFault(
                f"{self.path.stem}: JPEG of {len(jpeg)} bytes does not fit the frame ring; lower its quality"
            )
        start = self._slot_start(number)
        self._store(start, -number)
        _TIMES.pack_into(self._map, start + _NUMBER.size, capture_ns, len(jpeg))
        body = start + _SLOT.size
        view = np.frombuffer(self._map, np.uint8, self._pixel_bytes, body)
        np.copyto(view, pixels.reshape(-1))
        self._map[body + self._pixel_bytes : body + self._pixel_bytes + len(jpeg)] = jpeg
        self._store(start, number)
        self._store(_NEWEST_OFFSET, number)

    def read(self, number: int, out: NDArray[np.uint8] | None = None) -> StoredFrame | None:
        """Copy a frame out.

        Args:
            number: Of the frame.
            out: (height, width, 3) uint8 to copy the pixels into; None: a new array.

        Returns:
            None when it is overwritten, was so while it was copied, or is not there yet.
        """
        start = self._slot_start(number)
        held, capture_ns, jpeg_size = _SLOT.unpack_from(self._map, start)
        if held != number or number < 1:
            return None
        body = start + _SLOT.size
        pixels = np.empty((self.height_px, self.width_px, 3), np.uint8) if out is None else out
        np.copyto(pixels.reshape(-1), np.frombuffer(self._map, np.uint8, self._pixel_bytes, body))
        jpeg = self._map[body + self._pixel_bytes : body + self._pixel_bytes + jpeg_size]
        if _NUMBER.unpack_from(self._map, start)[0] != number:  # overwritten while it was copied
            return None
        return StoredFrame(number, capture_ns, pixels, jpeg)

    def read_jpeg(self, number: int) -> bytes | None:
        """The JPEG bytes of a frame; None as for `read`."""
        found = self.read_encoded(number)
        return None if found is None else found[1]

    def read_encoded(self, number: int) -> tuple[int, bytes] | None:
        """When a frame was taken (CLOCK_MONOTONIC ns) and its JPEG bytes; None as for `read`."""
        start = self._slot_start(number)
        held, capture_ns, jpeg_size = _SLOT.unpack_from(self._map, start)
        body = start + _SLOT.size + self._pixel_bytes
        jpeg = self._map[body : body + jpeg_size]
        still = _NUMBER.unpack_from(self._map, start)[0]
        return (capture_ns, jpeg) if held == number == still and number > 0 else None

    def close(self) -> None:
        """Unmap; the file is removed with the run's folder."""
        self._map.close()

    def _store(self, offset: int, number: int) -> None:
        """One aligned store: Struct.pack_into clears its bytes first, and a reader would see a 0 between."""
        with memoryview(self._map) as view, view[offset : offset + _NUMBER.size].cast("q") as place:
            place[0] = number

    def _slot_start(self, number: int) -> int:
        return _RING.size + (number % self.slots) * self._stride


def slot_bytes(width_px: int, height_px: int) -> int:
    """Bytes of one slot: header, pixels and room for a JPEG of half their size, on whole cache lines (64 bytes)."""
    pixel_bytes = width_px * height_px * 3
    return -(-(_SLOT.size + pixel_bytes + pixel_bytes // 2) // 64) * 64
