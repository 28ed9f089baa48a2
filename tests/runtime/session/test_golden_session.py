"""An early session of schema 1 stays readable, message by message, with its settings, pictures and instruction.

Its policy is no more, so it cannot be replayed; test_golden_replay.py has one of each schema that can.
"""

from pathlib import Path

from runtime.config.loading import settings_from_json
from runtime.messaging import messages
from runtime.session import reader
from runtime.session.reader import decode_all

GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"


def test_every_message_decodes() -> None:
    session = reader.read(GOLDEN)
    kinds = {type(message).__name__ for _, message, _ in decode_all(session)}
    assert session.damage == reader.Damage()
    assert {"ActionChunk", "Conditions", "ArmTarget", "JointState", "Frame", "Episode", "Instruction"} <= kinds


def test_settings_pictures_and_instruction_are_there() -> None:
    session = reader.read(GOLDEN)
    settings = settings_from_json(session.metadata["settings"])
    frames = [message for _, message, _ in decode_all(session) if isinstance(message, messages.Frame)]
    newest = frames[-1]
    picture = session.picture(newest.camera, newest.seq)
    assert settings.cameras.head.width_px == 64
    assert picture is not None and picture.shape == (48, 64, 3)
    assert len(session.attachments) == 1
