"""The status line: what it prints of the messages that came over a real bus.

Only the words an operator needs are checked, not the layout.
"""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.config.settings import Settings, load_settings
from runtime.messaging import messages
from runtime.messaging.bus import Bus, Publisher
from runtime.process.table import row
from runtime.supervisor import supervisor
from runtime.supervisor.status_line import StatusLine
from runtime.supervisor.supervisor import SupervisedProcess

Build = Callable[..., Any]
OpenBus = Callable[[str], Bus]
WaitUntil = Callable[[Callable[[], bool]], bool]
ALIVE = supervisor.SupervisorState({"arms": SupervisedProcess(row("arms", load_settings([])), state="alive")})


def telling(publisher: Publisher, state: messages.SafetyState, status: StatusLine, mode: str) -> Callable[[], bool]:
    """Send a state until the status line knows the mode."""

    def reported() -> bool:
        publisher.send(state)
        status.read()
        return status.mode == mode

    return reported


def test_before_the_first_word(bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    status = StatusLine(bus("supervisor"), settings)
    assert (status.mode, status.why()) == ("", "the arms process says nothing")
    status.show(ALIVE)
    assert capsys.readouterr().out.startswith("starting")


def test_state_ages_and_reasons_are_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    state = build(
        messages.SafetyState, chunk_age_ns=120_000_000, condition_age_ns=900_000_000, reasons=("camera head: gone",)
    )
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "HOLD"))
    assert status.why() == "camera head: gone"
    status.show(ALIVE)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    for part in ("HOLD", "chunk 120 ms", "condition 900 ms", "camera head: gone", f"1:{settings.ratio}"):
        assert part in line


def test_a_running_robot_gives_no_reasons(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    state = build(messages.SafetyState, mode="RUNNING", reasons=())
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "RUNNING"))
    assert status.why() == "RUNNING"
    status.show(ALIVE)
    assert capsys.readouterr().out.startswith("RUNNING")


def test_trouble_of_the_recorder_and_of_processes_is_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("recorder").publisher("recording")
    state = supervisor.SupervisorState({"arms": SupervisedProcess(row("arms", load_settings([])), state="hung")})

    def shown() -> str:
        publisher.send(build(messages.Recording, fault="recording stopped: disk full"))
        status.read()
        status.show(state)
        return capsys.readouterr().out

    assert wait_until(lambda: "disk full" in shown())
    assert "arms hung" in shown()


def test_runs_are_counted_per_second(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("system1").publisher("chunk")

    def counted() -> bool:
        publisher.send(build(messages.ActionChunk))
        status.read()
        status.show(ALIVE)
        return "system1 0.0/s" not in capsys.readouterr().out

    assert wait_until(counted)


def test_the_real_time_factor_is_that_since_the_last_line(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("simulator").publisher("scene")
    count = 0

    def shown() -> bool:
        nonlocal count
        count += 1
        publisher.send(
            build(messages.Scene, seq=count, stamp_ns=count * 1_000_000_000, simulated_ns=count * 900_000_000)
        )
        status.read()
        status.show(ALIVE)
        return "real time x0.90" in capsys.readouterr().out

    assert wait_until(shown)


def test_events_stand_apart(bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    StatusLine(bus("supervisor"), settings).event("command: hold (terminal)")
    assert capsys.readouterr().out == "  * command: hold (terminal)\n"


def test_a_gap_in_the_video_window_is_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("system2").publisher("conditions")

    def shown(gap_ns: int) -> str:
        publisher.send(build(messages.Conditions, widest_gap_ns=gap_ns))
        status.read()
        status.show(ALIVE)
        return capsys.readouterr().out

    assert wait_until(lambda: "a step of 233 ms in the video window" in shown(233_000_000))
    assert wait_until(lambda: "frames lacking" not in shown(134_000_000))
