"""Calls into a library that hangs: who waits is told, no call is lost unsaid, none is made beside one that hangs. By pytest."""

import threading

import pytest

from drivers.bounded import BoundedCalls
from drivers.errors import DriverError


def nothing() -> None:
    pass


def test_what_a_call_raises_is_raised() -> None:
    def fails() -> None:
        raise DriverError("no such interface")

    with pytest.raises(DriverError, match="no such interface"):
        BoundedCalls(5.0)(fails, "can_left", "check it")


def test_beside_one_that_hangs_no_other_is_made_and_afterwards_again() -> None:
    calls, released, made = BoundedCalls(0.05), threading.Event(), list[int]()
    for _ in range(3):
        with pytest.raises(DriverError, match="can_left hung"):
            calls(released.wait, "can_left", "check it")
        with pytest.raises(DriverError, match="can_left hung"):
            calls(lambda: made.append(1), "can_left", "check it")
    assert made == []
    released.set()
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-"):
            thread.join(5)
    calls(lambda: made.append(2), "can_left", "check it")
    assert made == [2]


def test_a_hang_that_ends_just_then_is_still_no_call_made() -> None:
    class Ending(threading.Thread):
        asked = 0

        def is_alive(self) -> bool:
            self.asked += 1
            return self.asked == 1

    calls, made = BoundedCalls(5.0), list[int]()
    calls._hanging = Ending()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(DriverError, match="hung"):
        calls(lambda: made.append(1), "can_left", "check it")
    calls(lambda: made.append(2), "can_left", "check it")
    assert made == [2]
    calls(nothing, "can_left", "check it")
