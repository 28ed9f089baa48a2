"""A long run with the console open: how memory, descriptors and threads of each process grow.
Called by command.py for --endurance.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import RuntimeFault
from runtime.faults.live_robot import LiveRobot
from runtime.faults.pages import VIEWED, Pages, address_of, own_mb
from runtime.host.progress import bar
from runtime.supervisor import run_client

_RUNNING_S = 180.0  # longest wait for RUNNING; chosen
_SETTLED_SHARE = 0.2  # of the run that is left out at its beginning, while caches fill; chosen
_EVERY_S = 5.0  # between two looks at all processes; chosen
LIMITS = {"MB an hour": 20.0, "descriptors an hour": 2.0, "threads an hour": 2.0}
"""Figures for each process. Chosen: half a gigabyte a day, and fifty of the 1024 files that a process may usually open."""
FLAGS = ("--profile", "sim", "--console.port", "0")
Looks = dict[str, list[tuple[float, float, float]]]
"""Of each process: its own memory in MB, descriptors and threads, a row a look."""


def run(minutes: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Run, look, and print the slopes. `kept`: none is above its limit."""
    at_s: list[float] = []
    looks: Looks = {}
    with tempfile.TemporaryDirectory(prefix="video2act-faults-") as name:
        robot, pages = LiveRobot(Path(name), FLAGS), Pages()
        try:
            if not robot.wait(lambda: robot.mode == "RUNNING", _RUNNING_S):
                raise RuntimeFault(
                    f"the robot is not RUNNING within {_RUNNING_S:.0f} s; run ./launch/robot.sh to see why"
                )
            for camera in VIEWED:
                pages.begin(pages.view(address_of(robot), camera))
            with bar(minutes * 60, "endurance", "s") as shown:
                while len(at_s) * _EVERY_S < minutes * 60 and robot.alive:
                    robot.pause(_EVERY_S)
                    robot.events.clear()
                    robot.ticks.clear()
                    note(robot, looks)
                    at_s.append(len(at_s) * _EVERY_S)
                    shown.update(_EVERY_S)
            restarts = {name: count for name, count in robot.restarts.items() if count}
        finally:
            pages.close()
            robot.end()
    rows = {name: slopes(at_s, values) for name, values in looks.items() if len(values) == len(at_s)}
    over = above(rows)
    _print(rows, say)
    for line in (*over, *(f"{name} was started again {count} times" for name, count in restarts.items())):
        say(f"missed: {line}")
    return {"minutes": minutes, "rows": rows, "restarts": restarts, "missed": over, "kept": not over and not restarts}


def note(robot: LiveRobot, looks: Looks) -> None:
    """Add a row for each process that lives."""
    for name, pid in {**run_client.children(robot.folder), "supervisor": robot.process.pid}.items():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            row = (own_mb(pid), float(files), float(status.partition("Threads:")[2].split()[0]))
        except OSError:  # it has just ended
            continue
        looks.setdefault(name, []).append(row)


def slopes(at_s: Sequence[float], values: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    """How much of each there is more after an hour, by the straight line through all looks but the first ones."""
    first = int(_SETTLED_SHARE * len(at_s))
    if len(at_s) - first < 2:
        return dict.fromkeys(LIMITS, 0.0)
    rises = np.polyfit(at_s[first:], np.array(values)[first:], 1)[0] * 3600
    return dict(zip(LIMITS, map(float, rises), strict=True))


def above(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Which growth is above its limit, a line each."""
    return [
        f"{name}: {row[what]:.1f} {what} (limit {most:g})"
        for name, row in rows.items()
        for what, most in LIMITS.items()
        if row[what] > most
    ]


def _print(rows: Mapping[str, Mapping[str, float]], say: Callable[[str], None]) -> None:
    say(f"  {'process':<16}" + "".join(f"{what:>22}" for what in LIMITS))
    for name, row in rows.items():
        say(f"  {name:<16}" + "".join(f"{row[what]:>22.1f}" for what in LIMITS))
    say(f"  {'limit':<16}" + "".join(f"{most:>22g}" for most in LIMITS.values()))
