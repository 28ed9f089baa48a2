"""Recorded sessions in a real browser, without any robot: the list, two of them side by side, light and dark, small screens.
Called by pytest."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from console_page import WAIT_MS, Alone, Serving, until
from playwright.sync_api import Page, expect

from runtime.console.recorded import Recorded
from runtime.session import reader
from runtime.session.reader import decode_all

GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"
NAMES = ("2026-11-25T10-00-00_block_handover_8", "2026-11-25T11-00-00_block_handover_8")
TABLE = {
    "duration_s": 123.4, "task": "dual_bottles_pick_easy", "outcome": "success", "ratio_measured": 8.01, "holds": 12,
    "faults_latched": 1, "fault_reports": 36,
}  # fmt: skip
Open = Callable[..., Page]
_LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
_COLOURS = """(element) => {
  let paper = element;
  while (getComputedStyle(paper).backgroundColor === "rgba(0, 0, 0, 0)") paper = paper.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(paper).backgroundColor];
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page over two recordings of the same robot."""
    index = tmp_path_factory.mktemp("sessions")
    for name in NAMES:
        (index / name).mkdir()
        shutil.copy(GOLDEN, index / name / "session.mcap")
        (index / name / "summary.json").write_text(json.dumps(TABLE))
    with Alone(index) as address:
        yield address


def beside(page: Page) -> None:
    """Open both, side by side."""
    page.locator("tr", has_text=NAMES[0]).get_by_role("button", name="compare…").click()
    page.get_by_role("button", name=NAMES[1]).click()
    expect(page.locator(".beside > *")).to_have_count(2)


def said(page: Page) -> list[str]:
    """All that each of the two says, but for its name."""
    texts = page.locator(".beside > *").all_inner_texts()
    return [text.replace(name, "") for name, text in zip(NAMES, texts, strict=True)]


def alike(page: Page, before: list[str]) -> str:
    """What both say, once it is the same, the same for a while, and none of `before`: the same recording at the same time."""
    deadline, last = time.monotonic() + WAIT_MS / 1000, ""
    while True:
        page.wait_for_timeout(300)
        one, other = said(page)
        if one and one == other == last and one not in before:
            return one
        last = one
        assert time.monotonic() < deadline, (one, other)


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(page: Page, selector: str) -> float:
    """Of an element's text against what it stands on."""
    ends = sorted(luminance(colour) for colour in page.locator(selector).first.evaluate(_COLOURS))
    return (ends[1] + 0.05) / (ends[0] + 0.05)


def test_two_sessions_go_side_by_side_under_one_scrubber(show: Open, url: str) -> None:
    page = show(url)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    beside(page)
    slider = page.get_by_label("time")
    seen = [alike(page, [])]
    for share in (0.2, 0.8):
        slider.evaluate(
            f"(s) => {{ s.value = {share} * s.max; s.dispatchEvent(new Event('input', {{bubbles: true}})); }}"
        )
        seen.append(alike(page, seen))
    for name in NAMES:
        assert any(f"source={name}" in url for url in sockets), "each of the two shows its own"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768), (820, 1180), (768, 1024)])
def test_nothing_sticks_out_of_a_tablet(show: Open, url: str, width: int, height: int) -> None:
    page = show(url, width, height)
    expect(page.get_by_role("button", name=NAMES[0])).to_be_visible()
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(fits), "the list"
    page.get_by_role("button", name=NAMES[0]).click()
    until(page, "window.video2act.moment && window.video2act.ages.head?.length")
    assert page.evaluate(fits), "a session"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(show: Open, url: str, scheme: str) -> None:
    page = show(url, scheme=scheme)
    expect(page.get_by_role("button", name=NAMES[0])).to_be_visible()
    paper = luminance(page.locator("body").evaluate("(e) => getComputedStyle(e).backgroundColor"))
    assert (paper < 0.2) == (scheme == "dark")
    for selector in ("td", ".muted", "nav a"):
        assert contrast(page, selector) >= _LEAST_CONTRAST, selector


def test_a_session_is_played_as_if_it_ran_but_nobody_can_take_it_for_a_robot(show: Open, tmp_path: Path) -> None:
    folder = tmp_path / NAMES[0]
    folder.mkdir()
    shutil.copy(GOLDEN, folder / "session.mcap")
    with Serving("replay", str(folder), "--paced", "--console", "--speed", "2") as address:
        page = show(address)
        expect(page.get_by_text(f"playing {NAMES[0]}: no robot is connected")).to_be_visible()
        expect(page.get_by_role("button", name="HOLD")).to_have_count(0)
        expect(page.get_by_role("button", name="take the lease")).to_have_count(0)
        assert page.request.get(f"{address}operator").status == 404
        first = until(page, "window.video2act.moment && window.video2act.moment.now_ns")
        until(page, "(first) => window.video2act.moment.now_ns > first + 2e8", first)
        until(page, "new Set(window.video2act.ages.head).size > 3")
        end_ns = max(message.stamp_ns for _, message, _ in decode_all(reader.read(folder)))
        until(page, "(end) => window.video2act.moment.now_ns === end", end_ns)
        moment = page.evaluate("window.video2act.moment")
        recorded = {name: json.loads(part) for name, part in Recorded(folder).moment(end_ns).items()}
    for part in ("safety", "joints", "chunk", "conditions", "cameras", "instruction", "episode"):
        assert moment[part] == recorded[part], "the same as of the session at that moment, ages too"
