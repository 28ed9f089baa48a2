"""Sessions made to harm their reader: memory and time stay bounded, no link is followed, nothing is written elsewhere.

Called by pytest. Memory is measured in a process of its own.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_session
import numpy as np
import pytest
import simplejpeg

from runtime.config.loading import load_settings, settings_from_json, settings_to_json
from runtime.errors import RuntimeFault, SessionError, SettingsError
from runtime.messaging import codec, messages
from runtime.process.role import Role
from runtime.replay.index import Missing
from runtime.replay.stored_embeddings import StoredEmbeddings
from runtime.replay.tracker_step import load
from runtime.session import reader, trace
from runtime.session.writer import SessionWriter

Build = Callable[..., Any]
_MOST_MIB = 400  # chosen: a reader's libraries take 60, and a bomb's 1 GiB must not show
_PROGRAM = """
import resource, sys
from pathlib import Path
from runtime.errors import SessionError
from runtime.session import reader
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    reader.read(Path(sys.argv[1]))
except SessionError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    "made",
    [
        lambda: hostile_session.bomb("zstd", 1024),
        lambda: hostile_session.bomb("lz4", 512),
        lambda: hostile_session.bomb("zstd", 12, 400),
        lambda: hostile_session.flood("zstd", 300_000),
        lambda: hostile_session.flood("lz4", 8_000),
        lambda: hostile_session.flood("lz4", 8_000, described=True),
    ],
    ids=["zstd", "lz4", "many", "flood", "unknown", "described"],
)
def test_a_small_file_that_unpacks_to_gigabytes_costs_neither_memory_nor_time(
    made: Callable[[], bytes], tmp_path: Path
) -> None:
    folder = hostile_session.session(tmp_path / "bomb", made())
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, folder], capture_output=True, text=True, timeout=60, check=True
    )
    *refused, mib = done.stdout.splitlines()
    assert len(refused) <= 1 and int(mib) < _MOST_MIB, done.stdout


def test_a_file_of_beginnings_is_given_up(tmp_path: Path) -> None:
    folder = hostile_session.session(tmp_path / "marks", hostile_session.marks(2_000_000))
    begun = time.monotonic()
    with pytest.raises(SessionError, match=r"unpacks to more than \d+ MiB"):
        reader.read(folder)
    assert time.monotonic() - begun < 20


def test_no_link_is_followed_and_no_pipe_waited_for(written: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "session.mcap").symlink_to(written / "session.mcap")
    with pytest.raises(SessionError, match=r"session\.mcap: is a symbolic link; give the folder of a session"):
        reader.read(linked)
    with pytest.raises(SessionError, match=r"not a regular file"):
        reader.read(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000])
def test_a_name_that_is_too_long_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="File name too long") as error:
        reader.read(tmp_path / name)
    assert len(str(error.value)) < 400


@pytest.fixture
def written(build: Build, tmp_path: Path) -> Path:
    """A small session with a picture that claims to be huge."""
    folder = tmp_path / "sessions" / "one"
    folder.mkdir(parents=True)
    writer = SessionWriter(folder / "session.mcap", 0)
    writer.metadata({"settings": settings_to_json(load_settings([]))})
    for name in ("../../evil", "head"):
        notice = build(messages.Frame, camera=name, seq=1, stamp_ns=1000)
        writer.message("frame.head", notice, codec.encode(notice))
    jpeg = bytearray(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8), 90))
    writer.picture("head", 1, bytes(jpeg), 1000)
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = (65500).to_bytes(2, "big") * 2
    writer.picture("head", 3, bytes(jpeg), 1000)
    writer.close()
    return folder


def test_a_picture_of_four_billion_pixels_is_none(written: Path) -> None:
    session = reader.read(written)
    assert session.picture("head", 1).shape == (16, 16, 3)
    assert session.picture("head", 3) is None and session.jpeg("head", 3) is not None


def test_a_message_under_another_topic_is_left_out(written: Path) -> None:
    session = reader.read(written)
    cameras = [message.camera for _, message, _ in reader.decode_all(session) if isinstance(message, messages.Frame)]
    assert cameras == ["head"] and session.damage.bad_messages == 1


def test_a_trace_goes_through_no_link(written: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    (written / "trace.json.gz").symlink_to(tmp_path / "private")
    assert trace.main([str(written)]) == 0
    assert (tmp_path / "private").read_text() == "mine"


def test_an_encoded_instruction_is_written_nowhere_else(tmp_path: Path) -> None:
    session = reader.Session(tmp_path, attachments={"../evil.safetensors": b"x"})
    (tmp_path / "inner").mkdir()
    with pytest.raises(Missing, match="evil"):
        StoredEmbeddings(session, tmp_path / "inner")("../evil")
    assert not (tmp_path / "evil.safetensors").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 10, "[1]"])
def test_nested_or_foreign_metadata_is_one_line(text: str) -> None:
    with pytest.raises(SessionError, match="does not say what its run was for"):
        Role.of_session({"role": text})
    with pytest.raises(SettingsError):
        settings_from_json(text)


def test_former_metadata_of_another_kind_is_one_line() -> None:
    for text in ("[]", '{"arms": 3}', "[" * 100_000):
        with pytest.raises(SessionError, match="does not say"):
            Role.of_session({"settings": text})


def test_a_movement_that_claims_a_terabyte_is_one_line(tmp_path: Path) -> None:
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 14), }"
    head = head.ljust(117) + b"\n"
    (tmp_path / "way.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(RuntimeFault, match="is not a recorded movement") as error:
        load(tmp_path / "way.npy")
    assert "\n" not in str(error.value)
