"""The process that reads sessions for the console: what it answers, and what becomes of it. Called by pytest."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile_session
import pytest
from aiohttp import ClientSession
from console_page import Alone

from runtime.config.loading import load_settings, settings_to_json
from runtime.console import reading
from runtime.console.reading import Reader, ReadSession
from runtime.console.recorded import Recorded, SessionIndex
from runtime.errors import SessionError
from runtime.messaging import codec, messages
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
            writer.message(topic, message, codec.encode(message))
    writer.close()
    assert json.loads(Recorded(tmp_path).joints())["at_ns"] == [1002, 1003]


def test_several_may_ask_at_once(reader: Reader, index: Path) -> None:
    recorded = Recorded(index / NAME)
    times_ns = [recorded.begin_ns + step * 10_000_000 for step in range(20)]

    async def all_of_them() -> list[dict[str, str]]:
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
    assert json.loads(asyncio.run(reader.moment(NAME, None))["joints"])["measured"]


def test_it_ends_with_whoever_started_it(index: Path) -> None:
    code = (
        "import asyncio, sys, time; from pathlib import Path; from runtime.console.reading import Reader\n"
        f"reader = Reader(Path({str(index)!r})); asyncio.run(reader.about({NAME!r}))\n"
        "print(reader.processes[0], flush=True); time.sleep(60)"
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


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a\0b", "\udcff"])
def test_a_name_that_no_file_can_have_is_one_line(reader: Reader, index: Path, name: str) -> None:
    with pytest.raises(SessionError, match="does not exist in") as error:
        asyncio.run(reader.about(name))
    assert len(str(error.value).encode()) < 400 and SessionIndex(index).thumbnail(name) is None


def test_a_session_that_takes_an_hour_costs_nobody_else(
    reader: Reader, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is stopped before its answer; others are read meanwhile, and in the end it is given up."""
    shutil.copytree(index / NAME, index / "endless")
    asyncio.run(reader.about("endless"))
    (endless,) = children()
    os.kill(endless, signal.SIGSTOP)
    monkeypatch.setattr(reading, "_LONGEST_S", 8.0)

    async def both() -> tuple[str, float]:
        waits = [asyncio.create_task(reader.about("endless")) for _ in range(40)]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await reader.about(NAME)
        await asyncio.to_thread(SessionIndex(index).list)
        took_s = time.monotonic() - begun
        with pytest.raises(SessionError) as refused:
            await waits[0]
        for wait in waits[1:]:
            wait.cancel()
        return str(refused.value), took_s

    refused, took_s = asyncio.run(both())
    assert "endless: no answer within 8 s" in refused and took_s < 7
    assert endless not in children()


def test_the_one_that_was_asked_longest_ago_makes_room(reader: Reader, index: Path) -> None:
    names = [f"{number}" for number in range(5)]
    for name in names:
        shutil.copytree(index / NAME, index / name)
        asyncio.run(reader.about(name))
    deadline = time.monotonic() + 10
    while len(children()) > 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert sorted(children()) == sorted(reader.processes)
    assert json.loads(asyncio.run(reader.about(names[0])))["begin_ns"]


def test_what_unpacks_to_gigabytes_is_told_and_leaves_others(reader: Reader, index: Path) -> None:
    hostile_session.session(index / "bomb", hostile_session.bomb("zstd", 1024))
    hostile_session.session(index / "flood", hostile_session.flood("zstd", 300_000))
    for name in ("bomb", "flood"):
        with pytest.raises(SessionError, match=r"session\.mcap: "):
            asyncio.run(reader.about(name))
    assert json.loads(asyncio.run(reader.about(NAME)))["begin_ns"]


_GREEDY = """
import sys
from pathlib import Path
from runtime.console import reading
answer = reading._answer
def greedy(index, call, name, *rest):
    return bytes(int(sys.argv[2])) if name == "greedy" else answer(index, call, name, *rest)
reading._answer = greedy
reading.main(Path(sys.argv[1]))
"""


def test_one_that_needs_too_much_memory_is_told_and_the_next_one_is_read(index: Path) -> None:
    """A third of the machine's memory, which nobody would refuse it but its own limit."""
    third = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 3
    line = [sys.executable, "-c", _GREEDY, str(index), str(max(third, 2 << 30))]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        answers: list[bytes | None] = []
        for name in ("greedy", NAME):
            reading._send(process.stdin, json.dumps(["about", name]).encode())  # pyright: ignore[reportPrivateUsage]
            answers.append(reading._receive(process.stdout, time.monotonic() + 60))  # pyright: ignore[reportPrivateUsage]
        process.stdin.close()
    assert answers[0] is not None and answers[0].startswith(b"-greedy: needs more than "), answers[0]
    assert answers[1] is not None and answers[1].startswith(b"+{"), answers[1]


def test_messages_that_are_none_are_counted_and_the_rest_is_shown(build: Build, tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    fault = build(messages.Fault, stamp_ns=1000)
    joints = build(messages.JointState, stamp_ns=1000)
    for topic, payload in (
        ("fault", b"\xc1"), ("joint_state", b"\x80"), ("chunk", codec.encode(fault)),
        ("joint_state", codec.encode(fault)), ("fault", codec.encode(fault)),
        ("joint_state", codec.encode(joints)),
    ):  # fmt: skip
        writer.message(topic, fault, payload)
    writer.close()
    recorded = Recorded(tmp_path)
    assert recorded.session.damage.bad_messages == 3
    assert json.loads(recorded.moment(None)["now_ns"]) == 1000


def test_the_list_outlives_every_table_and_follows_no_link(
    index: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    private = tmp_path_factory.mktemp("private")
    (private / "secret").write_text(json.dumps({"task": "secret"}))
    tables = {
        "nested": "[" * 200_000, "list": "[1, 2]", "nan": '{"holds": NaN, "session_s": 1e999, "task": "kept"}',
        "long": json.dumps({"task": "x" * 10_000, "holds": 10**400}), "huge": " " * (2 << 20),
    }  # fmt: skip
    for name, text in tables.items():
        shutil.copytree(index / NAME, index / name)
        (index / name / "summary.json").write_text(text)
    for name, target in (("linked", private / "secret"), ("piped", None), ("dangling", private / "none")):
        shutil.copytree(index / NAME, index / name)
        for file in ("summary.json", "head.png"):
            os.mkfifo(index / name / file) if target is None else (index / name / file).symlink_to(target)
        if target is not None:
            (index / name / "session-2.mcap").symlink_to(target)
    kept = SessionIndex(index)
    rows = {row["name"]: row for row in kept.list()}
    assert set(rows) == {NAME, *tables, "linked", "piped", "dangling"}
    assert "secret" not in json.dumps(list(rows.values()), allow_nan=False)
    assert rows["nan"]["task"] == "kept" and "task" not in rows["long"]
    assert {kept.thumbnail(name) for name in ("linked", "piped", "dangling", "..", "../private")} == {None}


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


def own_mb(process: int) -> float:
    """Memory that is this process's alone."""
    return int(Path(f"/proc/{process}/status").read_text().partition("RssAnon:")[2].split()[0]) / 1024


def test_the_console_does_not_grow_while_a_session_is_read(index: Path) -> None:
    """Nor does it need a thread for each that reads."""

    async def read(url: str, process: int) -> tuple[float, int]:
        async with ClientSession() as client:
            before_mb = 0.0
            for _ in range(2):  # to be warm, and to be measured
                before_mb = own_mb(process)
                await asyncio.gather(*(moments(client, url, 300) for _ in range(4)))
                for _ in range(20):
                    async with client.get(f"{url}sessions/{NAME}/joints") as answer:
                        await answer.read()
            return own_mb(process) - before_mb, len(list(Path(f"/proc/{process}/task").iterdir()))

    serving = Alone(index)
    with serving as url:
        grown_mb, threads = asyncio.run(read(url, serving.process.pid))
    assert grown_mb < 2 and threads < 8


async def moments(client: ClientSession, url: str, count: int) -> None:
    """Look at so many moments of the session."""
    recorded = await (await client.get(f"{url}sessions/{NAME}")).json()
    async with client.ws_connect(f"{url}moments?source={NAME}") as socket:
        for step in range(count):
            await socket.send_json({"at_ns": recorded["begin_ns"] + step * 10_000_000})
            await socket.receive()
