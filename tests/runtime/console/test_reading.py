"""The process that reads sessions for the console: what it answers, and what becomes of it. Called by pytest."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.config.settings import load_settings, settings_to_json
from runtime.console import reading
from runtime.console.reading import Reader, ReadSession
from runtime.console.recorded import Recorded, SessionIndex
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.session.writer import SessionWriter

Build = Callable[..., Any]
NAME = "2026-11-25T10-00-00_block_handover_8"
GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with one session."""
    (tmp_path / NAME).mkdir()
    shutil.copy(GOLDEN, tmp_path / NAME / "session.mcap")
    return tmp_path


@pytest.fixture
def reader(index: Path) -> Iterator[Reader]:
    made = Reader(index)
    yield made
    made.close()


def test_it_answers_what_the_session_holds(reader: Reader, index: Path) -> None:
    recorded = Recorded(index / NAME)
    middle_ns = (recorded.begin_ns + recorded.end_ns) // 2
    session = ReadSession(reader, NAME)
    assert json.loads(asyncio.run(reader.about(NAME))) == recorded.about()
    assert asyncio.run(reader.joints(NAME)) == recorded.joints()
    assert asyncio.run(session.moment(middle_ns)) == recorded.moment(middle_ns)
    assert asyncio.run(session.picture("head", middle_ns)) == recorded.picture("head", middle_ns)
    assert asyncio.run(session.picture("head", recorded.begin_ns - 1)) is None


def test_joints_are_plotted_from_when_the_arms_are_heard(build: Build, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    writer.metadata({"settings": settings_to_json(load_settings([]))})
    for seq in range(4):
        joints = build(
            messages.JointState, seq=seq, stamp_ns=1000 + seq, measured_ns=(1000, 1000 if seq > 1 else messages.NEVER)
        )
        for topic, message in (
            ("joint_state", joints),
            ("arm_target", build(messages.ArmTarget, seq=seq, stamp_ns=1000 + seq)),
        ):
            writer.message(topic, message, messages.encode(message))
    writer.close()
    assert json.loads(Recorded(tmp_path).joints())["at_ns"] == [1002, 1003]


def test_several_may_ask_at_once(reader: Reader, index: Path) -> None:
    recorded = Recorded(index / NAME)
    times_ns = [recorded.begin_ns + step * 10_000_000 for step in range(20)]

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(reader.moment(NAME, at_ns) for at_ns in times_ns)))

    assert asyncio.run(all_of_them()) == [recorded.moment(at_ns) for at_ns in times_ns]


@pytest.mark.parametrize("name", ["none", "..", "../x", ""])
def test_what_is_no_session_is_one_line(reader: Reader, name: str) -> None:
    with pytest.raises(SessionError, match="does not exist in"):
        asyncio.run(reader.about(name))


def test_one_that_dies_is_told_and_comes_back(reader: Reader) -> None:
    asyncio.run(reader.about(NAME))
    (child,) = children()
    os.kill(child, 9)
    with pytest.raises(SessionError, match=f"{NAME}: its reading process ended"):
        asyncio.run(reader.moment(NAME, None))
    assert json.loads(asyncio.run(reader.moment(NAME, None)))["joints"]["measured"]


def test_it_ends_with_whoever_started_it(index: Path) -> None:
    code = (
        "import asyncio, sys, time; from pathlib import Path; from runtime.console.reading import Reader\n"
        f"reader = Reader(Path({str(index)!r})); asyncio.run(reader.about({NAME!r}))\n"
        "print(reader._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as console:
        assert console.stdout is not None
        child = int(console.stdout.readline())
        console.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and " Z " not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline, "it is left behind"
        time.sleep(0.05)


def test_a_session_that_grows_is_read_anew_only_when_it_is_opened(index: Path) -> None:
    read: list[Path] = []

    def counted(path: Path) -> Recorded:
        read.append(path)
        return Recorded(path)

    kept = SessionIndex(index, open_session=counted)
    first = kept.open(NAME)
    assert kept.open(NAME) is first
    with (index / NAME / "session.mcap").open("ab") as file:
        file.write(b"\0" * 16)
    assert kept.opened(NAME) is first and len(read) == 1, "while it is looked through"
    assert kept.open(NAME) is not first and len(read) == 2


def children() -> list[int]:
    """Processes of ours that read sessions."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            mine = int((place / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
            if mine and reading.__name__ in (place / "cmdline").read_text():
                found.append(int(place.name))
        except OSError:
            continue
    return found
