"""The end of a run: its table on the terminal, in the session, and as JSON where that was asked for.
Called by robot.py; record.py has an end of its own.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.host import remedies
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.session import summary, table_file
from runtime.session.format import SUMMARY_NAME
from runtime.supervisor.overload_monitor import OverloadMonitor


def close(table: Mapping[str, Any], overload: OverloadMonitor, session: Path, json_file: Path | None) -> None:
    """Print the table of a run and write it.

    Args:
        table: As the recorder left it; empty where there was none.
        overload: What the supervisor saw of an overloaded machine; the recorder's own row knows the arms' ticks alone.
        session: The session's folder.
        json_file: Where the operator wants the table too.
    """
    if not table:
        say("video2act: no summary: the recorder was off or killed; ./launch/replay.sh reads what was recorded")
        return
    table = {**table, **_overloaded(overload)}
    write(session / SUMMARY_NAME, table, table_file.write)
    say("\n".join(summary.lines(table)))
    say("video2act: the arms hold their last pose; their motors stay on")
    say_next("replay the session", "replay", session, "--lockstep")
    if json_file is not None:
        write(json_file, table)


def _overloaded(monitor: OverloadMonitor) -> dict[str, str]:
    if monitor.overloaded_s < 1:
        return {}
    return {"overloaded": f"for {monitor.overloaded_s:.0f} s: {monitor.first_sign}"}


def _into(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table where the operator wants it: to a pipe or through a link too."""
    path.write_text(json.dumps(table, indent=1) + "\n")


def write(path: Path, table: Mapping[str, Any], way: Callable[[Path, Mapping[str, Any]], None] = _into) -> None:
    """Write a table as JSON. A full disk takes the file, neither the rest of the end nor the exit status."""
    try:
        way(path, table)
    except OSError as error:
        say(f"video2act: not written: {remedies.line(error, path)}")
