"""A replay in stretches, on several cores, gives what one from beginning to end gives. Called by pytest.

The session is a golden one with snapshots put in: each is the state that a replay has there.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.config.settings import Settings
from runtime.messaging import codec, messages
from runtime.process import snapshot
from runtime.replay import lockstep
from runtime.replay.comparison import Report
from runtime.replay.index import Index
from runtime.replay.stretch import Done, Stretch
from runtime.session import reader
from runtime.session.reader import Logged, Session

GOLDEN = Path(__file__).parents[1] / "golden"
CUTS = (40, 70, 71)  # ticks after which there is a snapshot


def moved(settings: Settings) -> Settings:
    """With the policy where it lies here."""
    policy = settings.policy.model_copy(update={"checkpoint": GOLDEN / "policy"})
    return settings.model_copy(update={"policy": policy})


def with_snapshots(monkeypatch: pytest.MonkeyPatch, spoiled: bool = False) -> Session:
    """The newest golden session with snapshots of the arms; spoiled: of a state that they never had."""
    session = reader.read(max(GOLDEN.glob("schema-*")))
    session.messages = [row for row in session.messages if row.topic != "snapshot"]
    states: dict[int, bytes] = {}
    pack = snapshot.pack
    whole = Index(session).of("arm_target")[1]
    ran = lockstep.run
    for cut in CUTS:

        def until(index: Index, steps: lockstep.Steps, stretch: Stretch, cut: int = cut) -> Done:
            done = ran(index, steps, replace(stretch, end=cut + 1))
            states[cut] = done.state
            return done

        monkeypatch.setattr(lockstep, "run", until)
        lockstep.replay(session, moved, only="arms")
    monkeypatch.setattr(lockstep, "run", ran)
    for cut, state in states.items():
        if spoiled:
            other = snapshot.unpack(state, lockstep.arms_state.SAVED)
            other.dropped += 5
            state = pack(other)
        taken = messages.Snapshot(
            seq=cut, epoch=1, stamp_ns=whole[cut].stamp_ns, process="arms", after_seq=cut, state=state
        )
        session.messages.append(Logged("snapshot", codec.encode(taken)))
    return session


def counted(report: Report) -> dict[str, tuple[int, int, int]]:
    return {kind: (row.compared, row.differing, row.not_comparable) for kind, row in report.counts.items()}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("spoiled", [False, True])
def test_stretches_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, workers: int, spoiled: bool) -> None:
    """A stretch that began in another state than the one before it ended in is made again."""
    whole = lockstep.replay(reader.read(max(GOLDEN.glob("schema-*"))), moved, only="arms")
    session, begun, ran = with_snapshots(monkeypatch, spoiled), list[Stretch](), lockstep.run

    def noted(index: Index, steps: lockstep.Steps, stretch: Stretch) -> Done:
        begun.append(stretch)
        return ran(index, steps, stretch)

    monkeypatch.setattr(lockstep, "run", noted)
    passed: list[int] = []
    report = lockstep.replay(session, moved, passed.append, "arms", workers)
    assert counted(report) == counted(whole) and whole.alike
    assert len(passed) == len(CUTS) + 1 and sum(passed) == whole.count("ArmTarget").compared
    again = len(CUTS) if spoiled else 0
    assert len(begun) == again + (0 if workers == 2 else len(CUTS) + 1), "workers are other processes"


def test_a_difference_is_described_by_the_first_stretch_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = with_snapshots(monkeypatch)
    for wrong in (50, 90):
        place = next(
            place for place, row in enumerate(session.messages)
            if row.topic == "arm_target" and row.decode().seq == wrong
        )  # fmt: skip
        target = session.messages[place].decode()
        assert isinstance(target, messages.ArmTarget)
        spoiled = target.model_copy(update={"limited": not target.limited})
        session.messages[place] = Logged("arm_target", codec.encode(spoiled))
    for workers in (1, 2):
        report = lockstep.replay(session, moved, only="arms", workers=workers)
        assert report.count("ArmTarget").differing == 2
        assert report.count("ArmTarget").first_difference.startswith("ArmTarget 50 (epoch 1): limited")


def test_what_is_lost_is_found_again_at_the_next_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    session = with_snapshots(monkeypatch)
    inputs = next(row.decode() for row in session.messages if row.topic == "arm_target" and row.decode().seq == 55)
    assert isinstance(inputs, messages.ArmTarget)
    lost = inputs.inputs[0]
    session.messages = [row for row in session.messages if row.topic != "joint_state" or row.decode().seq != lost[2]]
    report = lockstep.replay(session, moved, only="arms")
    count = report.count("ArmTarget")
    assert count.not_comparable == CUTS[1] - 55 + 1 and count.differing == 0
    assert not report.alike


def test_a_snapshot_of_another_version_is_no_place_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    session = with_snapshots(monkeypatch)
    monkeypatch.setattr(lockstep.arms_state, "SAVED", lockstep.arms_state.SAVED[1:])
    monkeypatch.setattr(lockstep.ArmsSteps, "classes", lockstep.arms_state.SAVED)
    passed: list[int] = []
    assert lockstep.replay(session, moved, passed.append, only="arms").alike
    assert len(passed) == 1
