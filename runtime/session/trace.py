"""The command `trace.sh SESSION`: a session as a trace for ui.perfetto.dev, in Chrome's JSON format.
Called by runtime/cli.py.

A track a process: pictures from exposure to delivery, runs of both systems with their parts, modes of the arms; counters of
ages and of how late the ticks came; arrows from picture to chunk to the arms. Times count from the session's beginning.
"""

import gzip
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from drivers.cobot_magic import CAMERAS
from runtime.config import output_paths
from runtime.errors import SettingsError
from runtime.host import whole_file
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.session import reader
from runtime.session.flags import TRACE
from runtime.session.reader import Session

_TRACKS = ("system2", "system1", "arms", "operator", "faults", *CAMERAS)
_TICKS_APART = 10  # one tick's lateness in so many is shown; chosen: an hour's trace stays below a million events
_US = 1e3  # ns
Entry = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Write the trace of the session of the line. Called by runtime/cli.py; returns 0."""
    options, _ = TRACE.read(arguments)
    if options.out is not None:
        output_paths.check_no_pipe(options.out, "--out")
    session = reader.opened(options.session)
    out = options.out or session.path.parent / "trace.json.gz"
    made = {"traceEvents": list(events(session)), "displayTimeUnit": "ms"}
    text = json.dumps(made, separators=(",", ":")).encode()
    data = gzip.compress(text, 6, mtime=0) if out.suffix == ".gz" else text
    try:
        if options.out is None:  # in a folder that may have come from elsewhere
            whole_file.write(out, data)
        else:
            out.write_bytes(data)
    except OSError as error:
        raise SettingsError(f"--out {out}: {error.strerror}") from None
    say(f"video2act: {out}: wrote {len(made['traceEvents'])} events; open it at ui.perfetto.dev")
    say_next("see the session in the console", "console", "--sessions", session.path.resolve().parent.parent)
    return 0


def events(session: Session) -> Iterator[Entry]:
    """All trace events of a session, in Chrome's format.

    Returns:
        Maps with `ph`, `name`, `pid`, `tid`; `ts` and `dur` in us since the session's first message.
    """
    arrived = [message for _, message, _ in reader.decode_all(session)]
    if not arrived:
        return
    begin_ns = min(message.stamp_ns for message in arrived)
    for place, name in enumerate(_TRACKS):
        yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": place, "args": {"name": name}}
    arrivals: dict[int, list[int]] = {}  # of each number, one a life of System 1
    for message in arrived:
        for seq, at_ns in message.arrivals if isinstance(message, messages.ArmTarget) else ():
            arrivals.setdefault(seq, []).append(at_ns)
    modes = [message for message in arrived if isinstance(message, messages.SafetyState)]
    end_ns = max(message.stamp_ns for message in arrived)
    made = [_modes(sorted(modes, key=lambda message: message.stamp_ns), end_ns)]
    made += [_of(message, arrivals) for message in arrived]
    for event in chain.from_iterable(made):
        yield event | {"ts": round((event["ts"] - begin_ns) / _US, 3)}


def _of(message: messages.Message, arrivals: dict[int, list[int]]) -> Iterator[Entry]:
    """The events of one message, ts still in ns."""
    match message:
        case messages.Frame():
            length_ns = message.returned_ns - message.capture_ns
            yield _slice(
                message.camera, f"frame {message.seq}", message.capture_ns, length_ns, {"exact": message.exact}
            )
        case messages.Conditions():
            reported = {"trigger": message.trigger, "run": message.trigger_run, "late_runs": message.late_runs}
            yield from _run("system2", f"condition {message.seq}", message, message.timing, reported)
            yield _counter("condition age ms", message.stamp_ns, (message.stamp_ns - message.capture_ns) / 1e6)
        case messages.ActionChunk():
            reported = {
                "conditions": message.conditions_seq,
                "committed": message.committed,
                "saturated": message.saturated,
            }
            yield from _run("system1", f"chunk {message.seq}", message, message.timing, reported)
            later_ns = (at_ns for at_ns in arrivals.get(message.seq, ()) if at_ns >= message.timing.finished_ns)
            arrived_ns = min(later_ns, default=None)
            if arrived_ns is not None:
                ends = (("s", "system1", message.timing.finished_ns - 1), ("f", "arms", arrived_ns))
                reported = {"id": f"{message.epoch}.{message.seq}", "cat": "flow", "bp": "e"}
                for phase, track, at_ns in ends:
                    yield _event(phase, track, "to the arms", at_ns) | reported
        case messages.Skip():
            yield _event("i", "system1", message.reason, message.stamp_ns) | {"s": "t"}
        case messages.Fault():
            yield _event("i", "faults", f"{message.process}: {message.text}", message.stamp_ns) | {"s": "g"}
        case messages.OperatorCommand():
            yield _event("i", "operator", f"{message.command} ({message.source})", message.stamp_ns) | {"s": "g"}
        case messages.ArmTarget() if message.seq % _TICKS_APART == 0:
            yield _counter("tick late us", message.stamp_ns, (message.stamp_ns - message.deadline_ns) / _US)
        case _:
            pass


def _run(track: str, name: str, message: messages.Message, timing: messages.Timing, reported: Entry) -> Iterator[Entry]:
    """A run of one of the systems, with its parts below it."""
    length_ns = max(0, timing.finished_ns - message.stamp_ns)
    yield _slice(track, name, message.stamp_ns, length_ns, reported)
    forward_ns = timing.finished_ns - timing.forward_ns
    if 0 < timing.forward_ns <= length_ns:
        yield _slice(track, "forward", forward_ns, timing.forward_ns, {})
    if 0 < timing.prepare_ns <= forward_ns - message.stamp_ns:
        yield _slice(track, "prepare", forward_ns - timing.prepare_ns, timing.prepare_ns, {})


def _modes(states: list[messages.SafetyState], end_ns: int) -> Iterator[Entry]:
    """A slice for each stretch in which the arms kept a mode."""
    changes = [
        state
        for before, state in zip([None, *states], states, strict=False)
        if before is None or before.mode != state.mode
    ]
    ends_ns = [*(after.stamp_ns for after in changes[1:]), end_ns]
    for state, until in zip(changes, ends_ns, strict=False):
        yield _slice("arms", state.mode, state.stamp_ns, until - state.stamp_ns, {"reasons": "; ".join(state.reasons)})


def _event(phase: str, track: str, name: str, at_ns: int) -> Entry:
    return {"ph": phase, "name": name[:200], "pid": 1, "tid": _TRACKS.index(track), "ts": at_ns}


def _slice(track: str, name: str, at_ns: int, length_ns: int, reported: Entry) -> Entry:
    return _event("X", track, name, at_ns) | {"dur": round(max(0, length_ns) / _US, 3), "args": reported}


def _counter(name: str, at_ns: int, value: float) -> Entry:
    return {"ph": "C", "name": name, "pid": 1, "ts": at_ns, "args": {"value": round(value, 3)}}
