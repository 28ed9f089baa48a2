"""What passes on the bus, as a verdict on the machine, and what is then blamed on it. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.host.overload import Pressure
from runtime.messaging import messages
from runtime.supervisor.overload_monitor import OverloadMonitor

Build = Callable[..., Any]
S, MS = 1_000_000_000, 1_000_000
SILENT = "left arm: feedback is 63 ms old (limit 50 ms); check its power and CAN cable"


class Machine:
    """Time passes; ticks, scenes and heartbeats come as late as told."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.now_ns = 100 * S
        self.monitor = OverloadMonitor(lambda: Pressure(2, 6.1, 99.0, 0.0))

    def pass_s(self, seconds: int, late_ms: float = 0.1, lag_ms: float = 1.0, silent: bool = False) -> str:
        for _ in range(20 * seconds):
            self.now_ns += 50 * MS
            stamp = self.now_ns + round(late_ms * MS)
            self.monitor.tick(self.build(messages.ArmTarget, deadline_ns=self.now_ns, stamp_ns=stamp))
            self.monitor.scene(self.build(messages.Scene, lag_ns=round(lag_ms * MS)), self.now_ns)
            for process in ("arms", "cameras"):
                if not silent or self.now_ns % S == 0:
                    self.monitor.beat(self.build(messages.Heartbeat, process=process, stamp_ns=self.now_ns, steps=9))
        return self.monitor.judge(self.now_ns)


@pytest.fixture
def machine(build: Build) -> Machine:
    return Machine(build)


def test_a_machine_that_keeps_up_is_not_blamed(machine: Machine) -> None:
    assert machine.pass_s(6) == ""
    assert machine.monitor.attributed(SILENT) == SILENT


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"late_ms": 12.0}, "arms ticks 12 ms late"),
        ({"lag_ms": 80.0}, "physics 80 ms behind"),
        ({"silent": True}, "2 processes silent, arms for 1000 ms"),
    ],
)
def test_lateness_is_named_with_the_load_and_is_over_five_seconds_after(
    machine: Machine, figures: dict[str, Any], said: str
) -> None:
    machine.pass_s(6)
    found = machine.pass_s(3, **figures)
    assert found.startswith(said) and found.endswith("; load 6.1 on 2 cores, 99 % busy")
    assert machine.pass_s(4) != ""
    assert machine.pass_s(3) == ""


def test_what_was_late_while_processes_loaded_is_left_out(machine: Machine) -> None:
    assert machine.pass_s(3, lag_ms=80.0, silent=True) != ""
    machine.monitor.forget()
    assert machine.pass_s(2) == ""
    assert machine.pass_s(2, lag_ms=80.0) != "", "what comes after is judged"


@pytest.mark.parametrize(("busy_percent", "said"), [(99.0, "system1 0.4 Hz of 6.7; load"), (40.0, "")])
def test_a_slow_system1_is_a_sign_on_busy_processors_alone(machine: Machine, busy_percent: float, said: str) -> None:
    """On idle ones its networks are too large, or wait for their GPU."""
    machine.monitor = OverloadMonitor(lambda: Pressure(2, 6.1, busy_percent, 0.0))
    machine.monitor.system1(0.4, 6.7)
    assert machine.pass_s(2).startswith(said) and bool(machine.monitor.verdict) == bool(said)
    machine.monitor.system1(6.0, 6.7)
    assert machine.pass_s(2) == ""


def test_ordinary_loops_that_come_late_are_a_sign(machine: Machine) -> None:
    for _ in range(100):
        machine.now_ns += 50 * MS
        machine.monitor.own(80 * MS, machine.now_ns)
    assert machine.monitor.judge(machine.now_ns).startswith(
        "loops without real-time priority 80 ms late (p99, limit 50 ms)"
    )


def test_how_long_it_was_overloaded_is_counted_from_the_first_running(machine: Machine) -> None:
    machine.pass_s(1, late_ms=12.0)
    machine.monitor.count_from_now()
    for _ in range(4):
        machine.pass_s(1, late_ms=30.0)
    assert machine.monitor.overloaded_s == pytest.approx(4.0)
    assert "arms ticks 30 ms late" in machine.monitor.first_sign


def test_what_is_late_then_is_blamed_on_the_machine_first(machine: Machine) -> None:
    machine.pass_s(3, late_ms=12.0)
    reported = machine.monitor.attributed(SILENT, "waiting for the operator; send `run`")
    assert reported.startswith(
        "the machine is overloaded, which may explain: left arm: feedback is 63 ms old (limit 50 ms);"
    )
    assert "CAN cable" not in reported and reported.endswith("; waiting for the operator; send `run`")
    jumped = "left arm: reading jumped: j5 by 1.66 rad in 20 ms; ignored (1 so far); check the CAN cable"
    assert machine.monitor.attributed(jumped).endswith("ignored (1 so far)")
    assert machine.monitor.attributed("left j1 is blocked; look at it") == "left j1 is blocked; look at it"


@pytest.mark.parametrize(
    "text",
    [
        "the machine is overloaded (no CPU time for 90 ms): torn",
        "cameras: camera: the machine is overloaded (no CPU time for 35 ms): head: no new frame for 204 ms (limit 200 ms)",
        "supervisor silent for 1200 ms (limit 1000 ms): hung, or the machine is overloaded",
        "no targets sent for 80 ms (limit 50 ms): the arms process hung, or the machine is overloaded; end other programs",
        "camera head: no report for 160 ms (limit 150 ms), behind: hung, ended, or the machine is overloaded",
        SILENT,
    ],
)
def test_no_line_says_twice_that_the_machine_is_overloaded(text: str, machine: Machine) -> None:
    machine.pass_s(3, late_ms=12.0)
    for said in (machine.monitor.attributed(text), machine.monitor.attributed(text, SILENT)):
        assert said.count("overloaded") <= 1 and "; check" not in said, said
    assert machine.monitor.attributed(SILENT, beside=True) == "left arm: feedback is 63 ms old (limit 50 ms)"


def test_a_process_that_loads_or_starts_anew_is_no_sign(machine: Machine, build: Build) -> None:
    for epoch, steps, second in ((1, 0, 0), (1, 0, 3), (1, 1, 6), (2, 1, 9)):
        for process in ("system1", "system2"):
            stamp = 100 * S + second * S
            machine.monitor.beat(build(messages.Heartbeat, process=process, epoch=epoch, steps=steps, stamp_ns=stamp))
    assert machine.monitor.judge(109 * S) == ""
