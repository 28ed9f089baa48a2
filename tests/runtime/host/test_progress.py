"""Progress: a bar on a terminal, a line every ten seconds elsewhere, nothing of what is done at once. Called by pytest."""

import sys
import time

import pytest

from runtime.host import progress


class Screen:
    """A terminal that remembers."""

    def __init__(self) -> None:
        self.shown = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.shown += text
        return len(text)

    def flush(self) -> None: ...


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.bar(3, "replay", "step") as shown:
        for _ in range(3):
            shown.update(1)
    with progress.waiting("export"):
        pass
    assert capsys.readouterr().err == ""


def test_without_a_terminal_there_are_whole_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.1)
    with progress.bar(40, "replay", "step") as shown, progress.waiting("export"):
        for _ in range(40):
            time.sleep(0.01)
            shown.update(1)
    said = capsys.readouterr().err
    assert "\r" not in said and "\x1b" not in said
    lines = said.splitlines()
    bars = [line for line in lines if line.startswith("replay: ")]
    assert 2 <= len(bars) <= 8 and all("of 40 steps" in line for line in bars), lines
    assert any(line.startswith("export: ") for line in lines)


def test_on_a_terminal_the_line_goes_when_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "_BAR_AFTER_S", 0.02)
    with progress.waiting("export"):
        time.sleep(0.2)
    assert "export: " in screen.shown
    assert "\n" not in screen.shown and screen.shown.endswith(progress._CLEAR)  # pyright: ignore[reportPrivateUsage]
