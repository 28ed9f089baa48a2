"""Runs the matrix: each robot once a repeat, its rows one after the other, then what the motors saw, and the session.
Called by command.py and by the tests.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.arms.limits import Limits
from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault
from runtime.faults import can_audit, motor, sessions, table
from runtime.faults.gpu_box import GpuBox
from runtime.faults.inject import inject
from runtime.faults.judge import Outcome, Verdict, judge
from runtime.faults.live_robot import LiveRobot
from runtime.faults.row import Robot, Sample
from runtime.host.clock import robot_time_ns
from runtime.host.progress import bar

_START_S = 180.0  # to the first RUNNING; chosen
_SETTLE_S = 2.0  # from there to the first fault; chosen: what is still loading then would be measured too
_SEED = 0  # of the pauses before faults
Say = Callable[[str], None]


def run(robots: Sequence[Robot], repeats: int, say: Say, keep: Path | None = None) -> Outcome:
    """Every row of some robots, `repeats` times. Says a line for each injection.

    Args:
        robots: Each is started once a repeat, and serves its rows in their order.
        repeats: How often.
        say: Is told what came of each injection.
        keep: A folder for the sessions of the runs; None: they are removed.
    """
    dice = random.Random(_SEED)
    found = {robot.name: [Verdict(row, robot) for row in robot.rows] for robot in robots}
    outcome = Outcome([verdict for robot in robots for verdict in found[robot.name]])
    say(table.HEAD)
    with bar(repeats * len(outcome.verdicts), "faults", "row") as shown:
        for repeat in range(repeats):
            for robot in robots:
                with _folder(robot, keep and keep / f"{robot.name} {repeat + 1}") as folder:
                    samples, lines = _serve(robot, folder, dice, say, shown.update)
                outcome.sessions += [(f"session of {robot.name!r}", line) for line in lines]
                for verdict, sample in zip(found[robot.name], samples, strict=True):
                    verdict.samples.append(sample)
    for verdict in outcome.verdicts:
        judge(verdict)
    return outcome


def _serve(
    robot: Robot, folder: Path, dice: random.Random, say: Say, passed: Callable[[int], object]
) -> tuple[list[Sample], list[str]]:
    """One robot's life: a sample of each of its rows, and what is wrong with its session."""
    box = GpuBox(folder) if robot.box else None
    live, samples = LiveRobot(folder, (*robot.flags, *(box.flags if box is not None else ()))), list[Sample]()
    try:
        if box is not None:
            box.join(live)
        if not live.wait(lambda: live.mode == "RUNNING", _START_S):
            raise RuntimeFault(f"{robot.name}: not RUNNING within {_START_S:.0f} s; run ./launch/robot.sh to see why")
        live.pause(_SETTLE_S)
        for row in robot.rows:
            samples.append(inject(live, row, dice) if live.alive else _missing())
            say(table.line(Verdict(row, robot, samples[-1:])))
            passed(1)
        session = live.session
    finally:
        live.end()
    return samples, _find_after(robot, live, session, samples, say)


def _missing() -> Sample:
    now_ns = robot_time_ns()
    return Sample(now_ns, now_ns, wrong="the run had ended before this fault; give --sessions DIR and read its logs")


def _find_after(robot: Robot, live: LiveRobot, session: Path, samples: Sequence[Sample], say: Say) -> list[str]:
    """What is known of the samples only after the run: what the motors saw, and what the session holds."""
    limits = Limits.of(load_settings([*robot.flags]).safety)
    views = motor.emulated(session, limits) if robot.emulated else motor.simulated(live.ticks, limits)
    examined = sessions.examine(session)
    if robot.emulated:
        for side, row in can_audit.compare_sent(session, live.ticks).items():
            say(f"  {robot.name}: {side} arm, targets: " + ", ".join(f"{what} {count}" for what, count in row.items()))
    for row, sample in zip(robot.rows, samples, strict=True):
        sample.shares = motor.shares(views, sample.began_ns, sample.ended_ns)
        if row.reaction == "bus":
            braked = [motor.braked_ms(view, sample.began_ns, sample.ended_ns) for view in views]
            sample.held_ms = max((each for each in braked if each is not None), default=None)
        if row.cuts_session:
            sample.measured["unrecorded ms"] = examined.unrecorded_ms(sample.began_ns)
    return examined.faults(any(row.cuts_session for row in robot.rows), live.said_of_recorder)


@contextmanager
def _folder(robot: Robot, keep: Path | None) -> Generator[Path]:
    """A folder for a run; its sessions have a small disk of their own where the robot asks for it and this user may mount one.

    `keep`: where they are copied at the end.
    """
    with tempfile.TemporaryDirectory(prefix="video2act-faults-") as name:
        made = Path(name) / "sessions"
        made.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={robot.disk_mb}m", "tmpfs", str(made)]
        mounted = (
            bool(robot.disk_mb and shutil.which("mount")) and not subprocess.run(mount, capture_output=True).returncode
        )
        try:
            yield Path(name)
        finally:
            if keep is not None:
                shutil.copytree(name, keep, dirs_exist_ok=True)
            if mounted:
                subprocess.run(["umount", str(made)], capture_output=True, check=True)
