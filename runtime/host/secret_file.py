"""A secret in a file of one line, which nobody but its owner may read. Called by whoever asks for a token or gives one."""

from pathlib import Path

from runtime.errors import SettingsError
from runtime.host import plain_file

_OTHERS = 0o077  # whoever is not the owner
_LARGEST_BYTES = 8192  # chosen: far more than any token


def read(path: Path) -> str:
    """The secret, without blanks around it.

    Raises:
        FileNotFoundError: There is no such file.
        SettingsError: It cannot be read, or others can read or change it.
    """
    try:
        mode, known = path.stat().st_mode, plain_file.read(path, _LARGEST_BYTES, links=True).decode().strip()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); create another") from None
    if mode & _OTHERS:
        raise SettingsError(f"{path}: other users can read or change it; run chmod 600 {path}")
    return known
