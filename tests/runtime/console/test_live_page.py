"""The page in a real browser, on a live simulated robot and on the session that it leaves. Called by pytest; live.

Nothing here judges speed: `bench.sh --console` does.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from console_page import WAIT_MS, Alone, until
from live_run import START_S, LiveRun
from playwright.sync_api import Browser, Page, expect

from models.errors import ModelError
from runtime.messaging import messages
from runtime.process.base import CONSOLE_FILE
from runtime.session import episodes, reader

pytestmark = pytest.mark.live
ENCODED_MS = 240_000  # a new instruction is encoded by a child that first loads torch, beside all of these
Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """A robot that runs, slowly enough for a browser beside it."""
    flags = ("--console.port", "0", "--system1.period_s", "0.4", "--ratio", "4", "--safety.max_deadman_age_s", "2")
    with LiveRun(tmp_path_factory.mktemp("console"), *flags, console=True) as made:
        made.wait_for("RUNNING", START_S)
        yield made


@pytest.fixture
def page(run: LiveRun, show: Open) -> Page:
    """The robot's page, with a moment on it."""
    made = show(address(run))
    expect(made.locator(".banner strong")).not_to_have_text("STARTING", timeout=WAIT_MS)
    until(made, "Boolean(window.video2act.moment)")
    return made


def address(run: LiveRun) -> str:
    """Where the page is, as soon as it is served: the robot may run before."""
    path, deadline = run.folder / CONSOLE_FILE, time.monotonic() + START_S
    while not path.exists():
        assert time.monotonic() < deadline, run.log.read_text()
        time.sleep(0.1)
    return path.read_text()


def shows(page: Page, mode: str) -> None:
    """Wait for a mode."""
    expect(page.locator(".banner strong")).to_have_text(mode, timeout=WAIT_MS)


def moment(page: Page, expression: str) -> Any:
    """Something of the newest moment."""
    return page.evaluate(f"window.video2act.moment.{expression}")


def held(page: Page, why: str = "held by the operator") -> list[str]:
    """Wait for a HOLD that does not end by itself, and give its reasons: on a loaded machine there are others."""
    safety = "window.video2act.moment.safety"
    return until(page, f"{safety}.mode === 'HOLD' && {safety}.reasons.join().includes('{why}') && {safety}.reasons")


def steer(page: Page, name: str = "Anna") -> None:
    """Take the lease and let the robot run."""
    page.get_by_label("your name").fill(name)
    page.get_by_role("button", name="take the lease").click()
    expect(page.get_by_text("you hold the lease", exact=True)).to_be_visible(timeout=WAIT_MS)
    arm_and_run(page)


def arm_and_run(page: Page) -> None:
    for command in ("arm", "run"):
        page.get_by_role("button", name=command, exact=True).click()
    shows(page, "RUNNING")


def test_pictures_move_and_the_whole_robot_is_shown(page: Page) -> None:
    until(page, "Object.values(window.video2act.ages).filter((ages) => ages.length > 5).length === 3")
    for number in range(3):
        picture = page.locator("figure canvas:not(.over)").nth(number)
        first = picture.evaluate("(canvas) => canvas.toDataURL()")
        until(page, "([canvas, first]) => canvas.toDataURL() !== first", arg=[picture.element_handle(), first])
    page.get_by_role("button", name="boundaries").click()
    until(page, "document.querySelector('canvas.over').width > 1")
    assert moment(page, "chunk.path[0].length") == 64
    assert {row["process"] for row in moment(page, "processes")} >= {"arms", "system1", "system2", "console"}
    until(page, "window.video2act.moment.processes.find((row) => row.process === 'arms').sent_hz > 200")
    assert re.search(r"arms \d+/s", page.get_by_label("processes").inner_text())


def test_all_joints_of_an_arm_are_plotted_at_once_or_one_of_them(page: Page) -> None:
    until(page, "window.video2act.moment.joints.measured !== null")
    page.get_by_label("joint").select_option("right arm")
    drawn = page.locator(".several canvas")
    expect(drawn).to_have_count(7)
    first = drawn.nth(6).evaluate("(canvas) => canvas.toDataURL()")
    until(page, "([canvas, first]) => canvas.toDataURL() !== first", arg=[drawn.nth(6).element_handle(), first])
    page.get_by_role("button", name="right j3").click()
    expect(page.get_by_label("joint")).to_have_value("right j3")
    expect(page.locator(".plots canvas")).to_have_count(1)


def test_hold_by_click_and_by_key_stops_the_arms_until_run_is_ordered(page: Page) -> None:
    steer(page)
    page.get_by_role("button", name="HOLD").click()
    assert held(page)
    page.wait_for_timeout(1000)  # it brakes
    stood = moment(page, "joints.measured")
    until(page, "(was) => window.video2act.moment.chunk.seq > was", moment(page, "chunk.seq"))
    moved = np.abs(np.subtract(moment(page, "joints.measured"), stood)).max()
    assert moved < 0.01, "rad: it stands, though chunks come"
    page.get_by_role("button", name="run", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="send `arm`, then `run`")).to_be_visible(timeout=WAIT_MS)
    arm_and_run(page)
    box = page.get_by_label("hold when this page is lost")
    box.focus()
    page.keyboard.press("Space")
    assert held(page)
    assert not box.is_checked(), "space holds, whatever has the focus"


def test_a_stop_is_asked_for_twice_and_the_page_goes_on_beating(page: Page) -> None:
    steer(page)
    page.get_by_label("hold when this page is lost").click()
    page.get_by_role("button", name="stop", exact=True).click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("lets the arms sink")
    expect(question.get_by_role("button", name="cancel")).to_be_focused()
    page.wait_for_timeout(3000)
    assert "console page of" not in str(moment(page, "safety.reasons")), (
        "a deadman of two seconds does not hold meanwhile"
    )
    page.keyboard.press("Enter")
    expect(question).to_have_count(0)
    assert not any(event["text"].startswith("stop") for event in moment(page, "events"))
    page.get_by_role("button", name="HOLD").click()
    assert held(page)


def test_a_hold_without_a_connection_is_sent_first_when_there_is_one(page: Page) -> None:
    steer(page)
    page.evaluate("window.video2act.operator.lose()")
    page.get_by_role("button", name="HOLD").click()
    assert held(page)


def test_a_second_page_may_hold_but_not_steer(page: Page, run: LiveRun, show: Open) -> None:
    steer(page)
    other = show(address(run))
    expect(other.get_by_text("Anna holds the lease", exact=True)).to_be_visible(timeout=WAIT_MS)
    expect(other.get_by_role("button", name="run", exact=True)).to_be_disabled()
    other.evaluate("window.video2act.operator.send('rest')")
    expect(other.locator("nav .answer")).to_have_text("Anna holds the lease", timeout=WAIT_MS)
    assert not any(event["text"].startswith("rest") for event in moment(page, "events"))
    other.get_by_role("button", name="HOLD").click()
    assert held(page), "the first page is told"


def test_a_lost_heartbeat_holds(page: Page) -> None:
    steer(page)
    page.get_by_label("hold when this page is lost").click()
    expect(page.get_by_label("hold when this page is lost")).to_be_checked(timeout=WAIT_MS)
    page.evaluate("window.video2act.operator.stopBeating()")
    assert held(page, "console page of Anna silent")
    page.reload()  # another page, which takes over and drives without a deadman
    steer(page, "Ben")


def test_a_closed_page_holds(page: Page, run: LiveRun, show: Open) -> None:
    """(A page behind another beats seldom, so it holds too: nobody watches it.)"""
    other = show(address(run))
    page.bring_to_front()
    steer(page)
    page.get_by_label("hold when this page is lost").click()
    expect(page.get_by_label("hold when this page is lost")).to_be_checked(timeout=WAIT_MS)
    page.close()
    assert held(other)


def test_a_new_instruction_reaches_system_1_and_an_episode_is_judged(page: Page) -> None:
    steer(page, "Berta")
    until(page, "window.video2act.moment.events.some((event) => event.text === 'Berta holds the lease')")
    page.locator("textarea").fill("put the red block down")
    page.get_by_role("button", name="send to the robot").click()
    until(page, "window.video2act.moment.instruction.number > 1")
    until(page, "window.video2act.moment.safety.chunk_age_ms !== null", wait_ms=ENCODED_MS)
    page.get_by_role("spinbutton").fill("3")
    page.get_by_role("spinbutton").press("Enter")
    until(page, "window.video2act.moment.ratio.wanted === 3")
    page.get_by_label("blend").select_option("fade")
    until(page, "window.video2act.moment.episode.blend === 'fade'")
    page.locator("textarea").fill("a half typed sen")
    page.get_by_placeholder("note").fill("slipped")
    page.get_by_placeholder("note").press("Enter")
    page.wait_for_timeout(1000)
    assert moment(page, "instruction.text") == "put the red block down", "a note sends no instruction"
    page.get_by_role("button", name="failure").click()
    until(page, "window.video2act.moment.episode.result === 'failure'")
    page.get_by_role("button", name="next").click()
    until(page, "window.video2act.moment.episode.number === 2")
    assert held(page), "a new episode waits to be run"


@pytest.mark.parametrize(("process", "said"), [("cameras", "camera"), ("arms", "silent for")])
def test_the_page_tells_of_a_process_that_hangs_dies_and_comes_back(
    page: Page, run: LiveRun, process: str, said: str
) -> None:
    steer(page)
    safety, row = "window.video2act.moment.safety", f"(row) => row.process === '{process}'"
    before = moment(page, f"processes.find({row}).restarts")
    hung = run.child(process)
    os.kill(hung, signal.SIGSTOP)  # else it may be back before the patient limits of these tests notice
    until(page, f"{safety}.mode !== 'RUNNING' && {safety}.reasons.join().includes('{said}')")
    expect(page.locator(".banner")).not_to_contain_text("RUNNING")
    os.kill(hung, signal.SIGKILL)
    until(page, f"(was) => window.video2act.moment.processes.find({row}).restarts > was", arg=before)
    expect(page.locator(".banner strong")).not_to_have_text("SILENT", timeout=WAIT_MS)
    if process == "arms":
        shows(page, "DISARMED")
        expect(page.locator(".banner")).to_contain_text("send `arm`, then `run`")
    arm_and_run(page)


def test_a_page_that_shows_an_old_robot_takes_no_orders_but_hold(page: Page, run: LiveRun) -> None:
    """What was clicked meanwhile would come out of the connection later, when nobody expects it."""
    steer(page)
    arm, hold = page.get_by_role("button", name="arm", exact=True), page.get_by_role("button", name="HOLD")
    hung = run.child("console")
    os.kill(hung, signal.SIGSTOP)
    try:
        shows(page, "LOST")
        expect(arm).to_be_disabled()
        expect(page.locator(".robot.lost")).to_have_count(1)
        expect(hold).to_be_enabled()
    finally:
        os.kill(hung, signal.SIGCONT)
    expect(arm).to_be_enabled(timeout=WAIT_MS)
    expect(page.locator(".robot.lost")).to_have_count(0)


def test_nothing_sticks_out_of_a_tablet_that_shows_a_robot(run: LiveRun, show: Open) -> None:
    page = show(address(run))
    until(page, "window.video2act.moment && window.video2act.ages.head?.length")
    for width, height in ((1280, 800), (1024, 768), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (width, height)


def test_a_page_of_another_origin_reaches_nothing(run: LiveRun, browser: Browser) -> None:
    commands = address(run).replace("http", "ws", 1) + "operator"
    with Elsewhere() as url:
        page = browser.new_page()
        page.goto(url)
        reported = page.evaluate(
            """(orders) => new Promise((told) => {
                const socket = new WebSocket(orders);
                socket.onopen = () => told('opened');
                socket.onerror = () => told('refused');
            })""",
            commands,
        )
        page.goto(address(run))
        own = page.evaluate(
            "(orders) => new Promise((told) => (new WebSocket(orders).onopen = () => told('opened')))", commands
        )
        page.close()
    assert (reported, own) == ("refused", "opened")


def test_a_wrong_token_opens_nothing(run: LiveRun, browser: Browser) -> None:
    token = "a-token-for-this-test-1"
    with Alone(run.session.parent, "--token", token) as url:
        assert token not in url, "into a pipe it is not printed"
        page = browser.new_page()
        for wrong in (f"{url}?token={token[:-1]}2", url, f"{url}sessions"):
            answer = page.goto(wrong)
            assert answer is not None and answer.status == 401
        page.goto(f"{url}?token={token}")
        expect(page.get_by_text(run.session.name)).to_be_visible(timeout=WAIT_MS)
        page.close()


def test_the_session_scrubs_and_holds_what_was_steered(
    run: LiveRun, show: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test: ends the robot, and looks through what it left with the page that needs none."""
    assert run.end() == 0
    arrived = [message for _, message, _ in reader.decode_all(reader.read(run.session))]
    reported = [m for m in arrived if isinstance(m, messages.ActionChunk) and m.instruction > 1]
    assert reported, "System 1 made chunks for the new instruction"
    wishes = [m for m in arrived if isinstance(m, messages.Steering)]
    assert {m.source for m in wishes} == {"console: Berta"} and any(m.note == "slipped" for m in wishes)
    assert any(isinstance(m, messages.Outcome) and m.result == "failure" for m in arrived)
    try:
        episodes.episodes(reader.read(run.session))
        reported_of = "".join(capsys.readouterr())
    except ModelError as error:  # no other episode is long enough
        reported_of = str(error)
    assert "episode 1: judged a failure; --failures includes it" in reported_of
    with Alone(run.session.parent) as url:
        page = show(url)
        page.get_by_text(run.session.name).click()
        until(page, "window.video2act.moment && window.video2act.ages.head?.length")
        slider = page.get_by_label("time")
        times: list[float] = []
        for share in (0.3, 0.9, 0.5):
            slider.evaluate(
                f"(s) => {{ s.value = {share} * s.max; s.dispatchEvent(new Event('input', {{bubbles: true}})); }}"
            )
            until(page, "(t) => window.video2act.moment.now_ns !== t", arg=times[-1] if times else 0)
            page.wait_for_timeout(500)
            times.append(moment(page, "now_ns"))
        assert times[0] < times[2] < times[1]
        page.get_by_role("button", name="whole session").click()
        over = page.locator(".plot .u-over")
        over.click(position={"x": 0.2 * over.bounding_box()["width"], "y": 20})  # pyright: ignore[reportOptionalSubscript]
        until(page, "(t) => window.video2act.moment.now_ns < t", arg=times[0])
        page.get_by_title("next instruction").click()
        until(page, "window.video2act.moment.instruction.number === 2")
        page.get_by_label("speed").select_option("8")
        before = moment(page, "now_ns")
        page.get_by_role("button", name="play").click()
        until(page, "(t) => window.video2act.moment.now_ns > t + 2e9", arg=before)


class Elsewhere:
    """A page of somebody else's, on this machine."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Blank)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""
