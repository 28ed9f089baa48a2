"""Texts are UTF-8 whatever the locale says, and a terminal that cannot show a letter gets its number instead of an exception.
Called first thing by runtime/cli.py.
"""

import io
import locale
import os
import sys


def ensure() -> None:
    """Start this program again in Python's UTF-8 mode, where the locale has another encoding; its children inherit it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    is_utf8 = sys.getfilesystemencoding() == locale.getencoding().lower() == "utf-8"
    if is_utf8 or sys.flags.utf8_mode or os.environ.get("PYTHONUTF8") == "1":
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})
