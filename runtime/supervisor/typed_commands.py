"""Commands typed at the robot's own terminal: sent one after the other, each answered in words. Deterministic.
Called by robot.py.

A row of them (r: clear, arm, run) goes on once the arms have obeyed the one before; a refusal ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.host.clock import NS_PER_S
from runtime.messaging import messages
from runtime.supervisor.confirmation import to_confirm

GIVE_UP_NS = 3 * NS_PER_S  # chosen: the arms answer within a tick; so long nobody presses a key again by mistake


@dataclass
class TypedCommands:
    """`send` publishes a command and returns its seq (`epoch` is the publisher's); `tell` shows a line."""

    send: Callable[[str], int]
    tell: Callable[[str], None]
    epoch: int
    _waiting: list[str] = field(default_factory=list[str])  # the rest of the row
    _sent: tuple[str, int, int] | None = None  # name, seq and time of the one that was not answered yet

    def give(self, names: tuple[str, ...], now_ns: int) -> None:
        """Send a row of commands, instead of what is left of the one before: a hold waits for nothing."""
        self._waiting = list(names)
        self._send_next(now_ns)

    def hear(self, state: messages.SafetyState, now_ns: int) -> None:
        """Take a state of the arms; where it answers the command that was sent, tell that or send the next one."""
        if self._sent is None or state.answered != (self.epoch, self._sent[1]):
            return
        name, self._sent = self._sent[0], None
        if state.answer:
            self._waiting = []
            self.tell(f"{name}: refused: {state.answer}")
            if how := to_confirm(name, state.answer):
                self.tell(how)
        elif self._waiting:
            self._send_next(now_ns)
        else:
            self.tell(f"{name}: accepted; mode {'; '.join((state.mode, *state.reasons))}")

    def check(self, now_ns: int) -> None:
        """Give a command up that the arms have not answered in time, and say so."""
        if self._sent is None or now_ns - self._sent[2] <= GIVE_UP_NS:
            return
        name, self._sent, self._waiting = self._sent[0], None, []
        self.tell(f"{name}: no answer from the arms process within {GIVE_UP_NS // NS_PER_S} s; press the key again")

    def _send_next(self, now_ns: int) -> None:
        name = self._waiting.pop(0)
        self._sent = name, self.send(name), now_ns
