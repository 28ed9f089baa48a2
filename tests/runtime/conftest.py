"""Builders and rigs shared by the runtime's tests: one valid message of every type, settings, sockets that get closed.

The builders are functions behind session fixtures, since pytest's importlib mode gives tests no module to import.
"""

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import machine_need
import numpy as np
import pytest
from console_page import WAIT_MS
from live_run import START_S, STARTED, LiveRun

from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.messaging.bus import Bus
from runtime.process.processes import PROCESSES

ROOT = Path(__file__).parents[2]
MOST_NOT_CARRIED = 3
"""So many tests may fail on a machine that cannot carry their runs; with more, these tests show nothing, and fail."""
NOT_CARRIED = pytest.StashKey[list[str]]()
START_NS = 1_000_000_000_000
JOINTS = messages.JOINTS


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that is costly to make: the first test process that asks makes it, the others wait and read it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def once(name: str, make: Callable[[Path], None]) -> Path:
        folder, whole = shared / name, shared / f"{name}.whole"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return once


def _filled(shape: tuple[int, ...], dtype: str) -> Any:
    return (np.arange(int(np.prod(shape))) % 7 / 8).reshape(shape).astype(dtype)


def _bits(shape: tuple[int, int]) -> Any:
    """bfloat16 numbers 1.0, 1.0078125, ..."""
    return (0x3F80 + np.arange(shape[0] * shape[1]) % 16).astype(np.uint16).reshape(shape)


_FIELDS: dict[type[messages.Message], dict[str, Any]] = {
    messages.Frame: {
        "camera": "head",
        "capture_ns": START_NS,
        "returned_ns": START_NS,
        "device_number": 7,
        "exact": True,
    },
    messages.Conditions: {
        "episode": 1,
        "inputs": (("episode", 1, 0), ("frame.head", 1, 32)),
        "arrays": {"spatial": Array("bfloat16", _bits((3, 4))), "motion": Array("bfloat16", _bits((3, 4)))},
        "windows": (
            messages.Window(name="high", camera="head", frames=(31, 32)),
            messages.Window(name="low", camera="head", frames=(3, 6, 9)),
        ),
        "capture_ns": START_NS,
        "widest_gap_ns": 100_000_000,
        "instruction": 1,
        "checkpoint_id": "abc",
        "trigger_run": 8,
        "trigger": "ratio",
        "late_runs": 0,
        "maps": {
            "boundaries": Array("uint8", np.arange(6, dtype=np.uint8).reshape(2, 3)),
            "motion": Array("uint8", np.arange(4, dtype=np.uint8).reshape(2, 2)),
        },
        "covers": {"motion": (0.125, 0.0, 0.75, 1.0)},
        "timing": messages.Timing(finished_ns=START_NS + 1, prepare_ns=2, forward_ns=3),
    },
    messages.ActionChunk: {
        "episode": 1,
        "inputs": (("joint_state", 1, 12),),
        "q": _filled((64, JOINTS), "float32"),
        "t0_ns": START_NS + 33_333_333,
        "dt_ns": 33_333_333,
        "run": 1,
        "observation_ns": START_NS,
        "conditions_epoch": 1,
        "conditions_seq": 0,
        "conditions_capture_ns": START_NS - 100_000_000,
        "conditions_limit_ns": 1_200_000_000,
        "previous_seq": -1,
        "consumed": 0,
        "committed": 0,
        "noise_seed": 5,
        "instruction": 1,
        "checkpoint_id": "abc",
        "frame_returned_ns": START_NS + 4,
        "saturated": False,
    },
    messages.Imagined: {
        "episode": 1,
        "inputs": (("conditions", 1, 0),),
        "instruction": 1,
        "camera": "head",
        "capture_ns": START_NS,
        "apart_ns": 200_000_000,
        "seen": b"\xff\xd8",
        "pictures": (b"\xff\xd8", b"\xff\xd9"),
        "error": 0.125,
        "still_error": -1.0,
    },
    messages.Skip: {"episode": 1, "reason": "no conditions yet"},
    messages.JointState: {
        "episode": 1,
        "q": _filled((JOINTS,), "float64"),
        "dq": np.zeros(JOINTS),
        "effort": np.zeros(JOINTS),
        "number": (4, 5),
        "measured_ns": (START_NS, START_NS),
        "chunk_epoch": -1,
        "chunk_seq": -1,
        "consumed": 0,
        "running": False,
    },
    messages.ArmTarget: {
        "episode": 1,
        "inputs": (("joint_state", 1, 0),),
        "deadline_ns": START_NS,
        "mode": "HOLD",
        "blended": np.zeros(JOINTS),
        "q": np.zeros(JOINTS),
        "sent": True,
        "limited": False,
        "seam_jump_rad_s": -1.0,
        "refused": 0,
        "arrivals": ((0, START_NS),),
    },
    messages.LeaderState: {"q": np.zeros(JOINTS), "measured_ns": (START_NS, START_NS), "exceeds": ("left j1: ...",)},
    messages.SafetyState: {
        "episode": 1,
        "mode": "HOLD",
        "reasons": ("no chunk yet",),
        "since_ns": START_NS,
        "chunk_age_ns": -1,
        "condition_age_ns": -1,
        "feedback_age_ns": 1,
        "holds": 0,
        "faults": 0,
        "chunks_dropped": 0,
        "chunks_rejected": 0,
        "ticks": 1,
        "running_ticks": 0,
    },
    messages.CameraHealth: {
        "cameras": tuple(
            messages.CameraState(camera=camera, number=3, capture_ns=START_NS, rate_hz=30.0, verdict="")
            for camera in ("head", "left_wrist", "right_wrist")
        )
    },
    messages.OperatorCommand: {"command": "run", "source": "test"},
    messages.Instruction: {"number": 1, "text": "hand the block over"},
    messages.Embedding: {"instruction": 1, "key": "0123456789abcdef"},
    messages.Episode: {"number": 1, "task": "block_handover", "seed": 0, "started_ns": START_NS},
    messages.Steering: {
        "source": "console",
        "instruction": "hand it over",
        "ratio": 4,
        "blend": "none",
        "result": "failure",
        "note": "slipped",
        "next_episode": True,
    },
    messages.Outcome: {"number": 1, "result": "success", "note": "twice", "source": "console"},
    messages.Deadman: {"wanted": True, "beat_ns": START_NS, "holder": "the console"},
    messages.Demonstration: {"number": 1, "state": "recording", "began_ns": START_NS, "ended_ns": 0},
    messages.Heartbeat: {"process": "arms", "pid": 42, "steps": 3, "last_step_ns": START_NS},
    messages.Fault: {"process": "arms", "name": "safety", "text": "left j1 is blocked"},
    messages.Supervision: {"processes": (messages.ProcessState(process="arms", state="alive", restarts=0),)},
    messages.Recording: {"session": "/tmp/s", "size_bytes": 9, "lost": 0, "fault": ""},
    messages.Scene: {"qpos": _filled((5,), "float64"), "episode": 1, "simulated_ns": 0, "lag_ns": 0, "success": False},
    messages.Snapshot: {"process": "arms", "after_seq": 0, "state": b"\x80"},
}


def _build(kind: type[messages.Message], **changes: Any) -> Any:
    common = {"seq": 0, "epoch": 1, "stamp_ns": START_NS}
    return kind(**(common | _FIELDS[kind] | changes))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs real time names the one that shows the same without."""
    for item in items:
        marker = item.get_closest_marker("real_time")
        if marker is not None and not machine_need.has_test(ROOT, marker.kwargs["decided_by"]):
            raise pytest.UsageError(
                f"{item.nodeid}: decided_by={marker.kwargs['decided_by']!r} is no test that runs without a clock"
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure on a machine that did not give the run what it needs is counted by name, and is none of the robot's."""
    report = yield
    marker = item.get_closest_marker("real_time")
    if marker is None or not report.failed or not STARTED:
        return report
    ratios = STARTED[-1].needs()
    if machine_need.lacking(ratios):
        reported = f"needs more than this machine gives ({machine_need.line(ratios)}); decided by {marker.kwargs['decided_by']}"
        item.config.stash.setdefault(NOT_CARRIED, []).append(f"{item.nodeid}: {reported}\n{report.longreprtext}")
        report.outcome, report.longrepr = "skipped", (str(item.path), item.location[1] or 0, reported)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too many of them show nothing."""
    if len(session.config.stash.get(NOT_CARRIED, [])) > MOST_NOT_CARRIED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What each live run needed over what the machine gave, and which tests that cost."""
    if STARTED:
        terminalreporter.section("live runs: needed / given (above 1 the machine is too slow for the run)")
    for run in STARTED:
        terminalreporter.line(f"{run.name}: {machine_need.line(run.needs())}")
    not_carried = config.stash.get(NOT_CARRIED, [])
    if STARTED:
        terminalreporter.line(f"tests not shown on this machine: {len(not_carried)} (at most {MOST_NOT_CARRIED})")
    for text in not_carried:
        terminalreporter.line(text)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """What is started here can be told to end by SIGINT, also when the tests run in a shell's background, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """`build(wire.Frame, seq=3)`: a valid message of a type with some fields changed."""
    return _build


@pytest.fixture(scope="session")
def settings() -> Settings:
    """What `robot.sh` without any flag gives: the sim profile."""
    return load_settings([])


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveRun]:
    """A live run of six seconds that several tests look at."""
    flags = ("--seconds", "6", "--seed", "3", "--system1.period_s", "0.2")
    with LiveRun(tmp_path_factory.mktemp("session"), *flags) as run:
        run.process.wait(START_S + 30)
        yield run


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    """Debian's Chromium, without a screen."""
    from playwright.sync_api import expect, sync_playwright

    from runtime.bench.console import BROWSER, CHROMIUM

    expect.set_options(timeout=WAIT_MS)  # other tests run beside
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any) -> Generator[Any]:
    """`show(url, width=1024)`: opens pages; whatever goes wrong within one fails the test."""
    wrong: list[str] = []
    contexts: list[Any] = []

    def opened(url: str, width: int = 1280, height: int = 800, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """One Ray cluster at a time on this machine, whichever of pytest's workers starts it."""
    with (tmp_path_factory.getbasetemp().parent / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def folder() -> Generator[Path]:
    """A run's folder with a short path, since a socket's path must stay below 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="v2a-") as made:
        yield Path(made)


@pytest.fixture
def bus(folder: Path) -> Generator[Callable[[str], Bus]]:
    """`bus("arms")`: that process's sockets in `folder`, closed at the end of the test."""
    opened: list[Bus] = []

    def open_bus(process: str) -> Bus:
        opened.append(Bus(folder, process, PROCESSES))
        return opened[-1]

    yield open_bus
    for made in opened:
        made.close()


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], bool]], bool]:
    """Poll a condition for at most two seconds."""
    import time

    def wait(condition: Callable[[], bool]) -> bool:
        for _ in range(400):
            if condition():
                return True
            time.sleep(0.005)
        return False

    return wait
