"""Folders in shared memory: made locked; what a killed process left is removed, what lives or is another's stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import RuntimeFault
from runtime.host import run_folder
from runtime.host.run_folder import BOX_PREFIX, RUN_PREFIX, MemoryFolder

_MAKER = """
import sys
from pathlib import Path
from runtime.host import run_folder
run_folder.MEMORY_FOLDER = Path(sys.argv[1])
folder = run_folder.MemoryFolder(sys.argv[2])
(folder.path / "head.ring").write_bytes(bytes(1000))
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_folder, "MEMORY_FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("prefix", [f"{RUN_PREFIX}1-", BOX_PREFIX])
def test_what_a_killed_process_left_is_removed_by_the_next_one(prefix: str, shared: Path) -> None:
    maker = subprocess.Popen(
        [sys.executable, "-c", _MAKER, str(shared), prefix],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert maker.stdin is not None and maker.stdout is not None
    with maker.stdin, maker.stdout:
        left = Path(maker.stdout.readline().strip())
        run_folder.sweep()
        assert (left / "head.ring").exists(), "its maker lives"
        maker.send_signal(signal.SIGKILL)
        maker.wait(10)
    mine = MemoryFolder(f"{RUN_PREFIX}{os.getpid()}-")
    assert [path.name for path in shared.iterdir()] == [mine.path.name]
    mine.remove()
    assert not list(shared.iterdir())


def test_what_was_not_made_here_stays(shared: Path) -> None:
    for name in ("video2act-bench-x", "something-else"):
        (shared / name).mkdir()
        (shared / name / "ring").touch()
    run_folder.sweep()
    assert sorted(path.name for path in shared.iterdir()) == ["something-else", "video2act-bench-x"]


def test_a_link_leads_no_sweep_elsewhere(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("home")
    (elsewhere / "alive").touch()
    (shared / "video2act-1-x").symlink_to(elsewhere)
    run_folder.sweep()
    assert (elsewhere / "alive").exists() and run_folder.running() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_stays(shared: Path) -> None:
    theirs = shared / f"{RUN_PREFIX}1-x"
    theirs.mkdir()
    (theirs / "alive").touch()
    os.chown(theirs, 65534, 65534)
    run_folder.sweep()
    assert theirs.exists() and run_folder.running() == []
    assert run_folder.others() == ["nobody"]


def test_no_shared_memory_is_one_line(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "MEMORY_FOLDER", shared / "shm")
    with pytest.raises(
        RuntimeFault, match=r"/shm: No such file or directory; .* mount a tmpfs, .*--shm-size=2g"
    ) as error:
        MemoryFolder(BOX_PREFIX)
    assert "\n" not in str(error.value)
