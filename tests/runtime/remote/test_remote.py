"""System 2 on another machine: clocks, keys, the encrypted connection, and both ends live on this one. Called by pytest."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_run import START_S, LiveRun

from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault, SettingsError
from runtime.host import clock
from runtime.host.clock import NS_PER_S, robot_time_ns, seconds
from runtime.host.run_folder import BOX_PREFIX, MEMORY_FOLDER
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.process.base import Process, RunFile
from runtime.process.processes import PROCESSES
from runtime.remote import gpu_side, keys, robot_side
from runtime.remote.comparison import Comparison
from runtime.remote.flags import SYSTEM2
from runtime.remote.link import Link
from runtime.remote.packets import HELLO, MESSAGE, PING, number, stamp
from runtime.session import reader

AHEAD_NS = 77_000_000_000
_SOON_S = 5.0


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of keys."""
    folder = tmp_path_factory.mktemp("keys") / "pair"
    assert keys.main([str(folder)]) == 0
    return folder


def compared(seed: int, drift: float = 0.0, answers: int = 400) -> tuple[float, Comparison]:
    """How far the estimate is off, ns, after answers over a line whose two ways are late by chance."""
    dice, comparison, off = random.Random(seed), Comparison(), 0.0
    for count in range(answers):
        asked = 1_000_000_000 * count // 20
        out, back = (round(dice.expovariate(1 / 2e6)) + 50_000 for _ in range(2))
        reported = round((asked + out) * (1 + drift)) + AHEAD_NS
        off = comparison.add(asked, reported, asked + out + back) - AHEAD_NS - drift * asked
    return off, comparison


@pytest.mark.parametrize("seed", range(5))
def test_clocks_are_compared_within_what_is_said_to_be_uncertain(seed: int) -> None:
    off, comparison = compared(seed)
    assert abs(off) <= comparison.uncertain_ns < 1_000_000
    assert comparison.settled


@pytest.mark.parametrize("seed", range(5))
def test_a_drifting_clock_is_followed(seed: int) -> None:
    off, comparison = compared(seed, drift=50e-6, answers=3000)  # 30 ms in these ten minutes
    assert abs(off) <= comparison.uncertain_ns + 100_000 < 2_000_000


def test_one_answer_does_not_settle_it() -> None:
    assert not compared(0, answers=4)[1].settled


def test_a_process_that_follows_tells_the_robots_time(tmp_path: Path) -> None:
    offset = clock.Offset(tmp_path / "clock")
    offset.set(AHEAD_NS)
    code = "import time; from runtime.host import clock; clock.follow(); print(clock.robot_time_ns() - time.monotonic_ns())"
    reported = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {clock.FOLLOWED: str(tmp_path / "clock")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert abs(int(reported.stdout) - AHEAD_NS) < 10_000_000
    assert abs(clock.robot_time_ns() - time.monotonic_ns()) < 10_000_000, "nobody else does"


def test_keys_are_made_once_and_for_their_owner_only(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {
        f"{end}.key{kind}" for end in ("robot", "system2") for kind in ("", "_secret")
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made, *made.iterdir()))
    with pytest.raises(SettingsError, match="already exists"):
        keys.main([str(made)])


def test_keys_are_put_into_a_new_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    for folder, said in (("", "FOLDER"), (str(tmp_path), "is not empty")):
        with pytest.raises(SettingsError, match=said):
            keys.main([folder])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_missing_or_broken_keys_are_one_line(made: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"create them with ./launch/keys.sh DIR"):
        Link.coming("tcp://127.0.0.1:1", tmp_path)
    (tmp_path / "system2.key_secret").write_bytes((made / "system2.key").read_bytes())
    (tmp_path / "robot.key").write_bytes((made / "robot.key").read_bytes())
    with pytest.raises(SettingsError, match="a key is missing or truncated"):
        Link.coming("tcp://127.0.0.1:1", tmp_path)
    for name in ("system2.key_secret", "robot.key"):
        whole = (made / name).read_text()
        (tmp_path / name).write_text(whole)
    (tmp_path / "robot.key").write_text(whole.replace(whole.split('"')[-2], whole.split('"')[-2][:-5]))
    with pytest.raises(SettingsError, match="a key is missing or truncated"):
        Link.coming("tcp://127.0.0.1:1", tmp_path)


@pytest.fixture
def robot(made: Path) -> Iterator[tuple[Link, str]]:
    """The robot's end, and where it waits."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with Link.waiting(address, made) as link:
        yield link, address


def until(link: Link, others: Callable[[], None]) -> list[tuple[bytes, ...]]:
    """What comes, while the others go on; empty when nothing does."""
    deadline = time.monotonic() + _SOON_S
    while time.monotonic() < deadline:
        others()
        link.socket.poll(20)
        if packets := link.take():
            return packets
    return []


def test_packets_pass_both_ways_once_the_box_said_hello(robot: tuple[Link, str], made: Path) -> None:
    link, address = robot
    link.send(b"to nobody")
    with Link.coming(address, made) as box:
        assert until(link, lambda: box.send(HELLO, stamp(1)))[0] == (HELLO, stamp(1))
        link.send(PING, stamp(-5))
        ((kind, part),) = until(box, lambda: None)
        assert kind == PING and number(part) == -5


def test_a_box_that_falls_silent_is_told_within_300_ms(folder: Path, robot: tuple[Link, str], made: Path) -> None:
    """As many questions for the time as a box asks, then none; without a recorder nothing waits for one."""
    link, address = robot
    settings = load_settings(["--system2.remote", address, "--system2.keys", str(made), "--no-recorder.enabled"])
    RunFile(settings=settings.model_dump_json(), session=folder / "session", revision="").save(folder)
    process = Process("system2", folder, 1)
    said = Bus(folder, "supervisor", PROCESSES)
    faults = said.subscriber("fault", depth=8)
    side, asked_ns, heard_ns = robot_side.RobotSide(process, link), 0, 0
    with Link.coming(address, made) as box:
        until(link, lambda: box.send(HELLO, stamp(SCHEMA_NUMBER), stamp(1)))
        ends_ns = robot_time_ns() + seconds(1.0)
        while not heard_ns and robot_time_ns() < ends_ns + seconds(_SOON_S):
            if asked_ns + seconds(gpu_side._PING_S) <= robot_time_ns() < ends_ns:  # pyright: ignore[reportPrivateUsage]
                box.send(PING, stamp(1))
                asked_ns = robot_time_ns()
            link.socket.poll(20)
            for packet in link.take():
                side.answer(packet)
            side.check_link()
            heard_ns = next((r.message.stamp_ns for r in faults.take()), 0)
    process.close()
    said.close()
    assert 0.15 < (heard_ns - asked_ns) / NS_PER_S < 0.3


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("waits", "comes"), [("[::1]", "[::1]"), ("[::]", "127.0.0.1"), ("[::]", "[::1]")])
def test_packets_pass_over_ipv6(waits: str, comes: str, made: Path) -> None:
    port = free_port()
    with Link.waiting(f"tcp://{waits}:{port}", made) as link, Link.coming(f"tcp://{comes}:{port}", made) as box:
        assert until(link, lambda: box.send(HELLO, stamp(1)))[0] == (HELLO, stamp(1))


@pytest.mark.parametrize(
    "address", ["tcp://[::1]:5760", "tcp://[fe80::1%eth0]:5760", "tcp://robot:5760", "tcp://10.0.0.2:5760"]
)
def test_addresses_of_every_kind_are_taken(address: str, made: Path) -> None:
    line = ["--system2.remote", address, "--system2.keys", str(made)]
    assert load_settings(line).system2.remote == address
    assert SYSTEM2.read(["--robot", address, "--keys", str(made)])[0].robot == address


@pytest.mark.parametrize(
    "address",
    ["tcp://::1:5760", "tcp://[::1]", "tcp://[robot]:5760", "udp://[::1]:5760", "tcp://[::1]:65536", "tcp://a:0"],
)
def test_an_address_that_is_none_is_refused_at_once(address: str, made: Path) -> None:
    with pytest.raises(SettingsError, match=r"--system2\.remote"):
        load_settings(["--system2.remote", address, "--system2.keys", str(made)])


def test_a_box_with_other_keys_is_not_heard(robot: tuple[Link, str], made: Path, tmp_path: Path) -> None:
    """It knows the robot's public key, but the robot does not know its."""
    link, address = robot
    keys.main([str(tmp_path / "other")])
    (tmp_path / "other" / "robot.key").write_bytes((made / "robot.key").read_bytes())
    with Link.coming(address, tmp_path / "other") as stranger:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            stranger.send(HELLO, stamp(1))
            assert not link.take()
            time.sleep(0.02)
    assert link.peer is None


def test_a_box_that_comes_back_is_the_one_that_is_answered(robot: tuple[Link, str], made: Path) -> None:
    link, address = robot
    for value in (1, 2):
        with Link.coming(address, made) as box:
            assert until(link, lambda box=box, value=value: box.send(HELLO, stamp(value)))[0] == (HELLO, stamp(value))
            link.send(PING)
            assert until(box, lambda: None) == [(PING,)]


def test_what_a_slow_line_cannot_carry_is_dropped_and_counted(robot: tuple[Link, str], made: Path) -> None:
    """The box does not read; the robot never waits for it."""
    link, address = robot
    with Link.coming(address, made) as box:
        assert until(link, lambda: box.send(HELLO, stamp(1)))
        for _ in range(300):
            link.send(MESSAGE, bytes(1 << 20))
        assert 0 < link.dropped < 300


def test_an_address_that_is_taken_is_one_line(robot: tuple[Link, str], made: Path) -> None:
    with pytest.raises(RuntimeFault, match="give another port"):
        Link.waiting(robot[1], made)


@pytest.mark.parametrize("address", ["robot:5760", "tcp://robot", ""])
def test_a_wrong_address_is_one_line(address: str, made: Path) -> None:
    with pytest.raises(SettingsError, match="must be tcp://HOST:PORT") as caught:
        gpu_side.main(["--robot", address, "--keys", str(made)])
    assert str(caught.value).startswith(f"--robot {address or '(empty)'}: ")


@pytest.mark.parametrize("flags", [["--robot", "tcp://127.0.0.1:1"], ["--keys", "/nowhere"], []])
def test_a_missing_flag_is_one_line(flags: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"required|--keys|--robot"):
        gpu_side.main(flags)


@contextmanager
def box(address: str, made: Path, run: LiveRun) -> Generator[subprocess.Popen[bytes]]:
    """System 2 alone, on this machine."""
    line = [sys.executable, "-m", "runtime.cli", "system2", "--robot", address, "--keys", str(made)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=run.environment)
    try:
        yield process
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.live
@pytest.mark.real_time(decided_by="tests/runtime/arms/test_step.py::test_an_old_condition_holds_although_chunks_go_on")
def test_a_robot_runs_on_a_box_that_goes_and_comes_back(made: Path, tmp_path: Path) -> None:
    """Both ends on this machine: conditions come over the encrypted line, their loss holds the arms, the next ones end it."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with LiveRun(tmp_path, "--system2.remote", address, "--system2.keys", str(made)) as run:
        with box(address, made, run):
            run.wait_for("RUNNING", START_S)
            time.sleep(2)
        run.wait_for("HOLD", 20)
        assert "system2: link: GPU box silent for" in run.log.read_text()
        with box(address, made, run):
            run.wait_for("RUNNING", START_S)
            time.sleep(1)
            assert run.end() == 0
    log = reader.read(run.session)
    made_there = [m for _, m, _ in reader.decode_all(log) if isinstance(m, messages.Conditions)]
    assert {m.epoch for m in made_there} == {1001, 1002}
    assert all(m.capture_ns < m.stamp_ns < m.capture_ns + 3_000_000_000 for m in made_there), "in the robot's time"
    assert not list(MEMORY_FOLDER.glob(f"{BOX_PREFIX}*"))
