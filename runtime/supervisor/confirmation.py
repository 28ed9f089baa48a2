"""How a refused command is confirmed from a terminal, where no page asks whether somebody supports the arms.
Called by operator.py, and for keys by typed_commands.py.
"""

from runtime.arms.reasons import CONFIRM_IT
from runtime.host.next_step import typed


def to_confirm(command: str, answer: str) -> str:
    """The line to type next where an answer asks for a confirmation; empty: it does not."""
    if CONFIRM_IT not in answer:
        return ""
    named = "clear" if "`clear`" in answer else command
    return f"next, to confirm that somebody supports the arms: {typed('operator', named, '--confirm')}"
