"""A session of each schema number stays readable, message by message, with its settings, pictures and instruction.

To make one for a new schema number: a run of two seconds with 64x48 pictures at 10 Hz, its session.mcap copied to golden/.
"""

from pathlib import Path

import pytest

from runtime.config.settings import settings_from_json
from runtime.messaging import messages
from runtime.session import reader
from runtime.session.reader import decode_all

GOLDEN = Path(__file__).parents[1] / "golden"
SESSIONS = sorted(GOLDEN.glob("session-schema-*.mcap"))


def test_there_is_one_for_the_current_schema() -> None:
    assert GOLDEN / f"session-schema-{messages.SCHEMA_NUMBER}.mcap" in SESSIONS


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_every_message_decodes(path: Path) -> None:
    session = reader.read(path)
    kinds = {type(message).__name__ for _, message, _ in decode_all(session)}
    assert session.damage == reader.Damage()
    assert {"ActionChunk", "Conditions", "ArmTarget", "JointState", "Frame", "Episode", "Instruction"} <= kinds


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_settings_pictures_and_instruction_are_there(path: Path) -> None:
    session = reader.read(path)
    settings = settings_from_json(session.metadata["settings"])
    frames = [message for _, message, _ in decode_all(session) if isinstance(message, messages.Frame)]
    newest = frames[-1]
    picture = session.picture(newest.camera, newest.seq)
    assert settings.cameras.head.width_px == 64
    assert picture is not None and picture.shape == (48, 64, 3)
    assert len(session.attachments) == 1
