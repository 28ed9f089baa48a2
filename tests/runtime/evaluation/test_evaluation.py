"""Evaluation on the virtual clock: reproducible, at the declared times, with the live step functions; tables and orders.
Called by pytest; scene, pictures and the small policy (untrained) are real."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tiny_checkpoint
import torch
from PIL import Image
from scipy.stats import binomtest
from worker_rig import Here

from drivers.sim.camera_renderer import Eye
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.shift_suites import SHIFTS
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy
from drivers.task_names import KEPT_FROM, TASK_NAMES
from models import sizes
from runtime.config import overrides
from runtime.config.loading import load_settings, settings_to_json
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.evaluation import command, film, rollouts, sweep, sweep_training, table
from runtime.evaluation.flags import EvaluateFlags, SweepName
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.rollouts import Episode, Job, play
from runtime.evaluation.variants import SWEEPS
from runtime.evaluation.world import World
from runtime.host.revision import revision
from runtime.host.worker_pool import WorkerPool
from runtime.policy.opening import Policy, open_policy
from runtime.training.flags import TRAIN

ROOT = Path(__file__).parents[3]
_LIMIT_S = 1.2


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return open_policy(load_settings(tiny_checkpoint.flags()))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command plays in this process."""
    monkeypatch.setattr(command, "WorkerPool", Here)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task's own time is two seconds, for policies that never succeed."""
    monkeypatch.setattr(PickAppleMessy, "step_limit", 2 * DEMONSTRATION_HZ)


def played(
    policy: Policy, *flags: str, seed: int = KEPT_FROM, latencies: Latencies | None = None, film_every: int = 10
) -> Outcome:
    settings = load_settings([*tiny_checkpoint.flags(), "--task", "pick_apple_messy", *flags])
    world = World(settings, policy, latencies or Latencies())
    try:
        return world.run(seed, "pick the apple", film_every, limit_s=_LIMIT_S)
    finally:
        world.close()


def test_an_episode_is_the_same_again(policy: Policy) -> None:
    first, again, other = played(policy), played(policy), played(policy, seed=KEPT_FROM + 1)
    assert first == again
    assert first.film != other.film
    assert first.runs > 0


def test_being_filmed_changes_nothing(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the noise of the pictures that the policy sees."""
    seen: list[bytes] = []
    jpeg = Eye.jpeg
    monkeypatch.setattr(Eye, "jpeg", lambda eye, qpos: (seen.append(jpeg(eye, qpos)), seen[-1])[1])
    filmed, count = played(policy, film_every=1), len(seen)
    plain = played(policy, film_every=0)
    alone = count - len(filmed.film)
    assert len(filmed.film) > 30 and not plain.film
    assert seen[:alone] == seen[count:]
    assert replace(filmed, film=[]) == plain


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_the_ratio_is_that_of_runs_to_conditions(policy: Policy, ratio: int) -> None:
    found = played(policy, "--ratio", str(ratio))
    assert not found.fault
    assert abs(found.conditions - found.runs / ratio) <= 2


def test_conditions_are_older_when_system_2_takes_longer(policy: Policy) -> None:
    quick, slow = (played(policy, "--ratio", "2", latencies=Latencies(system2_s=s)) for s in (0.05, 0.25))
    assert np.mean(slow.condition_ages_s) > np.mean(quick.condition_ages_s) + 0.1


def test_system_1_runs_once_a_period_unless_it_takes_longer(policy: Policy) -> None:
    in_time, late = (played(policy, latencies=Latencies(system1_s=s)) for s in (0.05, 0.4))
    assert in_time.runs == pytest.approx(_LIMIT_S / 0.15, abs=2)
    assert late.runs <= _LIMIT_S / 0.4 + 2


def test_serial_pacing_makes_system_1_wait(policy: Policy) -> None:
    latencies = Latencies(system2_s=0.3)
    free, serial = (
        played(policy, "--ratio", "1", "--pacing", pacing, latencies=latencies) for pacing in ("async", "serial")
    )
    assert serial.runs < free.runs
    assert max(serial.condition_ages_s) < max(free.condition_ages_s) + 0.05


def test_the_expert_does_what_it_was_written_for() -> None:
    settings = load_settings(["--task", "pick_apple_messy"])
    result = play(Job(settings_to_json(settings), Latencies(), (KEPT_FROM, KEPT_FROM + 1), expert=True))
    assert [episode.outcome.success for episode in result.episodes] == [True, True]


def test_each_scene_of_a_suite_has_a_variant_of_its_own(policy: Policy) -> None:
    """Also when one world plays them all, and whichever was played before."""
    settings = load_settings([*tiny_checkpoint.flags(), "--task", "pick_apple_messy", "--shift", "background"])
    world = World(settings, policy, Latencies())
    films = {seed: world.run(KEPT_FROM + seed, "pick the apple", 30, 0.3).film[0] for seed in (1, 2)}
    again = world.run(KEPT_FROM + 1, "pick the apple", 30, 0.3).film[0]
    world.close()
    assert again == films[1] != films[2]


def test_wilsons_interval() -> None:
    low, high = table.wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert table.wilson(0, 20)[0] == 0.0
    assert table.wilson(20, 20)[1] == pytest.approx(1.0)


def test_policies_are_compared_scene_by_scene() -> None:
    """SciPy's binomial test of the scenes that only one of them did."""
    random = np.random.default_rng(0)
    one, other = (tuple(bool(done) for done in random.random(60) < rate) for rate in (0.5, 0.7))
    only_one = sum(a and not b for a, b in zip(one, other, strict=True))
    apart = sum(a != b for a, b in zip(one, other, strict=True))
    assert table.paired(one, other) == pytest.approx(binomtest(only_one, apart, 0.5).pvalue)
    assert table.paired(one, one) == 1.0


def episode(seed: int, success: bool) -> Episode:
    return Episode(seed, Outcome(success=success, seconds=3.0, condition_ages_s=[0.5]), 1.0)


def test_a_row_tells_mean_and_spread_over_the_repeats() -> None:
    repeats = [[episode(0, True), episode(1, False)], [episode(2, True), episode(3, True)]]
    found = table.row("a_task", repeats)
    assert found.rates == (0.5, 1.0)
    assert (found.rate, found.spread) == (0.75, pytest.approx(0.3536, abs=1e-3))
    line = table.lines([found])[1]
    assert "3/4" in line and "75.0 %" in line and "30..95 %" in line and "± 35.4" in line


def test_one_repeat_has_no_spread_but_an_interval() -> None:
    """One scene of one that was done is no certainty."""
    found = table.row("a_task", [[episode(0, True)]])
    assert found.spread is None and found.to_json()["spread"] is None
    line = table.lines([found])[1]
    assert "±" not in line and "1/1" in line and "21..100 %" in line


def test_a_task_that_was_never_done_has_no_time() -> None:
    done, never = (table.row("a_task", [[episode(0, success)]]) for success in (True, False))
    assert " 3.0s" in table.lines([done])[1]
    assert "0.0s" not in table.lines([never])[1].split("ms")[0] and " - " in table.lines([never])[1]


def test_the_last_line_is_of_all_scenes() -> None:
    tasks = {"a_task": (True, False), "other": (True, True)}
    rows = [table.row(task, [[episode(seed, done) for seed, done in enumerate(of)]]) for task, of in tasks.items()]
    assert table.lines(rows)[-1].split()[:3] == ["all", "3/4", "75.0"]


def test_a_film_can_be_opened(policy: Policy, tmp_path: Path) -> None:
    path = film.write(tmp_path, "pick_apple_messy", Episode(3, played(policy), 1.0))
    assert path.name == "pick_apple_messy_3_failure.webp"
    with Image.open(path) as picture, Image.open(path.with_suffix(".jpg")) as strip:
        assert getattr(picture, "n_frames", 1) > 3
        assert strip.width == 6 * picture.width and strip.height > picture.height, "a line stands above"
        above = np.asarray(strip.convert("L"))[: strip.height - picture.height]
    assert above[0].min() > 200 and above.min() < 60, "black letters on white"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(success=True, seconds=4.2), "success after 4.2 s"),
        (Outcome(seconds=12.0, failure="slipped"), "failure (slipped): not done within 12.0 s"),
        (Outcome(seconds=3.0, failure="missed", fault="left j3"), "failure (missed): FAULT: left j3"),
        (Outcome(seconds=12.0, holds=2), "failure: not done within 12.0 s; 2 holds"),
        (
            Outcome(seconds=3.0, fault="left j3 is blocked"),
            "failure: FAULT: left j3 is blocked",
        ),
    ],
)
def test_a_strip_says_which_scene_it_was_and_why_it_failed(outcome: Outcome, said: str) -> None:
    assert film.caption("pick_apple_messy", Episode(7, outcome, 1.0)) == f"pick_apple_messy, scene 7: {said}"


def test_a_caption_that_is_too_long_is_cut_and_each_still_has_its_time() -> None:
    pictures = [Image.new("RGB", (64, 48), "red")] * 11
    short, long = film.strip(pictures, "a"), film.strip(pictures, "W" * 200)
    assert short.size == long.size == (6 * 64, 48 + 20)
    for column in range(6):
        corner = np.asarray(short)[48:, column * 64 : column * 64 + 40]
        assert (corner[..., 1] > 200).any(), "white figures on the red"
    assert (np.asarray(long)[:20, -3:] > 240).all(), "nothing reaches the edge"


@pytest.mark.usefixtures("here", "short")
def test_an_example_of_each_verdict_is_filmed(tmp_path: Path) -> None:
    """No policy: the untrained one fails; the time limit is the task's own."""
    line = ["--task", "pick_apple_messy", "--rollouts", "1", "--repeats", "1", "--workers", "1"]
    line += tiny_checkpoint.flags()
    assert command.main([*line, "--film-examples", "--films", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"pick_apple_messy_{KEPT_FROM}_failure.jpg",
        f"pick_apple_messy_{KEPT_FROM}_failure.webp",
    ]


@pytest.mark.usefixtures("here")
def test_the_command_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = ["--task", "pick_apple_messy", "--rollouts", "1", "--repeats", "2", "--expert", "--workers", "1"]
    assert command.main([*arguments, "--json", str(path), "--ratio", "4"]) == 0
    record = json.loads(path.read_text())
    assert record["rows"][0]["rates"] == [1.0, 1.0]
    assert record["ratio"] == 4
    said = capsys.readouterr().out
    assert "2/2" in said and "34..100 %" in said and "± 0.0" in said


@pytest.mark.usefixtures("cluster")
def test_a_cluster_plays_the_same_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["--task", "pick_apple_messy", "--rollouts", "2", "--repeats", "1", "--expert", "--workers", "1"]
    found: list[Any] = []
    for name, pool, more in (("here", Here, []), ("there", WorkerPool, ["--ray", "local"])):
        monkeypatch.setattr(command, "WorkerPool", pool)
        assert command.main([*line, *more, "--json", str(tmp_path / name)]) == 0
        row = json.loads((tmp_path / name).read_text())["rows"][0]
        found.append({key: value for key, value in row.items() if "wall" not in key})
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "nope"], "--task nope: must be all, or one or more of block_handover"),
        (["--rollouts", "0"], "--rollouts 0: must be a whole number from 1 to 10000"),
        (["--seed", "12"], "--seed 12: must be a whole number from 1000000"),
        (["--bench", "/nowhere.json"], "--bench /nowhere.json"),
        (["--system1-s", "-1"], "--system1-s -1: must be a number above 0 and at most 60"),
        (["--system2-s", "nan"], "--system2-s nan: must be a number above 0"),
        (["--expert", "--film", "1"], "do not apply to --expert"),
        (["--film-seeds", "1000150"], "--film-seeds 1000150: must be 1000000 to 1000149"),
        (["--sweep", "ratio", "--json", "x.json"], "--sweep writes OUT/ratio.json"),
        (
            ["--arms.rate_hz", "100", "--rollouts", "1", "--repeats", "1", "--workers", "1"],
            "--arms.rate_hz 100: must be 200",
        ),
        (["--ratio", "0"], "--ratio"),
        (["--surprise", "1"], "surprise"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_wrong_flag_is_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        command.main(arguments)
    assert "\n" not in str(error.value)


def result(name: str, successes: int, trials: int) -> sweep.Result:
    episodes = [episode(seed, seed < successes) for seed in range(trials)]
    return sweep.Result(name, {}, [table.row("a_task", [episodes]), table.row("another", [episodes])])


def test_only_what_the_same_scenes_show_is_called_a_difference() -> None:
    results = [result("no video", 2, 20), result("raw", 4, 20), result("both", 18, 20)]
    said = sweep.statements(results)
    assert said[0] == "raw against no video: +10.0 points, no significant difference (p = 0.12)"
    assert said[1] == "both against no video: +80.0 points, a significant difference (p = 4.7e-10)"
    assert "a_task" in sweep.lines(results)[0]


@pytest.mark.parametrize("name", [name for name in SWEEPS if name not in ("latency", "paths")])
@pytest.mark.parametrize("tasks", [1, 3, 6])
def test_a_plot_says_what_was_played_and_how_often(name: str, tasks: int) -> None:
    """No label lies on another, each mark has its task, and three tasks are not called all."""
    names = sorted(TASK_NAMES)[:tasks]
    rows = [table.row(task, [[episode(seed, seed < 3) for seed in range(20)]]) for task in names]
    figure = sweep.plot(name, [sweep.Result(variant.name, {}, rows) for variant in SWEEPS[name]])
    figure.canvas.draw()
    (axes,) = figure.axes
    labels = axes.get_xticklabels()
    assert all(label.get_text().endswith(f"\n{3 * tasks}/{20 * tasks}") for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert ("all six tasks" in axes.get_title()) == (tasks == 6)
    legend = axes.get_legend()
    assert (legend is None) == (tasks == 1)
    assert legend is None or [text.get_text() for text in legend.get_texts()] == names
    title = axes.title.get_window_extent()
    assert title.x0 >= 0 and title.x1 <= figure.bbox.x1


@pytest.mark.usefixtures("here", "short")
def test_the_same_line_gives_the_same_figures_and_pictures(tmp_path: Path) -> None:
    line = ["--task", "pick_apple_messy", "--rollouts", "1", "--repeats", "1", "--film", "1", "--workers", "1"]
    line += tiny_checkpoint.flags()
    records: list[dict[str, Any]] = []
    films: list[bytes] = []
    for out in (tmp_path / "once", tmp_path / "again"):
        rollouts._world.cache_clear()  # pyright: ignore[reportPrivateUsage]
        out.mkdir()
        assert command.main([*line, "--films", str(out), "--json", str(out / "figures.json")]) == 0
        row = json.loads((out / "figures.json").read_text())["rows"][0]
        records.append({name: value for name, value in row.items() if "wall" not in name})
        films.append(next(out.glob("*.webp")).read_bytes())
    assert records[0] == records[1]
    assert films[0] == films[1]


def test_the_shipped_policy_does_the_task_that_it_always_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """150 of 150 scenes, on two kinds of processors: if one fails, something on the way to the arms is broken."""
    line = ["--task", "dual_bottles_pick_easy", "--rollouts", "1", "--repeats", "1", "--workers", "1"]
    filmed = ["--film-seeds", str(KEPT_FROM), "--films", str(tmp_path)]
    assert command.main([*line, "--ratio", "8", *filmed, "--json", str(tmp_path / "figures.json")]) == 0
    assert (tmp_path / f"dual_bottles_pick_easy_{KEPT_FROM}_success.webp").is_file()
    record = json.loads((tmp_path / "figures.json").read_text())
    assert record["rows"][0]["outcomes"] == "1"
    said = capsys.readouterr().out
    assert f"policy {record['checkpoint']} in " in said, "which one it was is said"
    assert said.splitlines()[-1].endswith("robot.sh --ratio 8 --task dual_bottles_pick_easy")


@pytest.mark.usefixtures("here")
def test_what_is_through_is_written_before_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours of rollouts are not lost by a power cut in the last minute."""
    written: list[list[str]] = []
    monkeypatch.setattr(command, "_write", lambda _, rows, *rest: written.append([row.task for row in rows]))
    tasks = ["pick_apple_messy", "container_place"]
    line = ["--expert", "--rollouts", "1", "--repeats", "1", "--workers", "1", "--json", str(tmp_path / "figures.json")]
    assert command.main(["--task", ",".join(tasks), *line]) == 0
    assert written == [tasks[:1], tasks]


@pytest.mark.usefixtures("here")
def test_a_sweep_of_the_run_evaluates_one_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--task", "pick_apple_messy", "--rollouts", "1", "--expert", "--workers", "1", "--out", str(tmp_path)]
    assert command.main([*arguments, "--sweep", "shift"]) == 0
    record = json.loads((tmp_path / "shift.json").read_text())
    assert [row["variant"] for row in record] == list(SHIFTS)
    assert all(row["rate"] == 1.0 for row in record)
    assert (tmp_path / "shift.png").is_file()
    follows = capsys.readouterr().out.splitlines()[-1]
    assert follows.endswith(f"evaluate.sh {' '.join(arguments)} --sweep features"), (
        "the next ablation, else the same line"
    )


def test_a_sweep_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def one_row(_: Any, by_task: dict[str, Settings], *__: Any) -> tuple[list[table.Row], str]:
        (settings,) = by_task.values()
        asked.append(str(settings.ratio))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return [table.row("pick_apple_messy", [[episode(seed, seed < settings.ratio) for seed in range(20)]])], "id"

    monkeypatch.setattr(command, "evaluate", one_row)
    line = ["--task", "pick_apple_messy", "--sweep", "ratio", "--workers", "1", "--out", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        command.main(line)
    assert command.main(line) == 0
    assert asked == ["1", "2", "4", "4", "8", "16"], "what was through is not played again"
    record = json.loads((tmp_path / "ratio.json").read_text())
    assert [row["tasks"][0]["successes"] for row in record] == [1, 2, 4, 8, 16]
    assert command.main([*line, "--system2-s", "0.2"]) == 0
    assert len(asked) == 11, "other latencies are another protocol"
    assert len(asked) == 11


def _row(**changed: Any) -> dict[str, Any]:
    """A task's row in the file of a sweep."""
    figures = dict.fromkeys(("low", "high", "seconds", "condition_age_s", "holds", "limited_share", "wall_s"), 0.5)
    return {"task": "pick_apple_messy", "rates": [1.0], "outcomes": "10", "faults": 0} | figures | changed


def _record(**changed: Any) -> str:
    return json.dumps([{"variant": "1:1", "protocol": {}, "tasks": [_row()], "made_by": "x"} | changed])


@pytest.mark.parametrize(
    "text",
    [
        "", "[7]", "7", "{", "\xff", "[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"variant": 1}', "[[[]]]", "[{}]",
        _record(variant=["a"]), _record(variant=None), _record(protocol=[]), _record(protocol={"training": 7}),
        _record(protocol={"training": {"seed": "x"}}), _record(protocol={"training": {"seed": float("inf")}}),
        _record(tasks=[]), _record(tasks="x"), _record(tasks=[[]]), _record(tasks=[{}]), _record(made_by=[1]),
        _record(tasks=[_row(outcomes="2")]), _record(tasks=[_row(outcomes="")]), _record(tasks=[_row(outcomes=[[]])]),
        _record(tasks=[_row(rates=[])]), _record(tasks=[_row(rates=7)]), _record(tasks=[_row(rates=["x"])]),
        _record(tasks=[_row(faults="0")]), _record(tasks=[_row(holds=None)]), _record(tasks=[_row(task=7)]),
    ],
)  # fmt: skip
def test_a_file_that_is_no_record_of_a_sweep_is_one_line(
    text: str, sweep_options: EvaluateFlags, tmp_path: Path
) -> None:
    (tmp_path / "ratio.json").write_bytes(text.encode("latin-1"))
    options = sweep_options.model_copy(update={"out": tmp_path})
    with pytest.raises(
        SettingsError, match=r"ratio.json: not a record of a sweep \(.*\); give another --out"
    ) as caught:
        sweep.run("ratio", options, Played())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_a_sweep_wrote_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "ratio.json").write_text(_record(rate=1.0, interval=[0.0, 1.0]))
    ((key, found),) = sweep._earlier(tmp_path / "ratio.json").items()  # pyright: ignore[reportPrivateUsage]
    assert key == ("1:1", None) and found.outcomes == (True, False) and found.made_by == "x"


class Played:
    """Evaluates policies that were never trained: two scenes each, of which those named `unchanged` do one."""

    def __init__(self) -> None:
        self.policies: list[str] = []

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        return {"flags": list(more)}

    def rows(self, more: Sequence[str]) -> list[table.Row]:
        self.policies.append(Path(more[1]).parent.name)
        done = self.policies[-1].startswith("unchanged")
        return [table.row("a_task", [[episode(0, success=done), episode(1, success=False)]])]


@pytest.fixture
def sweep_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluateFlags:
    """Of a sweep whose trainings only leave what they were asked for."""

    def train(line: list[str]) -> None:
        folder = Path(line[line.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        reported = {"demonstrations": "2, abc", "video_id": "x", "processes": 1, "seed": line[line.index("--seed") + 1]}
        settings = reported | {"schedule": {"steps": 5}, "cloning": {"samples": 48}}
        (folder / "run.json").write_text(json.dumps({"settings": settings}))

    monkeypatch.setattr(sweep_training.training, "train", train)
    return EvaluateFlags(out=tmp_path, data=tmp_path, video=tmp_path, train_steps=5, workers=1)


def test_sweeps_share_what_they_have_in_common(sweep_options: EvaluateFlags) -> None:
    played = Played()
    sweep.run("features", sweep_options, played)
    results = sweep.run("filter", sweep_options, played)
    assert [result.variant for result in results] == ["Sobel", "Scharr", "Laplacian"]
    assert played.policies == ["no-video", "raw-features", "with-Sobel", "with-FFT", "unchanged", "Scharr", "Laplacian"]
    assert {folder.name for folder in (sweep_options.out / "policies").iterdir()} == set(played.policies)
    assert results[0].protocol["training"]["steps"] == 5


def test_a_sweep_over_seeds_trains_a_policy_each_and_counts_their_scenes_together(
    sweep_options: EvaluateFlags, capsys: pytest.CaptureFixture[str]
) -> None:
    played, path = Played(), sweep_options.out / "features.json"
    options = sweep_options.model_copy(update={"train_seeds": (0, 7), "variants": ("no video", "both filters")})
    results = sweep.run("features", options, played)
    assert played.policies == ["no-video", "no-video-seed-7", "unchanged", "unchanged-seed-7"]
    assert [result.rate for result in results] == [0.0, 0.5]
    assert [row.rollouts for result in results for row in result.rows] == [4, 4]
    said = capsys.readouterr().out
    assert "features: both filters, seed 7: 1/2, 50.0 %" in said
    assert "seed 7: both filters against no video: +50.0 points, no significant difference" in said, (
        "training by training too"
    )
    sweep.run("features", options, played)
    assert len(played.policies) == 4, "of both seeds it is known"
    assert "(evaluated before by " in capsys.readouterr().out
    assert all(revision() in row["made_by"] for row in json.loads(path.read_text()))
    options = options.model_copy(update={"variants": ("both filters",)})
    assert [result.variant for result in sweep.run("features", options, played)] == ["both filters"]
    assert len(json.loads(path.read_text())) == 4, "the others are kept"
    sweep.run("features", sweep_options.model_copy(update={"train_seeds": (3,)}), played)
    assert len(json.loads(path.read_text())) == 4 + 5, "other seeds are kept too"


def test_what_a_sweep_does_not_have_is_one_line(sweep_options: EvaluateFlags) -> None:
    options = sweep_options.model_copy(update={"variants": ("sobel",)})
    with pytest.raises(
        SettingsError, match=r"--variants sobel: must be one or more of no video, raw features, \+ Sobel"
    ):
        sweep.run("features", options, Played())
    options = sweep_options.model_copy(update={"train_seeds": (0, 1)})
    with pytest.raises(SettingsError, match=r"--train-seeds 0,1: --sweep ratio trains nothing"):
        sweep.run("ratio", options, Played())
    options = sweep_options.model_copy(update={"out": Path("/proc/sweeps")})
    with pytest.raises(SettingsError, match=r"--out /proc/sweeps: cannot be created"):
        sweep.run("features", options, Played())


def test_every_sweep_can_be_asked_for() -> None:
    """Also those that only a document names."""
    assert set(get_args(SweepName)) == set(SWEEPS)
    documents = [path for room in ("models", "runtime", "launch") for path in (ROOT / room).rglob("*.md")]
    named = {name for path in documents for name in re.findall(r"--sweep ([a-z]+)", path.read_text())}
    assert {"shift", "eyes", "latency"} <= named <= set(SWEEPS)


def test_every_variant_of_a_policy_is_one(tmp_path: Path) -> None:
    small = sizes.by_name("small")
    for name, variants in SWEEPS.items():
        flags = [variant.policy for variant in variants if variant.policy is not None]
        made = [overrides.over(small, TRAIN.read_tree(own).get("policy", {}), "policy") for own in flags]
        assert len({policy.digest() for policy in made}) == len(flags), name
        assert not any("," in variant.name for variant in variants), "--variants NAME,NAME"


def test_a_sweep_of_the_policy_needs_data(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give --data and --video"):
        command.main(["--sweep", "features", "--out", str(tmp_path), "--workers", "1"])
