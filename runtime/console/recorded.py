"""A session as the console sees it: any moment of it, decoded when somebody asks for it.
Used by the reading process (reading.py).
"""

import json
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import load_settings, settings_from_json
from runtime.config.settings import Settings
from runtime.console.events import MARKS, Event, EventDetector
from runtime.console.source import RATED, SHOWN_EVENTS, Picture, parts, rate_hz
from runtime.console.view import ARRIVAL, STATES, rounded, view
from runtime.errors import SessionError, SettingsError, WireError
from runtime.host import plain_file
from runtime.messaging import codec, messages
from runtime.messaging.topics import topic_of
from runtime.session import reader, table_file
from runtime.session.format import LARGEST_PICTURE_BYTES, ORIGIN
from runtime.session.reader import Logged, Session

_OFTEN = ("joint_state", "arm_target", "leader_state")  # looked into only when somebody looks there
_ARRIVED_WITH = "arm_target"  # the topic whose messages stand under ARRIVAL, too
_LONGEST_TEXT, _LARGEST_NUMBER = 200, 1e15  # of a value in the list; chosen
_PLOTTED = 4000  # points of a plot over the whole session; chosen: one a pixel of the widest screens


class Recorded:
    """One session, indexed by time. Raises SessionError when nothing in it can be read."""

    def __init__(self, path: Path) -> None:
        self.session: Session = reader.read(path)
        self.settings = settings_of(self.session)
        self._stamps: dict[str, list[int]] = {}
        self._payloads: dict[str, list[bytes]] = {}
        self.events: list[Event] = []
        self._index()
        ends = [stamps for stamps in self._stamps.values() if stamps]
        if not ends:
            raise SessionError(f"{path}: holds no messages")
        self.begin_ns, self.end_ns = min(stamps[0] for stamps in ends), max(stamps[-1] for stamps in ends)

    def moment(self, at_ns: int | None) -> dict[str, str]:
        """The parts of a moment (runtime/console/view.py) as JSON; None: the last one."""
        at = self.end_ns if at_ns is None else at_ns
        held = {topic: message for topic in (*STATES, ARRIVAL) if (message := self._at(topic, at)) is not None}
        until = bisect_right(self.events, at, key=lambda event: event.at_ns)
        events = [event for event in self.events[:until] if event.kind not in MARKS][-SHOWN_EVENTS:]
        rates = {name: self._rate_hz(name, at, count) for name, count in RATED.items()}
        return parts(view(self.settings, held, events, rates, at))

    def picture(self, camera: str, at_ns: int | None) -> Picture | None:
        """What a camera showed; None: nothing yet."""
        notice = self._at(f"frame.{camera}", self.end_ns if at_ns is None else at_ns)
        if not isinstance(notice, messages.Frame):
            return None
        jpeg = self.session.jpeg(camera, notice.seq)
        return None if jpeg is None else Picture(notice.seq, notice.capture_ns, jpeg)

    def about(self) -> dict[str, Any]:
        """What the scrubber needs. `seen_ns`: from when on there are pictures of all cameras."""
        return {
            "begin_ns": self.begin_ns,
            "end_ns": self.end_ns,
            "seen_ns": max(self._stamps.get(f"frame.{camera}", [self.begin_ns])[0] for camera in CAMERAS),
            "damage": self.session.damage.describe(),
            "marks": [event.plain() for event in self.events if event.kind not in ("command", "operator")],
        }

    def joints(self) -> str:
        """JSON of all joints over the whole session, thinned: times, measured and commanded (N, 14), and the seams."""
        stamps = self._stamps.get("arm_target", [])
        step = max(1, -(-len(stamps) // _PLOTTED))
        columns: dict[str, list[Any]] = {"at_ns": [], "measured": [], "commanded": []}
        for at in stamps[::step]:
            state, target = self._at("joint_state", at), self._at("arm_target", at)
            if isinstance(state, messages.JointState) and state.heard and isinstance(target, messages.ArmTarget):
                for name, value in zip(columns, (at, rounded(state.q), rounded(target.q)), strict=True):
                    columns[name].append(value)
        columns["seams_ns"] = [event.at_ns for event in self.events if event.kind == "seam"]
        return json.dumps(columns, separators=(",", ":"))

    def _index(self) -> None:
        detector = EventDetector()
        for logged in self.session.messages:
            try:
                self._index_one(logged, detector)
            except (WireError, KeyError, ValueError, TypeError, OverflowError):
                self.session.damage.bad_messages += 1
        for topic, stamps in self._stamps.items():
            order = sorted(range(len(stamps)), key=stamps.__getitem__)
            self._stamps[topic] = [stamps[place] for place in order]
            self._payloads[topic] = [self._payloads[topic][place] for place in order]
        self.events.sort(key=lambda event: event.at_ns)

    def _index_one(self, logged: Logged, detector: EventDetector) -> None:
        """Add one message; one that is looked into only later is not decoded yet."""
        topic, payload = logged.topic, logged.payload
        if topic in _OFTEN:
            raw = codec.unpack(payload)
            stamp_ns = int(raw["stamp_ns"])
            if raw.get("arrivals"):
                self._add(ARRIVAL, stamp_ns, payload)
            if float(raw.get("seam_jump_rad_s", -1)) >= 0:
                self.events += detector.note(logged.decode())
        else:
            message = logged.decode()
            if topic_of(message) != topic:
                raise ValueError(topic)
            stamp_ns = message.stamp_ns
            self.events += detector.note(message)
        self._add(topic, stamp_ns, payload)

    def _add(self, topic: str, stamp_ns: int, payload: bytes) -> None:
        self._stamps.setdefault(topic, []).append(stamp_ns)
        self._payloads.setdefault(topic, []).append(payload)

    def _at(self, topic: str, at_ns: int) -> messages.Message | None:
        place = bisect_right(self._stamps.get(topic, []), at_ns)
        if not place:
            return None
        try:
            message, _ = codec.decode_recorded(self._payloads[topic][place - 1])
        except WireError:
            return None
        return message if topic_of(message) == (_ARRIVED_WITH if topic == ARRIVAL else topic) else None

    def _rate_hz(self, topic: str, at_ns: int, count: int) -> float:
        stamps = self._stamps.get(topic, [])
        until = bisect_right(stamps, at_ns)
        return rate_hz(stamps[max(0, until - count) : until])


class SessionIndex:
    """The sessions of a folder; the last ones that were opened stay at hand."""

    def __init__(self, folder: Path, keep: int = 2, open_session: Callable[[Path], Recorded] = Recorded) -> None:
        self.folder, self._keep, self._open = folder, keep, open_session
        self._opened: dict[str, tuple[tuple[int, ...], Recorded]] = {}  # by name: sizes of its files, and what was read

    def list(self) -> "list[dict[str, Any]]":
        """One row a session, newest first."""
        folders = {path.parent for path in self.folder.glob("*/session*.mcap")}
        rows: list[dict[str, Any]] = []
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):  # it has just been removed
                rows.append(_row(folder))
        return rows

    def place(self, name: str) -> Path:
        """Where a session lies. Raises SessionError."""
        path = self.folder / name
        try:
            there = "/" not in name and name not in ("", ".", "..") and path.is_dir()
        except (OSError, ValueError):  # a name that no file can have
            there = False
        if not there:
            shown = name[:80].encode(errors="replace").decode()
            raise SessionError(f"{shown}: does not exist in {self.folder}; choose a session of the list")
        return path

    def open(self, name: str) -> Recorded:
        """A session by its folder's name; one that is still recorded has grown, and is read again. Raises SessionError."""
        path = self.place(name)
        sizes = tuple(file.stat().st_size for file in sorted(path.glob("session*.mcap")))
        kept_sizes, kept = self._opened.pop(name, (None, None))
        self._opened[name] = sizes, kept if kept is not None and kept_sizes == sizes else self._open(path)
        while len(self._opened) > self._keep:
            self._opened.pop(next(iter(self._opened)))
        return self._opened[name][1]

    def opened(self, name: str) -> Recorded:
        """A session as it was opened last, without checking whether it has grown. Raises SessionError."""
        return self._opened[name][1] if name in self._opened else self.open(name)

    def thumbnail(self, name: str) -> bytes | None:
        """The last picture of the head camera."""
        try:
            return plain_file.read(self.place(name) / "head.png", LARGEST_PICTURE_BYTES)
        except (OSError, SessionError):
            return None


def _row(folder: Path) -> dict[str, Any]:
    """A recorder that was started again leaves several files; the first is what is opened."""
    size_bytes = sum(path.lstat().st_size for path in folder.glob("session*.mcap"))
    row: dict[str, Any] = {"name": folder.name, "megabytes": round(size_bytes / 1e6, 1)}
    table = {name: value for name, value in table_file.read(folder).items() if _fits(value)}
    kept = (
        "session_s",
        "duration_s",
        "task",
        "outcome",
        "ratio_measured",
        "holds",
        "faults_latched",
        "fault_reports",
        ORIGIN,
    )
    return row | {"finished": bool(table)} | {name: table[name] for name in kept if name in table}


def _fits(value: object) -> bool:
    """Whether a value of a table may stand in the list: a page's JSON knows no NaN, and one session must not fill it."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    return isinstance(value, int | float) and abs(value) <= _LARGEST_NUMBER


def settings_of(session: Session) -> Settings:
    """The settings that a session was recorded under, or the defaults where they are not known."""
    try:
        return settings_from_json(session.metadata["settings"])
    except (KeyError, SettingsError):
        return load_settings([])
