"""How a run's session is judged, that of a recorder that was started again too. Called by pytest.

The sessions are the golden one, written as one file or as two.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.faults import sessions
from runtime.session import reader
from runtime.session.reader import Logged, Session
from runtime.session.writer import SessionWriter

GOLDEN = Path(__file__).parents[1] / "golden"
CUT = 0.5  # of the messages; where the second recorder begins


@pytest.fixture
def golden() -> Session:
    return reader.read(max(GOLDEN.glob("schema-*")))


def written(golden: Session, path: Path, rows: list[Logged]) -> None:
    """Messages as a recorder leaves them."""
    path.parent.mkdir(exist_ok=True)
    writer = SessionWriter(path, 0)
    writer.metadata(golden.metadata)
    for row in rows:
        writer.message(row.topic, row.decode(), row.payload)
    writer.close()


@pytest.fixture
def halves(golden: Session, tmp_path: Path) -> Iterator[tuple[list[Logged], list[Logged], Path]]:
    cut = round(CUT * len(golden.messages))
    yield golden.messages[:cut], golden.messages[cut:], tmp_path / "session"


def test_one_file_is_made_again_whole(golden: Session, tmp_path: Path) -> None:
    written(golden, tmp_path / "session.mcap", golden.messages)
    found = sessions.examine(tmp_path)
    assert found.compared > 100 and found.faults(cut=False) == [] and len(found.spans_ns) == 1


def test_two_files_are_one_session_in_which_the_second_may_repeat_some(
    golden: Session, halves: tuple[list[Logged], list[Logged], Path]
) -> None:
    first, second, folder = halves
    written(golden, folder / "session.mcap", first)
    written(golden, folder / "session-2.mcap", first[-200:] + second)
    found = sessions.examine(folder)
    assert found.compared > 100 and found.not_comparable == () and found.differing == 0
    assert found.faults(cut=True) == []
    assert found.faults(cut=False) == ["session: the recorder was started again: no reason was reported"]


def test_what_no_recorder_heard_is_told_with_its_topic_and_place(
    golden: Session, halves: tuple[list[Logged], list[Logged], Path]
) -> None:
    first, second, folder = halves
    lost = [row for row in second[:300] if row.topic == "camera_health"]
    assert lost
    why = "recorder makes no progress for 15.0 s; restarting it unless it recovers within 10 s"
    written(golden, folder / "session.mcap", first)
    written(golden, folder / "session-2.mcap", [row for row in second if row not in lost])
    restarted, gap = sessions.examine(folder).faults(cut=False, said=[why])
    assert restarted == f"session: the recorder was started again: {why}"
    assert gap.startswith("session: arms: messages missing at ") and f"({len(lost)} of camera_health" in gap


def test_what_a_killed_recorder_lost_is_measured_by_its_own_file(
    golden: Session, halves: tuple[list[Logged], list[Logged], Path]
) -> None:
    """The second one reads joint states and targets from before its start out of their rings."""
    first, second, folder = halves
    rings = [row for row in first if row.topic in ("joint_state", "arm_target")]
    written(golden, folder / "session.mcap", first)
    written(golden, folder / "session-2.mcap", rings + second)
    found = sessions.examine(folder)
    ended_ns = max(row.decode().stamp_ns for row in first if row.topic == "camera_health")
    assert found.unrecorded_ms(ended_ns + 5_000_000) == pytest.approx(5.0)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "session.mcap").write_bytes(b"")
    (line,) = sessions.examine(tmp_path).faults(cut=False)
    assert line.startswith(f"session: {tmp_path / 'session.mcap'}: not a session file (it is empty); give ")
