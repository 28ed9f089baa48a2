"""`evaluate --compare A.json B.json`: the same scenes, their difference with an interval; files that do not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_checkpoint
from scipy.stats import binomtest
from worker_rig import Here

from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy
from drivers.task_names import KEPT_FROM
from runtime.errors import SettingsError
from runtime.evaluation import command, compare, results, table

SHIPPED = Path(__file__).parents[3] / "models" / "shipped"


def write(path: Path, outcomes: dict[str, str], first_seed: int = KEPT_FROM, **more: Any) -> Path:
    """A file as `--json` writes it, as much of it as is read."""
    rows = [{"task": task, "outcomes": of} for task, of in outcomes.items()]
    record = {"rows": rows, "first_seed": first_seed, "shift": "none", "checkpoint": path.stem, "ratio": 8} | more
    path.write_text(json.dumps(record))
    return path


def compared(a: Path, b: Path) -> list[compare.Difference]:
    return compare.compare(results.read(a), results.read(b))


def test_scenes_are_paired_by_task_and_seed(tmp_path: Path) -> None:
    """B begins three scenes later and has its tasks in another sequence."""
    a = write(tmp_path / "a.json", {"cup": "1100110010", "apple": "0000000000", "only_a": "1"})
    b = write(tmp_path / "b.json", {"apple": "1111111", "cup": "1111111", "only_b": "1"}, first_seed=KEPT_FROM + 3)
    cup, apple, both = compared(a, b)
    assert (cup.task, cup.scenes, cup.done_a, cup.done_b, cup.only_a, cup.only_b) == ("cup", 7, 3, 7, 0, 4)
    assert (apple.only_a, apple.only_b, apple.difference) == (0, 7, 1.0)
    assert apple.p == pytest.approx(binomtest(0, 7).pvalue)
    assert (both.task, both.scenes, both.only_b, both.difference) == ("all", 14, 11, pytest.approx(11 / 14))
    assert compare.left_out(results.read(a), results.read(b)) == [
        f"cup: scenes only in {a}, left out: 3",
        f"apple: scenes only in {a}, left out: 3",
        f"only_a: scenes only in {a}, left out: 1",
        f"only_b: scenes only in {b}, left out: 1",
    ]


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    """On drawn pairs of a known difference: within what chance allows of 95 % of 2000 draws."""
    random = np.random.default_rng(5)
    for both, only_one, only_other in ((0.5, 0.05, 0.25), (0.3, 0.2, 0.2), (0.85, 0.02, 0.08)):
        draws = random.multinomial(60, (both, only_one, only_other, 1 - both - only_one - only_other), 2000)
        intervals = [table.paired_interval(int(draw[1]), int(draw[2]), 60) for draw in draws]
        covered = np.mean([low <= only_other - only_one <= high for low, high in intervals])
        assert 0.93 <= covered <= 0.985


def test_the_interval_stays_within_what_is_possible_and_changes_sign_with_the_sides() -> None:
    low, high = table.paired_interval(3, 9, 60)
    assert table.paired_interval(9, 3, 60) == pytest.approx((-high, -low))
    assert low < 0.1 < high
    assert table.paired_interval(0, 1, 1)[1] == 1.0


def test_results_of_the_command_are_compared_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The expert does both scenes, the untrained policy none."""
    monkeypatch.setattr(command, "WorkerPool", Here)
    line = ["--task", "pick_apple_messy", "--rollouts", "2", "--repeats", "1", "--workers", "1"]
    files = [str(tmp_path / name) for name in ("policy.json", "expert.json")]
    assert command.main([*line, "--expert", "--json", files[1]]) == 0
    monkeypatch.setattr(PickAppleMessy, "step_limit", DEMONSTRATION_HZ)
    assert command.main([*line, *tiny_checkpoint.flags(), "--json", files[0]]) == 0
    capsys.readouterr()
    assert command.main(["--compare", *files, "--json", str(tmp_path / "difference.json")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"A: {files[0]} (policy ") and said[1] == f"B: {files[1]} (policy expert)"
    assert said[2].startswith("they differ in: checkpoint, ")
    row = next(line for line in said if line.startswith("pick_apple_messy")).split()
    assert row == ["pick_apple_messy", "2", "0", "2", "0", "2", "+100.0", row[7], "0.5"]
    assert said[-1].endswith(f"--task pick_apple_messy --seed {KEPT_FROM} --rollouts 1 --repeats 1 --film 1")
    (difference,) = json.loads((tmp_path / "difference.json").read_text())["rows"]
    assert (difference["difference"], difference["p"], difference["scenes"]) == (1.0, 0.5, 2)


def test_the_shipped_figures_can_be_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """Files of before: the experts' 100 scenes a task are among the policy's 150."""
    assert command.main(["--compare", str(SHIPPED / "evaluation.json"), str(SHIPPED / "expert.json")]) == 0
    said = capsys.readouterr().out
    assert "block_handover: scenes only in " in said and "all                            600" in said


def test_files_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    a = write(tmp_path / "a.json", {"cup": "10"})
    sweep = tmp_path / "sweep.json"
    sweep.write_text("[]")
    broken = tmp_path / "broken.json"
    broken.write_text('{"rows": []}')
    torn = tmp_path / "torn.json"
    torn.write_text('{"rows": [')
    cases = {
        write(tmp_path / "shifted.json", {"cup": "10"}, shift="lighting"): "shifts none and lighting are other scenes",
        write(tmp_path / "later.json", {"cup": "10"}, first_seed=KEPT_FROM + 2): "no scene in common",
        write(tmp_path / "task.json", {"apple": "10"}): "no scene in common",
        sweep: "is a record of a sweep; give a file of evaluate --json",
        broken: r"not a file of evaluate --json \(rows \[\]: must be a list of tables\)",
        torn: r"not a file of evaluate --json \(not JSON: Expecting",
        write(tmp_path / "odd.json", {"cup": "1x"}): r"""\(rows.outcomes "1x": must be a text of 0 and 1, one for""",
        tmp_path / "nowhere.json": "does not exist; create one with ./launch/evaluate.sh --json FILE",
    }
    for other, said in cases.items():
        with pytest.raises(SettingsError, match=said) as error:
            command.main(["--compare", str(a), str(other)])
        assert "\n" not in str(error.value)
    old, new = (
        write(tmp_path / f"{name}.json", {"cup": "10"}, shift="lighting", **more)
        for name, more in (("old", {}), ("new", {"suites": 2}))
    )
    with pytest.raises(SettingsError, match="versions None and 2 of the shift suites are other scenes"):
        command.main(["--compare", str(old), str(new)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare", "a.json"], "--compare: takes two files of --json, got 1"),
        (["--compare", "a.json", "b.json", "c.json"], "--compare: takes two files of --json, got 3"),
        (["a.json"], "a.json: unexpected word"),
    ],
)
def test_a_wrong_line_is_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        command.main(arguments)
