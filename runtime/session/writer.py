"""Writes a session file: unbuffered, in small LZ4 chunks, synced each second off the control path.
Used by the recorder and by what-if.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from mcap.writer import CompressionType, Writer

from runtime.messaging import messages
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.session.format import CHUNK_BYTES, METADATA_NAME, RAW_ENCODING
from runtime.session.viewers import ViewerChannels

_SYNC_EVERY_S = 1.0
"""So much a power cut may lose; measured: a sync takes 5 ms at the median, 13 ms at the 99th percentile."""
_PROFILE = "video2act"
_LATEST_NS = (1 << 63) - 1
"""Of a label. A message may claim any time up to 2^64; what does not fit into a record would end the recorder."""


class _Unbuffered:
    """A file that the MCAP writer does not wrap into a buffer of its own: what was written is with the kernel."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        return len(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        """Does nothing: every write has reached the kernel. The MCAP writer asks for it."""

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


class SessionWriter:
    """One session file. After a write has failed (disk full) `fault` says so and everything else is ignored."""

    def __init__(self, path: Path, offset_ns: int) -> None:
        self.path, self._offset_ns = path, offset_ns
        self.fault = ""
        self._file = _Unbuffered(path)
        self._writer = Writer(cast(IO[bytes], self._file), chunk_size=CHUNK_BYTES, compression=CompressionType.LZ4)
        self._attempt(lambda: self._writer.start(profile=_PROFILE, library="video2act"))
        self._viewers = ViewerChannels(self._writer)
        self._channels: dict[str, int] = {}
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._syncer.start()

    @property
    def size_bytes(self) -> int:
        """How large the file is now; what the MCAP writer still gathers into a chunk does not count."""
        return os.fstat(self._file.fileno()).st_size

    def metadata(self, values: dict[str, str]) -> None:
        """Write settings and the like, once, before any message."""
        self._attempt(lambda: self._writer.add_metadata(METADATA_NAME, values))

    def attachment(self, name: str, data: bytes, stamp_ns: int) -> None:
        """Write a whole file: an encoded instruction."""
        time_ns = self._label_ns(stamp_ns)
        self._attempt(lambda: self._writer.add_attachment(time_ns, time_ns, name, "application/octet-stream", data))

    def message(self, topic: str, message: messages.Message, payload: bytes) -> None:
        """Write a message as it was on the bus, and its readable side."""
        time_ns = self._label_ns(message.stamp_ns)
        self._attempt(lambda: self._write(topic, message, payload, time_ns))

    def picture(self, camera: str, number: int, jpeg: bytes, capture_ns: int) -> None:
        """Write one frame of a camera, its JPEG as it is."""
        self._attempt(lambda: self._viewers.picture(camera, number, jpeg, self._label_ns(capture_ns)))

    def _label_ns(self, stamp_ns: int) -> int:
        """The wall-clock time of a stamp."""
        return max(0, min(stamp_ns + self._offset_ns, _LATEST_NS))

    def stop(self, reason: str) -> None:
        """Finish the file before the end of the run; what comes later is ignored, and `fault` says why."""
        self._attempt(self._writer.finish)
        self.fault = self.fault or f"recording stopped: {reason} ({self.path.parent}); free disk space and restart"

    def close(self) -> None:
        """Finish the file: index, statistics, magic."""
        self._closing.set()
        self._syncer.join(timeout=2 * _SYNC_EVERY_S)
        self._attempt(self._writer.finish)
        self._attempt(lambda: os.fdatasync(self._file.fileno()))
        self._file.close()

    def _write(self, topic: str, message: messages.Message, payload: bytes, time_ns: int) -> None:
        if topic not in self._channels:
            kind = {"type": type(message).__name__, "schema": str(SCHEMA_NUMBER)}
            self._channels[topic] = self._writer.register_channel(topic, RAW_ENCODING, 0, kind)
        self._writer.add_message(self._channels[topic], time_ns, payload, time_ns, message.seq % (1 << 32))
        self._viewers.message(message, time_ns)

    def _attempt(self, write: Callable[[], object]) -> None:
        if self.fault:
            return
        try:
            write()
        except OSError as error:
            self.fault = f"recording stopped: {error.strerror} ({self.path.parent}); free disk space and restart"

    def _sync(self) -> None:
        while not self._closing.wait(_SYNC_EVERY_S):
            try:
                os.fdatasync(self._file.fileno())
            except OSError:
                return  # the next write tells the reason
