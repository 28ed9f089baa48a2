"""Runs the matrix: each robot once a repeat, its rows one after the other, then what the motors saw, and the session.
Called by command.py and by the tests.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.arms.limits import Limits
from runtime.config.settings import load_settings
from runtime.errors import RuntimeFault
from runtime.faults import motor, sessions, table
from runtime.faults.inject import inject
from runtime.faults.judge import Verdict, judge
from runtime.faults.live_robot import LiveRobot
from runtime.faults.row import Robot, Row, Sample
from runtime.host.clock import robot_time_ns
from runtime.host.progress import bar

_START_S = 180.0  # to the first RUNNING; chosen
_SETTLE_S = 2.0  # from there to the first fault; chosen: what is still loading then would be measured too
Say = Callable[[str], None]


def run(robots: Sequence[Robot], repeats: int, say: Say, seed: int = 0) -> list[Verdict]:
    """Every row of some robots, `repeats` times. Says a line a repeat of a row, and what each missed."""
    dice = random.Random(seed)
    verdicts = {robot.name: [Verdict(row, robot.name) for row in robot.rows] for robot in robots}
    say(table.HEAD)
    with bar(repeats * sum(len(robot.rows) for robot in robots), "faults", "row") as shown:
        for _ in range(repeats):
            for robot in robots:
                for verdict, sample in zip(verdicts[robot.name], _serve(robot, dice, say, shown.update), strict=True):
                    verdict.samples.append(sample)
                    verdict.missed += [line for line in sample.session if line not in verdict.missed]
    found = [verdict for robot in robots for verdict in verdicts[robot.name]]
    for verdict in found:
        judge(verdict)
    return found


def _serve(robot: Robot, dice: random.Random, say: Say, passed: Callable[[int], object]) -> list[Sample]:
    """One robot's life: all of its rows, then what became known with its end."""
    with _folder(robot) as folder:
        live = LiveRobot(folder, robot.flags)
        samples: list[Sample] = []
        try:
            if not live.wait(lambda: live.mode == "RUNNING", _START_S):
                raise RuntimeFault(f"the robot of {robot.name!r} is not RUNNING within {_START_S:.0f} s; read {live.output}")
            live.pause(_SETTLE_S)
            for row in robot.rows:
                samples.append(inject(live, row, dice) if live.alive else _missing(live))
                say(table.line(Verdict(row, robot.name, samples[-1:])))
                passed(1)
            session = live.session
        finally:
            live.end()
        _look_back(robot, live, session, samples)
        return samples


def _missing(live: LiveRobot) -> Sample:
    now_ns = robot_time_ns()
    return Sample(now_ns, now_ns, wrong=f"the run had ended before it; read {live.output}")


def _look_back(robot: Robot, live: LiveRobot, session: Path, samples: Sequence[Sample]) -> None:
    """What is known of the samples only after the run: what the motors saw, and what the session holds."""
    limits = Limits.of(load_settings([*robot.flags]).safety)
    views = motor.emulated(session, limits) if robot.emulated else motor.simulated(live.ticks, limits)
    examined = sessions.examine(session)
    for row, sample in zip(robot.rows, samples, strict=True):
        sample.shares = motor.shares(views, sample.began_ns, sample.ended_ns)
        if row.reaction == "bus":
            braked = [motor.braked_ms(view, sample.began_ns, sample.ended_ns) for view in views]
            sample.held_ms = max((each for each in braked if each is not None), default=None)
        if row.cuts_session:
            sample.measured["unrecorded ms"] = examined.unrecorded_ms(sample.began_ns)
        sample.session = tuple(examined.faults(any(row.cuts_session for row in robot.rows)))


@contextmanager
def _folder(robot: Robot) -> Iterator[Path]:
    """A folder for a run, its sessions on a small disk of their own where the row asks for it and this user may mount one."""
    with tempfile.TemporaryDirectory(prefix="video2act-faults-") as name:
        sessions_folder = Path(name) / "sessions"
        sessions_folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={robot.disk_mb}m", "tmpfs", str(sessions_folder)]
        mounted = bool(robot.disk_mb) and shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
        try:
            yield Path(name)
        finally:
            if mounted:
                subprocess.run(["umount", str(sessions_folder)], capture_output=True, check=True)


def chosen(robots: Sequence[Robot], name: str) -> list[Robot]:
    """The robots with only those rows whose names begin so. Raises RuntimeFault where there is none."""
    found = [(robot, tuple(row for row in robot.rows if row.name.startswith(name))) for robot in robots]
    if not any(rows for _, rows in found):
        names = ", ".join(row.name for robot in robots for row in robot.rows)
        raise RuntimeFault(f"--only {name}: no row begins so; give one of: {names}")
    return [_with(robot, rows) for robot, rows in found if rows]


def _with(robot: Robot, rows: tuple[Row, ...]) -> Robot:
    return Robot(robot.name, robot.flags, rows, robot.emulated, robot.disk_mb)
