"""A browser and the console's page, for the tests that open it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

WAIT_MS = 60_000  # two processors serve the robot, its rendering, and a browser


def until(page: Page, expression: str, arg: Any = None, wait_ms: int = WAIT_MS) -> Any:
    """Wait for something in the page to become true, and give it. (Its security policy forbids Playwright's way, `eval`.)"""
    deadline = time.monotonic() + wait_ms / 1000
    while not (found := page.evaluate(expression, arg)):
        assert time.monotonic() < deadline, f"never: {expression}"
        page.wait_for_timeout(100)
    return found


class Alone:
    """`console.sh` on a folder of sessions."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder, self._flags = folder, flags

    def __enter__(self) -> str:
        line = [sys.executable, "-m", "runtime.cli", "console", "--sessions", str(self._folder), "--port", "0"]
        line += self._flags
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()[-1]

    def __exit__(self, *_: object) -> None:
        assert self._process.stdout is not None
        self._process.terminate()
        self._process.stdout.close()
        assert self._process.wait(20) == 0
