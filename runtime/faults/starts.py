"""Starts and stops, one after the other, and what each leaves behind: processes, shared memory, temporary folders.
Called by command.py for --starts.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.faults.live_robot import LiveRobot
from runtime.host.progress import bar
from runtime.host.run_folder import MEMORY_FOLDER, RUN_PREFIX

_RUNNING_S = 180.0  # longest wait for the first RUNNING; chosen
_OURS = "video2act"  # how everything begins that this project makes in shared or temporary folders
FLAGS = ("--profile", "sim", "--console.port", "0")


def run(count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Start and end a simulated robot `count` times. `kept`: none left anything."""
    found: list[str] = []
    with bar(count, "starts", "start") as shown:
        for number in range(1, count + 1):
            for line in _once():
                found.append(f"start {number}: {line}")
                say(found[-1])
            shown.update(1)
    say(f"{count} starts and stops; left behind: {len(found)}")
    return {"starts": count, "left": found, "kept": not found}


def _once() -> list[str]:
    """One start, to RUNNING, and one stop. Returns what it left."""
    before = _folders()
    with tempfile.TemporaryDirectory(prefix="video2act-faults-") as name:
        robot = LiveRobot(Path(name), FLAGS)
        ran = False
        try:
            ran = robot.wait(lambda: robot.mode == "RUNNING", _RUNNING_S)
        finally:
            robot.end(sweep=False)
        left = [] if ran else [f"not RUNNING within {_RUNNING_S:.0f} s"]
        left += [f"process {name} still runs" for name in robot.left()]
        if robot.folder.exists():
            left.append(f"{robot.folder} still exists")
        robot.sweep()
    return left + [f"{path} still exists" for path in sorted(_folders() - before)]


def _folders() -> set[Path]:
    """What there is of this project in the temporary folder, and in shared memory but for the runs of others."""
    temporary = set(Path(tempfile.gettempdir()).glob(f"{_OURS}*"))
    return temporary | {path for path in MEMORY_FOLDER.glob(f"{_OURS}*") if not path.name.startswith(RUN_PREFIX)}
