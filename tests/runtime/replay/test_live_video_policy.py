"""A live run of a Video Policy: it leads the arms, shows what it expects, and its session replays. Called by pytest."""

from pathlib import Path

import pytest
import tiny_video_policy
from live_run import START_S, LiveRun

from runtime.messaging import messages
from runtime.replay import command
from runtime.session import reader

pytestmark = pytest.mark.live


def test_it_runs_and_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_video_policy.store(tmp_path / "policy")
    folder = tmp_path / "run"
    folder.mkdir()
    with LiveRun(folder, "--policy.checkpoint", str(tmp_path / "policy"), "--seconds", "6", "--ratio", "2") as run:
        run.process.wait(START_S)
    session = reader.read(run.session)
    kinds = [type(message) for _, message, _ in reader.decode_all(session)]
    assert kinds.count(messages.ActionChunk) > 5 and kinds.count(messages.Imagined) > 1
    assert command.main([str(run.session), "--lockstep"]) == 0
    assert "identical, byte for byte" in capsys.readouterr().out
