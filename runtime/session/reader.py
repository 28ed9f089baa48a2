"""Reads a session file, whole or damaged: every intact chunk is used, and what was lost is said.
Called by replay, export, trace, the console and the audit of CAN frames.

The file is walked record by record instead of through its index, which a killed recorder never wrote. After a damaged
chunk the walk finds the next one by the fixed bytes that every LZ4 chunk's header contains.
"""

import mmap
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from struct import Struct, error
from typing import Any

import simplejpeg
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.message import DecodeError
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Message, Metadata
from zstandard import ZstdError

from drivers.cobot_magic import CAMERAS
from models.data.episode import is_jpeg
from runtime.errors import SessionError, WireError
from runtime.host import plain_file, remedies
from runtime.host.terminal import say
from runtime.messaging import codec, messages
from runtime.messaging.topics import TOPICS, topic_of
from runtime.messaging.upgrades import SCHEMA_NUMBER, present_topic
from runtime.session import chunk
from runtime.session.chunk import Budget
from runtime.session.format import FILE_NAME, IMAGE_PREFIX, METADATA_NAME, RAW_ENCODING

_MAGIC = b"\x89MCAP0\r\n"  # at both ends (the MCAP specification, as all figures below)
_RECORD = Struct("<BQ")  # opcode, length
_LZ4_MARK = b"\x03\x00\x00\x00lz4"  # the compression's name behind its length
_MARK_AT = _RECORD.size + 28  # of the mark within a chunk record: behind start, end, uncompressed size and checksum
_LARGEST_RECORD = 1 << 28  # chosen: 256 MiB, far above any chunk, so that a damaged length is seen
_LARGEST_METADATA = 1 << 20  # bytes; chosen: settings take 5 KB
_KEPT_CHUNKS = 32  # that were read last; chosen: 2 MiB, some 60 pictures of 640x480
_SCHEMAS = {str(number + 1) for number in range(SCHEMA_NUMBER)}
_MOST_GUESSES = 100  # messages of a channel; chosen: one in so many may be damaged, and what is not ours stays unknown
_UNREADABLE = (
    McapError, DecodeError, ZstdError, ValueError, LookupError, ArithmeticError, RuntimeError, EOFError, error,
)  # fmt: skip
"""What libraries raise for a record that is damaged."""
_OTHERS = f"{Path(FILE_NAME).stem}-*.mcap"


@dataclass(frozen=True, slots=True)
class Logged:
    """One message as it was on the bus, by what its topic is called now."""

    topic: str
    payload: bytes

    def decode(self) -> messages.Message:
        """The message, in the present schema."""
        return codec.decode_recorded(self.payload)[0]


@dataclass
class Damage:
    """What could not be read of a session, counted."""

    lost_chunks: int = 0
    lost_bytes: int = 0
    bad_messages: int = 0
    unfinished: bool = False  # the file was never closed: its recorder was killed, or the copy is cut
    beside: tuple[str, ...] = ()  # files of recorders that were started after this one's

    def describe(self) -> list[str]:
        """One line for each kind of loss."""
        lines: list[str] = []
        if self.lost_chunks:
            lines.append(f"{self.lost_chunks} damaged chunk(s) of {self.lost_bytes} bytes cannot be read")
        if self.bad_messages:
            lines.append(f"{self.bad_messages} message(s) cannot be decoded")
        if self.unfinished:
            lines.append("the file ends early: its recorder was killed, or the copy was cut; the end is missing")
        if self.beside:
            lines.append(f"the recorder was restarted: the rest is in {', '.join(self.beside)}; give that file for it")
        return lines


@dataclass
class Session:
    """A session in memory: all messages; pictures stay on disk and are fetched by camera and number."""

    path: Path
    metadata: dict[str, str] = field(default_factory=dict)
    messages: list[Logged] = field(default_factory=list)
    attachments: dict[str, bytes] = field(default_factory=dict)
    damage: Damage = field(default_factory=Damage)
    further: tuple["Session", ...] = ()
    """Of the same run, by recorders that were started after this one's; they give pictures that this one lacks (`joined`)."""
    _pictures: dict[tuple[str, int], int] = field(default_factory=dict)  # -> offset of the chunk that holds it
    _chunks: OrderedDict[int, dict[tuple[str, int], bytes]] = field(default_factory=OrderedDict)
    _channels: dict[int, Channel] = field(default_factory=dict)
    _guesses: dict[int, tuple[str, int]] = field(
        default_factory=dict
    )  # topic and tries, by a channel that is not known

    @property
    def schema(self) -> int:
        """Of its messages when they were written; the present one where it says none that could be."""
        said = self.metadata.get("schema", "")
        return int(said) if said in _SCHEMAS else SCHEMA_NUMBER

    def jpeg(self, camera: str, number: int) -> bytes | None:
        """The logged bytes of a frame; None where it was not logged or is damaged."""
        offset = self._pictures.get((camera, number))
        if offset is None:
            return next((jpeg for other in self.further if (jpeg := other.jpeg(camera, number)) is not None), None)
        if offset not in self._chunks:
            self._chunks[offset] = self._read_pictures(offset)
            while len(self._chunks) > _KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        return self._chunks[offset].get((camera, number))

    def picture(self, camera: str, number: int) -> Any:
        """A frame as (H, W, 3) uint8 RGB, just as the models saw it where the stream is `exact`; None where it was not
        logged, or is no picture of a possible size.
        """
        jpeg = self.jpeg(camera, number)
        return None if jpeg is None or not is_jpeg(jpeg) else _decoded(jpeg)

    def _read_pictures(self, offset: int) -> dict[tuple[str, int], bytes]:
        """The pictures of a chunk; none where the file has changed since it was read."""
        found: dict[tuple[str, int], bytes] = {}
        try:
            with plain_file.opened(self.path) as file:
                file.seek(offset)
                _, length = _RECORD.unpack(file.read(_RECORD.size))
                stream = ReadDataStream(BytesIO(file.read(min(length, _LARGEST_RECORD))))
            for record in chunk.records(stream, Budget(self.path, chunk.LARGEST_BYTES)):
                if isinstance(record, Message) and (camera := self._camera(record)):
                    found[(camera, record.sequence)] = CompressedImage.FromString(record.data).data
        except (OSError, *_UNREADABLE):
            return {}
        return found

    def _camera(self, record: Message) -> str:
        channel = self._channels.get(record.channel_id)
        topic = channel.topic if channel is not None else _guess_camera(record.data)
        return topic.removeprefix(IMAGE_PREFIX) if topic.startswith(IMAGE_PREFIX) else ""


def _decoded(jpeg: bytes) -> Any:
    try:
        return simplejpeg.decode_jpeg(jpeg, "RGB")
    except ValueError:  # damaged behind its header
        return None


def opened(path: Path, whole: bool = False) -> Session:
    """Read a session for a command, which says what of it is damaged; `whole` as `joined`. Raises SessionError like `read`."""
    session = joined(path) if whole else read(path)
    for line in session.damage.describe():
        say(f"video2act: {session.path.name}: {line}")
    return session


def read(path: Path) -> Session:
    """Read a session file, or the one in a session's folder.

    Raises:
        SessionError: Nothing in it can be used.
    """
    file = path
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            file = path / FILE_NAME
        with plain_file.opened(file) as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)  # an hour is ten gigabytes
    except OSError as error:
        remedy = f"give the folder of a session, or its {FILE_NAME}"
        raise SessionError(f"cannot be read: {remedies.line(error, file, remedy)}") from None
    except ValueError:
        raise SessionError(
            f"{file}: not a session file (it is empty); give the folder of a session, or its session.mcap"
        ) from None
    with data:
        session = _read(file, data)
    if file != path:
        session.damage.beside = tuple(
            sorted((other.name for other in path.glob(_OTHERS)), key=lambda name: (len(name), name))
        )
    return session


def joined(path: Path) -> Session:
    """Read a session's folder with the files of all recorders that wrote into it, as one session; a file alone like `read`.

    A recorder that is started again begins with what the rings still hold: messages that two files hold are equal.

    Raises:
        SessionError: Nothing in one of the files can be used.
    """
    session = read(path)
    session.further = tuple(read(session.path.parent / name) for name in session.damage.beside)
    session.damage.beside = ()
    for other in session.further:
        session.messages += other.messages
        session.attachments |= other.attachments
        session.damage.lost_chunks += other.damage.lost_chunks
        session.damage.lost_bytes += other.damage.lost_bytes
        session.damage.bad_messages += other.damage.bad_messages
    return session


def _read(file: Path, data: mmap.mmap) -> Session:
    if len(data) < len(_MAGIC) or (data[: len(_MAGIC)] != _MAGIC and data.find(_LZ4_MARK) < 0):
        raise SessionError(
            f"{file}: not a session file (it holds no MCAP data); give the folder of a session, or its session.mcap"
        )
    session = Session(file)
    session.damage.unfinished = data[-len(_MAGIC) :] != _MAGIC
    budget = Budget(file, len(data))
    position, ended = len(_MAGIC), False
    while position + _RECORD.size <= len(data) and not _at_the_end(data, position):
        following = _take_record(session, data, position, budget)
        ended = ended or data[position] == Opcode.DATA_END
        if following is None:  # neither the record nor its length can be trusted: look for the next chunk
            following = _next_chunk(data, position)
            if not ended:  # behind it only indexes can be damaged, and they are not used
                session.damage.lost_chunks += 1
                session.damage.lost_bytes += following - position
        position = following
    if not session.messages:
        raise SessionError(f"{file}: no message can be read; copy the session again, or give another")
    return session


def _take_record(session: Session, data: mmap.mmap, position: int, budget: Budget) -> int | None:
    """Use the record at `position`. Returns where the next one begins, or None when this one is damaged."""
    opcode, length = _RECORD.unpack_from(data, position)
    start = position + _RECORD.size
    end = start + length
    if opcode not in Opcode._value2member_map_ or end > len(data) or not _begins_record(data, end):
        return None
    marked = data[position + _MARK_AT : position + _MARK_AT + len(_LZ4_MARK)] == _LZ4_MARK
    if opcode != Opcode.CHUNK and marked:
        return None  # a chunk whose first byte was damaged
    if opcode == Opcode.METADATA and length > _LARGEST_METADATA:
        return None
    budget.spend(length)
    try:
        _take(session, position, opcode, data[start:end], budget)
    except _UNREADABLE:
        return None
    return end


def _begins_record(data: mmap.mmap, position: int) -> bool:
    """Whether a record, the closing magic or the end of a cut file is at `position`."""
    if position + _RECORD.size > len(data):
        return True
    opcode, length = _RECORD.unpack_from(data, position)
    return (opcode in Opcode._value2member_map_ and length <= _LARGEST_RECORD) or _at_the_end(data, position)


def _at_the_end(data: mmap.mmap, position: int) -> bool:
    """Whether only the closing magic is left."""
    return len(data) - position == len(_MAGIC) and data[position:] == _MAGIC


def _next_chunk(data: mmap.mmap, position: int) -> int:
    """Where the next chunk after the record at `position` begins; the end of the data if there is none."""
    mark = data.find(_LZ4_MARK, position + _MARK_AT + 1)
    return mark - _MARK_AT if mark >= 0 else len(data)


def _take(session: Session, offset: int, opcode: int, body: bytes, budget: Budget) -> None:
    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.CHUNK:
        for record in chunk.records(stream, budget, validate=True):
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
    channel = session._channels.get(record.channel_id)  # pyright: ignore[reportPrivateUsage]
    topic = channel.topic if channel is not None else _guessed_topic(session, record)
    if topic.startswith(IMAGE_PREFIX):
        session._pictures[(topic.removeprefix(IMAGE_PREFIX), record.sequence)] = offset  # pyright: ignore[reportPrivateUsage]
    elif topic and (channel is None or channel.message_encoding == RAW_ENCODING):
        session.messages.append(Logged(present_topic(topic), record.data))


def _guessed_topic(session: Session, record: Message) -> str:
    """The topic of a message whose channel is not known: found once for all of that channel, or given up after some."""
    known, tries = session._guesses.get(record.channel_id, ("", 0))  # pyright: ignore[reportPrivateUsage]
    if not known and tries < _MOST_GUESSES:
        known = _guess_topic(record.data)
        session._guesses[record.channel_id] = known, tries + 1  # pyright: ignore[reportPrivateUsage]
    return known


def _guess_topic(payload: bytes) -> str:
    """The topic of a message whose channel was described in a lost chunk: its content tells. Empty: none of ours."""
    try:
        message, _ = codec.decode_recorded(payload)
    except WireError:
        return _guess_camera(payload)
    return topic_of(message)


def _guess_camera(payload: bytes) -> str:
    try:
        camera = CompressedImage.FromString(payload).frame_id
    except (DecodeError, ValueError):
        return ""
    return IMAGE_PREFIX + camera if camera in CAMERAS else ""


def decode_all(session: Session) -> Iterator[tuple[str, messages.Message, bytes]]:
    """(topic, message, payload) in the order of recording, all in the present schema; what cannot be decoded is counted as
    damage.
    """
    for logged in session.messages:
        try:
            message, payload = codec.decode_recorded(logged.payload)
        except WireError:
            session.damage.bad_messages += 1
            continue
        if logged.topic in TOPICS and topic_of(message) == logged.topic:
            yield logged.topic, message, payload
        else:  # no recorder of ours wrote it: a topic's message says which one it is
            session.damage.bad_messages += 1
