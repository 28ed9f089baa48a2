"""The console on a live run: how old pictures are in a real browser, how soon a click on HOLD brakes the arms, and what
slow viewers cost. Needs Chromium and playwright (they come with ./launch/test.sh).
Called by command.py.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import ClientSession

from drivers.cobot_magic import CAMERAS
from runtime.arms import limits
from runtime.arms.limits import Limits
from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import messages
from runtime.process.base import CONSOLE_FILE
from runtime.supervisor import run_client

CHROMIUM = "/usr/bin/chromium"
BROWSER = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
_START_S, _END_S, _SETTLE_S = 120.0, 30.0, 5.0
"""Longest start and longest end; from a change of viewers to the first count. Chosen."""
_STILL_RAD_S = 1e-3  # as runtime/arms/parking.py
_LEAST_RAD = 0.002  # a joint that hardly moves says nothing about braking; chosen: a hundred steps of the bus
_VIEWERS, _SLOW_S = 10, 0.5  # chosen: more viewers than one robot has; each takes a picture in so long
_FLAGS = ("--profile", "sim", "--console.port", "0")


class _Run:
    """A live run, listened to from outside."""

    def __init__(self, folder: Path) -> None:
        line = [sys.executable, "-m", "runtime.cli", "robot", *_FLAGS, "--sessions", str(folder)]
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.targets: list[messages.ArmTarget] = []
        try:
            self._start()
        except BaseException:
            self.process.terminate()
            self.process.wait(_END_S)
            raise

    def _start(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._found():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeFault("the simulated robot did not start; run ./launch/robot.sh --profile sim to see why")
            time.sleep(0.2)
        self.operator = run_client.Operator(self.folder)
        self._targets = self.operator.bus.subscriber("arm_target", depth=4000)
        self.listen_until(lambda: bool(self.targets) and self.targets[-1].mode == "RUNNING", _START_S)

    def _found(self) -> bool:
        try:
            self.folder = run_client.run_folder(self.process.pid)
        except RuntimeFault:
            return False
        return (self.folder / CONSOLE_FILE).exists()

    def listen(self) -> None:
        """Take the targets that the arms were sent since the last call."""
        for received in self._targets.take():
            if isinstance(received.message, messages.ArmTarget):
                self.targets.append(received.message)

    def listen_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Listen until `done()`. Raises RuntimeFault when it does not come to that within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.listen()
            if done():
                return
            if time.monotonic() > deadline:
                raise RuntimeFault(
                    f"no change within {timeout_s:.0f} s; the mode is {self.targets[-1:] and self.targets[-1].mode}"
                )
            time.sleep(0.005)

    def end(self) -> None:
        """End the run in order, and wait for that."""
        self.operator.close()
        self.process.terminate()
        self.process.wait(_END_S)


def run(seconds: float, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All three measurements; ms, rad, MB by name."""
    with tempfile.TemporaryDirectory(prefix="video2act-bench-") as name:
        robot = _Run(Path(name))
        try:
            address = (robot.folder / CONSOLE_FILE).read_text()
            viewers = asyncio.run(_slow_viewers(robot, address, seconds, repeats, say))
            return {"viewers": viewers, "browser": _in_browser(robot, address, seconds, repeats, say)}
        finally:
            robot.end()


def needs_browser() -> Any:
    """Playwright's entrance. Raises RuntimeFault without it, or without Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise RuntimeFault("--console needs playwright; run ./launch/test.sh, which installs it") from None
    if not Path(CHROMIUM).exists():
        raise RuntimeFault(f"--console needs {CHROMIUM}; run ./launch/test.sh, which installs it")
    return sync_playwright


async def _slow_viewers(
    robot: _Run, address: str, seconds: float, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Ticks and memory without and with viewers who take two pictures a second of each camera, turn about in rounds."""
    server = run_client.child(robot.folder, "console")
    late_us: dict[int, list[list[float]]] = {0: [], _VIEWERS: []}
    memory_mb: dict[int, list[float]] = {0: [], _VIEWERS: []}
    for number in range(rounds):
        for count in sorted(late_us, reverse=number % 2 == 1):
            async with ClientSession() as client:
                tasks = [asyncio.create_task(_view(client, address, path)) for path in _paths() for _ in range(count)]
                await asyncio.sleep(_SETTLE_S)
                robot.listen()
                robot.targets.clear()
                await asyncio.sleep(seconds / rounds)
                robot.listen()
                late_us[count].append([(target.stamp_ns - target.deadline_ns) / 1e3 for target in robot.targets])
                memory_mb[count].append(_own_mb(server))
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    rows: dict[str, Any] = {}
    for count, some in late_us.items():
        p50, p99 = (float(np.percentile(np.concatenate(some), share)) for share in (50, 99))
        each = sorted(float(np.percentile(one, 99)) for one in some)
        memory = memory_mb[count][0] if count == 0 else max(memory_mb[count])
        rows[str(count)] = {
            "tick_late_p50_us": p50,
            "tick_late_p99_us": p99,
            "tick_late_p99_us_by_round": each,
            "console_mb": memory,
        }
        say(
            f"  {count:>2} slow viewers: tick late {p50:.1f} us p50, {p99:.1f} us p99 ({each[0]:.1f} to {each[-1]:.1f} in "
            f"{rounds} rounds); console holds {memory:.0f} MB"
        )
    return rows


def _paths() -> list[str]:
    return ["moments", *(f"pictures/{camera}" for camera in CAMERAS)]


async def _view(client: ClientSession, address: str, path: str) -> None:
    async with client.ws_connect(f"{address}{path}") as socket:
        while True:
            await socket.send_str('{"at_ns": null}')
            await socket.receive()
            await asyncio.sleep(_SLOW_S)


def _own_mb(process: int) -> float:
    """Memory of its own: the cameras' rings, which are mapped when the first picture is asked for, belong to all."""
    status = Path(f"/proc/{process}/status").read_text()
    return float(status.partition("RssAnon:")[2].split()[0]) / 1024


def _in_browser(robot: _Run, address: str, seconds: float, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    with needs_browser()() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.get_by_label("your name").fill("bench")
        page.get_by_role("button", name="take the lease").click()
        page.get_by_text("you hold the lease").wait_for()
        page.wait_for_timeout(_SETTLE_S * 1e3)
        page.evaluate("window.video2act.ages = {}")
        page.wait_for_timeout(seconds * 1e3)
        ages: dict[str, list[float]] = page.evaluate("window.video2act.ages")
        pictures = {camera: _figures(shown) | {"a_second": len(shown) / seconds} for camera, shown in ages.items()}
        for camera, row in pictures.items():
            say(f"  {camera:<12} {row['p50']:.0f} ms old p50, {row['p99']:.0f} p99, {row['a_second']:.1f} frames/s")
        holds = [_hold(robot, page) for _ in range(repeats)]
        browser.close()
    first, still = (_figures([hold[name] for hold in holds]) for name in ("first_ms", "still_ms"))
    longest = max(holds, key=lambda hold: hold["travel_rad"] / hold["braking_limit_rad"])
    travel, limit = longest["travel_rad"], longest["braking_limit_rad"]
    say(f"  click on HOLD to the first braking target: {first['p50']:.0f} ms median, {first['worst']:.0f} worst")
    say(f"  to standstill: {still['p50']:.0f} ms median, {still['worst']:.0f} worst")
    say(f"  travel until then: {travel:.3f} rad at most (limit {limit:.3f} rad)")
    return {
        "pictures": pictures,
        "hold_first_ms": first,
        "hold_still_ms": still,
        "travel_rad": travel,
        "braking_limit_rad": limit,
    }


def _figures(values: list[float]) -> dict[str, float]:
    p50, p99 = (float(np.percentile(values, share)) for share in (50, 99))
    return {"p50": p50, "p99": p99, "worst": max(values)}


def _hold(robot: _Run, page: Any) -> dict[str, float]:
    """One click while the arms run, and what followed on the way to them; again where they held already for another reason."""
    while True:
        for command in ("arm", "run"):
            page.get_by_role("button", name=command, exact=True).click()
        robot.listen_until(lambda: bool(robot.targets) and robot.targets[-1].mode == "RUNNING", _START_S)
        page.wait_for_timeout(1500)
        robot.listen()
        robot.targets.clear()
        page.get_by_role("button", name="HOLD").click()
        pressed_ns = round(page.evaluate("performance.timeOrigin + window.video2act.heldAt") * 1e6)
        clicked_ns = pressed_ns - (time.time_ns() - robot_time_ns())
        robot.listen_until(lambda: _stands(robot.targets), _END_S)
        place = next(
            (k for k, target in enumerate(robot.targets) if target.stamp_ns > clicked_ns and target.mode == "HOLD"), 0
        )
        if place > 1 and robot.targets[place - 1].mode == "RUNNING":
            return _stopped(robot.targets[place - 2 :], clicked_ns)


def _stopped(targets: list[messages.ArmTarget], clicked_ns: int) -> dict[str, float]:
    """How the arms came to rest; the third target is the first that brakes."""
    held = targets[2]
    still = next(after for one, after in pairwise(targets[2:]) if _speed(one, after).max() < _STILL_RAD_S)
    bounds = Limits.of(load_settings(list(_FLAGS)).safety)
    dq = (targets[1].q - targets[0].q) * NS_PER_S / (targets[1].deadline_ns - targets[0].deadline_ns)
    braking = np.abs(limits.stop_distance(bounds, dq, np.sign(dq) * bounds.acceleration))
    share = np.abs(still.q - targets[1].q) / np.maximum(braking, 1e-6)
    worst = int(np.where(braking > _LEAST_RAD, share, 0).argmax())
    return {
        "first_ms": (held.stamp_ns - clicked_ns) / 1e6,
        "still_ms": (still.stamp_ns - clicked_ns) / 1e6,
        "travel_rad": float(np.abs(still.q - targets[1].q)[worst]),
        "braking_limit_rad": float(braking[worst]),
    }


def _stands(targets: list[messages.ArmTarget]) -> bool:
    if len(targets) < 3 or targets[-1].mode != "HOLD" or targets[-2].mode != "HOLD":
        return False
    return bool(_speed(targets[-2], targets[-1]).max() < _STILL_RAD_S)


def _speed(before: messages.ArmTarget, after: messages.ArmTarget) -> Any:
    return np.abs(after.q - before.q) * NS_PER_S / max(1, after.deadline_ns - before.deadline_ns)
