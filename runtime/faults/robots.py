"""The whole matrix: which robots there are, and which rows each of them serves, in order. Read by command.py and by the tests,
and by flags.py for --only.

A row that ends its run, or its session, is the last one of a robot.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from models.refusal import shown
from runtime.errors import SettingsError
from runtime.faults import arm_rows, camera_rows, message_rows, page_rows, process_rows, remote_rows
from runtime.faults.row import Robot, Row

_SIMULATED = ("--profile", "sim", "--console.port", "0")
_STRICT = (
    "--safety.max_feedback_age_s", "0.05", "--cameras.max_frame_age_s", "0.08", "--cameras.max_lag_s", "0.05",
)  # fmt: skip
"""A real robot's limits, which the profile of the simulated one widens."""
_WIDER_MS = 120.0  # the profile's limits of cameras, beyond a real robot's; its feedback may be 100 ms older

# Chosen: a disk that holds some minutes.
ROBOTS = (
    Robot(
        "emulated arms",
        (*_SIMULATED, *_STRICT, "--can"),
        (
            *arm_rows.SWITCHED_ON,
            *arm_rows.BUSES,
            *arm_rows.ARMS,
            *arm_rows.READINGS,
            *camera_rows.CAMERAS,
            *process_rows.ARMS,
            process_rows.SIGTERM,
        ),
    ),
    Robot(
        "simulated robot",
        _SIMULATED,
        (*process_rows.SYSTEMS, *process_rows.OTHERS, *page_rows.PAGES, process_rows.CTRL_C),
        emulated=False,
    ),
    Robot("emulated arms, hostile messages", (*_SIMULATED, "--can"), message_rows.MESSAGES),
    Robot(
        "small disk",
        (*_SIMULATED, "--recorder.reserve_gib", "0"),
        (process_rows.DISK_FULL,),
        emulated=False,
        disk_mb=256,
    ),
    Robot("System 2 on a GPU box", _SIMULATED, remote_rows.REMOTE, emulated=False, box=True),
    Robot("emulated arms, once more", (*_SIMULATED, "--can"), (process_rows.SUPERVISOR_KILLED,)),
)


def _row(name: str) -> Row:
    return next(row for robot in ROBOTS for row in robot.rows if row.name == name)


SHORT = Robot(
    "in short",
    ("--profile", "sim", "--can", "--no-console.enabled", "--system1.period_s", "0.3", "--ratio", "4"),
    tuple(
        map(
            _row,
            (
                "silent bus", "CAN process killed", "motor error", "frames that are no feedback", "camera frozen",
                "camera unplugged", "System 1 stopped", "SIGTERM",
            ),
        )
    ),
    slack_ms=_WIDER_MS,
)  # fmt: skip
"""The quickest rows, on one robot; within a minute. Half as many runs of System 1, so that two cores carry it."""


def names_of(robots: Sequence[Robot]) -> list[str]:
    """The names of all rows, in the order in which they run."""
    return [row.name for robot in robots for row in robot.rows]


def chosen(robots: Sequence[Robot], name: str) -> list[Robot]:
    """The robots with only those rows whose names begin so. Raises SettingsError where there is none."""
    found = [(robot, tuple(row for row in robot.rows if row.name.startswith(name))) for robot in robots]
    if not any(rows for _, rows in found):
        close = " or ".join(get_close_matches(name, names_of(robots), n=3, cutoff=0.5))
        meant = f"; did you mean {close}?" if close else ""
        raise SettingsError(f"--only {shown(name)}: no fault's name begins with this; --names lists them all{meant}")
    return [replace(robot, rows=rows) for robot, rows in found if rows]
