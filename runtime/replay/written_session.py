"""Writes what a what-if made as a session of its own, with its table. Called by command.py."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import public_settings_json
from runtime.config.settings import Settings
from runtime.errors import SessionError
from runtime.host import plain_file
from runtime.messaging import codec, messages
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.session import table_file
from runtime.session.format import (
    EMBEDDING_SUFFIX,
    FILE_NAME,
    LARGEST_PICTURE_BYTES,
    ORIGIN,
    SUMMARY_NAME,
    schema_hash,
)
from runtime.session.reader import Session
from runtime.session.summary import Accumulator
from runtime.session.writer import SessionWriter

Topical = tuple[str, messages.Message]
"""A message and its topic."""


def tabled(settings: Settings, arrived: Iterable[Topical], session: str) -> dict[str, Any]:
    """The table of a run, as its recorder would have made it."""
    accumulator = Accumulator(settings.arms.rate_hz)
    for topic, message in arrived:
        accumulator.add(topic, message)
        if isinstance(message, messages.Frame):
            accumulator.picture(message.camera, message.seq)
    return accumulator.table(0, session)


def write(origin: Session, settings: Settings, arrived: Sequence[Topical], folder: Path) -> dict[str, Any]:
    """Write the result as a session of its own, with the pictures of the other: the console lists it and shows both side by
    side.

    Returns:
        Its table.

    Raises:
        SessionError: The disk is full.
    """
    folder.mkdir(parents=True)
    writer = SessionWriter(folder / FILE_NAME, _wall_offset_ns(origin))
    name = origin.path.parent.name
    schema = {"schema": str(SCHEMA_NUMBER), "schema_hash": schema_hash()}
    writer.metadata(origin.metadata | schema | {"settings": public_settings_json(settings), ORIGIN: name})
    begin_ns = arrived[0][1].stamp_ns if arrived else 0
    for attached, data in origin.attachments.items():
        if attached.endswith(EMBEDDING_SUFFIX):
            writer.attachment(attached, data, begin_ns)
    for topic, message in arrived:
        writer.message(topic, message, codec.encode(message))
        jpeg = origin.jpeg(message.camera, message.seq) if isinstance(message, messages.Frame) else None
        if isinstance(message, messages.Frame) and jpeg is not None:
            writer.picture(message.camera, message.seq, jpeg, message.capture_ns)
    table = tabled(settings, arrived, str(folder))
    writer.metadata({"summary": json.dumps(table | {"session": folder.name})})
    writer.close()
    if writer.fault:
        raise SessionError(writer.fault)
    table_file.write(folder / SUMMARY_NAME, table | {ORIGIN: name})
    for camera in CAMERAS:
        with suppress(OSError):
            picture = plain_file.read(origin.path.parent / f"{camera}.png", LARGEST_PICTURE_BYTES)
            (folder / f"{camera}.png").write_bytes(picture)
    return table


def _wall_offset_ns(origin: Session) -> int:
    try:
        return int(origin.metadata.get("wall_offset_ns", "0"))
    except ValueError:  # damaged; it is a label only
        return 0
