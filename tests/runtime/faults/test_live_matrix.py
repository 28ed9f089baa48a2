"""The short form of the matrix on a real run of emulated arms: the quickest rows, once each. Called by pytest."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import machine_need
import numpy as np
import pytest

from runtime.faults import matrix
from runtime.faults.judge import Outcome, Verdict
from runtime.faults.robots import SHORT
from runtime.host.clock import NS_PER_S
from runtime.session import reader

pytestmark = pytest.mark.live
WELL = "right_wrist"  # no row of the short form has a fault for it
PAUSE_S = 2 / 30  # a picture may be missed, but not two in a row: so much of each figure is left for them


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outcome, Path]]:
    """What came of one run, and where its session is kept. The run's own folder is made beside it: its processes name that."""
    keep = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(keep.parent))
        yield matrix.run([SHORT], 1, print, keep), keep


def test_each_fault_is_told_and_the_arms_react(outcome: tuple[Outcome, Path]) -> None:
    for verdict in outcome[0].verdicts:
        (sample,) = verdict.samples
        assert not sample.wrong, verdict.row.name
        assert sample.seen_ms is not None or not verdict.row.says, verdict.row.name
        assert sample.held_ms is not None, verdict.row.name


def test_its_session_replays_and_is_kept(outcome: tuple[Outcome, Path]) -> None:
    assert outcome[0].sessions == []
    assert list(outcome[1].glob("*/sessions/*/session.mcap"))


def test_no_row_misses_its_figure(outcome: tuple[Outcome, Path]) -> None:
    """On a machine that does not give the run what it needs, nothing of it can be judged.

    When a target goes out is up to a CAN process that has no priority here: what the motors see is decided on a virtual clock
    (test_target_stream.py, test_fuzz.py), and told by the command, which exits with 1 then.
    """
    session = next(outcome[1].glob("*/sessions/*"))
    ratios = machine_need.needs(session) | {"cameras": pause_of_cameras_s(session, outcome[0].verdicts) / PAUSE_S}
    if machine_need.lacking(ratios):
        pytest.skip(f"needs more than this machine gives ({machine_need.line(ratios)}); decided by test_inject.py")
    missed = [(verdict.row.name, line) for verdict in outcome[0].verdicts for line in verdict.missed]
    assert [(row, line) for row, line in missed if not line.startswith("the motors saw")] == []


def pause_of_cameras_s(session: Path, verdicts: Sequence[Verdict]) -> float:
    """The longest between two pictures of the camera that stays well, from another's fault until that is told."""
    notices = [row.decode() for row in reader.read(session).messages if row.topic == f"frame.{WELL}"]
    at_ns = np.array([notice.stamp_ns for notice in notices])
    longest_ns = 0
    for sample in (one for verdict in verdicts if verdict.row.name.startswith("camera") for one in verdict.samples):
        during = (at_ns > sample.began_ns) & (at_ns < sample.began_ns + (sample.seen_ms or 0) * 1e6)
        longest_ns = max(longest_ns, int(np.diff(at_ns[during]).max(initial=0)))
    return longest_ns / NS_PER_S


def test_no_process_is_left(outcome: tuple[Outcome, Path]) -> None:
    """Only what belongs to this run counts: another robot may run beside the tests."""
    own = f"{outcome[1].parent}/video2act-faults-"
    left = subprocess.run(["pgrep", "-af", own], capture_output=True, text=True, check=False).stdout
    assert left == ""
