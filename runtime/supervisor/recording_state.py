"""Demonstrations one after the other: start, stop, keep, discard, by key or pedal. Deterministic.
Called by record.py.

ready -> recording -> stopped -> kept or discarded -> the next one is ready.
"""

from dataclasses import dataclass, replace

from runtime.messaging import messages
from runtime.messaging.messages import Take

START_STOP, KEEP, DISCARD, PEDAL = "s", "k", "d", "b"
KEYS = "s: start or stop, k: keep, d: discard, b (pedal): next step, q: quit, ?: show the keys"
MEANINGS = {START_STOP: "start or stop", KEEP: "keep", DISCARD: "discard", PEDAL: "continue"}
_NEXT: dict[Take, str] = {"ready": START_STOP, "recording": START_STOP, "stopped": KEEP}


@dataclass(frozen=True)
class Takes:
    """Where the recording stands. Times are CLOCK_MONOTONIC ns, 0: not yet."""

    number: int = 1
    state: Take = "ready"
    began_ns: int = 0
    ended_ns: int = 0
    kept: int = 0
    discarded: int = 0

    def message(self, seq: int, now_ns: int) -> messages.Demonstration:
        """The state as a message; repeated at 5 Hz, since processes start late."""
        return messages.Demonstration(
            seq=seq, epoch=1, stamp_ns=now_ns, number=self.number, state=self.state,
            began_ns=self.began_ns, ended_ns=self.ended_ns
        )  # fmt: skip


def press(takes: Takes, key: str, now_ns: int) -> Takes:
    """The state after a key; unchanged where the key means nothing now."""
    key = _NEXT.get(takes.state, "") if key == PEDAL else key
    match takes.state, key:
        case "ready", "s":
            return replace(takes, state="recording", began_ns=now_ns)
        case "recording", "s":
            return replace(takes, state="stopped", ended_ns=now_ns)
        case "stopped", "k":
            return replace(takes, state="kept", kept=takes.kept + 1)
        case (("stopped" | "recording"), "d"):
            return replace(takes, state="discarded", ended_ns=takes.ended_ns or now_ns, discarded=takes.discarded + 1)
        case _:
            return takes


def no_effect(takes: Takes, key: str) -> str:
    """Why a key does nothing now, and which keys do something."""
    able = {"ready": "s starts it", "recording": "s stops it, d discards it", "stopped": "k keeps it, d discards it"}
    return f"cannot {MEANINGS[key]}: demonstration {takes.number} is {takes.state}; {able.get(takes.state, '')}"


def ended(takes: Takes, now_ns: int) -> Takes:
    """The state when the program ends: what was recorded and not discarded is kept."""
    stopped = press(takes, START_STOP, now_ns) if takes.state == "recording" else takes
    return press(stopped, KEEP, now_ns)


def following(takes: Takes) -> Takes:
    """The next demonstration, ready, after one that was kept or discarded."""
    return Takes(takes.number + 1, kept=takes.kept, discarded=takes.discarded)
