"""A live session under other settings: what `replay.sh --what-if` makes of it, writes and refuses. Called by pytest."""

from pathlib import Path

import numpy as np
import pytest
from live_run import LiveRun

from runtime.console.recorded import Recorded, SessionIndex
from runtime.messaging import messages
from runtime.replay import command as replay_command
from runtime.session import reader
from runtime.session.format import ORIGIN

pytestmark = pytest.mark.live


def made(path: Path) -> dict[type[messages.Message], list[messages.Message]]:
    """A session's messages by type."""
    found: dict[type[messages.Message], list[messages.Message]] = {}
    for _, message, _ in reader.decode_all(reader.read(path)):
        found.setdefault(type(message), []).append(message)
    return found


def what_if(session: LiveRun, out: Path, *flags: str) -> dict[type[messages.Message], list[messages.Message]]:
    """The messages of the session that is made."""
    assert replay_command.main([str(session.session), "--what-if", "--out", str(out), *flags]) == 0
    return made(out)


def test_the_same_settings_give_nearly_the_same(session: LiveRun, tmp_path: Path) -> None:
    """Not the same bytes: durations are the median, and a message takes no time, so no run is late as on a loaded machine."""
    before, after = made(session.session), what_if(session, tmp_path / "same", "--ratio", "8")
    chunks, conditions = after[messages.ActionChunk], after[messages.Conditions]
    period_ns = round(Recorded(session.session).settings.system1.first_period_s * 1e9)
    took_ns = np.median([m.timing.finished_ns - m.stamp_ns for m in chunks if isinstance(m, messages.ActionChunk)])
    lasted_ns = chunks[-1].stamp_ns - chunks[0].stamp_ns
    assert abs(len(chunks) - 1 - lasted_ns / max(period_ns, took_ns)) <= 1, "none was late"
    assert abs(len(conditions) - len(chunks) / 8) <= 2
    assert (
        len(before[messages.ActionChunk]) <= len(chunks) + 1 and len(before[messages.Conditions]) <= len(conditions) + 1
    )
    assert len(after[messages.ArmTarget]) == len(before[messages.ArmTarget])
    assert len(after[messages.Frame]) == len(before[messages.Frame])
    both = [
        (one.q, other.q)
        for one, other in zip(before[messages.ArmTarget], after[messages.ArmTarget], strict=True)
        if isinstance(one, messages.ArmTarget)
        and isinstance(other, messages.ArmTarget)
        and one.mode == other.mode == "RUNNING"
    ]
    recorded, again = np.array(both).swapaxes(0, 1)
    assert len(recorded) > 200
    assert np.median(np.abs(recorded - again).max(1)) < 0.1 * np.ptp(recorded, axis=0).max()


def test_another_ratio_and_blend_are_a_session_of_its_own(
    session: LiveRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made(session.session)
    after = what_if(session, tmp_path / "other", "--ratio", "2", "--trajectory.blend", "none")
    assert len(after[messages.Conditions]) > 2 * len(before[messages.Conditions])
    said = capsys.readouterr().out
    assert "velocity step at a seam" in said and "distance of the commanded joints" in said
    recorded = Recorded(tmp_path / "other")
    assert recorded.settings.ratio == 2 and recorded.session.metadata[ORIGIN] == session.session.name
    assert recorded.picture("head", None) is not None
    (row,) = SessionIndex(tmp_path).list()
    assert row["name"] == "other" and row[ORIGIN] == session.session.name and row["duration_s"] > 5
