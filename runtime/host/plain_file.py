"""Files that came from elsewhere, of a session or a user: only what is really a file is opened, and no more read than allowed.
Used by the reader and the index of sessions, and for files that a command line names.

A link shows any file of this machine, a pipe never ends, a device gives without end.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

_LONGEST_REASON = 80  # letters of what a parser says; chosen: the line still fits a screen


def opened(path: Path, links: bool = False) -> BinaryIO:
    """Open a file for reading. Raises OSError, also for a folder, a pipe, a device and, unless `links` are followed, a link."""
    follow = 0 if links else os.O_NOFOLLOW
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | follow | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path, most_bytes: int, links: bool = False) -> bytes:
    """All bytes of a file. Raises OSError as `opened` does, and where there are more than `most_bytes`."""
    with opened(path, links) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes} bytes", str(path))
    return data


def json_value(path: Path, most_bytes: int) -> Any:
    """The value in a JSON file that a command line names. Raises FileNotFoundError, or ValueError with a few words."""
    try:
        return json.loads(read(path, most_bytes, links=True))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(str(error.strerror)) from None
    except RecursionError:
        raise ValueError("too deeply nested") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}"[:_LONGEST_REASON]) from None
