"""Failures in what `evaluate` reports: a class for each failed scene, counted by task; files of before stay readable.
Called by pytest; scene, pictures and the small policy (untrained) are real."""

import json
from pathlib import Path

import pytest
import tiny_checkpoint
from worker_rig import Here

from drivers.sim import experts
from drivers.sim.experts.script import Unreachable
from drivers.sim.failures import FAILURES
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy
from drivers.task_names import KEPT_FROM
from runtime.config.loading import load_settings, settings_to_json
from runtime.evaluation import command, table
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.rollouts import Episode, Job, play
from runtime.evaluation.table import Row

SHIPPED = Path(__file__).parents[3] / "models" / "shipped"


def row(task: str, *failures: str) -> Row:
    """A row of scenes with these classes; empty for a success."""
    outcomes = [Outcome(success=not kind, failure=kind, seconds=2.0, runs=10, actions=240) for kind in failures]
    return table.row(task, [[Episode(KEPT_FROM + place, one, 1.0) for place, one in enumerate(outcomes)]])


def test_failures_are_counted_by_class_and_task() -> None:
    rows = [row("a_task", "", "slipped", "slipped", "missed"), row("other", "slipped", ""), row("third", "")]
    assert rows[0].failure_counts == {"missed": 1, "slipped": 2}
    said = [line.split() for line in table.failure_lines(rows)]
    assert said == [
        ["failures", "missed", "overshot", "slipped", "drifted", "timed", "out"],
        ["a_task", "1", "0", "2", "0", "0"],
        ["other", "0", "0", "1", "0", "0"],
        ["all", "1", "0", "3", "0", "0"],
    ]
    assert table.failure_lines(rows[2:]) == []
    joined = table.joined([rows[0], row("a_task", "drifted")])
    assert joined.failures == ("", "slipped", "slipped", "missed", "drifted")


def test_a_row_is_read_as_it_was_written() -> None:
    one = row("a_task", "", "timed out")
    plain = json.loads(json.dumps(one.to_json()))
    assert plain["failures"] == ["", "timed out"] and plain["failure_counts"] == {"timed out": 1}
    assert (plain["runs_per_s"], plain["actions_per_s"]) == (5.0, 120.0)
    assert Row.from_json(plain) == one


def test_files_from_before_failures_were_counted_stay_readable() -> None:
    """The shipped figures were made by the version before."""
    rows = [Row.from_json(plain) for plain in json.loads((SHIPPED / "evaluation.json").read_text())["rows"]]
    assert rows[0].failures == () and rows[0].failure_counts == {} and rows[0].runs_per_s is None
    assert rows[0].successes < rows[0].rollouts and table.failure_lines(rows) == []
    assert table.joined([rows[0], rows[0]]).failures == ()
    with pytest.raises(KeyError):
        Row.from_json({"task": "a_task"})


def test_an_untrained_policy_has_a_class_for_each_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not get to the apple in two seconds; the strip says so."""
    monkeypatch.setattr(command, "WorkerPool", Here)
    monkeypatch.setattr(PickAppleMessy, "step_limit", 2 * DEMONSTRATION_HZ)
    line = ["--task", "pick_apple_messy", "--rollouts", "2", "--repeats", "1", "--workers", "1"]
    assert command.main([*line, *tiny_checkpoint.flags(), "--json", str(tmp_path / "figures.json")]) == 0
    (found,) = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert found["outcomes"] == "00"
    assert len(found["failures"]) == 2 and set(found["failures"]) <= set(FAILURES)
    assert sum(found["failure_counts"].values()) == 2
    assert found["runs_per_s"] == pytest.approx(1 / 0.15, rel=0.2), "a run each period"
    said = capsys.readouterr().out
    head = next(line for line in said.splitlines() if line.startswith("failures"))
    assert all(name in head for name in FAILURES)


def test_an_expert_that_cannot_reach_its_thing_has_missed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is played then; the episode has one moment."""

    def out_of_reach(_: object) -> None:
        raise Unreachable("the left arm cannot reach it")

    monkeypatch.setattr(experts, "plan", out_of_reach)
    settings = load_settings(["--task", "pick_apple_messy"])
    (played,) = play(Job(settings_to_json(settings), Latencies(), (KEPT_FROM,), expert=True)).episodes
    assert (played.outcome.fault, played.outcome.failure) == ("the left arm cannot reach it", "missed")
