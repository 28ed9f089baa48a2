"""Processors are counted by affinity and control groups of both versions. Called by pytest; the groups are real files."""

import os
from pathlib import Path

import pytest

from runtime.host.processors import usable_processors

EIGHT = frozenset(range(8))


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: EIGHT)


def groups(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "own").write_text(own)
    return folder, folder / "own"


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/robot.slice/a.scope\n", {"robot.slice/cpu.max": "350000 100000\n", "robot.slice/a.scope/cpu.max": "max 1"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 8),
        ("4:memory:/x\n1:cpu,x:/x\n", {"cpu,x/x/cpu.cfs_quota_us": "400000", "cpu,x/x/cpu.cfs_period_us": "100000"}, 4),
        ("1:cpu:/elsewhere\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("nonsense", {"cpu.max": "nonsense"}, 8),
    ],
)  # fmt: skip
def test_the_least_of_affinity_and_groups_counts(own: str, files: dict[str, str], count: int, tmp_path: Path) -> None:
    assert usable_processors(*groups(tmp_path, own, files)) == count


def test_a_machine_without_groups_has_its_affinity(tmp_path: Path) -> None:
    assert usable_processors(tmp_path / "none", tmp_path / "none") == 8
