"""The operator session: requests of pages in, messages on the bus out; who may what is in runtime/console/lease.py.
Called by sockets.py for each request, and by the console's process 20 times a second.
"""

from collections import Counter, deque
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
_LONGEST_TRIP_NS = 3_000_000_000
"""A page further away is believed no more than this. Chosen: what a link over a satellite and a bad radio still has."""
_TRIPS = 100  # round trips of a page of which the shortest counts: five seconds, so that a stall is none of its way
_PRESSES = 1000  # of HOLD that are remembered; chosen: what hands press in an hour


class OperatorSession:
    """Holds the lease and sends what is allowed. `epoch`: nobody else's, since the arms tell commands apart by it.

    `who` is a page, by its own name, which it keeps over all of its connections.
    """

    def __init__(self, publishers: dict[str, Publisher], epoch: int) -> None:
        self.lease = Lease()
        self._publishers, self._epoch = publishers, epoch
        self._unanswered: messages.OperatorCommand | None = None
        self._counts = dict.fromkeys(publishers, 0)
        self._listeners: list[Callable[[], Any]] = []
        self._connections = Counter[str]()
        self._presses = deque[str](maxlen=_PRESSES)
        self._trips_ns: dict[str, deque[int]] = {}

    def enter(self, who: str) -> None:
        """A page has opened a connection, perhaps a second one beside one that is silent."""
        self._connections[who] += 1
        self._trips_ns.setdefault(who, deque(maxlen=_TRIPS))

    def leave(self, who: str) -> None:
        """A connection of a page has ended. With its last one the page is gone, and with a deadman on the arms hold."""
        self._connections[who] -= 1
        if self._connections[who] <= 0:
            del self._connections[who]
            self._trips_ns.pop(who, None)
            self._give(who, self.lease.beat_ns)

    def hear(self, who: str, request: requests.Request | str, now_ns: int) -> str:
        """One request of a page, as requests.parse gives it. Returns why it is refused; empty: it was done."""
        before = replace(self.lease)
        match request:
            case str():
                return request
            case requests.Beat():
                self.lease.beat(who, now_ns)
                self._note_trip(who, request, now_ns)
                return ""
            case requests.Take():
                refused = self.lease.take(who, request.name, now_ns)
                self.beat(now_ns)  # whoever is relieved drives no more, nor does his deadman
            case requests.Give():
                self._give(who, now_ns)
                return ""
            case requests.Deadman():
                refused = self.lease.allows(who, None)
                if not refused:
                    self.lease.deadman = request.wanted
                    self.beat(now_ns)
            case requests.Command(command="hold"):
                self.hold(who, request.press, now_ns)
                return ""
            case requests.Command():
                refused = self.lease.allows(who, request.command) or self._old(who, request.seen_ns, now_ns)
                if not refused:
                    self._command(request.command, request.confirmed, self._name(who), now_ns)
            case requests.Steer():
                refused = self.lease.allows(who, None) or self._old(who, request.seen_ns, now_ns)
                if not refused:
                    wish = request.model_dump(exclude={"type", "seen_ns"})
                    self._send("steering", messages.Steering, now_ns, source=self._name(who), **wish)
        if self.lease != before:
            self._changed()
        return refused

    def hold(self, who: str, press: str, now_ns: int) -> None:
        """Hold the arms, as everybody may. A `press` that was obeyed once is not again, whichever way it comes, and when."""
        if press in self._presses:
            return
        if press:
            self._presses.append(press)
        self._command("hold", False, self._name(who), now_ns)

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

    def _give(self, who: str, now_ns: int) -> None:
        source = self._name(who)
        if self.lease.give(who):
            self._command("hold", False, source, now_ns)
            self.beat(now_ns)
        self._changed()

    def _name(self, who: str) -> str:
        return f"{_SOURCE}: {self.lease.name}" if who == self.lease.holder else _SOURCE

    def _note_trip(self, who: str, beat: requests.Beat, now_ns: int) -> None:
        if beat.echo_ns is not None and who in self._trips_ns:
            self._trips_ns[who].append(max(0, now_ns - beat.echo_ns - round(beat.kept_ms * 1e6)))

    def _old(self, who: str, seen_ns: int | None, now_ns: int) -> str:
        """Why a request comes too late to be carried out: whoever asked may have left, or hold by now. Empty: it does not.

        What a page shows is as old as its way is long, and so is what comes back: its round trip is allowed for.
        """
        if seen_ns is None:
            return "seen_ns is missing: the page is of another version; reload it"
        limit_ns = _OLD_NS + min(min(self._trips_ns.get(who, ()), default=0), _LONGEST_TRIP_NS)
        if 0 <= now_ns - seen_ns <= limit_ns:
            return ""
        age_s, limit_s = abs(now_ns - seen_ns) / 1e9, limit_ns / 1e9
        old = f"the page's view was {age_s:.1f} s old (limit {limit_s:.0f} s)"
        return f"refused: {old}; wait until it is live, then send it again"

    def _command(self, command: messages.CommandName, confirmed: bool, source: str, now_ns: int) -> None:
        fields = {"command": command, "source": source, "confirmed": confirmed}
        sent = self._send("operator_command", messages.OperatorCommand, now_ns, **fields)
        assert isinstance(sent, messages.OperatorCommand)
        self._unanswered = sent

    def _send(self, topic: str, kind: type[messages.Message], now_ns: int, /, **fields: Any) -> messages.Message:
        message = kind(seq=self._counts[topic], epoch=self._epoch, stamp_ns=now_ns, **fields)
        self._counts[topic] += 1
        self._publishers[topic].send(message)
        return message
