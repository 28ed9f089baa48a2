"""The table of transitions as ARCHITECTURE.md prints it. Called by test_transitions.py; as a script it writes it there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.arms.transitions import KEPT, TABLE

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"
_BEGIN, _END = "<!-- transitions: begin -->\n", "<!-- transitions: end -->\n"
_HEAD = "| in | when | then | and |\n|---|---|---|---|\n"


def printed() -> str:
    """Markdown, from one mark to the other."""
    rows = (
        f"| {', '.join(row.modes)} | {_named(row.when) or 'otherwise'} | {row.then} | {_named(row.effects)} |\n"
        for row in TABLE
    )
    kept = "; ".join(f"`{name}` with {' and '.join(modes)}" for name, modes in KEPT.items())
    return f"{_BEGIN}{_HEAD}{''.join(rows)}\nWhat ends with its modes: {kept}.\n{_END}"


def _named(functions: tuple[Callable[..., Any], ...]) -> str:
    return ", ".join(function.__name__.replace("_", " ") for function in functions)


if __name__ == "__main__":
    text = ARCHITECTURE.read_text()
    ARCHITECTURE.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: printed(), text, flags=re.DOTALL))
