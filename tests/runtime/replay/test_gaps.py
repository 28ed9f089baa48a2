"""What a session lacks is told as a line: which messages, since when, and where a replay begins again. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.messaging import messages
from runtime.replay.comparison import Report
from runtime.replay.gaps import Gap

Build = Callable[..., Any]
BEGAN_NS = 1_000_000_000_000


def target(build: Build, seq: int, *inputs: messages.InputRef) -> messages.Message:
    return build(messages.ArmTarget, seq=seq, stamp_ns=BEGAN_NS + 5_000_000 * seq, inputs=inputs)


@pytest.fixture
def gap(build: Build) -> Gap:
    """Three targets: two lack an input each, a third one only the state."""
    found = Gap("arms", 1, BEGAN_NS + 500_000_000)
    known = {("joint_state", 1, seq): None for seq in range(100, 104)}
    for seq, lost in ((100, ("supervision", 1, 7)), (101, ("camera_health", 1, 9)), (102, ("joint_state", 1, 102))):
        following = target(build, seq + 1)
        found.add(target(build, seq, ("joint_state", 1, seq), lost), following, known)
    return found


def test_it_names_what_is_missing_since_when_and_where_it_ends(gap: Gap) -> None:
    assert gap.line(BEGAN_NS) == (
        "arms: messages missing at 0.5 s (1 of camera_health, 1 of supervision): "
        "3 outputs not comparable, replay resumes at 0.5 s"
    )


def test_one_that_lasts_to_the_end_says_so(gap: Gap, build: Build) -> None:
    gap.add(target(build, 103), None, ())
    assert gap.line(BEGAN_NS).endswith("4 outputs not comparable, to the end")


def test_outputs_that_are_missing_themselves_are_named(build: Build) -> None:
    found = Gap("arms", 2, BEGAN_NS)
    found.add(target(build, 400), target(build, 401), ())
    assert found.line(BEGAN_NS).startswith("arms (start 2): messages missing at 0.0 s (outputs before it): 1 outputs")


def test_only_the_first_gaps_have_a_line_of_their_own(gap: Gap) -> None:
    report = Report(began_ns=BEGAN_NS, gaps=[gap] * 12)
    lines = report.gap_lines()
    assert len(lines) == 11 and lines[-1] == "2 further gaps"
