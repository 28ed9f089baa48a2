"""Texts that come again and again: shown once in ten seconds, counted, the newest not lost. Called by pytest."""

from runtime.supervisor.repeated_lines import Repeats

S = 1_000_000_000


def test_texts_that_differ_in_figures_are_alike() -> None:
    repeats = Repeats()
    assert repeats.is_new("left arm: 5 of its last 20 readings, 1.25 s", 0)
    assert not repeats.is_new("left arm: 6 of its last 20 readings, 12 s", S)
    assert repeats.is_new("right arm: 5 of its last 20 readings, 1.25 s", S)


def test_how_often_it_came_is_said_every_ten_seconds_while_it_does() -> None:
    repeats = Repeats()
    shown = [text for s in range(35) if repeats.is_new(text := f"fault {s}", s * S)]
    assert shown == ["fault 0"]
    reported = Repeats()
    lines: list[str] = []
    for s in range(25):
        reported.is_new(f"fault {s}", s * S)
        lines += reported.summaries(s * S)
    assert lines == ["repeated 10 times in 10 s: fault 10", "repeated 10 times in 10 s: fault 20"]


def test_one_that_came_once_more_is_told_in_words() -> None:
    repeats = Repeats()
    assert repeats.is_new("fault 1", 0) and not repeats.is_new("fault 2", S)
    assert repeats.summaries(10 * S) == ["repeated once in 10 s: fault 2"]


def test_what_has_stopped_is_news_when_it_comes_again() -> None:
    repeats = Repeats()
    assert repeats.is_new("fault", 0)
    assert repeats.summaries(9 * S) == []
    assert repeats.summaries(10 * S) == []
    assert repeats.is_new("fault", 11 * S)
