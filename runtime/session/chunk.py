"""The chunks of a session file, unpacked within bounds: 98 KB may stand for gigabytes, and a reader must not believe them.
Called by reader.py.
"""

from dataclasses import replace

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.records import Chunk, McapRecord
from mcap.stream_reader import breakup_chunk

from runtime.errors import SessionError

LARGEST_BYTES = 16 << 20
"""Of an unpacked chunk. Ours hold 64 KiB and one message more (conditions: 8 MiB at most); others' tools write 4 MiB."""
_LEAST_WORK_BYTES = 16 << 20  # chosen: a cut file of a few bytes may hold one whole chunk
_MOST_EXPANSION = 20
"""Of a whole file, unpacked. Measured: 2 to 3, and 11 of the best packed chunk. What has to be tried again counts too."""
_MIB = 1 << 20  # by definition


class Budget:
    """How many bytes may still be handled for one file."""

    def __init__(self, name: object, file_bytes: int) -> None:
        self._name = name
        self.most_bytes = self.left_bytes = _LEAST_WORK_BYTES + _MOST_EXPANSION * file_bytes

    def spend(self, count_bytes: int) -> None:
        """Count what is handled. Raises SessionError when it is more than a file of this size can need."""
        self.left_bytes -= count_bytes
        if self.left_bytes < 0:
            raise SessionError(
                f"{self._name}: unpacks to more than {self.most_bytes // _MIB} MiB, too much for a file of its size: "
                "it is damaged, or not from video2act; give another session"
            )


def records(stream: ReadDataStream, budget: Budget, validate: bool = False) -> list[McapRecord]:
    """The records in a chunk.

    Args:
        stream: At the chunk's first byte.
        budget: Of the file.
        validate: Compare the checksum.

    Raises:
        SessionError: The budget is spent.
        ValueError: It is larger than any chunk may be, or damaged (as lz4, zstandard and mcap raise likewise).
    """
    chunk = Chunk.read(stream)
    data = _unpacked(chunk, min(LARGEST_BYTES, budget.left_bytes))
    budget.spend(len(data))
    return breakup_chunk(replace(chunk, compression="", data=data), validate_crc=validate)


def _unpacked(chunk: Chunk, most_bytes: int) -> bytes:
    """A chunk's data, unpacked only as far as it may go."""
    match chunk.compression:
        case "lz4":
            unpacker = lz4.frame.LZ4FrameDecompressor()
            data = unpacker.decompress(chunk.data, max_length=most_bytes + 1)
        case "zstd":
            with zstandard.ZstdDecompressor(max_window_size=LARGEST_BYTES).stream_reader(chunk.data) as reader:
                data = reader.read(most_bytes + 1)
        case "":
            data = chunk.data
        case _:
            raise ValueError(f"unknown compression {chunk.compression[:20]!r}")
    if len(data) > most_bytes:
        raise ValueError(f"a chunk of more than {most_bytes} bytes")
    return data
