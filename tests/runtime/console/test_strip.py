"""What an operator sees at a glance: the live robot on every view, and a recording that cannot be taken for it.

Controls stay where they are whatever the robot does. Called by pytest; a stand-in robot, the real console, a real browser.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from console_page import until
from playwright.sync_api import Page, expect

from runtime.bench.stand_in_robot import StandInRobot

Open = Callable[..., Page]
GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"
NAME = "2026-11-25T10-00-00_block_handover_8"
LONG = tuple(
    f"{what} " + "commanded 0.412 rad, measured 0.131 rad (limit 0.15 rad); " * 6 for what in ("left", "right")
)
CONTROLS = (
    "HOLD", "arm", "run", "ready", "rest", "takeover", "clear", "stop", "release", "clear a stop", "send to the robot",
    "success", "failure", "end", "next",
)  # fmt: skip


@pytest.fixture(scope="module")
def robot() -> Iterator[StandInRobot]:
    with StandInRobot() as made:
        folder = made.folder / "sessions" / NAME
        folder.mkdir()
        shutil.copy(GOLDEN, folder / "session.mcap")
        yield made


@pytest.fixture
def running(robot: StandInRobot) -> StandInRobot:
    robot.answer = robot.verdict = ""
    robot.stand("RUNNING")
    return robot


def opened(show: Open, robot: StandInRobot, width: int = 1280, height: int = 800, scheme: str = "light") -> Page:
    page = show(robot.address, width, height, scheme)
    until(page, "window.video2act.moment?.safety && document.querySelector('.steering')")
    return page


def test_every_view_says_what_the_live_robot_does_and_holds_it(running: StandInRobot, show: Open) -> None:
    page = opened(show, running)
    page.get_by_role("button", name="take the lease").click()
    strip = page.locator(".banner")
    for view in ("#live", "#sessions", f"#session/{NAME}"):
        running.stand("RUNNING")
        page.goto(f"{running.address}{view}")
        expect(strip.locator("strong")).to_have_text("RUNNING")
        expect(strip).to_contain_text("the arms move for")
        expect(strip).to_contain_text("round trip")
        expect(strip).to_contain_text("you steer")
        running.stand("HOLD", "camera head: no new frame for 160 ms", "no chunk")
        expect(strip.locator("strong")).to_have_text("HOLD")
        expect(strip).to_contain_text("camera head: no new frame for 160 ms and 1 more")
        before = len(running.heard)
        page.keyboard.press("Space")
        until(page, "window.video2act.live.safety.reasons.join().includes('operator')")
        assert len(running.heard) == before + 1, view


def test_a_recording_does_not_look_like_the_live_robot(running: StandInRobot, show: Open) -> None:
    page = opened(show, running)
    running.stand("FAULT", "left j1 is blocked")
    live = page.locator(".banner")
    expect(live).to_have_css("position", "sticky")
    page.goto(f"{running.address}#session/{NAME}")
    recorded = page.locator(".recorded .then")
    expect(recorded).to_contain_text("recording")
    expect(recorded).to_contain_text(NAME)
    slider = page.get_by_label("time")
    slider.evaluate("(s) => { s.value = 0.9 * s.max; s.dispatchEvent(new Event('input', {bubbles: true})); }")
    until(page, "window.video2act.moment.safety.mode === 'RUNNING'")
    expect(recorded).to_contain_text("was RUNNING")
    expect(live.locator("strong")).to_have_text("FAULT")
    expect(page.locator(".banner")).to_have_count(1)
    assert page.locator(".running").count() == 0, "nothing is green as a robot that runs"


PLACES = """(buttons) => buttons.map((one) => {
  const { x, y } = one.getBoundingClientRect();
  return [one.closest(".lease") ? "lease" : one.firstChild.textContent.trim(), [x, y]];
})"""


def where(page: Page) -> dict[str, list[float]]:
    """Where on the screen everything that can be pressed is, in one look: one for each takes seconds."""
    found: dict[str, list[float]] = dict(page.get_by_role("button").evaluate_all(PLACES))
    return {name: found[name] for name in (*CONTROLS, "lease")}


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 844)])
def test_nothing_moves_under_a_finger(running: StandInRobot, show: Open, width: int, height: int) -> None:
    page = opened(show, running, width, height)
    page.locator(".wishes q").evaluate("(q) => { q.textContent = 'put the red block on the blue mat, '.repeat(9); }")
    reported, draft = page.locator(".wishes q").bounding_box(), page.locator(".wishes label").first.bounding_box()
    assert reported is not None and draft is not None
    assert reported["y"] + reported["height"] <= draft["y"], "two lines of what the robot does have room"
    strip, before = page.locator(".banner strong"), where(page)
    page.get_by_role("button", name="take the lease").click()
    expect(page.get_by_text("you hold the lease", exact=True)).to_be_visible()
    assert where(page) == before, "the lease"
    for mode in ("HOLD", "FAULT", "TAKEOVER", "DISARMED"):
        running.answer, running.verdict = f"run: refused; {LONG[0]}", LONG[1]
        running.stand(mode, *LONG)
        expect(strip).to_have_text(mode)
        until(page, "window.video2act.moment.safety.answer && window.video2act.moment.cameras[0].verdict")
        assert where(page) == before, mode
    page.evaluate("window.video2act.operator.steer({ ratio: -1 })")
    expect(page.locator("nav .answer")).to_contain_text("not a request")
    assert where(page) == before, "a refusal"
    page.locator("textarea").fill("put it down")
    page.get_by_role("button", name="stop", exact=True).click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    assert where(page) == before, "a question"
    yes, stop = (page.get_by_role("button", name=name, exact=True).bounding_box() for name in ("yes, stop", "stop"))
    assert yes is not None and stop is not None
    assert yes["y"] + yes["height"] <= stop["y"], "a second touch on stop does not say yes"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_draft_is_not_what_the_robot_was_told(running: StandInRobot, show: Open) -> None:
    page = opened(show, running)
    page.get_by_role("button", name="take the lease").click()
    now, draft = page.locator(".wishes .instruction"), page.locator("textarea")
    expect(now).to_contain_text("hand the block over")
    expect(draft).to_have_value("")
    expect(page.get_by_role("button", name="send to the robot")).to_be_disabled()
    draft.fill("put it down")
    expect(page.get_by_text("not sent yet")).to_be_visible()
    expect(now).to_contain_text("hand the block over")
    page.get_by_role("button", name="send to the robot").click()
    expect(draft).to_have_value("")
    page.get_by_role("button", name="edit").click()
    expect(draft).to_have_value("hand the block over")
