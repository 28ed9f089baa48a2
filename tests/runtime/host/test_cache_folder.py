"""Where a user's files are kept who has no home, or whose place in /tmp somebody else has taken. Called by pytest."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from runtime.host import cache_folder


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("homeless")
def test_who_has_no_home_gets_one_of_his_own(shared: Path) -> None:
    cache_folder.ensure_home()
    assert os.environ["HOME"] == os.path.expanduser("~") == str(shared / f"video2act-{os.geteuid()}")  # noqa: PTH111


def test_a_home_stays(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(shared / "mine"))
    cache_folder.ensure_home()
    assert os.environ["HOME"] == str(shared / "mine")


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("made", ["link", "file"])
def test_what_somebody_else_made_is_not_used(made: str, shared: Path) -> None:
    taken = shared / f"video2act-{os.geteuid()}"
    taken.symlink_to(shared) if made == "link" else taken.touch()
    assert cache_folder.usual("instructions") == (shared / f"video2act-{os.geteuid()}-none" / "instructions",)


@pytest.mark.usefixtures("homeless")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_not_used(shared: Path) -> None:
    taken = shared / f"video2act-{os.geteuid()}"
    taken.mkdir()
    os.chown(taken, 65534, 65534)
    assert cache_folder.usual("graphs") == (shared / f"video2act-{os.geteuid()}-none" / "graphs",)
