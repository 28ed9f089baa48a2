"""Gives a running robot a command from another terminal: `operator.sh hold`, and tells what became of it.
Called by runtime/cli.py.

`stop`, `release`, and `clear` after a stop take the power from arms that may fall: they ask for a confirmation.
"""

import os
import sys
import time

from drivers.arm import NOT_CARRIED_OUT
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.messaging.messages import CommandName
from runtime.supervisor.confirmation import to_confirm
from runtime.supervisor.flags import OPERATOR
from runtime.supervisor.run_client import Operator, run_folder

_CONFIRMED = ("stop", "release")
_OF_MOTORS = ("stop", "release", "clear")
_SHOWN_S = 0.7
"""Until an arm that does not show such a command is named. Derived: 0.3 s in its CAN process (motor_commands.py), the 0.2 s
from one state of the arms to the next, and a reserve."""
_FOLLOWS: dict[CommandName, CommandName] = {
    "arm": "run", "run": "hold", "takeover": "run", "hold": "arm", "stop": "clear", "ready": "run", "rest": "release",
    "release": "arm", "clear": "arm",
}  # fmt: skip
_AIMS = {
    "arm": "arm the arms", "run": "let the policy move them", "hold": "hold them in place", "clear": "clear the stop",
    "release": "cut their power once they are at rest",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Send the command of the line. Returns 0 when it was obeyed, 1 when it was refused or an arm does not show it; raises
    RuntimeFault without an answer.
    """
    options, _ = OPERATOR.read(arguments)
    command = options.command
    folder = run_folder(options.run)
    confirmed = options.confirm or (command in _CONFIRMED and _confirms(command))
    operator = Operator(folder)
    try:
        answer = operator.give(command, confirmed)
        result = f"refused: {answer.answer}" if answer.answer else "accepted"
        reasons = [reason for reason in answer.reasons if reason not in answer.answer]  # a sentence is said once
        say(f"{command}: {result}; mode {'; '.join((answer.mode, *reasons))}")
        undone = "" if answer.answer or command not in _OF_MOTORS else _undone(operator)
    finally:
        operator.close()
    if undone:
        say(f"{command}: {undone}")
    if how := to_confirm(command, answer.answer):
        say(f"video2act: {how}")
    if answer.answer or undone:
        return 1
    follows = _FOLLOWS[command]
    say_next(_AIMS[follows], "operator", follows)
    return 0


def _undone(operator: Operator) -> str:
    """What an arm does not show of a command that its motors were given just now; empty: nothing is known to be missing."""
    until = time.monotonic() + _SHOWN_S
    while (left_s := until - time.monotonic()) > 0:
        operator.bus.wait(left_s)
        for state in operator.hear():
            if undone := [reason for reason in state.reasons if NOT_CARRIED_OUT in reason]:
                return undone[0]
    return ""


def _confirms(command: str) -> bool:
    """Ask the person at the terminal; without one the command goes unconfirmed, and is refused."""
    if not sys.stdin.isatty():
        return False
    say(f"{command}: the arms may fall; support them, then type {command} to confirm:")
    return os.fsdecode(sys.stdin.buffer.readline()).strip() == command
