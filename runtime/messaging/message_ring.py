"""A ring of messages in shared memory: one writer, many readers, each at its own place, torn reads impossible.
Holds the topics of 200 Hz (ring_topic.py): a socket would wake every reader's process for each of their messages.

Places count bytes from the ring's beginning and never go back, also when a writer starts again. A record is its length and its
bytes, on whole words. What lies before `begin` is overwritten.
"""

import mmap
import os
from pathlib import Path

from runtime.errors import RuntimeFault

_MAGIC = int.from_bytes(b"v2amsgs2", "little")
_WORD = 8  # bytes; a word is loaded and stored at once
_MAGIC_AT, _BEGIN, _LAST, _END, _RECORDED, _FIRST = range(6)  # words of the header, and of the first record
_FILLER = -1  # in place of a length: the next record lies at the ring's start
_MAP_FLAGS = mmap.MAP_SHARED | mmap.MAP_POPULATE  # else the first lap costs the writer a page fault every few messages


class MessageRing:
    """Messages of one topic, in a file of the run's folder."""

    def __init__(self, path: Path, mapping: mmap.mmap) -> None:
        self.path, self._map = path, mapping
        self._bytes = memoryview(mapping)
        self._words = self._bytes.cast("q")
        self._room = len(mapping) - _FIRST * _WORD

    @classmethod
    def create(cls, path: Path, capacity_bytes: int) -> "MessageRing":
        """Make the file, or take over the one that a predecessor left: its messages stay readable.

        Args:
            path: In the run's folder.
            capacity_bytes: Of all records that are kept; a multiple of 8.

        Raises:
            RuntimeFault: The file does not fit into the shared memory that is free.
        """
        left = cls.attach(path)
        if left is not None and left._room == capacity_bytes:
            return left
        size = capacity_bytes + _FIRST * _WORD
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            made = cls(path, mmap.mmap(descriptor, size, flags=_MAP_FLAGS))
        except OSError as error:
            raise RuntimeFault(
                f"{path.parent}: messages of {path.stem} need {size >> 20} MiB ({error.strerror}); enlarge it (in a container: "
                "--shm-size=2g)"
            ) from None
        finally:
            os.close(descriptor)
        made._words[_MAGIC_AT] = _MAGIC
        return made

    @classmethod
    def attach(cls, path: Path) -> "MessageRing | None":
        """Map an existing ring; None while there is none that is ready."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            if size <= _FIRST * _WORD or size % _WORD:
                return None
            made = cls(path, mmap.mmap(descriptor, size, flags=_MAP_FLAGS))
        finally:
            os.close(descriptor)
        return made if made._words[_MAGIC_AT] == _MAGIC else None

    @property
    def begin(self) -> int:
        """The place of the oldest record that is still whole."""
        return self._words[_BEGIN]

    @property
    def last(self) -> int:
        """The place of the newest record; where there is none, `end`."""
        return self._words[_LAST]

    @property
    def end(self) -> int:
        """The place that the next record will have, or its filler."""
        return self._words[_END]

    @property
    def recorded(self) -> int:
        """The place up to which recorders have the messages on disk, as the last of them noted; 0 before."""
        return self._words[_RECORDED]

    @recorded.setter
    def recorded(self, place: int) -> None:
        self._words[_RECORDED] = place

    def append(self, payload: bytes) -> None:
        """Add a message; the oldest ones make room. Only one process may write.

        Raises:
            RuntimeFault: It takes more than half of the ring.
        """
        needed = _WORD + -(-len(payload) // _WORD) * _WORD
        if needed > self._room // 2:
            raise RuntimeFault(f"{self.path.stem}: message of {len(payload)} bytes (limit {self._room // 2 - _WORD})")
        place = self.end
        left = self._room - place % self._room
        skipped = left if left < needed else 0
        self._make_room(place + skipped + needed)
        if skipped:
            self._words[self._word(place)] = _FILLER
            place += skipped
        word = self._word(place)
        start = (word + 1) * _WORD
        self._bytes[start : start + len(payload)] = payload
        self._words[word] = len(payload)
        self._words[_LAST] = place
        self._words[_END] = place + needed

    def read(self, place: int) -> tuple[bytes, int] | None:
        """The message at a place, and the place after it.

        Args:
            place: Of a record, as `begin`, `last`, `end` or a read before gave it.

        Returns:
            None when it is not there yet, or no longer: `begin` is then beyond it.
        """
        if not self.begin <= place < self.end:
            return None
        length = self._words[self._word(place)]
        if length == _FILLER:
            return self.read(place + self._room - place % self._room)
        start = (self._word(place) + 1) * _WORD
        payload = bytes(self._bytes[start : start + max(0, length)])
        if self.begin > place:  # overwritten while it was copied
            return None
        return payload, place + _WORD + -(-length // _WORD) * _WORD

    def close(self) -> None:
        """Unmap; the file is removed with the run's folder."""
        self._words.release()
        self._bytes.release()
        self._map.close()

    def _make_room(self, end: int) -> None:
        """Move `begin` past all records that a ring up to `end` cannot hold, before they are overwritten."""
        begin = self.begin
        while begin + self._room < end:
            length = self._words[self._word(begin)]
            begin += self._room - begin % self._room if length == _FILLER else _WORD + -(-length // _WORD) * _WORD
        self._words[_BEGIN] = begin

    def _word(self, place: int) -> int:
        return _FIRST + place % self._room // _WORD
