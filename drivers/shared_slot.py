"""A newest-value slot in shared memory: one writer, any number of readers, in different processes.

Used by drivers/arm_link.py and drivers/sim/link.py, between `arms` and the simulator or the CAN processes: only the newest
value matters there, and a stopped peer must be seen by the age of its last value, not by a full queue.
"""

import mmap
import os
import struct
from pathlib import Path

from drivers.errors import DriverError

_HEADER = struct.Struct("<q")  # how many values were written
_LENGTH = struct.Struct("<q")
_READ_ATTEMPTS = 100
"""Chosen: a read is repeated when the writer wrote during it, in microseconds; 1000 writes a second do not hit it so often."""


class SharedSlot:
    """Holds one bytes value of at most `capacity` bytes in the file `path` (put it on a memory file system).

    Two halves are written in turn, so a writer that is stopped or preempted in mid-write leaves the last value readable:
    a real-time reader never waits for an ordinary writer.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        self.path = path
        self._capacity = capacity
        self._half = _LENGTH.size + capacity
        size = _HEADER.size + 2 * self._half
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def write(self, payload: bytes) -> None:
        """Replace the value; never waits. Raises DriverError if it is larger than the slot."""
        if len(payload) > self._capacity:
            raise DriverError(f"slot {self.path.name}: {len(payload)} bytes (limit {self._capacity}); enlarge the slot")
        count = _HEADER.unpack_from(self._map)[0] + 1
        start = _HEADER.size + count % 2 * self._half
        _LENGTH.pack_into(self._map, start, len(payload))
        start += _LENGTH.size
        self._map[start : start + len(payload)] = payload
        # One aligned store: Struct.pack_into clears its bytes first, and a reader would see a count of 0 between.
        with memoryview(self._map) as view, view[: _HEADER.size].cast("q") as number:
            number[0] = count

    def read(self) -> bytes | None:
        """The newest whole value, without waiting; None before the first one."""
        for _ in range(_READ_ATTEMPTS):
            count = _HEADER.unpack_from(self._map)[0]
            if count == 0:
                return None
            start = _HEADER.size + count % 2 * self._half
            size = _LENGTH.unpack_from(self._map, start)[0]
            payload = self._map[start + _LENGTH.size : start + _LENGTH.size + size]
            if _HEADER.unpack_from(self._map)[0] == count:  # else the half may have been written to again
                return payload
        raise DriverError(f"slot {self.path.name}: is written faster than it can be read")

    def close(self) -> None:
        """Unmap the memory; the file stays for the other side."""
        self._map.close()
