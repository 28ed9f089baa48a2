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
from runtime.supervisor.supervisor import SILENT_NS, Inputs, Memory, Outputs, Watched, step, supervision

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
LOOK_NS = 50_000_000
SETTINGS = Settings()


class Watch:
    """One process under the supervisor's eyes; `beating` and `stepping` say how it behaves."""

    def __init__(self, build: Build, name: str = "arms") -> None:
        self.build, self.name = build, name
        self.memory = Memory({name: Watched(row(name, load_settings([])), start_at_ns=START_NS)})
        self.now = START_NS
        self.beating = self.stepping = False
        self.steps, self.stepped_ns = 0, START_NS
        self.sent = self.lost = self.sends = 0
        self.killed: list[int] = []
        self.started: list[int] = []
        self.faults: list[tuple[str, str]] = []

    @property
    def watched(self) -> Watched:
        return self.memory.watched[self.name]

    def look(
        self,
        code: int | None = None,
        beats: tuple[messages.Heartbeat, ...] = (),
        faults: tuple[messages.Fault, ...] = (),
    ) -> Outputs:
        """One step of the supervisor, 50 ms later."""
        self.now += LOOK_NS
        if self.stepping:
            self.steps, self.stepped_ns = self.steps + 1, self.now
            self.sent += self.sends
        own = (self.beat(self.watched.epoch),) if self.beating else ()
        exits = {} if code is None else {self.name: code}
        made = step(SETTINGS, self.memory, Inputs(exits, (*own, *beats), faults), self.now)
        self.started += [self.now] * len(made.start)
        self.killed += [self.now] * len(made.kill)
        self.faults += made.faults
        return made

    def beat(self, epoch: int) -> messages.Heartbeat:
        return self.build(
            messages.Heartbeat,
            process=self.name,
            epoch=epoch,
            stamp_ns=self.now,
            steps=self.steps,
            last_step_ns=self.stepped_ns,
            sent=self.sent,
            lost=self.lost,
        )

    def watch(self, duration_s: float) -> None:
        for _ in range(round(duration_s * 1e9 / LOOK_NS)):
            self.look()


@pytest.fixture
def watch(build: Build) -> Watch:
    """A process that has been started and is alive."""
    made = Watch(build)
    made.look()
    made.beating = made.stepping = True
    made.watch(0.3)
    assert made.watched.state == "alive"
    return made


def test_a_process_is_started_when_its_time_has_come(build: Build) -> None:
    watch = Watch(build)
    watch.watched.start_at_ns = START_NS + 3 * LOOK_NS
    assert [watch.look().start for _ in range(4)] == [(), (), ("arms",), ()]
    assert (watch.watched.state, watch.watched.epoch) == ("starting", 1)


def test_it_is_alive_with_its_first_step_not_with_its_first_beat(build: Build) -> None:
    watch = Watch(build)
    watch.look()
    watch.beating = True
    watch.watch(1.0)
    assert watch.watched.state == "starting"
    watch.stepping = True
    watch.look()
    assert watch.watched.state == "alive"


def test_one_that_ends_is_restarted_with_a_new_epoch(watch: Watch) -> None:
    watch.beating = False
    told = watch.look(code=1)
    assert watch.watched.state == "exited" and told.changed
    assert told.faults[0][0] == "exited" and "status 1" in told.faults[0][1]
    assert watch.look().start == ("arms",)
    assert (watch.watched.state, watch.watched.epoch) == ("starting", 2)


def test_a_signal_is_named(watch: Watch) -> None:
    assert "signal 9" in watch.look(code=-9).faults[0][1]


def test_repeated_ends_back_off(build: Build) -> None:
    watch = Watch(build)
    watch.look()
    pauses: list[int] = []
    for _ in range(8):
        ended_ns = watch.now + LOOK_NS
        watch.look(code=1)
        for _ in range(400):
            if watch.look().start:
                break
        pauses.append(watch.started[-1] - ended_ns)
    assert pauses[0] == LOOK_NS
    assert all(a <= b for a, b in itertools.pairwise(pauses))
    assert seconds(5) <= pauses[-1] <= seconds(11)


def test_silence_is_noticed_within_200_ms_and_a_look(watch: Watch) -> None:
    watch.beating = False
    silent_ns = watch.now
    while watch.watched.state == "alive":
        watch.look()
    assert watch.watched.state == "stopped"
    assert watch.now - silent_ns <= SILENT_NS + LOOK_NS
    assert watch.faults[-1][0] == "stopped" and watch.faults[-1][1].startswith("arms")


def test_a_short_stop_just_resumes(watch: Watch) -> None:
    watch.beating = False
    watch.watch(SETTINGS.restart_after_s - 1)
    watch.beating = True
    watch.look()
    assert watch.watched.state == "alive"
    assert not watch.killed and watch.watched.epoch == 1


def test_a_long_stop_ends_in_a_restart(watch: Watch) -> None:
    watch.beating = False
    silent_ns = watch.now
    watch.watch(SETTINGS.restart_after_s + 1)
    assert len(watch.killed) == 1
    assert seconds(SETTINGS.restart_after_s) <= watch.killed[0] - silent_ns <= seconds(SETTINGS.restart_after_s + 0.5)
    watch.look(code=-9)
    assert watch.look().start == ("arms",)


def test_a_kill_that_does_not_take_is_repeated(watch: Watch) -> None:
    watch.beating = False
    watch.watch(3 * SETTINGS.restart_after_s + 2)
    assert len(watch.killed) >= 2


def test_beats_without_progress_mean_hung(watch: Watch) -> None:
    watch.stepping = False
    hung_ns = watch.now
    while watch.watched.state == "alive":
        watch.look()
    assert watch.watched.state == "hung"
    assert watch.now - hung_ns <= seconds(3 * row("arms", load_settings([])).progress_s) + 2 * LOOK_NS
    assert "no progress" in watch.faults[-1][1]
    watch.watch(SETTINGS.restart_after_s + 0.5)
    assert len(watch.killed) == 1


def test_a_hung_one_that_goes_on_is_alive_again(watch: Watch) -> None:
    watch.stepping = False
    watch.watch(3)
    watch.stepping = True
    watch.look()
    assert watch.watched.state == "alive" and not watch.killed


def test_beats_of_a_former_life_are_ignored(watch: Watch) -> None:
    watch.look(code=-9)
    watch.beating = False
    watch.look()
    former = watch.beat(epoch=1)
    for _ in range(10):
        watch.look(beats=(former.model_copy(update={"stamp_ns": watch.now, "steps": 99}),))
    assert (watch.watched.state, watch.watched.epoch) == ("starting", 2)


def test_beats_of_an_unknown_process_are_ignored(watch: Watch) -> None:
    stranger = watch.beat(1).model_copy(update={"process": "stranger"})
    assert not watch.look(beats=(stranger,)).faults
    assert list(watch.memory.watched) == ["arms"]


@pytest.mark.parametrize("name", ["arms", "system2", "text"])
def test_one_that_never_steps_is_hung_after_the_start_timeout_and_restarted(name: str, build: Build) -> None:
    """Its heartbeat thread may beat all the while."""
    watch = Watch(build, name)
    watch.look()
    watch.beating = True
    watch.watch(SETTINGS.start_timeout_s - 1)
    assert watch.watched.state == "starting"
    watch.watch(2)
    assert watch.watched.state == "hung"
    watch.watch(SETTINGS.restart_after_s + 1)
    assert len(watch.killed) == 1


def test_a_fault_is_told_once(watch: Watch) -> None:
    watch.beating = False
    watch.watch(5)
    assert [name for name, _ in watch.faults] == ["stopped"]


def test_changes_are_told_at_once(watch: Watch) -> None:
    assert not watch.look().changed
    watch.beating = False
    assert any(watch.look().changed for _ in range(6))
    assert not watch.look().changed


def test_the_table_as_a_message(watch: Watch) -> None:
    watch.look(code=1)
    watch.look()
    made = supervision(watch.memory, 7, watch.now)
    assert (made.seq, made.stamp_ns) == (7, watch.now)
    assert made.processes == (messages.ProcessState(process="arms", state="starting", restarts=1, faults=1),)
    assert messages.decode(messages.encode(made)) == made


def shown(watch: Watch) -> messages.ProcessState:
    return supervision(watch.memory, 0, watch.now).processes[0]


def test_what_a_process_sends_is_told_as_a_rate_of_the_last_seconds(watch: Watch) -> None:
    watch.sends = 20  # every 50 ms
    watch.watch(8.0)
    assert shown(watch).sent_hz == 400.0
    watch.sends = 10
    watch.watch(7.0)
    assert shown(watch).sent_hz == 200.0
    watch.beating = False
    watch.watch(0.3)
    assert (shown(watch).state, shown(watch).sent_hz) == ("stopped", 0.0)


def test_a_new_life_sends_from_zero_and_what_was_lost_stays_lost(watch: Watch) -> None:
    watch.sends, watch.lost = 20, 3
    watch.watch(3.0)
    assert shown(watch).lost == 3
    watch.beating = False
    watch.look(code=1)
    watch.look()
    assert shown(watch).lost == 3
    watch.sent, watch.lost, watch.beating = 0, 2, True
    watch.watch(3.0)
    assert (shown(watch).lost, shown(watch).sent_hz) == (5, 400.0)


def test_faults_are_those_that_it_told_and_those_that_it_was(watch: Watch, build: Build) -> None:
    told = build(messages.Fault, process="arms")
    watch.look(
        faults=(told, told, build(messages.Fault, process="supervisor"), build(messages.Fault, process="cameras"))
    )
    assert shown(watch).faults == 2
    watch.look(code=1)
    assert shown(watch).faults == 3
    watch.watch(0.1)
    watch.beating = False
    watch.watch(0.5)
    assert watch.watched.state == "stopped" and shown(watch).faults == 4
