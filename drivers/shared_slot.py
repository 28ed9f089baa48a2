"""A newest-value slot in shared memory: one writer, any number of readers, in different processes.

Used by drivers/arm_link.py and drivers/sim/link.py, between `arms` and the simulator or the CAN processes: only the newest
value matters there, and a stopped peer must be seen by the age of its last value, not by a full queue.
"""

import mmap
import os
import struct
from pathlib import Path

from drivers.errors import DriverError

_HEADER_BYTES = 8  # how many values were written
_LENGTH = struct.Struct("<q")
_PLACES = 4
"""For values, written in turn. Chosen: with four a reader keeps up with two writes during its own copy, so that it need not try
again beside a writer that does nothing else."""
_READ_ATTEMPTS = 100
"""Chosen: a read is repeated when a reader was held up in its copy; 1000 writes a second do not meet it so often."""


class SharedSlot:
    """Holds one bytes value of at most `capacity` bytes in the file `path` (put it on a memory file system).

    Its places are written in turn, so a writer that is stopped or preempted in mid-write leaves the last value readable:
    a real-time reader never waits for an ordinary writer.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        """Raises DriverError where the file system is full: a page that is missing later would end the process."""
        self.path = path
        self._capacity = capacity
        self._stride = _LENGTH.size + capacity
        size = _HEADER_BYTES + _PLACES * self._stride
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)  # keeps what is there
            self._map = mmap.mmap(descriptor, size)
        except OSError as error:
            raise DriverError(f"{path}: {error.strerror}; free or enlarge {path.parent}") from None
        finally:
            os.close(descriptor)
        self._view = memoryview(self._map)
        self._count = self._view[:_HEADER_BYTES].cast("q")  # aligned: loaded and stored at once, not byte by byte

    @property
    def count(self) -> int:
        """How many values were written so far: another number tells of a new one."""
        return self._count[0]

    def write(self, payload: bytes) -> None:
        """Replace the value; never waits. Raises DriverError if it is larger than the slot."""
        if len(payload) > self._capacity:
            raise DriverError(f"slot {self.path.name}: {len(payload)} bytes (limit {self._capacity}); enlarge the slot")
        count = self.count + 1
        start = _HEADER_BYTES + count % _PLACES * self._stride
        _LENGTH.pack_into(self._map, start, len(payload))
        start += _LENGTH.size
        self._map[start : start + len(payload)] = payload
        self._count[0] = count

    def read(self) -> bytes | None:
        """The newest whole value, without waiting; None before the first one."""
        for _ in range(_READ_ATTEMPTS):
            count = self.count
            if count == 0:
                return None
            start = _HEADER_BYTES + count % _PLACES * self._stride
            size = _LENGTH.unpack_from(self._map, start)[0]
            payload = self._map[start + _LENGTH.size : start + _LENGTH.size + size]
            if self.count - count < _PLACES - 1:  # else its place may be under way again
                return payload
        raise DriverError(f"slot {self.path.name}: is written faster than it can be read; end other programs")

    def close(self) -> None:
        """Unmap the memory; the file stays for the other side."""
        self._count.release()
        self._view.release()
        self._map.close()
