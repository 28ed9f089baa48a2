"""A simulated robot that a policy server leads, its death and return, and the session's replay without it. Called by pytest."""

import json
from pathlib import Path

import pytest
from live_run import START_S, LiveRun
from policy_server_rig import UNSAID, ForeignServer, standing

from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.replay import command as replay_command
from runtime.session import reader

pytestmark = pytest.mark.live


def test_a_policy_server_leads_the_arms_dies_and_returns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--seconds", "14", *UNSAID)
    with (
        ForeignServer(lambda _: standing()) as server,
        LiveRun(tmp_path, "--policy.server", server.address, *words) as run,
    ):
        run.wait_for("RUNNING | remote policy", START_S)
        server.stop()
        run.wait_for("HOLD", 20)
        with ForeignServer(lambda _: standing(), port=server.port):
            run.wait_for("RUNNING", 20)
            assert run.process.wait(START_S) == 0
    said = run.log.read_text()
    assert f"policy: {server.address}: Connection refused" in said
    assert "starting recorder, system1, simulator" in said, "no System 2, no text encoder"
    table = json.loads(run.json.read_text())
    assert table["system2_runs"] == 0 and table["faults_latched"] == 0 and table["holds"] >= 1
    assert replay_command.main([str(run.session), "--lockstep"]) == 0
    assert "identical, byte for byte" in capsys.readouterr().out
    kinds = {type(message) for _, message, _ in reader.decode_all(reader.read(run.session))}
    assert messages.Skip in kinds and not kinds & {messages.Conditions, messages.Embedding}
    with pytest.raises(SessionError, match="would have to be asked again"):
        replay_command.main([str(run.session), "--what-if", "--ratio", "4", "--out", str(tmp_path / "other")])
    assert (
        replay_command.main([str(run.session), "--what-if", "--safety.jump_rad", "0.2", "--out", str(tmp_path / "o")])
        == 0
    )
