"""Lockstep replay: a session's recorded inputs, in their recorded pairing, through the real step functions, on all cores.
Called by command.py. This is the regression test of the runtime.

Every output names what it consumed, so each step is fed exactly that; what it makes must be the recorded bytes. Only what
was measured while a step ran (timing, arrivals) is taken from the record. A process's outputs are cut at its snapshots; where
a stretch ends in another state than the snapshot's, the next one is made again from the state itself.
"""

import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.arms import state as arms_state
from runtime.config.loading import settings_from_json
from runtime.config.settings import Settings
from runtime.errors import SessionError, SettingsError
from runtime.host.worker_pool import WorkerPool
from runtime.process.role import Role
from runtime.replay.comparison import Report
from runtime.replay.flags import Stepping
from runtime.replay.index import Index
from runtime.replay.robot_steps import ArmsSteps, TrackerSteps
from runtime.replay.stretch import Done, Steps, Stretch, cut, run
from runtime.session.reader import Session
from runtime.systems.system1_state import System1State
from runtime.systems.system2_state import System2State

TOPICS: dict[Stepping, tuple[str, ...]] = {
    "system2": ("conditions",),
    "system1": ("chunk", "skip"),
    "arms": ("arm_target",),
}
"""Of the outputs that are made again, a process each; those that take longest stand first."""
_Passed = Callable[[int], object]


def replay(
    session: Session,
    moved: Callable[[Settings], Settings] = lambda settings: settings,
    passed: _Passed = lambda steps: None,
    only: Stepping | None = None,
    workers: int = 1,
) -> Report:
    """Run the session again through the real steps, and compare.

    Args:
        session: As it was read.
        moved: Says where the session's policy is now.
        passed: Called with how many outputs more were made again.
        only: The process whose outputs are made again, from what the others sent; `arms` needs no policy. None: all.
        workers: Processes to use. More than one are copies of this process, which must not have started threads of torch.

    Raises:
        SessionError: Its policy is not at hand.
    """
    index = Index(session)
    if "settings" not in session.metadata:
        raise SessionError(f"{session.path}: holds no settings; give a session that video2act recorded")
    try:
        settings = moved(settings_from_json(session.metadata["settings"]))
    except SettingsError as error:
        raise SessionError(
            f"{session.path}: its settings are of another version ({error}); use the one that recorded it"
        ) from None
    role = Role.of_session(session.metadata)
    with tempfile.TemporaryDirectory(prefix="video2act-replay-") as folder:
        work = _Work(index, settings, role, Path(folder))
        stretches = [stretch for process in TOPICS if only in (None, process) for stretch in work.cut(process)]
        return _joined(work, _run(work, stretches, passed, workers))


@dataclass
class _Work:
    """What the stretches of a session are made again with."""

    index: Index
    settings: Settings
    role: Role
    folder: Path
    _steps: dict[tuple[str, int], Steps] = field(default_factory=dict[tuple[str, int], Steps])

    def cut(self, process: Stepping) -> Iterator[Stretch]:
        """A process's stretches. Where a recorded movement took System 1's place there is no System 2."""
        system1 = TrackerSteps.classes if self.role.tracks else (System1State,)
        classes = {"system2": (System2State,), "system1": system1, "arms": arms_state.SAVED}[process]
        if process != "system2" or not self.role.tracks:
            yield from cut(self.index, process, TOPICS[process], classes)

    def run(self, stretch: Stretch) -> Done:
        """Make a stretch again, with steps that are kept for the next stretches of its process."""
        key = stretch.process, stretch.epoch
        if key not in self._steps:
            self._steps[key] = self._make(*key)
        return run(self.index, self._steps[key], stretch)

    def _make(self, process: str, epoch: int) -> Steps:
        if process == "arms":
            return ArmsSteps(self.index, self.settings, self.role.unfit, epoch)
        if self.role.tracks:
            return TrackerSteps(self.index, self.settings, epoch)
        from runtime.replay import policy_steps  # loads torch

        kind = {"system1": policy_steps.System1Steps, "system2": policy_steps.System2Steps}[process]
        return kind(self.index, self.settings, Path(tempfile.mkdtemp(dir=self.folder)), epoch)


def _run(work: _Work, stretches: Sequence[Stretch], passed: _Passed, workers: int) -> dict[Stretch, Done]:
    """Make all stretches again, in any order."""
    done: dict[Stretch, Done] = {}
    for result in _results(work, stretches, min(workers, len(stretches))):
        done[result.stretch] = result
        passed(result.stretch.end - result.stretch.begin)
    return done


def _results(work: _Work, stretches: Sequence[Stretch], workers: int) -> Iterator[Done]:
    if workers < 2:
        yield from map(work.run, stretches)
        return
    gc.freeze()  # else the workers would walk through the whole session, and so copy it
    try:
        with WorkerPool("replay", workers, begin=lambda: _IN_WORKER.append(work)) as pool:
            yield from pool.results(_run_in_worker, stretches)
    finally:
        gc.unfreeze()


_IN_WORKER: list[_Work] = []
"""In a worker what it was copied with; empty elsewhere."""


def _run_in_worker(stretch: Stretch) -> Done:
    return _IN_WORKER[0].run(stretch)


def _joined(work: _Work, done: dict[Stretch, Done]) -> Report:
    """All reports as one, in the order of the outputs, once each stretch began in the state that the last one ended in."""
    report, before = Report(began_ns=work.index.began_ns), b""
    for stretch, result in sorted(done.items(), key=lambda item: _place(item[0])):
        if stretch.begin and before and before != stretch.state:
            result = work.run(replace(stretch, state=before))
        report.add(result.report)
        before = result.state
    return report


def _place(stretch: Stretch) -> tuple[str, int, int]:
    return stretch.process, stretch.epoch, stretch.begin


def steps(topics: Iterable[str], only: Stepping | None) -> int:
    """How many of a session's messages a replay makes again."""
    wanted = {topic for process, names in TOPICS.items() if only in (None, process) for topic in names}
    return sum(topic in wanted for topic in topics)
