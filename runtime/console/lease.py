"""One operator at a time: who may steer, and whether his page still lives. Pure.

Everybody who is let in may hold the arms; everything else needs the lease.
"""

from dataclasses import dataclass

from runtime.messaging import messages

_FREE = ""
_FORGOTTEN_NS = 10_000_000_000  # a holder who was not heard for so long can be relieved


@dataclass
class Lease:
    """Who steers. `holder`: the connection's own name, empty when nobody does."""

    holder: str = _FREE
    name: str = ""
    deadman: bool = False
    beat_ns: int = 0

    def take(self, who: str, name: str, now: int) -> str:
        """Ask for it. Returns why it is refused, empty: it is given."""
        if self.holder not in (_FREE, who) and now - self.beat_ns <= _FORGOTTEN_NS:
            return f"{self.name} steers; ask for the lease to be given back"
        if self.holder != who:
            self.deadman = False
        self.holder, self.name, self.beat_ns = who, name, now
        return ""

    def give(self, who: str) -> bool:
        """Give it back, or lose it with the connection. Returns whether the arms must hold: a deadman was on."""
        if who != self.holder:
            return False
        held, self.deadman = self.deadman, False
        self.holder, self.name = _FREE, ""
        return held

    def beat(self, who: str, now: int) -> None:
        """The page lives."""
        if who == self.holder:
            self.beat_ns = now

    def allows(self, who: str, order: messages.OrderName | None) -> str:
        """Why somebody may not give an order (None: anything but an order to the arms); empty: he may."""
        if order == "hold" or who == self.holder:
            return ""
        return f"{self.name} steers" if self.holder else "take the lease first"
