"""`doctor.sh [--profile NAME] [settings]`: a table of what is well, what is doubtful and what forbids to arm, with remedies.
Called by runtime/cli.py. Its rows: rows.py.
"""

import json

from runtime.config.loading import settings_of
from runtime.doctor.flags import DOCTOR
from runtime.doctor.rows import examine
from runtime.doctor.table import failures, table
from runtime.host.next_step import say_next
from runtime.host.terminal import say


def main(arguments: list[str]) -> int:
    """Check, and print the table. Called by runtime/cli.py; returns 0 when nothing forbids to arm, else 1."""
    settings = settings_of(DOCTOR.read(arguments)[1])
    rows = examine(settings)
    say("\n".join(table(rows)))
    if settings.json_file is not None:
        settings.json_file.write_text(json.dumps([vars(row) for row in rows], indent=1) + "\n")
    failed = failures(rows)
    robot = "simulated robot" if settings.arms.kind == "simulated" else "robot"
    say(f"video2act: the {robot} is {'not ready: a check failed' if failed else 'ready'}")
    if failed:
        say_next("check again", "doctor", *arguments)
        return 1
    known = settings.arms.kind == "simulated" or settings.instruction is not None
    flags = DOCTOR.tree_words(arguments, but=("json",))  # which is this table's
    say_next("start the robot", "robot", *flags, *(() if known else ("--instruction", "TEXT")))
    return 0
