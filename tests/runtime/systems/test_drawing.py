"""Pictures are drawn beside the conditions: the newest, in a thread, and never at their cost. Called by pytest."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runtime.messaging import messages
from runtime.policy.protocols import Expected
from runtime.systems.drawing import Drawing

Build = Callable[..., Any]
_WAIT_S = 5.0  # for a thread


def expected() -> Expected:
    return Expected("head", np.zeros((8, 8, 3), np.uint8), (np.zeros((8, 8, 3), np.uint8),), 0.2)


def taken(drawing: Drawing) -> messages.Imagined | None:
    """What comes within some seconds."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if (message := drawing.take(7)) is not None:
            return message
        time.sleep(0.001)
    return None


def test_while_one_is_drawn_only_the_newest_waits(build: Build) -> None:
    drawing, go, drawn = Drawing(3), threading.Event(), list[int]()

    def draw(number: int) -> Callable[[], Expected]:
        def call() -> Expected:
            assert go.wait(_WAIT_S)
            drawn.append(number)
            return expected()

        return call

    for number in range(4):
        drawing.begin(build(messages.Conditions, seq=number), draw(number))
        assert drawing.take(7) is None, "it does not wait"
    go.set()
    first, second = taken(drawing), taken(drawing)
    assert first is not None and second is not None
    assert (first.seq, second.seq, second.epoch, drawn) == (0, 3, 3, [0, 3])
    assert ("imagined", 3, 0) in second.inputs


def test_what_cannot_be_drawn_costs_that_picture_alone(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    drawing = Drawing(1)

    def fail() -> Expected:
        raise RuntimeError("CUDA out of memory")

    drawing.begin(build(messages.Conditions, seq=0), fail)
    deadline = time.monotonic() + _WAIT_S
    while not caplog.records and time.monotonic() < deadline:
        assert drawing.take(7) is None
    assert "what conditions 0 expect cannot be drawn: CUDA out of memory" in caplog.text
    drawing.begin(build(messages.Conditions, seq=1), expected)
    message = taken(drawing)
    assert message is not None and message.seq == 1


def test_a_policy_that_imagines_nothing_shows_nothing(build: Build) -> None:
    drawing = Drawing(1)
    drawing.begin(build(messages.Conditions), None)
    assert drawing.take(7) is None
