"""What the operating system refused, in one line: what, why, and what to do about it.
Used by the command's edge (runtime/cli.py), by whoever makes a run's folder, and by processes that report a fault.
"""

import errno
import os

LEAST_FILES = 512
"""Descriptors that a process of a run may need. Measured: the supervisor has 65; the console has some more for each page."""
_LONGEST_NAME = 120  # of a file in a line; chosen
_REMEDIES = {
    errno.ENOSPC: "free disk space there",
    errno.EDQUOT: "free some of this user's disk quota",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or give a smaller file",
    errno.EMFILE: f"raise the limit of open files (ulimit -n {LEAST_FILES})",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.EACCES: "run this as its owner, or give another path",
    errno.EPERM: "run this as its owner, or give another path",
    errno.EROFS: "give a path that can be written",
    errno.ENOENT: "give a path that exists",
    errno.ENOTDIR: "give a path that exists",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "give the file itself: links are not followed here",
    errno.ENOMEM: "free memory",
    errno.EAGAIN: "end other programs, or raise the limit of processes (ulimit -u)",
}


def line(error: OSError, where: object = None, remedy: str = "") -> str:
    """One line: the file, the cause, the remedy.

    Args:
        error: As it was raised.
        where: What it is about, where the error itself does not say it better.
        remedy: What helps, where the number of the error alone does not tell.
    """
    named = error.filename if where is None else where
    subject = f"{_shown(named)}: " if named is not None else ""
    cause = (error.strerror or str(error) or type(error).__name__).split("\n")[0]
    remedy = remedy or _REMEDIES.get(error.errno or 0, "")
    return f"{subject}{cause}{remedy and f'; {remedy}'}"


def _shown(named: object) -> str:
    text = os.fsdecode(named) if isinstance(named, bytes) else str(named)
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= _LONGEST_NAME else f"{printable[:_LONGEST_NAME]}..."
