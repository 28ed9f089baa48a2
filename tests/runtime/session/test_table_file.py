"""The table of a run as a file: what is written comes back, and what is no table costs nothing. Called by pytest."""

import json
import os
from pathlib import Path

import pytest

from runtime.session import table_file
from runtime.session.format import SUMMARY_NAME


def test_it_comes_back(tmp_path: Path) -> None:
    table_file.write(tmp_path / SUMMARY_NAME, {"holds": 3})
    assert table_file.read(tmp_path) == {"holds": 3}


def test_rows_of_older_sessions_have_todays_names(tmp_path: Path) -> None:
    (tmp_path / SUMMARY_NAME).write_text(json.dumps({"faults_latched": 1, "faults": 36}))
    assert table_file.read(tmp_path) == {"faults_latched": 1, "fault_reports": 36}


@pytest.mark.parametrize("data", [b"", b"[1]", b"7", b"{", b"[" * 200_000, b"\xff", b" " * (1 << 21)])
def test_what_is_no_table_is_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / SUMMARY_NAME).write_bytes(data)
    assert table_file.read(tmp_path) == {}


def test_neither_a_link_nor_a_pipe_is_read(tmp_path: Path) -> None:
    (tmp_path / "other").write_text(json.dumps({"secret": 1}))
    (tmp_path / SUMMARY_NAME).symlink_to(tmp_path / "other")
    assert table_file.read(tmp_path) == {}
    (tmp_path / SUMMARY_NAME).unlink()
    os.mkfifo(tmp_path / SUMMARY_NAME)
    assert table_file.read(tmp_path) == {}
