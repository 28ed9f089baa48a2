"""The supervisor's step: exits, silence, no progress, back-off, and heartbeats of a former life, on a fake clock.

The rows are those of the real process table.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from runtime.config.settings import Supervisor as Settings
from runtime.config.settings import load_settings
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.process.table import row
from runtime.supervisor.supervisor import (
    SILENT_NS,
    SupervisedProcess,
    SupervisorInputs,
    SupervisorOutputs,
    SupervisorState,
    step,
    supervision,
)

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
LOOK_NS = 50_000_000
SETTINGS = Settings()


class Watch:
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
        self.now_ns += LOOK_NS
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
        for _ in range(round(duration_s * 1e9 / LOOK_NS)):
            self.check()


@pytest.fixture
def watch(build: Build) -> Watch:
    """A process that has been started and is alive."""
    made = Watch(build)
    made.check()
    made.beating = made.stepping = True
    made.run_for(0.3)
    assert made.supervised.state == "alive"
    return made


def test_a_process_is_started_when_its_time_has_come(build: Build) -> None:
    watch = Watch(build)
    watch.supervised.start_at_ns = START_NS + 3 * LOOK_NS
    assert [watch.check().start for _ in range(4)] == [(), (), ("arms",), ()]
    assert (watch.supervised.state, watch.supervised.epoch) == ("starting", 1)


def test_it_is_alive_with_its_first_step_not_with_its_first_beat(build: Build) -> None:
    watch = Watch(build)
    watch.check()
    watch.beating = True
    watch.run_for(1.0)
    assert watch.supervised.state == "starting"
    watch.stepping = True
    watch.check()
    assert watch.supervised.state == "alive"


def test_one_that_ends_is_restarted_with_a_new_epoch(watch: Watch) -> None:
    watch.beating = False
    reported = watch.check(code=1)
    assert watch.supervised.state == "exited" and reported.changed
    assert reported.faults[0][0] == "exited" and "status 1" in reported.faults[0][1]
    assert watch.check().start == ("arms",)
    assert (watch.supervised.state, watch.supervised.epoch) == ("starting", 2)


def test_a_signal_is_named(watch: Watch) -> None:
    assert "signal 9" in watch.check(code=-9).faults[0][1]


def test_repeated_ends_back_off(build: Build) -> None:
    watch = Watch(build)
    watch.check()
    pauses: list[int] = []
    for _ in range(8):
        ended_ns = watch.now_ns + LOOK_NS
        watch.check(code=1)
        for _ in range(400):
            if watch.check().start:
                break
        pauses.append(watch.started[-1] - ended_ns)
    assert pauses[0] == LOOK_NS
    assert all(a <= b for a, b in itertools.pairwise(pauses))
    assert seconds(5) <= pauses[-1] <= seconds(11)


def test_silence_is_noticed_within_200_ms_and_a_look(watch: Watch) -> None:
    watch.beating = False
    silent_ns = watch.now_ns
    while watch.supervised.state == "alive":
        watch.check()
    assert watch.supervised.state == "stopped"
    assert watch.now_ns - silent_ns <= SILENT_NS + LOOK_NS
    assert watch.faults[-1][0] == "stopped" and watch.faults[-1][1].startswith("arms")


def test_a_short_stop_just_resumes(watch: Watch) -> None:
    watch.beating = False
    watch.run_for(SETTINGS.restart_after_s - 1)
    watch.beating = True
    watch.check()
    assert watch.supervised.state == "alive"
    assert not watch.killed and watch.supervised.epoch == 1


def test_a_long_stop_ends_in_a_restart(watch: Watch) -> None:
    watch.beating = False
    silent_ns = watch.now_ns
    watch.run_for(SETTINGS.restart_after_s + 1)
    assert len(watch.killed) == 1
    assert seconds(SETTINGS.restart_after_s) <= watch.killed[0] - silent_ns <= seconds(SETTINGS.restart_after_s + 0.5)
    watch.check(code=-9)
    assert watch.check().start == ("arms",)


def test_a_kill_that_does_not_take_is_repeated(watch: Watch) -> None:
    watch.beating = False
    watch.run_for(3 * SETTINGS.restart_after_s + 2)
    assert len(watch.killed) >= 2


def test_beats_without_progress_mean_hung(watch: Watch) -> None:
    watch.stepping = False
    hung_ns = watch.now_ns
    while watch.supervised.state == "alive":
        watch.check()
    assert watch.supervised.state == "hung"
    assert watch.now_ns - hung_ns <= seconds(3 * row("arms", load_settings([])).progress_s) + 2 * LOOK_NS
    assert "no progress" in watch.faults[-1][1]
    watch.run_for(SETTINGS.restart_after_s + 0.5)
    assert len(watch.killed) == 1


def test_a_hung_one_that_goes_on_is_alive_again(watch: Watch) -> None:
    watch.stepping = False
    watch.run_for(3)
    watch.stepping = True
    watch.check()
    assert watch.supervised.state == "alive" and not watch.killed


def test_beats_of_a_former_life_are_ignored(watch: Watch) -> None:
    watch.check(code=-9)
    watch.beating = False
    watch.check()
    former = watch.beat(epoch=1)
    for _ in range(10):
        watch.check(beats=(former.model_copy(update={"stamp_ns": watch.now_ns, "steps": 99}),))
    assert (watch.supervised.state, watch.supervised.epoch) == ("starting", 2)


def test_beats_of_an_unknown_process_are_ignored(watch: Watch) -> None:
    stranger = watch.beat(1).model_copy(update={"process": "stranger"})
    assert not watch.check(beats=(stranger,)).faults
    assert list(watch.state.supervised) == ["arms"]


@pytest.mark.parametrize("name", ["arms", "system2", "text"])
def test_one_that_never_steps_is_hung_after_the_start_timeout_and_restarted(name: str, build: Build) -> None:
    """Its heartbeat thread may beat all the while."""
    watch = Watch(build, name)
    watch.check()
    watch.beating = True
    watch.run_for(SETTINGS.start_timeout_s - 1)
    assert watch.supervised.state == "starting"
    watch.run_for(2)
    assert watch.supervised.state == "hung"
    watch.run_for(SETTINGS.restart_after_s + 1)
    assert len(watch.killed) == 1


def test_a_fault_is_told_once(watch: Watch) -> None:
    watch.beating = False
    watch.run_for(5)
    assert [name for name, _ in watch.faults] == ["stopped"]


def test_changes_are_told_at_once(watch: Watch) -> None:
    assert not watch.check().changed
    watch.beating = False
    assert any(watch.check().changed for _ in range(6))
    assert not watch.check().changed


def test_the_table_as_a_message(watch: Watch) -> None:
    watch.check(code=1)
    watch.check()
    made = supervision(watch.state, 7, watch.now_ns)
    assert (made.seq, made.stamp_ns) == (7, watch.now_ns)
    assert made.processes == (messages.ProcessState(process="arms", state="starting", restarts=1, faults=1),)
    assert messages.decode(messages.encode(made)) == made


def shown(watch: Watch) -> messages.ProcessState:
    return supervision(watch.state, 0, watch.now_ns).processes[0]


def test_what_a_process_sends_is_told_as_a_rate_of_the_last_seconds(watch: Watch) -> None:
    watch.sends = 20  # every 50 ms
    watch.run_for(8.0)
    assert shown(watch).sent_hz == 400.0
    watch.sends = 10
    watch.run_for(7.0)
    assert shown(watch).sent_hz == 200.0
    watch.beating = False
    watch.run_for(0.3)
    assert (shown(watch).state, shown(watch).sent_hz) == ("stopped", 0.0)


def test_a_new_life_sends_from_zero_and_what_was_lost_stays_lost(watch: Watch) -> None:
    watch.sends, watch.lost = 20, 3
    watch.run_for(3.0)
    assert shown(watch).lost == 3
    watch.beating = False
    watch.check(code=1)
    watch.check()
    assert shown(watch).lost == 3
    watch.sent, watch.lost, watch.beating = 0, 2, True
    watch.run_for(3.0)
    assert (shown(watch).lost, shown(watch).sent_hz) == (5, 400.0)


def test_faults_are_those_that_it_told_and_those_that_it_was(watch: Watch, build: Build) -> None:
    reported = build(messages.Fault, process="arms")
    watch.check(
        faults=(
            reported,
            reported,
            build(messages.Fault, process="supervisor"),
            build(messages.Fault, process="cameras"),
        )
    )
    assert shown(watch).faults == 2
    watch.check(code=1)
    assert shown(watch).faults == 3
    watch.run_for(0.1)
    watch.beating = False
    watch.run_for(0.5)
    assert watch.supervised.state == "stopped" and shown(watch).faults == 4
