"""A browser and the console's page, for the tests that open it."""

import re
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


class Serving:
    """A command that serves the page; gives the page's address."""

    def __init__(self, *arguments: str) -> None:
        self._line = [sys.executable, "-m", "runtime.cli", *arguments]

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self._line, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        return next(found.group() for line in lines if (found := re.search(r"https?://\S+", line)))

    def __exit__(self, *_: object) -> None:
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.stdout.close()
        assert self.process.wait(20) == 0


class Alone(Serving):
    """`console.sh` on a folder of sessions."""

    def __init__(self, folder: Path, *flags: str) -> None:
        super().__init__("console", "--sessions", str(folder), "--port", "0", *flags)
