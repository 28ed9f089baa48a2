"""Files written whole or not at all, and never through a link that somebody put there.
Called by whatever leaves a table or a trace beside a session.
"""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; what was there, a link too, is replaced. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        beside.rename(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
