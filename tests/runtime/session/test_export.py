"""An export of several sessions: one that is hostile or empty costs none of the others. Called by pytest.

Sessions are real files, made by hand.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_session
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg

from drivers.cobot_magic import CAMERAS
from models.data import demonstrations
from runtime.errors import RuntimeFault, SessionError
from runtime.messaging import codec, messages
from runtime.messaging.topics import topic_of
from runtime.session import export
from runtime.session.writer import SessionWriter

Build = Callable[..., Any]
TICK_NS = 20_000_000
JPEG = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))


def recorded(build: Build, folder: Path, task: str = "a_task", mode: str = "RUNNING", done: bool | None = None) -> Path:
    """A session in which the arms stood in a mode for two seconds."""
    folder.mkdir(parents=True)
    writer, still = SessionWriter(folder / "session.mcap", 0), np.zeros(messages.JOINTS)

    def add(kind: type[messages.Message], **fields: Any) -> None:
        message = build(kind, **fields)
        writer.message(topic_of(message), message, codec.encode(message))

    add(messages.Episode, number=1, task=task, stamp_ns=0)
    add(messages.Instruction, stamp_ns=0)
    if done is not None:
        add(messages.Scene, episode=1, success=done, stamp_ns=0)
    for seq in range(100):
        now_ns = 10**9 + seq * TICK_NS
        about = {"seq": seq, "stamp_ns": now_ns}
        add(messages.JointState, **about, q=still)
        add(messages.ArmTarget, **about, episode=1, mode=mode, q=still, deadline_ns=now_ns, sent=True)
        for camera in CAMERAS:
            add(messages.Frame, **about, camera=camera, capture_ns=now_ns)
            writer.picture(camera, seq, JPEG, now_ns)
    writer.close()
    return folder


@pytest.mark.parametrize("to", ["hdf5", "lerobot"])
def test_a_hostile_session_costs_none_of_the_others(
    to: str, build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "session.mcap").symlink_to(recorded(build, tmp_path / "first") / "session.mcap")
    sessions = [
        tmp_path / "first",
        hostile_session.session(tmp_path / "bomb", hostile_session.bomb("zstd", 600)),
        linked,
        tmp_path / ("x" * 300),
        recorded(build, tmp_path / "evil", task="../../evil"),
        recorded(build, tmp_path / "still", mode="HOLD"),
        recorded(build, tmp_path / "last"),
    ]
    assert export.main([*map(str, sessions), "--to", to, "--out", str(tmp_path / "out")]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "skipped: " in line]
    assert len(lines) == 5, lines
    for line, said in zip(
        lines,
        (
            "no message can be read",
            "is a symbolic link",
            "File name too long",
            "'../../evil' is not a name",
            "the arms never ran",
        ),
        strict=True,
    ):
        assert said in line
    assert len(demonstrations.find(tmp_path / "out")) == 2
    assert not (tmp_path.parent / "evil").exists() and not (tmp_path / "evil.hdf5").exists()


def test_where_all_are_left_out_the_last_reason_is_the_error(build: Build, tmp_path: Path) -> None:
    bomb = hostile_session.session(tmp_path / "bomb", hostile_session.bomb("lz4", 200))
    still = recorded(build, tmp_path / "still", mode="HOLD")
    with pytest.raises(RuntimeFault, match="the arms never ran"):
        export.main([str(bomb), str(still), "--to", "hdf5", "--out", str(tmp_path / "out")])
    with pytest.raises(SessionError, match="no message can be read"):
        export.main([str(bomb), "--to", "hdf5", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_other_programs_formats_are_written_too(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = [str(recorded(build, tmp_path / name)) for name in ("one", "two")]
    assert export.main([*sessions, "--to", "rdt", "--out", str(tmp_path / "out")]) == 0
    written = tmp_path / "out" / "a_task"
    files = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert files == {
        f"episode_{place}/{name}" for place in (0, 1)
        for name in (f"episode_{place}.hdf5", "expanded_instruction_gpt-4-turbo.json")
    }  # fmt: skip
    assert "--data.layout rdt --out DIR" in capsys.readouterr().out, "so is it read again"
    with pytest.raises(RuntimeFault, match="already exists; give another folder"):
        export.main([*sessions, "--to", "rdt", "--out", str(tmp_path / "out")])
    failed = str(recorded(build, tmp_path / "failed", done=False))
    with pytest.raises(RuntimeFault, match=r"an episode of a_task is a failure, which robotwin cannot hold"):
        export.main([failed, "--to", "robotwin", "--out", str(tmp_path / "other")])


@pytest.mark.parametrize("to", ["hdf5", "lerobot"])
def test_what_was_not_done_is_no_success_of_the_dataset(
    to: str, build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = {"done": True, "failed": False, "unknown": None}
    sessions = [str(recorded(build, tmp_path / name, done=done)) for name, done in verdicts.items()]
    assert export.main([*sessions, "--to", to, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "3 episodes, 1 of them marked as failures, which train.sh action leaves out" in said
    assert said.count("exported as a failure: ") == 1
    found = demonstrations.find(tmp_path / "out")
    assert sorted(map(str, (one.success for one in found))) == ["False", "None", "True"]
    assert all(one.read().success is one.success for one in found)
    kept = demonstrations.to_learn_from(found, tmp_path)
    assert {one.success for one in kept} == {True, None} and demonstrations.unfit(found) == "1 failure"


@pytest.mark.parametrize("done", [True, None])
def test_a_dataset_of_one_verdict_is_typed_alike(done: bool | None, build: Build, tmp_path: Path) -> None:
    export.main([str(recorded(build, tmp_path / "one", done=done)), "--to", "lerobot", "--out", str(tmp_path / "out")])
    (path,) = (tmp_path / "out" / "meta" / "episodes").rglob("*.parquet")
    assert pq.read_schema(path).field("success").type == pa.bool_()


def test_whole_sessions_are_a_success(build: Build, tmp_path: Path) -> None:
    sessions = [str(recorded(build, tmp_path / name)) for name in ("one", "two")]
    assert export.main([*sessions, "--to", "hdf5", "--out", str(tmp_path / "out")]) == 0
