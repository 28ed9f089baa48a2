"""The operator's keys on a real pseudo-terminal, and nothing at all without one.

The terminal must be as it was afterwards, whatever happened inside.
"""

import os
import pty
import sys
import termios
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.host import terminal


class Ends(NamedTuple):
    """Both ends of a pseudo-terminal."""

    keyboard: int
    screen: int


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Generator[Ends]:
    """Standard input is a pseudo-terminal."""
    keyboard, screen = pty.openpty()
    with os.fdopen(screen, "r", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield Ends(keyboard, screen)
    os.close(keyboard)
    os.close(screen)


def line_mode(descriptor: int) -> bool:
    return bool(termios.tcgetattr(descriptor)[3] & termios.ICANON)


def test_a_key_arrives_without_enter(ends: Ends) -> None:
    with terminal.single_keys() as keys:
        assert keys and not line_mode(ends.screen)
        assert terminal.pressed() == ""
        os.write(ends.keyboard, b"q")
        assert terminal.pressed() == "q"
        assert terminal.pressed() == ""


def test_several_keys_arrive_in_order(ends: Ends) -> None:
    with terminal.single_keys():
        os.write(ends.keyboard, b" rq")
        pressed = ""
        for _ in range(3):
            pressed += terminal.pressed()
        assert pressed == " rq"


def test_the_terminal_is_restored(ends: Ends) -> None:
    before = termios.tcgetattr(ends.screen)
    with terminal.single_keys():
        assert termios.tcgetattr(ends.screen) != before
    assert termios.tcgetattr(ends.screen) == before


def test_the_terminal_is_restored_after_an_error(ends: Ends) -> None:
    with pytest.raises(RuntimeError), terminal.single_keys():
        raise RuntimeError
    assert line_mode(ends.screen)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.touch()
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with terminal.single_keys() as keys:
            assert not keys
    monkeypatch.setattr(sys, "stdin", None)
    with terminal.single_keys() as keys:
        assert not keys


def test_keys_that_stop_a_program_or_its_lines_do_not(ends: Ends) -> None:
    with terminal.single_keys():
        os.write(ends.keyboard, b"\x13 \x1a")  # Ctrl-S, space, Ctrl-Z
        pressed = ""
        for _ in range(3):
            pressed += terminal.pressed()
        assert pressed == "\x13 \x1a"


def test_a_terminal_that_takes_no_lines_holds_nobody_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(ends.screen, "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        with terminal.single_keys(), terminal.written_beside():
            for number in range(5000):  # far more than a terminal holds that nobody reads
                terminal.say(f"line {number} " + "x" * 100)
            os.write(ends.keyboard, b" ")
            assert terminal.pressed() == " "


def test_lines_come_in_order_and_to_the_last(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(ends.screen, "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        terminal.say("before")
        with terminal.written_beside():
            for number in range(5):
                terminal.say(f"line {number}")
        terminal.say("after")
    shown = b""
    while b"after\r\n" not in shown:
        shown += os.read(ends.keyboard, 4096)
    assert shown.decode().split("\r\n") == ["before", *(f"line {number}" for number in range(5)), "after", ""]


def test_an_arrow_is_one_key() -> None:
    assert terminal.keys(" \x1b[Aq\x1bOPx\n") == [" ", "\x1b[A", "q", "\x1bOP", "x", "\n"]
    assert [terminal.key_name(key) for key in (" ", "\n", "x", "\x1b[A", "\x04")] == [
        "space",
        "Enter",
        "x",
        "that key",
        "that key",
    ]


def test_lines_go_above_the_one_that_stays(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(ends.screen, "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        with terminal.written_beside():
            terminal.show("RUNNING")
            terminal.show("RUNNING")  # nothing new
            terminal.say("an event")
            terminal.show("HOLD")
        terminal.say("after")
    shown = b""
    while b"after\r\n" not in shown:
        shown += os.read(ends.keyboard, 4096)
    clear = "\r\x1b[K"
    assert shown.decode() == f"{clear}RUNNING{clear}an event\r\nRUNNING{clear}HOLD{clear}after\r\n"


def test_a_file_has_no_width_a_terminal_has(ends: Ends, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "output").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert terminal.width() is None
    assert terminal.width() is None, "it is closed"
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal.width() is None
    with os.fdopen(ends.screen, "w", closefd=False) as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setenv("TERM", "xterm")
        termios.tcsetwinsize(ends.screen, (24, 100))
        assert terminal.width() == 100
        monkeypatch.setenv("TERM", "dumb")
        assert terminal.width() is None


def test_a_reader_that_goes_away_ends_a_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert not terminal.unread_within(0.001), "it still reads"
        os.close(reading)
        assert terminal.unread_within(60)


def test_what_a_file_says_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("session \x1b[2J\x9b1m\rgone\ttab\nä 大")
    assert capsys.readouterr().out == "session ?[2J?1m?gone\ttab\nä 大\n"


def test_things_are_counted_in_words() -> None:
    assert [terminal.counted(number, "episode") for number in (0, 1, 2)] == ["0 episodes", "1 episode", "2 episodes"]
