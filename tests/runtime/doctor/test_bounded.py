"""Checks with a limit: one that hangs is a row, the others are made, the program ends. Called by pytest."""

import subprocess
import sys
import time
from functools import partial

import pytest

from runtime.doctor.bounded import Check, at_once, in_turn
from runtime.doctor.table import Row


def test_rows_come_in_order_and_at_once() -> None:
    def slow(name: str) -> list[Row]:
        time.sleep(0.3)
        return [Row(name, "pass", "well")]

    began = time.monotonic()
    rows = at_once([Check(name, lambda name=name: slow(name)) for name in ("b", "a", "c")], 5.0)
    assert [row.name for row in rows] == ["b", "a", "c"] and time.monotonic() - began < 0.8


def test_one_that_hangs_is_named_with_where_it_hangs() -> None:
    asks = partial(subprocess.run, ["sleep", "3"])
    checks = [Check("bus", asks, "unplug it"), Check("disk", lambda: []), Check("other", asks)]  # pyright: ignore[reportArgumentType]
    began = time.monotonic()
    row, other = at_once(checks, 1.0)
    assert time.monotonic() - began < 2.5 and other.name == "other", "the limit is for all of them"
    assert row == Row("bus", "fail", "hung in run() of subprocess (no answer within 1 s)", "unplug it")


def test_what_a_check_raises_is_raised() -> None:
    def broken() -> list[Row]:
        raise ValueError("a slip of ours")

    with pytest.raises(ValueError, match="a slip of ours"):
        in_turn(Check("disk", broken))


def test_the_program_ends_although_a_check_hangs() -> None:
    code = """
import threading
from runtime.doctor.bounded import Check, at_once
print(at_once([Check("bus", lambda: [threading.Event().wait()])], 0.2)[0].verdict)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (run.returncode, run.stdout, run.stderr) == (0, "fail\n", "")
