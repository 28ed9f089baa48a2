"""The whole matrix: which robots there are, and which rows each of them serves, in order. Read by command.py.

A row that ends its run, or its session, is the last one of a robot.
"""

from runtime.faults import arm_rows, camera_rows, process_rows
from runtime.faults.row import Robot

_STRICT = (
    "--profile", "sim", "--console.port", "0", "--safety.max_feedback_age_s", "0.05", "--cameras.max_frame_age_s", "0.08",
    "--cameras.max_lag_s", "0.05",
)  # fmt: skip
"""A real robot's limits, which the profile of the simulated one widens."""
_EMULATED = (*_STRICT, "--can")

ROBOTS = (
    Robot(
        "emulated arms",
        _EMULATED,
        (
            *arm_rows.SWITCHED_ON,
            *arm_rows.BUSES,
            *arm_rows.ARMS,
            *arm_rows.READINGS,
            *process_rows.ARMS,
            process_rows.SIGTERM,
        ),
    ),
    Robot(
        "simulated robot",
        _STRICT,
        (*camera_rows.CAMERAS, *process_rows.SYSTEMS, *process_rows.OTHERS, process_rows.CTRL_C),
        emulated=False,
    ),
    Robot("small disk", _STRICT, (process_rows.DISK_FULL,), emulated=False, disk_mb=256),
    Robot("emulated arms, once more", _EMULATED, (process_rows.SUPERVISOR_KILLED,)),
)
