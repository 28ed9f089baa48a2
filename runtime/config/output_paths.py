"""Where a command may write: said at the start, not after hours. Called by the flags of commands, and before they write."""

import os
import tempfile
from pathlib import Path

from runtime.errors import SettingsError


def check_writable(path: Path, flag: str) -> None:
    """Say at the start, not after hours, that a file cannot be written there. Raises SettingsError."""
    folder = path.absolute().parent
    if path.is_dir():
        raise SettingsError(f"{flag} {path}: is a folder; give a file")
    check_no_pipe(path, flag)
    if not folder.is_dir():
        raise SettingsError(f"{flag} {path}: its folder does not exist; create it first")
    _check_may_write(path if path.exists() else folder, path, flag)


def check_no_pipe(path: Path, flag: str) -> None:
    """Refuse a named pipe: opening it waits until somebody reads. Raises SettingsError."""
    if path.is_fifo():
        raise SettingsError(f"{flag} {path}: is a pipe, which may block for ever; give a file")


def check_json(path: Path | None) -> None:
    """The same of the file in which a command leaves its figures, where one was given. Raises SettingsError."""
    if path is not None:
        check_writable(path, "--json")


def check_folder(path: Path, flag: str) -> None:
    """Say at the start that a folder cannot be made or written there; makes nothing. Raises SettingsError."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise SettingsError(f"{flag} {path}: {there} is a file; give a folder")
    _check_may_write(there, path, flag)


def _check_may_write(there: Path, path: Path, flag: str) -> None:
    """Try to write there: by its permissions root may write everywhere, but not in /proc. Raises SettingsError."""
    try:
        if there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                pass
        elif not os.access(there, os.W_OK):
            raise PermissionError
    except OSError:
        raise SettingsError(f"{flag} {path}: cannot be written there; give another") from None


def make_folder(path: Path, flag: str) -> None:
    """Make a folder for what will be written, where it is not there yet. Raises SettingsError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot be created ({error.strerror}); give another folder") from None
