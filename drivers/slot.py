"""A newest-value slot in shared memory: one writer, any number of readers, in different processes.

Used between `arms` and the simulator, and between `arms` and the CAN processes: only the newest value matters there, and
a stopped peer must be seen by the age of its last value, not by a full queue.
"""

import mmap
import os
import struct
from pathlib import Path

from drivers.errors import DriverError

_HEADER = struct.Struct("<qq")  # version: odd while being written; size of the payload in bytes
_READ_ATTEMPTS = 100


class SharedSlot:
    """Holds one bytes value of at most `capacity` bytes in the file `path` (put it on a memory file system)."""

    def __init__(self, path: Path, capacity: int) -> None:
        self.path = path
        self._capacity = capacity
        size = _HEADER.size + capacity
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def write(self, payload: bytes) -> None:
        """Replace the value. Raises DriverError if it is larger than the slot."""
        if len(payload) > self._capacity:
            raise DriverError(f"slot {self.path.name}: {len(payload)} bytes do not fit its {self._capacity}; enlarge it")
        version, _ = _HEADER.unpack_from(self._map)
        odd = version + 1 if version % 2 == 0 else version  # a writer that died in mid-write left it odd
        _HEADER.pack_into(self._map, 0, odd, len(payload))
        self._map[_HEADER.size : _HEADER.size + len(payload)] = payload
        _HEADER.pack_into(self._map, 0, odd + 1, len(payload))

    def read(self) -> bytes | None:
        """The newest whole value, or None before the first write and while a writer is stuck in the middle of one."""
        for _ in range(_READ_ATTEMPTS):
            version, size = _HEADER.unpack_from(self._map)
            if version == 0:
                return None
            payload = self._map[_HEADER.size : _HEADER.size + size]
            if version % 2 == 0 and _HEADER.unpack_from(self._map)[0] == version:
                return payload
        return None

    def close(self) -> None:
        """Unmap; the file stays for the other side."""
        self._map.close()
