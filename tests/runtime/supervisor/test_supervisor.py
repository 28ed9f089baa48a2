"""The supervisor's step: exits, silence, no progress, back-off, and heartbeats of a former life, on a fake clock.

The rows are those of the real process table.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from runtime.config.loading import load_settings
from runtime.config.settings import Supervisor as Settings
from runtime.host.clock import seconds
from runtime.messaging import codec, messages
from runtime.process.processes import row
from runtime.supervisor.supervisor import (
    LOADING_S,
    MANY_PROCESSORS,
    SILENT_NS,
    SupervisedProcess,
    SupervisorInputs,
    SupervisorOutputs,
    SupervisorState,
    beginning,
    silent_at_ns,
    step,
    supervision,
)

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
CHECK_NS = 50_000_000
FIGURE_NS = 200_000_000  # of the fault matrix: within it a process that stopped is told
OWN = messages.ProcessState(process="supervisor", state="alive", restarts=0, lost=3)
SETTINGS = Settings()


class Scenario:
    """One process under the supervisor's eyes; `beating` and `stepping` say how it behaves."""

    def __init__(self, build: Build, name: str = "arms") -> None:
        self.build, self.name = build, name
        self.state = SupervisorState({name: SupervisedProcess(row(name, load_settings([])), start_at_ns=START_NS)})
        self.now_ns = START_NS
        self.beating = self.stepping = False
        self.steps, self.stepped_ns = 0, START_NS
        self.sent = self.lost = self.sends = 0
        self.killed: list[int] = []
        self.started: list[int] = []
        self.faults: list[tuple[str, str]] = []

    @property
    def supervised(self) -> SupervisedProcess:
        return self.state.supervised[self.name]

    def check(
        self,
        code: int | None = None,
        beats: tuple[messages.Heartbeat, ...] = (),
        faults: tuple[messages.Fault, ...] = (),
    ) -> SupervisorOutputs:
        """One step of the supervisor, 50 ms later."""
        self.now_ns += CHECK_NS
        if self.stepping:
            self.steps, self.stepped_ns = self.steps + 1, self.now_ns
            self.sent += self.sends
        own = (self.beat(self.supervised.epoch),) if self.beating else ()
        exits = {} if code is None else {self.name: code}
        made = step(SETTINGS, self.state, SupervisorInputs(exits, (*own, *beats), faults), self.now_ns)
        self.started += [self.now_ns] * len(made.start)
        self.killed += [self.now_ns] * len(made.kill)
        self.faults += made.faults
        return made

    def beat(self, epoch: int) -> messages.Heartbeat:
        return self.build(
            messages.Heartbeat,
            process=self.name,
            epoch=epoch,
            stamp_ns=self.now_ns,
            steps=self.steps,
            last_step_ns=self.stepped_ns,
            sent=self.sent,
            lost=self.lost,
        )

    def run_for(self, duration_s: float) -> None:
        for _ in range(round(duration_s * 1e9 / CHECK_NS)):
            self.check()


@pytest.fixture
def scenario(build: Build) -> Scenario:
    """A process that has been started and is alive."""
    made = Scenario(build)
    made.check()
    made.beating = made.stepping = True
    made.run_for(0.3)
    assert made.supervised.state == "alive"
    return made


def test_a_process_is_started_when_its_time_has_come(build: Build) -> None:
    scenario = Scenario(build, "recorder")
    scenario.supervised.start_at_ns = START_NS + 3 * CHECK_NS
    assert [scenario.check().start for _ in range(4)] == [(), (), ("recorder",), ()]
    assert (scenario.supervised.state, scenario.supervised.epoch) == ("starting", 1)


def test_it_is_alive_with_its_first_step_not_with_its_first_beat(build: Build) -> None:
    scenario = Scenario(build)
    scenario.check()
    scenario.beating = True
    scenario.run_for(1.0)
    assert scenario.supervised.state == "starting"
    scenario.stepping = True
    scenario.check()
    assert scenario.supervised.state == "alive"


def test_one_that_ends_is_restarted_with_a_new_epoch(scenario: Scenario) -> None:
    scenario.beating = False
    reported = scenario.check(code=1)
    assert scenario.supervised.state == "exited" and reported.changed
    assert reported.faults[0][0] == "exited" and "status 1" in reported.faults[0][1]
    assert scenario.check().start == ("arms",)
    assert (scenario.supervised.state, scenario.supervised.epoch) == ("starting", 2)


def test_a_signal_is_named(scenario: Scenario) -> None:
    assert "signal 9" in scenario.check(code=-9).faults[0][1]


def test_repeated_ends_back_off(build: Build) -> None:
    scenario = Scenario(build)
    scenario.check()
    pauses: list[int] = []
    for _ in range(8):
        ended_ns = scenario.now_ns + CHECK_NS
        scenario.check(code=1)
        for _ in range(400):
            if scenario.check().start:
                break
        pauses.append(scenario.started[-1] - ended_ns)
    assert pauses[0] == CHECK_NS
    assert all(a <= b for a, b in itertools.pairwise(pauses))
    assert seconds(5) <= pauses[-1] <= seconds(11)


def test_silence_is_noticed_within_200_ms(scenario: Scenario) -> None:
    """The supervisor looks again when the first one counts as silent, whenever its next look is."""
    scenario.beating = False
    silent_ns = scenario.now_ns
    while (due_ns := silent_at_ns(scenario.state)) is not None:
        scenario.now_ns = min(scenario.now_ns, due_ns - CHECK_NS)
        scenario.check()
    assert scenario.supervised.state == "stopped"
    assert scenario.now_ns - silent_ns == SILENT_NS + 1
    assert SILENT_NS <= 0.9 * FIGURE_NS, "a tenth is left for what it takes to be told"
    assert scenario.faults[-1][0] == "stopped" and scenario.faults[-1][1] == (
        "arms sends no heartbeat for 0.2 s; restarting it unless it recovers within 10 s"
    )


def test_who_is_heard_is_not_looked_at_more_often(scenario: Scenario) -> None:
    for _ in range(100):
        scenario.check()
        due_ns = silent_at_ns(scenario.state)
        assert due_ns is not None and due_ns > scenario.now_ns + CHECK_NS


def test_what_does_not_run_is_not_waited_for(build: Build) -> None:
    scenario = Scenario(build)
    assert silent_at_ns(scenario.state) is None
    scenario.check()
    assert scenario.supervised.state == "starting" and silent_at_ns(scenario.state) is None
    scenario.check(code=1)
    assert silent_at_ns(scenario.state) is None


def test_a_short_stop_just_resumes(scenario: Scenario) -> None:
    scenario.beating = False
    scenario.run_for(SETTINGS.restart_after_s - 1)
    scenario.beating = True
    scenario.check()
    assert scenario.supervised.state == "alive"
    assert not scenario.killed and scenario.supervised.epoch == 1


def test_a_long_stop_ends_in_a_restart(scenario: Scenario) -> None:
    scenario.beating = False
    silent_ns = scenario.now_ns
    scenario.run_for(SETTINGS.restart_after_s + 1)
    assert len(scenario.killed) == 1
    assert (
        seconds(SETTINGS.restart_after_s) <= scenario.killed[0] - silent_ns <= seconds(SETTINGS.restart_after_s + 0.5)
    )
    scenario.check(code=-9)
    assert scenario.check().start == ("arms",)


def test_a_kill_that_does_not_take_is_repeated(scenario: Scenario) -> None:
    scenario.beating = False
    scenario.run_for(3 * SETTINGS.restart_after_s + 2)
    assert len(scenario.killed) >= 2


def test_beats_without_progress_mean_hung(scenario: Scenario) -> None:
    scenario.stepping = False
    hung_ns = scenario.now_ns
    while scenario.supervised.state == "alive":
        scenario.check()
    assert scenario.supervised.state == "hung"
    assert scenario.now_ns - hung_ns <= seconds(3 * row("arms", load_settings([])).progress_s) + 2 * CHECK_NS
    assert "makes no progress for " in scenario.faults[-1][1]
    scenario.run_for(SETTINGS.restart_after_s + 0.5)
    assert len(scenario.killed) == 1


def test_a_hung_one_that_goes_on_is_alive_again(scenario: Scenario) -> None:
    scenario.stepping = False
    scenario.run_for(3)
    scenario.stepping = True
    scenario.check()
    assert scenario.supervised.state == "alive" and not scenario.killed


def test_beats_of_a_former_life_are_ignored(scenario: Scenario) -> None:
    scenario.check(code=-9)
    scenario.beating = False
    scenario.check()
    former = scenario.beat(epoch=1)
    for _ in range(10):
        scenario.check(beats=(former.model_copy(update={"stamp_ns": scenario.now_ns, "steps": 99}),))
    assert (scenario.supervised.state, scenario.supervised.epoch) == ("starting", 2)


def test_beats_of_an_unknown_process_are_ignored(scenario: Scenario) -> None:
    stranger = scenario.beat(1).model_copy(update={"process": "stranger"})
    assert not scenario.check(beats=(stranger,)).faults
    assert list(scenario.state.supervised) == ["arms"]


@pytest.mark.parametrize("name", ["arms", "system2", "text"])
def test_one_that_never_steps_is_hung_after_the_start_timeout_and_restarted(name: str, build: Build) -> None:
    """Its heartbeat thread may beat all the while."""
    scenario = Scenario(build, name)
    scenario.check()
    scenario.beating = True
    scenario.run_for(SETTINGS.start_timeout_s - 1)
    assert scenario.supervised.state == "starting"
    scenario.run_for(2)
    assert scenario.supervised.state == "hung"
    scenario.run_for(SETTINGS.restart_after_s + 1)
    assert len(scenario.killed) == 1


def test_a_fault_is_told_once(scenario: Scenario) -> None:
    scenario.beating = False
    scenario.run_for(5)
    assert [name for name, _ in scenario.faults] == ["stopped"]


def test_changes_are_told_at_once(scenario: Scenario) -> None:
    assert not scenario.check().changed
    scenario.beating = False
    assert any(scenario.check().changed for _ in range(6))
    assert not scenario.check().changed


def test_the_table_as_a_message(scenario: Scenario) -> None:
    scenario.check(code=1)
    scenario.check()
    made = supervision(scenario.state, OWN, 7, scenario.now_ns)
    assert (made.seq, made.stamp_ns) == (7, scenario.now_ns)
    arms = messages.ProcessState(process="arms", state="starting", restarts=1, faults=1)
    assert made.processes == (OWN, arms), "what the supervisor itself lost is told like the others'"
    assert codec.decode(codec.encode(made)) == made


def shown(scenario: Scenario) -> messages.ProcessState:
    return supervision(scenario.state, OWN, 0, scenario.now_ns).processes[1]


def test_what_a_process_sends_is_told_as_a_rate_of_the_last_seconds(scenario: Scenario) -> None:
    scenario.sends = 20  # every 50 ms
    scenario.run_for(8.0)
    assert shown(scenario).sent_hz == 400.0
    scenario.sends = 10
    scenario.run_for(7.0)
    assert shown(scenario).sent_hz == 200.0
    scenario.beating = False
    scenario.run_for(0.3)
    assert (shown(scenario).state, shown(scenario).sent_hz) == ("stopped", 0.0)


def test_a_new_life_sends_from_zero_and_what_was_lost_stays_lost(scenario: Scenario) -> None:
    scenario.sends, scenario.lost = 20, 3
    scenario.run_for(3.0)
    assert shown(scenario).lost == 3
    scenario.beating = False
    scenario.check(code=1)
    scenario.check()
    assert shown(scenario).lost == 3
    scenario.sent, scenario.lost, scenario.beating = 0, 2, True
    scenario.run_for(3.0)
    assert (shown(scenario).lost, shown(scenario).sent_hz) == (5, 400.0)


def test_faults_are_those_that_it_told_and_those_that_it_was(scenario: Scenario, build: Build) -> None:
    reported = build(messages.Fault, process="arms")
    scenario.check(
        faults=(
            reported,
            reported,
            build(messages.Fault, process="supervisor"),
            build(messages.Fault, process="cameras"),
        )
    )
    assert shown(scenario).faults == 2
    scenario.check(code=1)
    assert shown(scenario).faults == 3
    scenario.run_for(0.1)
    scenario.beating = False
    scenario.run_for(0.5)
    assert scenario.supervised.state == "stopped" and shown(scenario).faults == 4


def starts(build: Build, processors: int, names: tuple[str, ...], loaded_after: dict[str, int]) -> dict[str, int]:
    """In which check each process is started; those of `loaded_after` tell of their first step so many checks later."""
    rows = [row(name, load_settings([])) for name in names]
    state = beginning(rows, processors, START_NS)
    found: dict[str, int] = {}
    for check in range(600):
        now_ns = START_NS + check * CHECK_NS
        beats = tuple(
            build(messages.Heartbeat, process=name, epoch=1, stamp_ns=now_ns, steps=1, last_step_ns=now_ns)
            for name in found
            if check >= found[name] + loaded_after.get(name, 1)
        )
        for name in step(SETTINGS, state, SupervisorInputs(beats=beats), now_ns).start:
            found.setdefault(name, check)
    return found


ROBOT = ("recorder", "system2", "system1", "cameras", "arms", "console")


@pytest.mark.parametrize(
    ("processors", "names", "loaded_after", "cameras_start"),
    [
        (2, ROBOT, {"system1": 100, "system2": 150}, 151),
        (2, ROBOT, {"system1": 150, "system2": 100}, 151),
        (2, ROBOT, {"system2": 10_000}, seconds(LOADING_S) // CHECK_NS),  # weights of gigabytes
        (2, ("recorder", "cameras", "arms"), {}, 0),  # nothing to wait for: demonstrations
        (MANY_PROCESSORS, ROBOT, {"system1": 100, "system2": 150}, 0),
    ],
)
def test_few_processors_are_left_to_the_systems_while_they_load(
    build: Build, processors: int, names: tuple[str, ...], loaded_after: dict[str, int], cameras_start: int
) -> None:
    found = starts(build, processors, names, loaded_after)
    assert {found[name] for name in names if name in ("recorder", "system1", "system2")} == {0}
    assert found["cameras"] == found["arms"] == pytest.approx(cameras_start, abs=1)


def test_what_ended_waits_for_its_time_and_not_for_the_systems(build: Build) -> None:
    state = beginning([row(name, load_settings([])) for name in ROBOT], 2, START_NS)
    step(SETTINGS, state, SupervisorInputs(), START_NS)
    for name in ("system1", "system2"):
        state.supervised[name].stepped = True
    begun, crashed, again = (
        step(SETTINGS, state, SupervisorInputs(exits=exits), START_NS + after * CHECK_NS).start
        for after, exits in enumerate(({}, {"cameras": 1}, {}), 1)
    )
    assert "cameras" in begun and not crashed and again == ("cameras",), "the first crash costs no time"
    for after, exits in enumerate(({"cameras": 1}, {}), 5):
        assert step(SETTINGS, state, SupervisorInputs(exits=exits), START_NS + after * CHECK_NS).start == ()
