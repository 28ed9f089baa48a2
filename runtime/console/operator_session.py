"""The operator session: requests of pages in, messages on the bus out; who may what is in runtime/console/lease.py.
Called by sockets.py for each request, and by the console's process 20 times a second.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runtime.console import requests
from runtime.console.lease import Lease
from runtime.messaging import messages
from runtime.messaging.publisher import Publisher

_SOURCE = "console"
_AGAIN_NS, _GIVE_UP_NS = 100_000_000, 3_000_000_000
"""Between two sendings of a command, and until it gives up. Chosen: as other terminals give up."""
_OLD_NS = 2_000_000_000  # what was asked of a robot that was seen so long ago waited in a connection that hung; chosen


class OperatorSession:
    """Holds the lease and sends what is allowed. `epoch`: nobody else's, since the arms tell commands apart by it."""

    def __init__(self, publishers: dict[str, Publisher], epoch: int) -> None:
        self.lease = Lease()
        self._publishers, self._epoch = publishers, epoch
        self.holds = 0  # that were passed on
        self._unanswered: messages.OperatorCommand | None = None
        self._counts = dict.fromkeys(publishers, 0)
        self._listeners: list[Callable[[], Any]] = []

    def hear(self, who: str, text: str, now_ns: int) -> str:
        """One request of a page. Returns why it is refused; empty: it was done."""
        request, before = requests.parse(text), replace(self.lease)
        match request:
            case str():
                return request
            case requests.Beat():
                self.lease.beat(who, now_ns)
                return ""
            case requests.Take():
                refused = self.lease.take(who, request.name, now_ns)
                self.beat(now_ns)  # whoever is relieved drives no more, nor does his deadman
            case requests.Give():
                self.leave(who, now_ns)
                return ""
            case requests.Deadman():
                refused = self.lease.allows(who, None)
                if not refused:
                    self.lease.deadman = request.wanted
                    self.beat(now_ns)
            case requests.Command():
                refused = self.lease.allows(who, request.command)
                if request.command != "hold":
                    refused = refused or _old(request.seen_ns, now_ns)
                if not refused:
                    self._command(request.command, request.confirmed, self._name(who), now_ns)
            case requests.Steer():
                refused = self.lease.allows(who, None) or _old(request.seen_ns, now_ns)
                if not refused:
                    wish = request.model_dump(exclude={"type", "seen_ns"})
                    self._send("steering", messages.Steering, now_ns, source=self._name(who), **wish)
        if self.lease != before:
            self._changed()
        return refused

    def leave(self, who: str, now_ns: int | None = None) -> None:
        """A page gives the lease back, or is gone: with a deadman on, the arms hold."""
        source = self._name(who)
        if self.lease.give(who):
            stamp_ns = self.lease.beat_ns if now_ns is None else now_ns
            self._command("hold", False, source, stamp_ns)
            self.beat(stamp_ns)
        self._changed()

    def beat(self, now_ns: int) -> None:
        """Tell the arms how the page of whoever steers is, 20 times a second.

        Also when nobody does: a console that was started again ends what the one before it said.
        """
        lease = self.lease
        self._send("deadman", messages.Deadman, now_ns, wanted=lease.deadman, beat_ns=lease.beat_ns, holder=lease.name)

    def repeat(self, safety: messages.SafetyState | None, now_ns: int) -> None:
        """Send the last command again until the arms have answered it; they obey it once. Call it every 50 ms."""
        command = self._unanswered
        if command is None:
            return
        answered = safety is not None and safety.answered == (command.epoch, command.seq)
        if answered or now_ns - command.stamp_ns > _GIVE_UP_NS:
            self._unanswered = None
        elif now_ns - command.stamp_ns > _AGAIN_NS:
            self._publishers["operator_command"].send(command)

    def describe(self, who: str) -> dict[str, Any]:
        """The lease as a page sees it."""
        lease = self.lease
        return {"holder": lease.name, "mine": lease.holder == who, "deadman": lease.deadman}

    def listen(self, changed: Callable[[], Any]) -> Callable[[], None]:
        """Be called when the lease changes, until the function that is returned is called."""
        self._listeners.append(changed)
        return lambda: self._listeners.remove(changed)

    def _changed(self) -> None:
        for changed in list(self._listeners):
            changed()

    def _name(self, who: str) -> str:
        return f"{_SOURCE}: {self.lease.name}" if who == self.lease.holder else _SOURCE

    def _command(self, command: messages.CommandName, confirmed: bool, source: str, now_ns: int) -> None:
        fields = {"command": command, "source": source, "confirmed": confirmed}
        self.holds += command == "hold"
        sent = self._send("operator_command", messages.OperatorCommand, now_ns, **fields)
        assert isinstance(sent, messages.OperatorCommand)
        self._unanswered = sent

    def _send(self, topic: str, kind: type[messages.Message], now_ns: int, /, **fields: Any) -> messages.Message:
        message = kind(seq=self._counts[topic], epoch=self._epoch, stamp_ns=now_ns, **fields)
        self._counts[topic] += 1
        self._publishers[topic].send(message)
        return message


def _old(seen_ns: int | None, now_ns: int) -> str:
    """Why a request comes too late to be carried out: whoever asked may have left, or hold by now. Empty: it does not."""
    if seen_ns is None:
        return "seen_ns is missing; give the robot time that the page shows"
    if 0 <= now_ns - seen_ns <= _OLD_NS:
        return ""
    age_s, limit_s = abs(now_ns - seen_ns) / 1e9, _OLD_NS / 1e9
    return f"the page showed the robot {age_s:.1f} s ago (limit {limit_s:.0f} s); wait for the connection and repeat it"
