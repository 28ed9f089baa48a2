"""Reads a session file, whole or damaged: every intact chunk is used, and what was lost is said.

The file is walked record by record instead of through its index, which a killed recorder never wrote. After a damaged
chunk the walk finds the next one by the fixed bytes that every LZ4 chunk's header contains.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import Struct
from typing import Any

import simplejpeg
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.message import DecodeError
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Chunk, Message, Metadata
from mcap.stream_reader import breakup_chunk

from runtime import wire
from runtime.errors import SessionError, WireError
from runtime.session.format import FILE_NAME, IMAGE_PREFIX, METADATA_NAME, RAW_ENCODING

_MAGIC = b"\x89MCAP0\r\n"
_RECORD = Struct("<BQ")
_LZ4_MARK = b"\x03\x00\x00\x00lz4"
_MARK_AT = _RECORD.size + 28  # of the mark within a chunk record
_LARGEST_RECORD = 1 << 28
_KEPT_CHUNKS = 32


@dataclass(frozen=True)
class Logged:
    """One message as it was on the bus."""

    topic: str
    payload: bytes

    def decode(self) -> wire.Message:
        """The message."""
        return wire.decode(self.payload)


@dataclass
class Damage:
    """What could not be read."""

    lost_chunks: int = 0
    lost_bytes: int = 0
    bad_messages: int = 0
    unfinished: bool = False  # the file was never closed: its recorder was killed, or the copy is cut

    def describe(self) -> list[str]:
        """One line for each kind of loss."""
        lines: list[str] = []
        if self.lost_chunks:
            lines.append(f"{self.lost_chunks} damaged chunk(s), {self.lost_bytes} bytes, could not be read")
        if self.bad_messages:
            lines.append(f"{self.bad_messages} message(s) could not be decoded")
        if self.unfinished:
            lines.append("the file ends early: at most the last chunk (64 KiB) is missing")
        return lines


@dataclass
class Session:
    """A session in memory: all messages; pictures stay on disk and are fetched by camera and number."""

    path: Path
    metadata: dict[str, str] = field(default_factory=dict)
    messages: list[Logged] = field(default_factory=list)
    attachments: dict[str, bytes] = field(default_factory=dict)
    damage: Damage = field(default_factory=Damage)
    _pictures: dict[tuple[str, int], int] = field(default_factory=dict)  # -> offset of the chunk that holds it
    _chunks: OrderedDict[int, dict[tuple[str, int], bytes]] = field(default_factory=OrderedDict)
    _channels: dict[int, Channel] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings tree that the session ran under."""
        return json.loads(self.metadata.get("settings", "{}"))

    def jpeg(self, camera: str, number: int) -> bytes | None:
        """The logged bytes of a frame."""
        offset = self._pictures.get((camera, number))
        if offset is None:
            return None
        if offset not in self._chunks:
            self._chunks[offset] = self._read_pictures(offset)
            while len(self._chunks) > _KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        return self._chunks[offset].get((camera, number))

    def picture(self, camera: str, number: int) -> Any:
        """(H, W, 3) RGB uint8 as the models saw it (for streams that are exact), or None."""
        jpeg = self.jpeg(camera, number)
        return None if jpeg is None else simplejpeg.decode_jpeg(jpeg, "RGB")

    def _read_pictures(self, offset: int) -> dict[tuple[str, int], bytes]:
        with self.path.open("rb") as file:
            file.seek(offset)
            _, length = _RECORD.unpack(file.read(_RECORD.size))
            chunk = Chunk.read(ReadDataStream(BytesIO(file.read(length))))
        found: dict[tuple[str, int], bytes] = {}
        for record in breakup_chunk(chunk):
            if isinstance(record, Message) and (camera := self._camera(record.channel_id)):
                found[(camera, record.sequence)] = CompressedImage.FromString(record.data).data
        return found

    def _camera(self, channel: int) -> str:
        topic = self._channels[channel].topic if channel in self._channels else ""
        return topic.removeprefix(IMAGE_PREFIX) if topic.startswith(IMAGE_PREFIX) else ""


def read(path: Path) -> Session:
    """Read a session file, or the one in a session's folder. Raises SessionError when nothing in it can be used."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SessionError(f"{file}: {error.strerror}; give a session folder or its {FILE_NAME}") from None
    if len(data) < len(_MAGIC) or (_MAGIC not in data[: len(_MAGIC)] and _LZ4_MARK not in data):
        raise SessionError(f"{file}: not a session file (it holds no MCAP data)")
    session = Session(file)
    session.damage.unfinished = not data.endswith(_MAGIC)
    for offset, opcode, body in _records(data, session.damage):
        try:
            _take(session, offset, opcode, body)
        except (McapError, DecodeError, ValueError, KeyError, RuntimeError, EOFError, IndexError):
            session.damage.lost_chunks += 1
            session.damage.lost_bytes += len(body)
    if not session.messages:
        raise SessionError(f"{file}: no message could be read")
    return session


def _take(session: Session, offset: int, opcode: int, body: bytes) -> None:
    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.CHUNK:
        for record in breakup_chunk(Chunk.read(stream), validate_crc=True):
            if isinstance(record, Channel):
                session._channels[record.id] = record  # pyright: ignore[reportPrivateUsage]
            elif isinstance(record, Message):
                _take_message(session, offset, record)
    elif opcode == Opcode.METADATA:
        metadata = Metadata.read(stream)
        if metadata.name == METADATA_NAME:
            session.metadata |= metadata.metadata
    elif opcode == Opcode.ATTACHMENT:
        attachment = Attachment.read(stream)
        session.attachments[attachment.name] = attachment.data


def _take_message(session: Session, offset: int, record: Message) -> None:
    channel = session._channels[record.channel_id]  # pyright: ignore[reportPrivateUsage]
    if channel.message_encoding == RAW_ENCODING:
        session.messages.append(Logged(channel.topic, record.data))
    elif channel.topic.startswith(IMAGE_PREFIX):
        camera = channel.topic.removeprefix(IMAGE_PREFIX)
        session._pictures[(camera, record.sequence)] = offset  # pyright: ignore[reportPrivateUsage]


def _records(data: bytes, damage: Damage) -> Iterator[tuple[int, int, bytes]]:
    """(offset, opcode, body) of every top-level record; jumps to the next chunk where the framing is broken."""
    position = len(_MAGIC)
    while position + _RECORD.size <= len(data):
        opcode, length = _RECORD.unpack_from(data, position)
        start = position + _RECORD.size
        known = opcode in Opcode._value2member_map_
        if known and length <= _LARGEST_RECORD and start + length <= len(data):
            yield position, opcode, data[start : start + length]
            if opcode == Opcode.DATA_END:
                return
            position = start + length
            continue
        if data[position:] == _MAGIC:
            return
        following = data.find(_LZ4_MARK, position + _MARK_AT + 1)  # not this very one again
        if following < 0:
            damage.lost_bytes += len(data) - position
            damage.lost_chunks += 1
            damage.unfinished = True
            return
        damage.lost_chunks += 1
        damage.lost_bytes += following - _MARK_AT - position
        position = following - _MARK_AT


def decode_all(session: Session) -> Iterator[tuple[str, wire.Message, bytes]]:
    """(topic, message, payload) in the order of recording; what cannot be decoded is counted as damage."""
    for logged in session.messages:
        try:
            yield logged.topic, logged.decode(), logged.payload
        except WireError:
            session.damage.bad_messages += 1
