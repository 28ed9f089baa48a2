"""Child processes: started, seen to end once, none left behind; a disk without room for their logs stops nothing.
Called by pytest; the processes are real, of a run that does not exist."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.process.fork_server import ForkServer
from runtime.supervisor.children import Children

_WAIT_S = 60.0


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with closing(ForkServer()) as made:
        yield made


def exits(children: Children) -> dict[str, int]:
    """Those of the first look that finds any."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if found := children.take_exits():
            return found
        time.sleep(0.02)
    pytest.fail(f"{children.names} did not end")


def test_an_end_is_seen_once_and_its_reason_is_in_the_log(tmp_path: Path, server: ForkServer) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    children.start("arms", 0)
    assert children.names == ("arms",)
    assert exits(children)["arms"] != 0
    assert children.names == () and children.take_exits() == {}
    assert str(tmp_path) in (tmp_path / "logs" / "arms.log").read_text()


def test_without_room_for_logs_processes_run_all_the_same(tmp_path: Path, server: ForkServer) -> None:
    reported: list[str] = []
    (tmp_path / "logs").write_text("no folder")
    children = Children(tmp_path, tmp_path / "logs", reported.append, server)
    children.start("arms", 0)
    assert set(exits(children)) == {"arms"}
    assert len(reported) == 1 and "arms runs without a log; free disk space" in reported[0]


def test_none_is_left_behind(tmp_path: Path, server: ForkServer) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    for name in ("arms", "cameras"):
        children.start(name, 0)
    running = [child.pid for child in children._running.values()]  # pyright: ignore[reportPrivateUsage]
    children.end(["arms", "nobody"], _WAIT_S)
    children.kill_all()
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)


def test_processes_are_own_children_with_sessions_and_names_of_their_own(tmp_path: Path, server: ForkServer) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    with (tmp_path / "log").open("ab") as log:
        child = server.start("arms", tmp_path, 1, log.fileno())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has begun and ended
    status = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(status[1]), int(status[3])) == (os.getpid(), child.pid), "parent and session"
    assert child.wait(_WAIT_S) != 0 and child.poll() == child.wait()
    child.send_signal(signal.SIGKILL)  # nobody else may have its number by now
    assert children.names == ()


def test_what_a_signal_ends_tells_its_number(tmp_path: Path, server: ForkServer) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    children.start("arms", 0)
    children.kill("arms")
    assert exits(children) == {"arms": -signal.SIGKILL}


def test_without_the_server_processes_start_by_themselves(tmp_path: Path, server: ForkServer) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    os.kill(server._process.pid, signal.SIGKILL)  # pyright: ignore[reportPrivateUsage]
    children.start("arms", 0)
    assert exits(children)["arms"] != 0
    assert str(tmp_path) in (tmp_path / "logs" / "arms.log").read_text()


def test_a_server_that_does_not_answer_starts_nothing_later(tmp_path: Path, server: ForkServer) -> None:
    """Two processes of one arm would both command it."""
    children = Children(tmp_path, tmp_path / "logs", pytest.fail, server)
    process, requests = server._process, server._requests  # pyright: ignore[reportPrivateUsage]
    os.kill(process.pid, signal.SIGSTOP)
    requests.settimeout(0.2)
    children.start("arms", 0)
    assert process.returncode == -signal.SIGKILL, "it is closed, though it was stopped"
    assert exits(children)["arms"] != 0
    assert (tmp_path / "logs" / "arms.log").read_text().count("Traceback") == 1
    children.start("cameras", 0)
    assert set(exits(children)) == {"cameras"}


def test_a_copy_that_its_maker_has_not_heard_of_ends(tmp_path: Path, server: ForkServer) -> None:
    request = json.dumps({"name": "arms", "folder": str(tmp_path), "epoch": 0}).encode()
    waits, goes = os.pipe()
    with (tmp_path / "log").open("ab") as log:
        socket.send_fds(server._requests, [request], [log.fileno(), waits])  # pyright: ignore[reportPrivateUsage]
    pid = int(server._requests.recv(100))  # pyright: ignore[reportPrivateUsage]
    assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is None, "it waits"
    os.close(goes)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(waits)
    assert (tmp_path / "log").read_text() == "", "it was never a process of the run"


def test_all_end_with_their_maker(tmp_path: Path) -> None:
    """As when the robot command is killed: neither the server nor what it started stays behind."""
    maker = (
        "import sys, time; from pathlib import Path; from runtime.process import fork_server\n"
        "server = fork_server.ForkServer(); log = open(sys.argv[1] + '/log', 'ab')\n"
        "child = server.start('supervisor', Path(sys.argv[1]), 0, log.fileno())\n"
        "import os; print(server._process.pid, child.pid, flush=True); os.kill(child.pid, 19); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", maker, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    os.kill(pids[1], signal.SIGCONT)
    deadline = time.monotonic() + _WAIT_S
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
