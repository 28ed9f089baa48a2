"""What a live run needs of the machine in real time, and what the machine gave it, as the run's own session tells.

Each need is a time that the run has and one that it took; their ratio above 1 says that this machine cannot carry the run.
Called by conftest and by the live tests.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runtime.arms import takeover
from runtime.config.loading import settings_from_json
from runtime.config.settings import Settings
from runtime.errors import SessionError, WireError
from runtime.host.clock import NS_PER_S
from runtime.messaging import messages
from runtime.session import reader

_TOPICS = ("chunk", "conditions", "supervision", "leader_state")
_LOADING_S = 45.0
"""A process may load for so long, of the minute for which a test waits until a killed one is back; 5 to 8 are usual."""
_TICK_EVERY = 10  # of the ticks in a session, of which there are thousands
_LATE_TICKS = 10
"""So many ticks of `arms` may pass before every tenth of them begins: a tenth of what its supervisor waits for a heartbeat."""


def needs(session: Path) -> dict[str, float]:
    """Taken over allowed: a process's loading, late ticks and the longest pause of `arms`, a run of either system, and once it
    runs the longest silence of a leader.

    Of a session that is still written what is there; without one nothing.
    """
    try:
        log = reader.read(session)
        settings = settings_from_json(log.metadata["settings"])
        arrived = list(_decoded(log))
    except (SessionError, KeyError):
        return {}
    targets = [message for message in arrived if isinstance(message, messages.ArmTarget)]
    found = {"loading": _longest_start_s(arrived) / _LOADING_S}
    if len(targets) > 1:
        found |= _ticks(settings, targets)
    began_ns = min((target.stamp_ns for target in targets if target.mode == "RUNNING"), default=None)
    leading = [m for m in arrived if isinstance(m, messages.LeaderState) and began_ns and m.stamp_ns > began_ns]
    if leading:
        heard_ns = [min(message.measured_ns) for message in leading]
        silent_ns = max(*np.diff(heard_ns), *(m.stamp_ns - at for m, at in zip(leading, heard_ns, strict=True)))
        found["masters"] = float(silent_ns / takeover._LEADER_NS)  # pyright: ignore[reportPrivateUsage]
    period_s = settings.system1.first_period_s
    for name, kind, allowed_s in (
        ("system1", messages.ActionChunk, period_s),
        ("system2", messages.Conditions, settings.ratio * period_s),
    ):
        took_s = [(m.timing.finished_ns - m.stamp_ns) / NS_PER_S for m in arrived if isinstance(m, kind)]
        if took_s:
            found[name] = float(np.median(took_s)) / allowed_s
    return found


def _longest_start_s(arrived: list[messages.Message]) -> float:
    """Of any process, as its supervisor saw it."""
    began_ns: dict[str, int] = {}
    longest_ns = 0
    for message in arrived:
        for process in message.processes if isinstance(message, messages.Supervision) else ():
            if process.state == "starting":
                longest_ns = max(longest_ns, message.stamp_ns - began_ns.setdefault(process.process, message.stamp_ns))
            else:
                began_ns.pop(process.process, None)
    return longest_ns / NS_PER_S


def _ticks(settings: Settings, targets: list[messages.ArmTarget]) -> dict[str, float]:
    late_s = [(target.stamp_ns - target.deadline_ns) / NS_PER_S for target in targets]
    lives = {target.epoch for target in targets}
    pauses_ns = [
        int(np.diff([target.stamp_ns for target in targets if target.epoch == life]).max(initial=0)) for life in lives
    ]
    return {
        "ticks": float(np.percentile(late_s, 90)) * settings.arms.rate_hz / _LATE_TICKS,
        "pause": max(pauses_ns) / NS_PER_S / settings.safety.max_feedback_age_s,
    }


def _decoded(log: reader.Session) -> Iterator[messages.Message]:
    ticks = [row for row in log.messages if row.topic == "arm_target"]
    for row in (*ticks[::_TICK_EVERY], *(row for row in log.messages if row.topic in _TOPICS)):
        try:
            yield row.decode()
        except WireError:  # of a run that was killed while it wrote
            continue


def line(ratios: dict[str, float]) -> str:
    """The ratios as a line for whoever reads the tests' output."""
    return "  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()) or "no session"


def lacking(ratios: dict[str, float]) -> bool:
    """Whether the machine gave less than one of them."""
    return any(ratio > 1 for ratio in ratios.values())


def has_test(root: Path, name: str) -> bool:
    """Whether there is a test of this name (`FILE::TEST`) that needs no clock of the machine's."""
    file, _, test = name.partition("::")
    path = root / file
    if not path.is_file():
        return False
    before, found, _ = path.read_text().partition(f"\ndef {test}(")
    marks = before.rpartition("\n\n")[2] + before.partition("\npytestmark")[2]
    return bool(found) and "mark.live" not in marks
