"""Checks with a limit: what hangs in a device's library, or in the kernel, is a row of its own, and the others are still made.
Used by the rest of runtime/doctor for everything that it asks.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from runtime.doctor.table import Row

CHECK_S = 20.0
"""How long a check may take. Chosen: what asks an arm takes 4 s, `ip` and nvidia-smi are given 10 s at most."""


@dataclass(frozen=True)
class Check:
    """What makes some rows, the name of the one that stands for it where it hangs, and the remedy then."""

    name: str
    rows: Callable[[], Sequence[Row]]
    remedy: str = "restart the computer; if it hangs again, unplug its devices one by one"


@dataclass
class _Answer:
    rows: Sequence[Row] = ()
    error: list[Exception] = field(default_factory=list)


def at_once(checks: Sequence[Check], limit_s: float) -> list[Row]:
    """Make checks at the same time, a thread each. Whatever one of them raises is raised here.

    Returns:
        Their rows in the order of `checks`; for one that took longer than `limit_s` a row that fails. Its thread is left
        behind, and does not keep the program from ending.
    """
    answers = [_Answer() for _ in checks]
    threads = [
        threading.Thread(target=_make, args=(check, answer), name=check.name, daemon=True)
        for check, answer in zip(checks, answers, strict=True)
    ]
    for thread in threads:
        thread.start()
    rows, until_s = list[Row](), time.monotonic() + limit_s
    for check, answer, thread in zip(checks, answers, threads, strict=True):
        thread.join(max(0.0, until_s - time.monotonic()))
        if thread.is_alive():
            where = _where(sys._current_frames().get(thread.ident or 0))  # pyright: ignore[reportPrivateUsage]
            rows.append(Row(check.name, "fail", f"hung in {where} (no answer within {limit_s:.0f} s)", check.remedy))
        for error in answer.error:
            raise error
        rows += answer.rows
    return rows


def in_turn(*checks: Check) -> list[Row]:
    """Make checks one after the other, each with its own limit."""
    return [row for check in checks for row in at_once([check], CHECK_S)]


def _make(check: Check, answer: _Answer) -> None:
    try:
        answer.rows = check.rows()
    except Exception as error:  # noqa: BLE001 - the thread's edge: raised again by who waits for it
        answer.error.append(error)


def _where(frame: FrameType | None) -> str:
    """The call in which a thread waits: the outermost one that is none of ours, else the innermost one."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    started = next((place for place, found in enumerate(frames) if found.f_code is _make.__code__), len(frames))
    called = frames[:started]
    foreign = [found for found in called if not _is_own(found)]
    chosen = (foreign or called[:1] or frames)[-1:]
    return f"{chosen[0].f_code.co_name}() of {chosen[0].f_globals.get('__name__', '?')}" if chosen else "its check"


def _is_own(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in ("runtime", "drivers", "models")
