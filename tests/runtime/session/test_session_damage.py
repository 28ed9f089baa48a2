"""Damage where it hurts most: every bit of a chunk's header, and a writer whose disk is full from the start.

What is not in the damaged chunk must come back, and the loss must be said.
"""

import resource
import shutil
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mcap.reader import make_reader

from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault, SessionError
from runtime.messaging import codec, messages
from runtime.session import reader, recorder
from runtime.session.writer import SessionWriter

Build = Callable[..., Any]
HEADER_BYTES = 9 + 8 + 8 + 8 + 4 + 4 + 3 + 8  # record, times, size, CRC, "lz4", size of the data
MESSAGES = 700


class Written(NamedTuple):
    """A small session and where its chunks begin."""

    data: bytes
    payloads: list[bytes]
    chunks: list[int]


@pytest.fixture(scope="module")
def written(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Written:
    path = tmp_path_factory.mktemp("whole") / "session.mcap"
    payloads: list[bytes] = []
    writer = SessionWriter(path, 0)
    for seq in range(MESSAGES):
        message = build(messages.JointState, seq=seq, stamp_ns=1000 + seq)
        payloads.append(codec.encode(message))
        writer.message("joint_state", message, payloads[-1])
    writer.close()
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    return Written(path.read_bytes(), payloads, [index.chunk_start_offset for index in summary.chunk_indexes])


def read(data: bytes, folder: Path) -> reader.Session:
    path = folder / "session.mcap"
    path.write_bytes(data)
    return reader.read(path)


def test_an_empty_file_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"session\.mcap: not a session file \(it is empty\)"):
        read(b"", tmp_path)


def test_a_restarted_recorders_file_is_named(written: Written, tmp_path: Path) -> None:
    (tmp_path / "session.mcap").write_bytes(written.data)
    (tmp_path / "session-2.mcap").write_bytes(written.data)
    assert reader.read(tmp_path).damage.describe() == [
        "the recorder was restarted: the rest is in session-2.mcap; give that file for it"
    ]
    assert reader.read(tmp_path / "session.mcap").damage.describe() == []


def test_a_writer_that_stops_leaves_a_whole_file(build: Build, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    message = build(messages.OperatorCommand)
    writer.message("operator_command", message, codec.encode(message))
    writer.stop("0.5 GiB free (limit --recorder.reserve_gib 1)")
    writer.message("operator_command", message, codec.encode(message))
    writer.close()
    session = reader.read(tmp_path)
    assert len(session.messages) == 1 and not session.damage.unfinished
    assert "0.5 GiB free" in writer.fault and "free disk space and restart" in writer.fault


def test_recording_stops_while_the_disk_has_its_reserve(tmp_path: Path) -> None:
    free_gib = shutil.disk_usage(tmp_path).free / 2**30
    for reserve_gib, stops in ((free_gib / 2, False), (free_gib * 2, True)):
        writer = SessionWriter(tmp_path / f"{stops}.mcap", 0)
        settings = load_settings(["--recorder.reserve_gib", str(reserve_gib)])
        recorder.keep_reserve(writer, settings.recorder, tmp_path)
        assert ("GiB free" in writer.fault) == stops
        writer.close()


def test_the_session_has_several_chunks(written: Written) -> None:
    assert len(written.chunks) >= 4


@pytest.mark.parametrize("which", [0, 1, -1])
def test_any_bit_of_a_chunks_header_costs_that_chunk_at_most(which: int, written: Written, tmp_path: Path) -> None:
    start = written.chunks[which]
    most = MESSAGES // len(written.chunks) * 2
    wrong: list[str] = []
    for bit in range(HEADER_BYTES * 8):
        data = bytearray(written.data)
        data[start + bit // 8] ^= 1 << bit % 8
        try:
            session = read(bytes(data), tmp_path)
        except (ArithmeticError, MemoryError, TypeError, struct.error) as error:
            wrong.append(f"bit {bit}: {type(error).__name__}: {error}")
            continue
        got = [logged.payload for logged in session.messages]
        assert set(got) <= set(written.payloads), f"bit {bit} gives what was never written"
        if len(got) < MESSAGES - most:
            wrong.append(f"bit {bit} costs {MESSAGES - len(got)} messages")
        if len(got) < MESSAGES and not session.damage.describe():
            wrong.append(f"bit {bit}: {MESSAGES - len(got)} messages are gone and nothing is said")
    assert wrong == []


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_chunk_of_zeros_costs_itself_at_most(which: int, written: Written, tmp_path: Path) -> None:
    start, end = written.chunks[which], written.chunks[which + 1]
    data = written.data[:start] + bytes(end - start) + written.data[end:]
    session = read(data, tmp_path)
    got = [logged.payload for logged in session.messages]
    assert MESSAGES > len(got) >= MESSAGES - MESSAGES // len(written.chunks) * 2
    assert session.damage.describe()


def test_a_missing_chunk_leaves_the_others(written: Written, tmp_path: Path) -> None:
    start, end = written.chunks[0], written.chunks[1]
    session = read(written.data[:start] + written.data[end:], tmp_path)
    assert len(session.messages) >= MESSAGES - MESSAGES // len(written.chunks) * 2


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="No such file") as caught:
        reader.read(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


@contextmanager
def most_bytes_a_file(count: int) -> Generator[None]:
    """The kernel refuses to write beyond this, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_leaves_a_readable_log(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    writer = SessionWriter(path, 0)
    with most_bytes_a_file(100_000):
        for seq in range(5000):
            message = build(messages.Fault, seq=seq, text=str(seq * 7919) * 20)
            writer.message("fault", message, codec.encode(message))
    assert writer.fault
    writer.close()
    session = reader.read(path)
    seqs = [logged.decode().seq for logged in session.messages if logged.topic == "fault"]
    assert len(seqs) > 500 and seqs == list(range(len(seqs)))
    assert session.damage.unfinished


def test_a_disk_that_is_full_from_the_start_is_trouble_not_an_exception(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    path.symlink_to("/dev/full")
    try:
        writer = SessionWriter(path, 0)
    except RuntimeFault as error:  # one line is as good
        assert "\n" not in str(error)
        return
    message = build(messages.OperatorCommand)
    writer.message("operator_command", message, codec.encode(message))
    writer.close()
    assert "No space left" in writer.fault


def test_after_trouble_everything_is_ignored(build: Build, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    with most_bytes_a_file(20):
        writer.metadata({"a": "b" * 1000})
    reported = writer.fault
    writer.picture("head", 1, b"jpeg", 5)
    writer.attachment("a", b"b", 5)
    writer.metadata({"c": "d"})
    writer.close()
    assert reported and writer.fault == reported
