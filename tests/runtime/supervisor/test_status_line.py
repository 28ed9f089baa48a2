"""The status line: what it says of the messages that came over a real bus, where and when it is printed.

Of the words only those that an operator needs are checked.
"""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.host import terminal
from runtime.host.clock import robot_time_ns, seconds
from runtime.host.overload import Pressure
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.publisher import Publisher
from runtime.process.processes import row
from runtime.supervisor import status_line, supervisor
from runtime.supervisor.overload_monitor import OverloadMonitor
from runtime.supervisor.status_line import StatusLine, fitted, joined
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
    assert (status.mode, status.why()) == (
        "",
        "no report from the arms process yet; read logs/arms.log of the session",
    )
    status.show(ALIVE)
    assert capsys.readouterr().out.startswith("starting")


def test_a_policy_server_is_named_in_place_of_both_systems(bus: OpenBus, build: Build, wait_until: WaitUntil) -> None:
    flags = [
        "--policy.server",
        "ws://127.0.0.1:8000",
        "--policy.wire.dt_s",
        "0.02",
        "--policy.wire.cameras.head",
        "top",
    ]
    status = StatusLine(bus("supervisor"), load_settings(flags))
    state = build(messages.SafetyState, chunk_age_ns=120_000_000, condition_age_ns=120_000_000)
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "HOLD"))
    line = joined(status.parts(ALIVE))
    assert "remote policy ws://127.0.0.1:8000 0.0 Hz" in line and "chunk 120 ms old" in line
    assert "system2" not in line and "conditions" not in line


def test_state_ages_and_reasons_are_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    state = build(
        messages.SafetyState,
        chunk_age_ns=120_000_000,
        condition_age_ns=900_000_000,
        reasons=("camera head: gone",),
        faults=3,
    )
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "HOLD"))
    assert status.why() == "camera head: gone"
    line = joined(status.parts(ALIVE))
    for part in (
        "HOLD",
        "chunk 120 ms",
        "conditions 900 ms",
        "HOLD: camera head: gone",
        f"1:{settings.ratio}",
        "faults latched 3",
    ):
        assert part in line


@pytest.mark.parametrize("settled", [False, True], ids=["while it starts", "later"])
def test_an_overloaded_machine_is_named_once_in_a_line(
    settled: bool, bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    late = "left arm: feedback is 63 ms old (limit 50 ms); check its power and CAN cable"
    state = build(
        messages.SafetyState, reasons=(late, "cameras process silent for 160 ms: or the machine is overloaded")
    )
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "HOLD"))
    status.overload.verdict = "arms ticks 12 ms late (p99, limit 5 ms)"
    status._overloaded = settled  # pyright: ignore[reportPrivateUsage]
    line = joined(status.parts(ALIVE))
    assert line.count("overloaded") == 1 and "feedback is 63 ms old" in line and "check" not in line


@pytest.mark.parametrize("overloaded", [False, True], ids=["keeps up", "overloaded"])
def test_processes_that_an_overloaded_machine_silences_are_one_line(
    overloaded: bool,
    bus: OpenBus,
    settings: Settings,
    build: Build,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    status.overload = OverloadMonitor(lambda: Pressure(2, 9.0, 100.0, 0.0))
    status.show(ALIVE)  # what was late while it loaded is forgotten
    now_ns = robot_time_ns()
    for name in ("arms", "cameras", "system1"):
        text = f"{name} sends no heartbeat for 0.2 s; restarting it unless it recovers within 10 s"
        status.fault(build(messages.Fault, process="supervisor", name="stopped", text=text))
        for late_ns in (0, seconds(0.5 if overloaded else 0.05)):
            beat = build(messages.Heartbeat, process=name, epoch=1, steps=1, stamp_ns=now_ns - seconds(0.6) + late_ns)
            status.overload.beat(beat)
    status.fault(build(messages.Fault, process="recorder", name="disk", text="full"))
    status.show(ALIVE)
    reported = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  * ")]
    assert reported[0] == "  * recorder: disk: full"
    if overloaded:
        assert reported[1].startswith("  * the machine is overloaded: 3 processes silent, ")
        assert reported[2:] == ["  * silent for a moment while the machine is overloaded: arms, cameras, system1"]
    else:
        assert len(reported) == 4 and all("sends no heartbeat for 0.2 s" in line for line in reported[1:])


def test_a_running_robot_gives_no_reasons(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    state = build(messages.SafetyState, mode="RUNNING", reasons=())
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "RUNNING"))
    assert status.why() == "RUNNING"
    assert status.parts(ALIVE)[0] == "RUNNING"


def test_trouble_of_the_recorder_and_of_processes_is_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("recorder").publisher("recording")
    state = supervisor.SupervisorState({"arms": SupervisedProcess(row("arms", load_settings([])), state="hung")})

    def shown() -> str:
        publisher.send(build(messages.Recording, fault="recording stopped: disk full"))
        status.read()
        return joined(status.parts(state))

    assert wait_until(lambda: "disk full" in shown())
    assert "arms hung" in shown()


def test_runs_are_counted_per_second(bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("system1").publisher("chunk")

    def counted() -> bool:
        publisher.send(build(messages.ActionChunk))
        status.read()
        status.show(ALIVE)
        return "system1 0.0 Hz" not in joined(status.parts(ALIVE))

    assert wait_until(counted)


def test_the_time_before_the_first_chunk_makes_no_system_slow(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each start would be told as an overloaded machine: System 1 had nothing to run on before."""
    with monkeypatch.context() as earlier:
        earlier.setattr(status_line, "robot_time_ns", lambda: robot_time_ns() - seconds(4))
        status = StatusLine(bus("supervisor"), settings)
    states, chunks = bus("arms").publisher("safety"), bus("system1").publisher("chunk")
    assert wait_until(telling(states, build(messages.SafetyState, mode="RUNNING", reasons=()), status, "RUNNING"))

    def came() -> bool:
        chunks.send(build(messages.ActionChunk))
        status.read()
        return status.newest(messages.ActionChunk) is not None

    assert wait_until(came)
    busy = OverloadMonitor(lambda: Pressure(2, 6.1, 99.0, 0.0))
    status.overload = busy
    status.show(ALIVE)
    status.check(ALIVE)
    assert busy.verdict == ""


def test_the_real_time_factor_is_that_since_the_last_line(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
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
        return "real time x0.90" in joined(status.parts(ALIVE))

    assert wait_until(shown)


def test_events_stand_apart(bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    StatusLine(bus("supervisor"), settings).event("command: hold (terminal)")
    assert capsys.readouterr().out == "  * command: hold (terminal)\n"


def test_a_gap_in_the_video_window_is_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("system2").publisher("conditions")

    def shown(gap_ns: int) -> str:
        publisher.send(build(messages.Conditions, widest_gap_ns=gap_ns))
        status.read()
        return joined(status.parts(ALIVE))

    assert wait_until(lambda: "frames 233 ms apart" in shown(233_000_000))
    assert wait_until(lambda: "ms apart" not in shown(134_000_000))


def test_how_far_imagined_pictures_are_off_is_shown(
    bus: OpenBus, settings: Settings, build: Build, wait_until: WaitUntil
) -> None:
    status = StatusLine(bus("supervisor"), settings)
    publisher = bus("system2").publisher("imagined")

    def shown(error: float) -> str:
        publisher.send(build(messages.Imagined, error=error, still_error=0.05))
        status.read()
        return joined(status.parts(ALIVE))

    assert wait_until(lambda: "imagined off by 3.1% (no motion: 5.0%)" in shown(0.031))
    assert wait_until(lambda: "imagined" not in shown(messages.NEVER_COMPARED))


def test_what_happens_again_and_again_is_one_line(
    bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [1_000_000_000]
    monkeypatch.setattr("runtime.supervisor.status_line.robot_time_ns", lambda: now_ns[0])
    status = StatusLine(bus("supervisor"), settings)
    for count in range(246):
        status.event(f"can_left: bus: {count} of its last 20 joint readings were torn")
    assert capsys.readouterr().out == "  * can_left: bus: 0 of its last 20 joint readings were torn\n"
    now_ns[0] += 10_000_000_000
    status.show(ALIVE)
    assert "repeated 245 times in 10 s: can_left: bus: 245 of its last 20" in capsys.readouterr().out


def test_answers_come_each_time(bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    status = StatusLine(bus("supervisor"), settings)
    for _ in range(2):
        status.answer("run: refused")
    assert capsys.readouterr().out == "  * run: refused\n" * 2


def test_without_a_terminal_there_is_a_line_at_a_change_and_every_ten_seconds(
    bus: OpenBus,
    settings: Settings,
    build: Build,
    wait_until: WaitUntil,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ns = [1_000_000_000]
    monkeypatch.setattr("runtime.supervisor.status_line.robot_time_ns", lambda: now_ns[0])
    status = StatusLine(bus("supervisor"), settings)

    def pass_s(seconds: int) -> list[str]:
        for _ in range(seconds):
            now_ns[0] += 1_000_000_000
            status.check(ALIVE)
            status.show(ALIVE)
        return capsys.readouterr().out.splitlines()

    assert [line.split(" | ")[0] for line in pass_s(25)] == ["starting"] * 3
    state = build(messages.SafetyState, mode="RUNNING", reasons=())
    assert wait_until(telling(bus("arms").publisher("safety"), state, status, "RUNNING"))
    status.check(ALIVE)
    assert capsys.readouterr().out.startswith("RUNNING | ")
    assert [line.split(" | ")[0] for line in pass_s(10)] == ["RUNNING"]


def test_on_a_terminal_the_line_stays_in_place_and_fits(
    bus: OpenBus, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "width", lambda: 40)
    status = StatusLine(bus("supervisor"), settings)
    status.check(ALIVE)
    for _ in range(3):
        status.show(ALIVE)
    status.event("something happened")
    terminal.show("")
    out = capsys.readouterr().out
    assert [line for line in out.replace("\r\x1b[K", "\n").splitlines() if line][-2:] == [
        "  * something happened",
        "starting",
    ]
    assert out.count("\n") == 2, "the change and the event; the line itself is none"
    assert max(map(len, out.replace("\r\x1b[K", "\n").splitlines())) < 40


@pytest.mark.parametrize("columns", [10, 40, 79, 119, 400])
def test_a_line_is_never_wider_than_told(columns: int) -> None:
    parts = [
        "HOLD: left arm: feedback is 63 ms old (limit 50 ms); check its power and CAN cable",
        "",
        "arms hung",
        "9 MB",
    ]
    line = fitted(parts, columns)
    assert len(line) <= columns
    assert line.startswith("HOLD: lef") and ("9 MB" in line) == (columns > 100)
