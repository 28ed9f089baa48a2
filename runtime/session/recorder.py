"""The recorder process: everything on the bus into one session file, pictures beside it, and the table of the run.
Started by the supervisor (runtime/process/base.py), before all others.

It only listens: when it dies or the disk is full, the arms do not notice. It never drops a control message by itself.
"""

import json
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import public_settings_json
from runtime.config.settings import Recorder as RecorderSettings
from runtime.host import remedies
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.subscriber import Subscriber
from runtime.messaging.topics import TOPICS
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.process.base import KEPT_FOLDER, Process, log
from runtime.process.role import METADATA
from runtime.session import table_file
from runtime.session.format import EMBEDDING_SUFFIX, FILE_NAME, SUMMARY_NAME, schema_hash
from runtime.session.summary import Accumulator
from runtime.session.viewers import wall_offset_ns
from runtime.session.writer import SessionWriter

_DEPTH = 20_000  # messages of a topic that may wait; chosen: 100 s of 200 a second, longer than any disk stalls
_ROUND_S = 0.2
"""From one look at all topics to the next, with a report (5 Hz, as runtime/messaging/topics.py). To wake for each message would
cost several times as much, and every 0.04 s a quarter more: each time Python has to come back into the processor's cache."""
_DRAIN_S, _QUIET_S = 1.0, 0.05  # at the end: at most, and since the last message; arms that brake still talk (0.7 s)


class Recorder:
    """What the process holds: the file, the rings it copies from, the running table."""

    def __init__(self, process: Process) -> None:
        self._process = process
        wall_ns = time.time_ns()
        self.offset_ns = wall_offset_ns(wall_ns, robot_time_ns())
        folder = process.session
        self.writer = SessionWriter(_free_name(folder), self.offset_ns)
        self.writer.metadata(self._metadata())
        self.accumulator = Accumulator(process.settings.arms.rate_hz)
        self._rings: dict[str, FrameRing] = {}
        self._attached: set[str] = set()
        self._last_number: dict[str, int] = {}
        self.pictures_missed = 0

    def record(self, topic: str, message: messages.Message, payload: bytes) -> None:
        """Write one message, with the picture or the encoded instruction that it tells of, and count it for the table."""
        self.writer.message(topic, message, payload)
        self.accumulator.add(topic, message)
        if isinstance(message, messages.Frame):
            self._record_picture(message)
        elif isinstance(message, messages.Embedding) and message.key not in self._attached:
            path = EmbeddingCache().path(message.key)
            if path.exists():
                self._attached.add(message.key)
                self.writer.attachment(message.key + EMBEDDING_SUFFIX, path.read_bytes(), message.stamp_ns)

    def attach_kept(self) -> None:
        """Attach what processes have left for the session since the last call."""
        for path in sorted((self._process.folder / KEPT_FOLDER).glob("[!.]*")):
            if path.name not in self._attached:
                self._attached.add(path.name)
                self.writer.attachment(path.name, path.read_bytes(), robot_time_ns())

    def save_pictures(self) -> None:
        """Write one PNG of each camera beside the session: its newest frame."""
        for camera, number in self._last_number.items():
            stored = self._rings[camera].read(number)
            if stored is not None:
                Image.fromarray(np.asarray(stored.pixels)).save(self._process.session / f"{camera}.png")

    def _record_picture(self, notice: messages.Frame) -> None:
        camera = notice.camera
        if camera not in self._rings:
            self._rings[camera] = FrameRing.attach(self._process.folder / f"{camera}.ring")
        jpeg = self._rings[camera].read_jpeg(notice.seq)
        if jpeg is None:
            self.pictures_missed += 1
            return
        self._last_number[camera] = notice.seq
        self.writer.picture(camera, notice.seq, jpeg, notice.capture_ns)
        self.accumulator.picture(camera, notice.seq)

    def _metadata(self) -> dict[str, str]:
        settings = self._process.settings
        return {
            "settings": public_settings_json(settings),
            METADATA: self._process.role.model_dump_json(),
            "revision": self._process.revision,
            "schema": str(SCHEMA_NUMBER),
            "schema_hash": schema_hash(),
            "seed": str(settings.seed),
            "wall_offset_ns": str(self.offset_ns),
            "machine": f"{platform.machine()} {platform.system()} python {platform.python_version()}",
        }


def main(process: Process) -> None:
    """Record until asked to end, then drain what is under way, finish the file and write the table."""
    frames = [f"frame.{camera}" for camera in CAMERAS]
    logged = [*frames, *(name for name, row in TOPICS.items() if row.logged and name not in frames)]
    subscribers = {name: process.bus.subscriber(name, depth=_DEPTH, recording=True) for name in logged}
    reports = process.bus.publisher("recording")
    recorder = Recorder(process)
    process.settle()
    count, fault = 0, ""
    while process.running:
        process.pause(_ROUND_S)
        _drain(process, recorder, subscribers)
        recorder.attach_kept()
        process.stepped()
        writer = recorder.writer
        keep_reserve(writer, process.settings.recorder, process.session)
        if writer.fault and not fault:
            fault = writer.fault
            process.fault("recording", fault)
        reports.send(
            messages.Recording(
                seq=count,
                epoch=process.epoch,
                stamp_ns=robot_time_ns(),
                session=str(process.session),
                size_bytes=writer.size_bytes,
                lost=process.bus.lost,
                fault=writer.fault,
            )
        )
        count += 1
    _finish(process, recorder, subscribers)


def _finish(process: Process, recorder: Recorder, subscribers: dict[str, Subscriber]) -> None:
    """Drain what is under way, then finish the file and write the table and the pictures."""
    deadline_ns = robot_time_ns() + round(_DRAIN_S * 1e9)
    while robot_time_ns() < deadline_ns and _drain(process, recorder, subscribers, _QUIET_S):
        pass
    recorder.attach_kept()
    table = recorder.accumulator.table(process.bus.lost + recorder.pictures_missed, str(process.session))
    recorder.writer.metadata({"summary": json.dumps(table | {"session": process.session.name})})
    recorder.writer.close()
    keep_table(process, table)
    try:
        recorder.save_pictures()
    except OSError as error:
        log.error("%s: frames of the cameras are missing", remedies.line(error, process.session))


def keep_table(process: Process, table: dict[str, Any]) -> None:
    """Write the table of the run: for the supervisor into shared memory, where a full disk does not take it; and beside the
    session.
    """
    for folder in (process.folder, process.session):
        try:
            table_file.write(folder / SUMMARY_NAME, table)
        except OSError as error:
            log.error("%s: the summary is missing", remedies.line(error, folder))


def keep_reserve(writer: SessionWriter, settings: RecorderSettings, folder: Path) -> None:
    """Stop recording before the disk is full: a robot that nobody watches records for days."""
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib < settings.reserve_gib and not writer.fault:
        writer.stop(f"{free_gib:.1f} GiB free (limit --recorder.reserve_gib {settings.reserve_gib:g})")


def _drain(process: Process, recorder: Recorder, subscribers: dict[str, Subscriber], wait_s: float = 0.0) -> bool:
    """Everything that waits, frames first: their pictures will be overwritten in the rings. Returns whether there was any."""
    news = process.bus.drain(list(subscribers.values()), wait_s)
    for name, subscriber in subscribers.items():
        for received in subscriber.taken():
            recorder.record(name, received.message, received.payload)
    return news


def _free_name(folder: Path) -> Path:
    """session.mcap, or session-2.mcap when a killed recorder left one."""
    path, count = folder / FILE_NAME, 1
    while path.exists():
        count += 1
        path = folder / f"{Path(FILE_NAME).stem}-{count}.mcap"
    return path
