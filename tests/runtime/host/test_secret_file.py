"""A secret that others could read is no secret. Called by pytest."""

from pathlib import Path

import pytest

from runtime.errors import SettingsError
from runtime.host import secret_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(" a-token \n")
    path.chmod(0o600)
    return path


def test_it_is_read_without_blanks(file: Path) -> None:
    assert secret_file.read(file) == "a-token"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_what_others_can_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(SettingsError, match=r"other users can read or change it; run chmod 600"):
        secret_file.read(file)


def test_what_is_no_file_of_one_text_is_refused(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        secret_file.read(file.with_name("nowhere"))
    file.write_bytes(b"\xff" * 10)
    with pytest.raises(SettingsError, match="cannot be read"):
        secret_file.read(file)
    file.write_bytes(b"x" * 10_000)
    with pytest.raises(SettingsError, match="cannot be read"):
        secret_file.read(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        secret_file.read(file.parent)
