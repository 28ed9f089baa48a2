"""A session of each schema, with a tiny seeded policy of its own: it opens, exports and replays. Called by pytest.

On the kind of processor that recorded it (recorded.json) every step gives the recorded bytes. Other processors sum floats in
another order: there only the arms replay, from the logged chunks. Those of schemas 1 and 2 were smoothed by a linear algebra
library, so joints may be WITHIN_RAD apart; since schema 3 they are the same bytes everywhere. The networks are not compared on
other processors, since nobody knows by how much theirs may differ.

For a new schema: record_golden.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from golden_sessions import GOLDEN, processor

from runtime.arms import reasons, transitions
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.policy.opening import open_policy
from runtime.replay import index
from runtime.replay.comparison import Report
from runtime.replay.flags import Stepping
from runtime.replay.lockstep import replay
from runtime.replay.stored_embeddings import StoredEmbeddings
from runtime.replay.what_if import Origin, WhatIf
from runtime.replay.written_session import write
from runtime.session import reader
from runtime.session.episodes import episodes

RECORDED = sorted(path.parent for path in GOLDEN.glob("schema-*/recorded.json"))
WITHIN_RAD = 1e-6
RUNS = {"ActionChunk": 9, "Conditions": 5, "Skip": 2}


def moved(settings: Settings, **changes: object) -> Settings:
    """With the policy where it lies here."""
    policy = settings.policy.model_copy(update={"checkpoint": GOLDEN / "policy"})
    return settings.model_copy(update={"policy": policy, **changes})


def replayed(folder: Path, only: Stepping | None = None) -> Report:
    """The session once more, with its policy from where it lies here."""
    return replay(reader.read(folder), moved, only=only)


def test_there_is_one_of_each_schema() -> None:
    assert [folder.name for folder in RECORDED] == [f"schema-{n + 1}" for n in range(SCHEMA_NUMBER)]


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_the_arms_replay_from_the_logged_chunks_on_any_processor(folder: Path) -> None:
    report = replayed(folder, only="arms")
    assert set(report.counts) == {"ArmTarget", "SafetyState"}
    assert report.count("ArmTarget").compared > 100 and report.count("SafetyState").compared > 10
    assert all(count.not_comparable == 0 and count.apart < WITHIN_RAD for count in report.counts.values())


def test_what_is_recorded_now_gives_the_same_targets_on_any_processor() -> None:
    report = replayed(RECORDED[-1], only="arms")
    assert report.alike and report.count("ArmTarget").compared > 100


def test_another_revision_may_word_its_reasons_otherwise_but_not_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RECORDED[-1]
    monkeypatch.setattr(reasons, "HELD", "these words are of another revision")
    monkeypatch.setattr(index, "revision", lambda: "another")
    report = replayed(folder, only="arms")
    assert report.reworded > 0 and report.count("SafetyState").differing == 0
    recorded = reader.read(folder).metadata["revision"]
    monkeypatch.setattr(index, "revision", lambda: recorded)
    report = replayed(folder, only="arms")
    assert report.reworded == 0 and report.count("SafetyState").differing > 0


def test_a_reason_more_is_no_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "why_not", lambda *_: ("one reason", "and another"))
    assert replayed(RECORDED[-1], only="arms").count("SafetyState").differing > 0


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_every_step_replays_to_the_bit_on_the_processor_that_recorded_it(folder: Path) -> None:
    recorded = json.loads((folder / "recorded.json").read_text())
    if recorded != processor():
        pytest.skip(f"recorded on {recorded}, here is {processor()}; the arms alone are compared")
    report = replayed(folder)
    assert report.identical, [count.first_difference for count in report.counts.values()]
    assert all(report.count(kind).compared >= runs for kind, runs in RUNS.items())


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_it_exports(folder: Path) -> None:
    (episode,) = episodes(reader.read(folder))
    assert episode.q.shape[1] == messages.JOINTS and len(episode.q) > 30
    assert np.ptp(episode.leader, axis=0).max() > 0.1, "the arms were led somewhere"
    assert all(len(pictures) == len(episode.q) for pictures in episode.jpegs.values())


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_it_runs_anew_under_another_ratio_and_is_a_session_of_the_present_schema(folder: Path, tmp_path: Path) -> None:
    session = reader.read(folder)
    origin, settings = Origin.of(session), moved(Origin.of(session).settings, ratio=1)
    policy = open_policy(settings)
    made = WhatIf(origin, settings, policy, StoredEmbeddings(session, tmp_path), ["ratio"]).run()
    write(session, settings, made, tmp_path / "other")
    other = reader.read(tmp_path / "other")
    kinds = [type(message).__name__ for _, message, _ in reader.decode_all(other)]
    assert other.schema == SCHEMA_NUMBER
    assert kinds.count("Conditions") > RUNS["Conditions"] and kinds.count("ActionChunk") >= 8
