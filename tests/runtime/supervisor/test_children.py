"""Child processes: started, seen to end once, none left behind; a disk without room for their logs stops nothing.
Called by pytest; the processes are real, of a run that does not exist."""

import time
from pathlib import Path

import pytest

from runtime.supervisor.children import Children

_WAIT_S = 60.0


def exits(children: Children) -> dict[str, int]:
    """Those of the first look that finds any."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if found := children.take_exits():
            return found
        time.sleep(0.02)
    pytest.fail(f"{children.names} did not end")


def test_an_end_is_seen_once_and_its_reason_is_in_the_log(tmp_path: Path) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail)
    children.start("arms", 0)
    assert children.names == ("arms",)
    assert exits(children)["arms"] != 0
    assert children.names == () and children.take_exits() == {}
    assert str(tmp_path) in (tmp_path / "logs" / "arms.log").read_text()


def test_without_room_for_logs_processes_run_all_the_same(tmp_path: Path) -> None:
    reported: list[str] = []
    (tmp_path / "logs").write_text("no folder")
    children = Children(tmp_path, tmp_path / "logs", reported.append)
    children.start("arms", 0)
    assert set(exits(children)) == {"arms"}
    assert len(reported) == 1 and "arms runs without a log; free disk space" in reported[0]


def test_none_is_left_behind(tmp_path: Path) -> None:
    children = Children(tmp_path, tmp_path / "logs", pytest.fail)
    for name in ("arms", "cameras"):
        children.start(name, 0)
    running = [child.pid for child in children._running.values()]  # pyright: ignore[reportPrivateUsage]
    children.end(["arms", "nobody"], _WAIT_S)
    children.kill_all()
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
