"""Processes that are killed or stopped, a full disk, and the end of a run. Read by robots.py."""

import signal

from runtime.faults.injections import FullDisk, Signalled, Switched
from runtime.faults.row import Row

_KILL, _STOP = signal.SIGKILL, signal.SIGSTOP
_AGE_MS = 4500.0
"""Figure for System 2: the greatest age of its conditions (4 s), from the newest one on, and what a reason takes."""
_EXHAUSTED = "no GPU memory for a condition"
_CYCLE_MS = 3000.0  # figure: until System 2 begins its next condition
_SLOW_BACK_S = 30.0  # figure: the condition that it is busy with, and the next one
_PARTS = ("system1", "system2", "cameras", "arms")
_LOADS_S = 40.0  # figure: until a system that was started again has loaded, on two cores
_UNRECORDED_MS = 600.0
"""Figure: what a killed recorder loses: one round of it (200 ms) and one chunk of 64 KiB."""


def _others(name: str) -> tuple[str, ...]:
    return tuple(part for part in _PARTS if part != name)


def _system2(**faults: object) -> Switched:
    return Switched("system2", faults)


# Figures are the matrix's; what a fault is made of is chosen.
SYSTEMS = (
    Row(
        "System 1 killed", Signalled("system1", _KILL), "process system1", 100, held_ms=100, back_s=_LOADS_S,
        kept=_others("system1"),
    ),
    Row("System 1 stopped", Signalled("system1", _STOP), "process system1", 200, held_ms=200, kept=_PARTS),
    Row(
        "System 2 killed", Signalled("system2", _KILL), "system2 ended with signal 9", 200, "conditions are",
        held_ms=_AGE_MS, back_s=_LOADS_S, kept=_others("system2"),
    ),
    Row(
        "System 2 stopped", Signalled("system2", _STOP), "system2 sends no heartbeat", 200, "conditions are",
        held_ms=_AGE_MS, kept=_PARTS,
    ),
    Row(
        "GPU memory exhausted once", _system2(exhausted="once"), _EXHAUSTED, _CYCLE_MS, reaction="none", lasts_s=3.0,
        kept=_PARTS,
    ),
    Row(
        "GPU memory exhausted", _system2(exhausted="always"), _EXHAUSTED, _CYCLE_MS, "conditions are",
        held_ms=_AGE_MS, kept=_PARTS,
    ),
    Row(
        "System 2 slow", _system2(slow_s=5.0), "conditions are", _AGE_MS, held_ms=_AGE_MS, back_s=_SLOW_BACK_S, kept=_PARTS,
    ),
    Row(
        "System 2 stopped for good", Signalled("system2", _STOP), "system2 sends no heartbeat", 200, "conditions are",
        held_ms=_AGE_MS, lasts_s=8.0, back_s=_LOADS_S, kept=_others("system2"),
    ),
)  # fmt: skip
# Figures are the matrix's; what a fault is made of is chosen.
ARMS = (
    Row("arms killed", Signalled("arms", _KILL), "arms ended with signal 9", 200, reaction="bus", held_ms=50,
        kept=_others("arms")),
    Row("arms stopped", Signalled("arms", _STOP), "arms sends no heartbeat", 200, reaction="bus", held_ms=50, lasts_s=1.0,
        kept=_PARTS),
)  # fmt: skip
# Figures are the matrix's; what a fault is made of is chosen.
OTHERS = (
    Row("cameras killed", Signalled("cameras", _KILL), "cameras process silent", 250, held_ms=250, kept=_others("cameras")),
    Row("cameras stopped", Signalled("cameras", _STOP), "cameras process silent", 250, held_ms=250, kept=_PARTS),
    Row("supervisor stopped", Signalled("supervisor", _STOP), "supervisor silent", 1300, held_ms=1300, kept=_PARTS),
    Row(
        "recorder killed", Signalled("recorder", _KILL), "recorder ended with signal 9", 200, reaction="none", lasts_s=2.0,
        kept=_PARTS, most={"unrecorded ms": _UNRECORDED_MS, "late ms": 5.0}, cuts_session=True,
    ),
    Row(
        "recorder stopped", Signalled("recorder", _STOP), "recorder sends no heartbeat", 200, reaction="none", lasts_s=2.0,
        kept=_PARTS, most={"late ms": 5.0},
    ),
    Row(
        "console killed", Signalled("console", _KILL), "console ended with signal 9", 200, reaction="none", lasts_s=2.0,
        kept=_PARTS, most={"late ms": 5.0},
    ),
    Row(
        "console stopped", Signalled("console", _STOP), "console sends no heartbeat", 200, reaction="none", lasts_s=2.0,
        kept=_PARTS, most={"late ms": 5.0},
    ),
)  # fmt: skip
# Figures are the matrix's; what a fault is made of is chosen.
DISK_FULL = Row(
    "disk full", FullDisk(), "recording stopped", 2000, reaction="none", lasts_s=3.0, kept=(*_PARTS, "recorder"),
    most={"late ms": 5.0}, once=True, cuts_session=True,
)  # fmt: skip
# Figures are the matrix's; what a fault is made of is chosen.
SIGTERM = Row(
    "SIGTERM", Signalled("supervisor", signal.SIGTERM), "", reaction="end", held_ms=200, most={"gone ms": 2000}
)
# Figures are the matrix's; what a fault is made of is chosen.
CTRL_C = Row("Ctrl-C", Signalled("supervisor", signal.SIGINT), "", reaction="end", held_ms=200, most={"gone ms": 2000})
# Figures are the matrix's; what a fault is made of is chosen.
SUPERVISOR_KILLED = Row(
    "supervisor killed", Signalled("supervisor", _KILL), "", reaction="end", held_ms=200, most={"gone ms": 3000},
    cuts_session=True,
)  # fmt: skip
