"""The page in a real browser over links that are long, or fall silent: HOLD arrives, and no age is younger than it is.

Called by pytest; a stand-in robot behind a proxy (runtime/bench), the real console and page.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from console_page import until
from playwright.sync_api import Page, expect

from runtime.bench.console_links import true_age_ms
from runtime.bench.slow_link import SlowLink
from runtime.bench.stand_in_robot import StandInRobot

Open = Callable[..., Page]
HOLD_S = 1.0  # from the return of a link to HOLD at the arms
IN_TIME_S = 0.9  # from HOLD to the arms over 0.8 s: the answer then comes 0.2 s before the page loses patience
RUNNING = "window.video2act.moment?.safety?.mode === 'RUNNING'"


@pytest.fixture(scope="module")
def robot() -> Iterator[StandInRobot]:
    with StandInRobot() as made:
        yield made


@contextmanager
def far(robot: StandInRobot, show: Open, round_trip_s: float = 0.0) -> Generator[tuple[Page, SlowLink]]:
    """A page on a running robot at the other end of a link."""
    robot.stand("RUNNING")
    with SlowLink(urlsplit(robot.address).port or 0, round_trip_s) as link:
        page = show(f"http://127.0.0.1:{link.port}/")
        until(page, f"{RUNNING} && Object.values(window.video2act.ages).filter((ages) => ages.length > 3).length === 3")
        page.evaluate("window.same = true")
        yield page, link
        assert page.evaluate("window.same"), "from the same page, which was never loaded again"


def heard(robot: StandInRobot, page: Page, count: int, timeout_s: float = 30.0) -> float:
    """How long it takes until the arms have been sent so many holds, s."""
    began = time.monotonic()
    while len(robot.heard) < count:
        assert time.monotonic() - began < timeout_s, "HOLD does not arrive"
        page.wait_for_timeout(10)
    return time.monotonic() - began


def test_hold_on_a_silent_link_acts_within_a_second_of_its_return(robot: StandInRobot, show: Open) -> None:
    with far(robot, show) as (page, link):
        before = len(robot.heard)
        link.silence()
        expect(page.locator(".banner strong")).to_have_text("LOST")
        page.wait_for_timeout(3000)
        page.get_by_role("button", name="HOLD").click()
        expect(page.locator("nav .answer")).to_contain_text("HOLD has not arrived")
        page.wait_for_timeout(3000)
        link.restore()
        assert heard(robot, page, before + 1) < HOLD_S
        expect(page.locator("nav .answer")).to_have_text("")
        expect(page.locator(".banner strong")).to_have_text("HOLD")
        page.wait_for_timeout(1000)
        assert len(robot.heard) == before + 1, "one press is one HOLD, however often it was sent"


def test_everything_comes_back_after_silence(robot: StandInRobot, show: Open) -> None:
    with far(robot, show) as (page, link):
        page.get_by_role("button", name="take the lease").click()
        expect(page.get_by_text("you hold the lease", exact=True)).to_be_visible()
        link.silence()
        expect(page.locator(".banner strong")).to_have_text("LOST")
        expect(page.get_by_role("button", name="run", exact=True)).to_be_disabled()
        link.restore()
        until(page, RUNNING)
        shown = page.evaluate("Object.values(window.video2act.ages).map((ages) => ages.length)")
        until(
            page, "(was) => Object.values(window.video2act.ages).every((ages, at) => ages.length > was[at] + 3)", shown
        )
        expect(page.locator(".steering .line")).not_to_have_text("no connection")


def test_on_a_long_link_hold_is_said_to_be_heard_and_nothing_is_cut(robot: StandInRobot, show: Open) -> None:
    with far(robot, show, 0.8) as (page, _):
        page.get_by_role("button", name="take the lease").click()
        expect(page.get_by_text("you hold the lease", exact=True)).to_be_visible()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        before = len(robot.heard)
        page.evaluate(SAYINGS)
        page.get_by_role("button", name="HOLD").click()
        took_s = heard(robot, page, before + 1)
        assert took_s < 2.0, "half a round trip, and a loaded machine"
        until(page, "window.video2act.moment.safety.mode === 'HOLD'")
        page.wait_for_timeout(1500)
        if took_s < IN_TIME_S:
            assert page.evaluate("window.said") == [], "never that it was not heard"
        expect(page.locator("nav .answer")).to_have_text("")  # on a machine too slow for that it is taken back
        assert sockets == [] and len(robot.heard) == before + 1
        expect(page.get_by_text("you hold the lease", exact=True)).to_be_visible()
        page.get_by_role("button", name="run", exact=True).click()
        until(page, RUNNING)


SAYINGS = """() => {
  window.said = [];
  const answer = document.querySelector("nav .answer");
  new MutationObserver(() => answer.textContent && window.said.push(answer.textContent))
    .observe(answer, { childList: true, characterData: true, subtree: true });
}"""


def test_ages_and_the_round_trip_are_those_of_the_link(robot: StandInRobot, show: Open) -> None:
    with far(robot, show, 0.8) as (page, _):
        page.wait_for_timeout(2000)
        until(page, "window.video2act.link.roundTripMs < 1600")  # a busy machine's own share of one answer passes
        assert page.evaluate("window.video2act.link.roundTripMs") >= 800
        drawn: dict[str, dict[str, Any]] = page.evaluate("window.video2act.drawn")
        for camera, row in drawn.items():
            assert true_age_ms(row) > 400, "it cannot be younger than its way"
            assert abs(row["ageMs"] - true_age_ms(row)) < 150, (camera, row)
        safety = page.evaluate("window.video2act.moment.safety")
        assert safety["chunk_age_ms"] == 100, "as the robot told it, before it came here"
        until(page, "parseInt(document.querySelectorAll('.figures td')[4].textContent) > 480")


def test_a_key_that_stays_down_is_one_hold(robot: StandInRobot, show: Open) -> None:
    with far(robot, show) as (page, _):
        before = len(robot.heard)
        for key in ("Space", "Enter"):
            page.get_by_role("button", name="HOLD").focus()
            for _ in range(30):
                page.keyboard.down(key)
                page.wait_for_timeout(10)
            page.keyboard.up(key)
            page.wait_for_timeout(500)
        assert [command.command for command, _ in robot.heard[before:]] == ["hold", "hold"]
