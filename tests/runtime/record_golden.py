"""Records the golden session of the present schema: `.venv/bin/python tests/runtime/record_golden.py`. Run by hand.

A short run of the tiny policy that lies beside it, as test_golden_replay.py reads it. Beyond what replays it is left out: the
simulated scene and the figures of processes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from golden_sessions import GOLDEN, processor

from drivers.cobot_magic import CAMERAS
from runtime.messaging import messages
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.session import reader
from runtime.session.format import FILE_NAME
from runtime.session.writer import SessionWriter

_POLICY = "tests/runtime/golden/policy"  # as the session says where its policy lay
_LEFT_OUT = ("scene", "heartbeat", "snapshot")
_PICTURES = {"width_px": "32", "height_px": "24", "rate_hz": "10"}
_RUN = (
    "--profile", "sim", "--policy.checkpoint", _POLICY, "--seconds", "2.8", "--seed", "7", "--ratio", "2",
    "--system1.engine", "torch", "--system2.engine", "torch", "--system1.period_s", "auto", "--arms.rate_hz", "40",
    "--cameras.max_frame_age_s", "0.3", "--cameras.max_lag_s", "0.2", "--no-console.enabled",
    *(word for camera in CAMERAS for name, value in _PICTURES.items() for word in (f"--cameras.{camera}.{name}", value)),
)  # fmt: skip


def cut(session: reader.Session, path: Path) -> None:
    """Write what replays of a session."""
    writer = SessionWriter(path, int(session.metadata["wall_offset_ns"]))
    writer.metadata({name: value for name, value in session.metadata.items() if name != "summary"})
    for name, data in session.attachments.items():
        writer.attachment(name, data, session.messages[0].decode().stamp_ns)
    for row in session.messages:
        if row.topic in _LEFT_OUT:
            continue
        message = row.decode()
        writer.message(row.topic, message, row.payload)
        jpeg = session.jpeg(message.camera, message.seq) if isinstance(message, messages.Frame) else None
        if isinstance(message, messages.Frame) and jpeg is not None:
            writer.picture(message.camera, message.seq, jpeg, message.capture_ns)
    writer.close()


def main() -> None:
    """Run, cut, and say on which processor."""
    folder = GOLDEN / f"schema-{SCHEMA_NUMBER}"
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([sys.executable, "-m", "runtime.cli", "robot", *_RUN, "--sessions", made], check=True)
        (run,) = Path(made).iterdir()
        cut(reader.read(run), folder / FILE_NAME)
    (folder / "recorded.json").write_text(json.dumps(processor()) + "\n")


if __name__ == "__main__":
    main()
