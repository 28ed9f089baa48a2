"""launch/setup.sh: what an interrupted set-up leaves behind does not stop the next one. Called by pytest; nothing is fetched.

The interpreter that makes the venv is a stand-in, and so is the one inside, which writes down what pip is asked for.
"""

import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = "libEGL.so.1 libEGL_mesa.so.0 libGL.so.1 libOpenGL.so.0 swrast_dri.so libusb-1.0.so.0"
SET_UP = ["venv", "pip", "pip", "pip"]  # what is asked of Python's -m: the packages by their hashes, torch, ours
INSIDE = """#!/bin/bash
echo "$*" >>"$LOG"
case "$*" in *" torch=="*) [ -z "${HANG_IN_TORCH:-}" ] || sleep 60; [ -z "${OFFLINE:-}" ] || exit 1 ;; esac
"""
OUTSIDE = """#!/bin/bash
[ "$1" = -m ] || exit 0   # it is asked whether it will do
for folder; do :; done    # the last word
rm -rf "$folder"/*
mkdir -p "$folder/bin"
cp "$INSIDE" "$folder/bin/python"
echo "$*" >>"$LOG"
[ -z "${HANG_IN_VENV:-}" ] || sleep 60
"""


class Checkout:
    """A folder with the script and what it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "checkout", folder / "log"
        (self.folder / "launch").mkdir(parents=True)
        for name in ("setup.sh", "find_python.sh"):
            shutil.copy(ROOT / "launch" / name, self.folder / "launch")
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, self.folder)
        shutil.copytree(ROOT / "launch" / "locked", self.folder / "launch" / "locked")
        programs = folder / "programs"
        programs.mkdir()
        self._write(programs / "ldconfig", f'#!/bin/sh\nfor name in {LIBRARIES}; do echo "  $name (x)"; done\n')
        self._write(folder / "outside", OUTSIDE)
        self._write(folder / "inside", INSIDE)
        self.environment = os.environ | {
            "PATH": f"{programs}:{os.environ['PATH']}", "LOG": str(self.log), "INSIDE": str(folder / "inside"),
            "VIDEO2ACT_PYTHON": str(folder / "outside"),
        }  # fmt: skip

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def start(self, **more: str) -> "subprocess.Popen[str]":
        self.log.write_text("")
        line = ["bash", "-c", 'extras="robot"; . launch/setup.sh; echo "ready: $python"']
        return subprocess.Popen(
            line, cwd=self.folder, env=self.environment | more, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def set_up(self) -> str:
        said, _ = self.start().communicate(timeout=60)
        return said

    def killed_while(self, asked: str, **more: str) -> None:
        """Started, and killed with all its children once it does this."""
        running = self.start(**more)
        deadline = time.monotonic() + 30
        while asked not in self.log.read_text():
            assert time.monotonic() < deadline and running.poll() is None, self.log.read_text()
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()

    @property
    def asked(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("-m")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_new_checkout_is_set_up_once(checkout: Checkout) -> None:
    said = checkout.set_up()
    assert checkout.asked == SET_UP
    assert said.splitlines()[-1] == f"ready: {checkout.folder}/.venv/bin/python"
    for part in (
        "3 GB of disk",
        "1 of 4: the environment",
        "2 of 4: 115 packages by their hashes",
        "3 of 4: torch (200 MB",
        "4 of 4: video2act itself",
    ):
        assert part in said
    assert checkout.log.read_text().splitlines()[-1] == "-c import runtime.arms.step"
    assert checkout.set_up() == f"ready: {checkout.folder}/.venv/bin/python\n", "nothing on the next start"
    assert checkout.asked == []


def test_packages_are_taken_by_their_hashes_and_ours_without_any_other(checkout: Checkout) -> None:
    checkout.set_up()
    _, packages, torch, ours, *_ = checkout.log.read_text().splitlines()
    assert "--require-hashes --no-deps" in packages
    assert re.findall(r"--requirement=(\S+)", packages) == [
        "launch/locked/build.txt",
        "launch/locked/base.txt",
        "launch/locked/robot.txt",
    ]
    assert re.search(r" torch==[\d.]+$", torch)
    assert ours.endswith(" --no-deps --no-build-isolation -e .")


def pins(text: str) -> dict[str, str]:
    """Version by name, as packages are compared: in lower case, with dashes."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.M)
    return {re.sub(r"[._]", "-", name.lower()): version for name, version in found}


def test_every_pinned_package_has_its_hashes() -> None:
    """One version in two places would be two; `launch/locked/renew.sh` writes them anew."""
    lists = {path.stem: path.read_text() for path in (ROOT / "launch" / "locked").glob("*.txt")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(lists) == {"base", "build", "uv", *extras}
    pinned = pins((ROOT / "requirements.lock").read_text())
    hashed = pins("\n".join(lists.values()))
    assert {name: hashed.get(name) for name in pinned if name != "torch"} == {
        name: version for name, version in pinned.items() if name != "torch"
    }
    assert "torch" not in hashed and not any(name.startswith("nvidia-") for name in hashed)
    for name, text in lists.items():
        for entry in re.split(r"\n(?=\w)", text.strip()):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), f"{name}: {entry}"


@pytest.mark.parametrize(
    ("asked", "hang"), [("-m venv", "HANG_IN_VENV"), ("torch==", "HANG_IN_TORCH")], ids=["venv", "packages"]
)
def test_a_set_up_that_was_killed_is_made_anew(checkout: Checkout, asked: str, hang: str) -> None:
    checkout.killed_while(asked, **{hang: "1"})
    time.sleep(0.1)
    assert (checkout.folder / ".venv").is_dir()
    said = checkout.set_up()
    assert "an earlier set-up was interrupted" in said
    assert checkout.asked == SET_UP
    assert said.splitlines()[-1].startswith("ready: ")
    assert checkout.set_up().startswith("ready: ")


def test_other_packages_go_into_the_environment_that_is_there(checkout: Checkout) -> None:
    checkout.set_up()
    lock = checkout.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "another==1\n")
    assert "interrupted" not in checkout.set_up()
    assert checkout.asked == SET_UP[1:]


def test_what_pip_could_not_fetch_costs_nothing_that_is_there(checkout: Checkout) -> None:
    """Without a network the environment of before is not thrown away."""
    checkout.set_up()
    kept = checkout.folder / ".venv" / "kept"
    kept.touch()
    lock = checkout.folder / "requirements.lock"
    before = lock.read_text()
    lock.write_text(before + "another==1\n")
    offline = checkout.start(OFFLINE="1")
    offline.communicate()
    assert offline.returncode == 1
    lock.write_text(before)
    assert checkout.set_up().startswith("ready: ") and kept.exists()


def test_two_set_ups_at_once_do_not_meet(checkout: Checkout) -> None:
    first = checkout.start(HANG_IN_TORCH="1")
    deadline = time.monotonic() + 30
    while "torch==" not in checkout.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = checkout.start()
    time.sleep(1.0)
    assert second.poll() is None and checkout.asked == [], "it waits, and touches nothing"
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    said, _ = second.communicate(timeout=60)
    assert "waiting for another installation" in said and said.splitlines()[-1].startswith("ready: ")
    assert checkout.asked == SET_UP
