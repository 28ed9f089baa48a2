"""Faults that are switched by a file while a simulated robot runs. Called by pytest."""

import os
from pathlib import Path

import pytest

from drivers.cobot_magic import SIDES
from drivers.piper_emulator import Faults
from runtime.process.fault_injection import NAME, FaultFile


def test_sections_are_read_when_the_file_changes(tmp_path: Path) -> None:
    file = FaultFile(tmp_path, Faults, SIDES)
    assert file.changed() is None
    (tmp_path / NAME).write_text('{"right": {"status": 4, "silent": true}, "head": {"frozen": true}}')
    assert file.changed() == {"left": Faults(), "right": Faults(status=4, silent=True)}
    assert file.changed() is None
    (tmp_path / NAME).write_text('{"left": {"send_fails": true}, "right": {"deaf": true}}')
    assert file.changed() == {"left": Faults(send_fails=True), "right": Faults(deaf=True)}


def test_a_wrong_fault_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_text('{"left": {"status": 99}}')
    FaultFile(tmp_path, Faults, SIDES).changed()
    assert "cannot be read (left.status 99: must be " in caplog.text and "Input" not in caplog.text


@pytest.mark.parametrize("broken", ['{"left": {"unknown": 1}}', '{"left": ', "[]", '{"left": {"status": 99}}'])
def test_a_broken_file_is_one_line_and_changes_nothing(
    broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = FaultFile(tmp_path, Faults, SIDES)
    path = tmp_path / NAME
    path.write_text(broken)
    assert file.changed() is None and file.changed() is None
    assert len(caplog.records) == 1 and str(path) in caplog.text
    path.write_text("{}")
    os.utime(path, ns=(1, 1))
    assert file.changed() == {"left": Faults(), "right": Faults()}
