"""Sessions that somebody made to harm whoever reads them. Used by the tests of the reader and of the console."""

import struct
from pathlib import Path

import lz4.frame
import zstandard

MAGIC = b"\x89MCAP0\r\n"
CHANNEL, MESSAGE, CHUNK, UNKNOWN = 0x04, 0x05, 0x06, 0x7F


def record(opcode: int, body: bytes) -> bytes:
    """An MCAP record."""
    return struct.pack("<BQ", opcode, len(body)) + body


def chunk(data: bytes, compression: str) -> bytes:
    """A chunk record with packed data."""
    packed = {"zstd": zstandard.compress, "lz4": lz4.frame.compress, "": bytes}[compression](data)
    name = compression.encode()
    head = struct.pack("<QQQI", 0, 0, len(data), 0) + struct.pack("<I", len(name)) + name
    return record(CHUNK, head + struct.pack("<Q", len(packed)) + packed)


def bomb(compression: str, mib: int, chunks: int = 1) -> bytes:
    """A file whose chunks unpack to so many MiB each."""
    zeros = record(UNKNOWN, bytes((mib << 20) - 9))
    return MAGIC + chunk(zeros, compression) * chunks + MAGIC


def flood(compression: str, messages: int, described: bool = False) -> bytes:
    """A file of many tiny messages, packed well; their channel is described, or nobody knows what it was."""
    one = record(MESSAGE, struct.pack("<HIQQ", 1, 0, 0, 0) + b"\x80")
    channel = record(CHANNEL, struct.pack("<HH", 1, 0) + _text("fault") + _text("msgpack") + bytes(4))
    return MAGIC + chunk(channel * described + one * messages, compression) * 40 + MAGIC


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def marks(size_bytes: int) -> bytes:
    """A file of beginnings of chunks, each of which claims all that follows."""
    count = size_bytes // 48
    begins = (
        struct.pack("<BQ", CHUNK, (count - place) * 48 - 9) + bytes(28) + b"\x03\x00\x00\x00lz4" + b"\xff" * 4
        for place in range(count)
    )
    return MAGIC + b"".join(begins) + MAGIC


def session(folder: Path, data: bytes) -> Path:
    """A session's folder that holds this file."""
    folder.mkdir(parents=True)
    (folder / "session.mcap").write_bytes(data)
    return folder
