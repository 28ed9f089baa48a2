"""The faults command: `faults.sh --only NAME --repeats K --json FILE`. Status 1 where a row misses a figure.
Called by runtime/cli.py.
"""

import json
from collections.abc import Sequence
from typing import Any

from runtime.faults import endurance, matrix, packets, starts, table
from runtime.faults.flags import FAULTS, FaultsFlags
from runtime.faults.robots import ROBOTS, chosen, names_of
from runtime.faults.row import Robot
from runtime.host import machine
from runtime.host.next_step import say_next
from runtime.host.terminal import say


def main(arguments: list[str]) -> int:
    """Run the matrix, print it, and write the same as JSON. Called by runtime/cli.py."""
    flags, _ = FAULTS.read(arguments)
    if flags.names:
        say("\n".join(names_of(ROBOTS)))
        return 0
    robots = ROBOTS if flags.only is None else chosen(ROBOTS, flags.only)
    say(f"video2act faults: {machine.describe()}")
    if flags.starts is not None:
        results = starts.run(flags.starts, say)
    elif flags.packets is not None:
        results = packets.run(flags.packets, say)
    elif flags.endurance is not None:
        results = endurance.run(flags.endurance, say)
    else:
        results = _matrix(flags, robots)
    if flags.json_file is not None:
        flags.json_file.write_text(json.dumps(results, indent=1) + "\n")
    say_next("check whether this machine is ready for the robot", "doctor")
    return 0 if results["kept"] else 1


def _matrix(flags: FaultsFlags, robots: Sequence[Robot]) -> dict[str, Any]:
    steal = machine.StealMeter.start()
    outcome = matrix.run(robots, flags.repeats, say, flags.sessions)
    if flags.repeats > 1:
        say(f"all {flags.repeats} runs")
        say(table.HEAD)
        for verdict in outcome.verdicts:
            say(table.line(verdict))
    missed = table.misses(outcome)
    for text in missed:
        say(f"missed: {text}")
    rows = {verdict.row.name: table.plain(verdict) for verdict in outcome.verdicts}
    say(f"{len(rows)} rows, {sum(bool(row['missed']) for row in rows.values())} missed (steal {steal.percent()} %)")
    return {"machine": machine.describe(), "repeats": flags.repeats, "rows": rows, "missed": missed, "kept": not missed}
