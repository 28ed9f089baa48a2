"""One operator at a time: who may steer, and whether his page still lives. Deterministic.
Called by operator_session.py.

Everybody who is let in may hold the arms; everything else needs the lease.
"""

from dataclasses import dataclass

from runtime.messaging import messages

_FREE = ""
_FORGOTTEN_NS = 10_000_000_000
"""A holder who was not heard for so long can be relieved; chosen: pages are heard 20 times a second."""


@dataclass
class Lease:
    """Who steers. `holder`: the connection's own name, empty when nobody does."""

    holder: str = _FREE
    name: str = ""
    deadman: bool = False
    beat_ns: int = 0

    def take(self, who: str, name: str, now_ns: int) -> str:
        """Ask for it. A holder who was not heard for 10 s is relieved. Returns why it is refused; empty: it is given."""
        if self.holder not in (_FREE, who) and now_ns - self.beat_ns <= _FORGOTTEN_NS:
            return f"{self.name} holds the lease; ask {self.name} to give it back"
        if self.holder != who:
            self.deadman = False
        self.holder, self.name, self.beat_ns = who, name, now_ns
        return ""

    def give(self, who: str) -> bool:
        """Give it back, or lose it with the connection. Returns whether the arms must hold: a deadman was on."""
        if who != self.holder:
            return False
        held, self.deadman = self.deadman, False
        self.holder, self.name = _FREE, ""
        return held

    def beat(self, who: str, now_ns: int) -> None:
        """Note that the holder's page lives; of anybody else nothing is noted."""
        if who == self.holder:
            self.beat_ns = now_ns

    def allows(self, who: str, command: messages.CommandName | None) -> str:
        """Why somebody may not give a command (None: anything but a command to the arms); empty: he may."""
        if command == "hold" or who == self.holder:
            return ""
        return f"{self.name} holds the lease" if self.holder else "no lease; take the lease first"
