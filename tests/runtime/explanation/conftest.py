"""The golden session for explanations: as it was recorded, with a simulated scene beside it, and with parts left out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from golden_sessions import GOLDEN, NEWEST, copied

from drivers.sim.physics import Physics
from drivers.sim.tasks import shifted_task
from runtime.messaging import codec, messages
from runtime.session import reader
from runtime.session.writer import SessionWriter

POLICY = ["--policy.checkpoint", str(GOLDEN / "policy")]  # where it lies here
Keep = Callable[[messages.Message], bool]
Written = Callable[..., Path]


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """As it was recorded: its scene was left out."""
    return copied(tmp_path / "recorded")


def _scenes(source: reader.Session) -> Iterator[messages.Scene]:
    """The scene as it stood at the beginning, once for every picture of the head camera."""
    physics = Physics(shifted_task("block_handover", "none", 7))
    physics.reset(7)
    frames = [message for _, message, _ in reader.decode_all(source) if isinstance(message, messages.Frame)]
    for number, frame in enumerate(frame for frame in frames if frame.camera == "head"):
        yield messages.Scene(
            seq=number, epoch=1, stamp_ns=frame.capture_ns, qpos=physics.qpos(), episode=1, simulated_ns=0, lag_ns=0,
            success=False,
        )  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes the golden session anew: without some messages, without pictures, or with a scene."""

    def write(name: str, keep: Keep = lambda _: True, pictures: bool = True, scene: bool = False) -> Path:
        source = reader.read(NEWEST)
        folder = tmp_path / name
        folder.mkdir()
        writer = SessionWriter(folder / "session.mcap", 0)
        writer.metadata(source.metadata)
        for key, data in source.attachments.items():
            writer.attachment(key, data, 0)
        for topic, message, payload in reader.decode_all(source):
            if not keep(message):
                continue
            writer.message(topic, message, payload)
            jpeg = source.jpeg(message.camera, message.seq) if isinstance(message, messages.Frame) else None
            if isinstance(message, messages.Frame) and jpeg is not None and pictures:
                writer.picture(message.camera, message.seq, jpeg, message.capture_ns)
        for message in _scenes(source) if scene else ():
            writer.message("scene", message, codec.encode(message))
        writer.close()
        return folder

    return write
