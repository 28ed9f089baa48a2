"""One line of the doctor's table, and the table.
Used by the rest of runtime/doctor; the robot command reads what failed.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "warning", "fail"]
_WIDTH = 96  # letters of a finding in a line; chosen: with name and verdict it fits 120 columns


@dataclass(frozen=True)
class Row:
    """What was checked, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def table(rows: Sequence[Row]) -> list[str]:
    """The table as lines: name, verdict, what was found; below what is not well, its remedy."""
    widest = max(len(row.name) for row in rows)
    lines: list[str] = []
    for row in rows:
        first, *more = textwrap.wrap(row.found, _WIDTH) or [""]
        indent = " " * (widest + 11)
        lines.append(f"{row.name:<{widest}}  {row.verdict:<7}  {first}")
        lines += [indent + line for line in more]
        if row.verdict != "pass" and row.remedy:
            lines += [indent + line for line in textwrap.wrap(f"-> {row.remedy}", _WIDTH)]
    return lines


def failures(rows: Sequence[Row]) -> str:
    """What failed, in one line; empty: the robot may be armed."""
    failed = (row for row in rows if row.verdict == "fail")
    return "; ".join(f"{row.name}: {row.found}" + (row.remedy and f" ({row.remedy})") for row in failed)
