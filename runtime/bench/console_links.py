"""The page in a real browser over long and lossy links: time to HOLD, pictures a second, ages as shown against true ages.
Called by command.py.

A stand-in robot, the real console, and a proxy for the link (slow_link.py): the page is measured, not the machine.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from runtime.bench.console import BROWSER, CHROMIUM, needs_browser
from runtime.bench.slow_link import SlowLink
from runtime.bench.stand_in_robot import StandInRobot
from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns

ROUND_TRIPS_S, LOSSES = (0.05, 0.5, 1.0, 2.4), (0.0, 0.02, 0.1)
"""Chosen: a neighbouring town, another continent by a bad radio, two satellites; and segments that such ways lose."""
_LOADED_MS, _HELD_S = 180_000, 60.0
"""Longest wait for the page, and for a HOLD. Chosen: a page of 1 MB is 20 round trips, each of which may lose something."""
_PAUSE_MS = 500  # between two looks at the pictures' ages, and more between two presses; chosen


def run(seconds: float, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Every link for `seconds`, and `repeats` presses of HOLD; ms and 1/s by name."""
    sync_playwright = needs_browser()
    rows: dict[str, Any] = {}
    say(
        "  round trip   loss   HOLD ms: median, worst     frames/s   age ms: shown, true   apart: worst   round trip shown"
    )
    with StandInRobot() as robot, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        for round_trip_s in ROUND_TRIPS_S:
            for loss in LOSSES:
                row = _measure(robot, browser, round_trip_s, loss, seconds, repeats)
                rows[f"{round_trip_s} s, {loss:.0%}"] = row
                say(
                    f"  {round_trip_s:>8} s {loss:>6.0%} {row['hold_ms']['p50']:>14.0f}, {row['hold_ms']['worst']:<9.0f}"
                    f"{row['pictures_hz']:>12.1f} {row['shown_ms']:>14.0f}, {row['true_ms']:<9.0f}"
                    f"{row['apart_ms']:>12.0f} {row['round_trip_ms']:>14.0f}"
                )
        browser.close()
    return rows


def true_age_ms(drawn: dict[str, float]) -> float:
    """How old a picture really was when the page drew it: both clocks are of this machine."""
    wall_ns = time.time_ns() - robot_time_ns()
    return (drawn["atMs"] * 1e6 - wall_ns - drawn["captureNs"]) / 1e6


def _measure(
    robot: StandInRobot, browser: Any, round_trip_s: float, loss: float, seconds: float, repeats: int
) -> dict[str, Any]:
    with SlowLink(urlsplit(robot.address).port or 0, round_trip_s, loss) as link:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{link.port}/", timeout=_LOADED_MS)
        _wait(page, "Object.values(window.video2act.ages).filter((ages) => ages.length > 3).length === 3")
        page.evaluate("window.video2act.ages = {}")
        began, shown_ms, true_ms = time.monotonic(), list[float](), list[float]()
        while time.monotonic() - began < seconds:
            page.wait_for_timeout(_PAUSE_MS)
            for row in page.evaluate("window.video2act.drawn").values():
                shown_ms.append(row["ageMs"])
                true_ms.append(true_age_ms(row))
        counted = [len(ages) for ages in page.evaluate("window.video2act.ages").values()]
        lasted = time.monotonic() - began
        trip_ms = page.evaluate("window.video2act.link.roundTripMs")
        holds_ms = [_hold_ms(robot, page, round_trip_s) for _ in range(repeats)]
        page.close()
    return {
        "hold_ms": {"p50": float(np.median(holds_ms)), "worst": max(holds_ms)},
        "pictures_hz": sum(counted) / 3 / lasted,
        "shown_ms": float(np.median(shown_ms)),
        "true_ms": float(np.median(true_ms)),
        "apart_ms": float(np.abs(np.subtract(shown_ms, true_ms)).max()),
        "round_trip_ms": trip_ms,
    }


def _hold_ms(robot: StandInRobot, page: Any, round_trip_s: float) -> float:
    """From a press of HOLD to its arrival at the arms."""
    robot.stand("RUNNING")
    page.wait_for_timeout(_PAUSE_MS + 1e3 * round_trip_s)
    before = len(robot.heard)
    page.get_by_role("button", name="HOLD").click()
    pressed_ns = round(page.evaluate("performance.timeOrigin + window.video2act.heldAt") * 1e6)
    pressed_ns -= time.time_ns() - robot_time_ns()
    deadline = time.monotonic() + _HELD_S
    while len(robot.heard) == before:
        if time.monotonic() > deadline:
            raise RuntimeFault(f"HOLD did not arrive within {_HELD_S:.0f} s; the link of the bench is broken")
        time.sleep(0.005)
    return (robot.heard[before][1] - pressed_ns) / 1e6


def _wait(page: Any, expression: str) -> None:
    """Until something in the page is true. (Its security policy forbids Playwright's own way.)"""
    deadline = time.monotonic() + _LOADED_MS / 1e3
    while not page.evaluate(expression):
        if time.monotonic() > deadline:
            raise RuntimeFault(f"the page shows no pictures within {_LOADED_MS / 1e3:.0f} s; end other programs")
        page.wait_for_timeout(100)
