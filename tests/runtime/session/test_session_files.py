"""Session files as they come in life: whole, cut, flipped, killed in mid-write, on a full disk. Never a traceback.

A session of schema 1 is the material; what is written here is written by the real writer.
"""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from runtime.errors import SessionError
from runtime.messaging import codec, messages
from runtime.session import reader
from runtime.session.writer import SessionWriter

GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"
Build = Callable[..., Any]


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The golden session's bytes."""
    return GOLDEN.read_bytes()


def _read(data: bytes, folder: Path) -> reader.Session:
    path = folder / "session.mcap"
    path.write_bytes(data)
    return reader.read(path)


def test_what_was_written_is_read_back(build: Build, tmp_path: Path) -> None:
    arrived = [build(messages.JointState, seq=seq, stamp_ns=1000 + seq) for seq in range(500)]
    picture = simplejpeg.encode_jpeg(np.full((16, 24, 3), 90, np.uint8), 90, "RGB", "420")
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    writer.metadata({"settings": "{}"})
    writer.attachment("a.safetensors", b"weights", 5)
    for message in arrived:
        writer.message("joint_state", message, codec.encode(message))
    writer.picture("head", 7, picture, 1200)
    writer.close()
    session = reader.read(tmp_path)
    assert session.damage == reader.Damage()
    assert [row.payload for row in session.messages] == [codec.encode(message) for message in arrived]
    assert session.jpeg("head", 7) == picture
    assert session.jpeg("head", 8) is None
    assert session.attachments == {"a.safetensors": b"weights"}


def test_a_cut_anywhere_leaves_what_came_before(whole: bytes, tmp_path: Path) -> None:
    complete = [row.payload for row in _read(whole, tmp_path).messages]
    places = random.Random(1)
    for _ in range(20):
        cut = places.randrange(len(whole) // 10, len(whole) - 20)
        session = _read(whole[:cut], tmp_path)
        got = [row.payload for row in session.messages]
        assert got == complete[: len(got)]
        assert session.damage.unfinished
        assert session.damage.describe()


def test_a_flipped_bit_costs_at_most_one_chunk(whole: bytes, tmp_path: Path) -> None:
    complete = len(_read(whole, tmp_path).messages)
    places = random.Random(2)
    damaged = 0
    for _ in range(50):
        data = bytearray(whole)
        data[places.randrange(8, len(data))] ^= 1 << places.randrange(8)
        try:
            session = _read(bytes(data), tmp_path)
        except SessionError:
            raise AssertionError("one bit must not cost the whole session") from None
        damaged += bool(session.damage.lost_chunks)
        assert len(session.messages) > complete * 0.8
    assert damaged > 20, "most bits lie in chunks"


@pytest.mark.parametrize("data", [b"", b"hello", bytes(4096), b"\x89MCAP0\r\n"])
def test_something_else_is_one_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(SessionError) as refused:
        _read(data, tmp_path)
    assert "session.mcap" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_full_disk_is_told_and_does_not_raise(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    file: Any = writer._file  # pyright: ignore[reportPrivateUsage]

    def full(data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    message = build(messages.JointState)
    writer.message("joint_state", message, codec.encode(message))
    monkeypatch.setattr(file, "write", full)
    for seq in range(2000):
        writer.message("joint_state", build(messages.JointState, seq=seq), codec.encode(message))
    assert "No space left" in writer.fault
    assert "free disk space" in writer.fault
    writer.close()


_WRITING = """
    import sys, time
    from pathlib import Path
    from runtime.host.clock import robot_time_ns
    from runtime.messaging import codec, messages
    from runtime.session.writer import SessionWriter
    writer = SessionWriter(Path(sys.argv[1]), 0)
    for seq in range(1_000_000):
        message = messages.Fault(seq=seq, epoch=1, stamp_ns=robot_time_ns(), process="arms", name="test", text="x" * 200)
        writer.message("fault", message, codec.encode(message))
        if seq % 100 == 0:
            print(seq, flush=True)
            time.sleep(0.001)
"""


def test_a_killed_recorder_loses_at_most_one_chunk(tmp_path: Path) -> None:
    path = tmp_path / "session.mcap"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITING), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    written = 0
    deadline = time.monotonic() + 30
    for line in child.stdout:
        written = int(line)
        if written >= 5000 or time.monotonic() > deadline:
            break
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    child.wait(10)
    session = reader.read(path)
    faults = [row.decode() for row in session.messages if row.topic == "fault"]
    assert [message.seq for message in faults] == list(range(len(faults)))
    in_one_chunk = 64 * 1024 // 250
    assert len(faults) > written - in_one_chunk
    assert session.damage.unfinished


@pytest.mark.parametrize("stamp_ns", [0, 2**63, 2**64 - 1])
def test_a_message_that_claims_any_time_does_not_end_the_recorder(build: Build, tmp_path: Path, stamp_ns: int) -> None:
    """The label of its record is the latest there is; the message itself is kept as it came."""
    writer = SessionWriter(tmp_path / "session.mcap", 1_800_000_000_000_000_000)
    said = [build(messages.Fault, stamp_ns=stamp_ns), build(messages.ActionChunk, stamp_ns=stamp_ns)]
    for topic, message in zip(("fault", "chunk"), said, strict=True):
        writer.message(topic, message, codec.encode(message))
    writer.picture("head", 7, b"", -(2**63))
    writer.close()
    session = reader.read(tmp_path)
    assert [row.payload for row in session.messages] == [codec.encode(message) for message in said]
    assert not writer.fault and session.damage == reader.Damage()
