"""`--sweep latency` and `--sweep ratio`: what is varied, what is recorded, what the plots say.
Called by pytest; scene, pictures and the small policy (untrained) are real."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoint
from worker_rig import Here

from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy
from drivers.task_names import KEPT_FROM
from runtime.evaluation import command, sweep, table
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.rollouts import Episode
from runtime.evaluation.variants import SWEEPS

POLICY = "9c0a3b50af230443"
PROTOCOL = {"checkpoint": POLICY, "latencies": {"camera_s": 0.02, "system1_s": 0.045, "system2_s": 0.11}}


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A sweep of one scene and two seconds, in this process."""
    monkeypatch.setattr(command, "WorkerPool", Here)
    monkeypatch.setattr(PickAppleMessy, "step_limit", 2 * DEMONSTRATION_HZ)
    flags = ["--task", "pick_apple_messy", "--rollouts", "1", "--workers", "1", "--out", str(tmp_path)]
    return [*flags, *tiny_checkpoint.flags()]


def result(variant: str, tasks: Sequence[str], successes: int, scenes: int, runs: int = 20) -> sweep.Result:
    outcomes = [
        Outcome(success=place < successes, seconds=3.0, runs=runs, actions=24 * runs) for place in range(scenes)
    ]
    episodes = [Episode(KEPT_FROM + place, outcome, 1.0) for place, outcome in enumerate(outcomes)]
    return sweep.Result(variant, PROTOCOL, [table.row(task, [episodes]) for task in tasks])


def test_eight_latencies_of_each_system_in_the_asked_ranges() -> None:
    by_series: dict[str, list[float]] = {}
    for variant in SWEEPS["latency"]:
        by_series.setdefault(variant.series, []).append(variant.value)
    values = {"latency of System 2, ms": (50, 4000), "latency of System 1, ms": (30, 400)}
    assert {name: (min(found), max(found)) for name, found in by_series.items()} == values
    assert all(len(set(found)) == 8 for found in by_series.values())


def test_a_latency_sweep_declares_them_resumes_and_says_how_many_scenes(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line += ["--sweep", "latency", "--system1-s", "0.06"]
    assert command.main([*line, "--variants", "System 2 4000 ms"]) == 0
    assert command.main([*line, "--variants", "System 2 4000 ms,System 1 400 ms"]) == 0
    said = capsys.readouterr().out
    assert said.count("latency: System 2 4000 ms: 0/1, 0.0 % (evaluated before by") == 1
    slow2, slow1 = json.loads((tmp_path / "latency.json").read_text())
    assert slow2["protocol"]["latencies"] == {"camera_s": 0.02, "system1_s": 0.06, "system2_s": 4.0}
    assert slow1["protocol"]["latencies"] == {"camera_s": 0.02, "system1_s": 0.4, "system2_s": 0.11}
    assert (slow1["scenes"], slow1["successes"], slow1["interval"][0]) == (1, 0, 0.0)
    assert slow1["interval"] == pytest.approx(table.wilson(0, 1))
    assert slow1["runs_per_s"] == pytest.approx(1 / 0.4, rel=0.35)
    assert slow2["runs_per_s"] > slow1["runs_per_s"], "System 2 does not slow System 1 down"
    assert (tmp_path / "latency.png").stat().st_size > 10_000


def test_a_policy_runs_also_where_its_conditions_are_four_seconds_old(line: list[str], tmp_path: Path) -> None:
    """The arms' usual limit would stop it, whatever the policy could do."""
    line += ["--sweep", "latency", "--variants", "System 2 4000 ms"]
    assert command.main(line) == 0
    (found,) = json.loads((tmp_path / "latency.json").read_text())
    assert found["tasks"][0]["condition_age_s"] > 4
    assert found["tasks"][0]["holds"] == 0


@pytest.mark.parametrize("tasks", [["pick_apple_messy"], ["pick_apple_messy", "empty_cup_place"]])
def test_a_plot_over_latency_has_a_panel_a_system_with_counts_units_and_policy(tasks: list[str]) -> None:
    variants = SWEEPS["latency"]
    figure = sweep.plot("latency", [result(one.name, tasks, 20 - place, 20) for place, one in enumerate(variants)])
    figure.canvas.draw()
    left, right = figure.axes
    assert left.get_xlabel() == "latency of System 2, ms; below: successes/scenes\nSystem 1 at 45 ms"
    assert right.get_xlabel() == "latency of System 1, ms; below: successes/scenes\nSystem 2 at 110 ms"
    assert left.get_ylabel() == "success, %"
    labels = [label.get_text() for label in left.get_xticklabels()]
    count = len(tasks) * 20
    assert labels[0] == f"50\n{count}/{count}" and labels[-1] == f"4000\n{count - 7 * len(tasks)}/{count}"
    boxes = [label.get_window_extent() for label in left.get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes)), "no label lies on another"
    title = figure.get_suptitle()
    assert ("pick_apple_messy" if len(tasks) == 1 else "2 tasks") in title and POLICY in title
    assert len(left.containers) == 1 and (right.get_legend() is None) == (len(tasks) == 1)


def test_latencies_are_compared_with_the_shortest_of_the_same_system() -> None:
    results = [result(name, ["a_task"], done, 20) for name, done in (
        ("System 2 50 ms", 20), ("System 2 4000 ms", 2), ("System 1 30 ms", 10), ("System 1 400 ms", 10),
    )]  # fmt: skip
    said = [text for own in sweep.by_series("latency", results) for text in sweep.statements(own)]
    assert [text.split(":")[0] for text in said] == [
        "System 2 4000 ms against System 2 50 ms",
        "System 1 400 ms against System 1 30 ms",
    ]


def test_the_ratio_has_runs_and_actions_a_second_beside_success() -> None:
    results = [
        result(variant.name, ["a_task"], 15, 20, runs=6 * (place + 1)) for place, variant in enumerate(SWEEPS["ratio"])
    ]
    text = sweep.lines(results, rated=True)
    assert text[0].split()[-2:] == ["runs/s", "actions/s"]
    assert text[1].split()[-2:] == ["2.00", "48"] and text[5].split()[-2:] == ["10.00", "240"]
    success, rates = sweep.plot("ratio", results).axes
    assert success.get_ylabel() == "success, %" and rates.get_ylabel() == "System 1, runs/s"
    assert np.asarray(rates.lines[0].get_ydata()).tolist() == [2, 4, 6, 8, 10]
    (actions,) = rates.child_axes
    assert actions.get_ylabel() == "actions/s (24 a run)"
    expert = [result(variant.name, ["a_task"], 15, 20, runs=0) for variant in SWEEPS["ratio"]]
    assert sweep.lines(expert, rated=True)[1].split()[-2:] == ["-", "-"]
    assert len(sweep.plot("ratio", expert).axes) == 1, "an expert has no System 1"
