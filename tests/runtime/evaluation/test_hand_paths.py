"""`--sweep paths`: which scenes are played, what is recorded, what the plot shows.
Called by pytest; scene, pictures and the shipped policy are real. Where only the counting matters, hands go made ways."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from worker_rig import Here

from drivers.sim.fixed_start import FixedStart
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task
from drivers.sim.tasks.dual_bottles_pick import NAMES, DualBottlesPickHard
from drivers.task_names import KEPT_FROM
from runtime.errors import SettingsError
from runtime.evaluation import command, distribution, hand_paths, hulls, sweep_training, table
from runtime.evaluation.distribution import Distribution, Fixed
from runtime.evaluation.flags import PATHS_TASK, EvaluateFlags
from runtime.evaluation.hand_paths_plot import plot
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.rollouts import Episode

READY_X_M, READY_Z_M = 0.167, 1.0855  # of the grasp points at the ready pose, measured


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A sweep in this process."""
    monkeypatch.setattr(command, "WorkerPool", Here)
    return ["--sweep", "paths", "--workers", "1", "--out", str(tmp_path)]


class Ways:
    """Plays scenes without a policy: each third one is done; the hands go down, aside and up, a little off in each scene."""

    def __init__(self) -> None:
        self.played: list[tuple[str, str, int]] = []  # policy, bottle, scene

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        return {"flags": list(more), "checkpoint": "some"}

    def episodes(self, more: Sequence[str], seeds: Sequence[int], fixed: FixedStart) -> Iterator[Episode]:
        policy = Path(more[1]).parent.name if more else "given"
        for seed in reversed(seeds):
            self.played.append((policy, fixed.name, seed))
            right = np.array([[0.2, 0, 1.0], [0.2, 0, 0.8], [0.3, 0, 0.8], [0.3 + 0.001 * (seed % 7), 0, 1.0]])
            hands_m = np.stack([right * [-1, 1, 1], right], axis=1).repeat(3, axis=0)
            yield Episode(seed, Outcome(success=seed % 3 == 0, hands_m=hands_m), 1.0)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluateFlags:
    """Of a sweep whose trainings only leave what they were asked for."""

    def train(line: list[str]) -> None:
        folder = Path(line[line.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"demonstrations": "2, abc", "video_id": "x", "processes": 1, "seed": 0}
        settings |= {"schedule": {"steps": 5}, "cloning": {"samples": 48}}
        (folder / "run.json").write_text(json.dumps({"settings": settings}))

    monkeypatch.setattr(sweep_training.training, "train", train)
    return EvaluateFlags(
        sweep="paths", out=tmp_path, data=tmp_path, video=tmp_path, workers=1, successes=4, rollouts=30
    )


def changed(one: Distribution, **update: Any) -> Distribution:
    """The same panel with other values."""
    return Distribution(**{name: getattr(one, name) for name in Distribution.model_fields} | update)


def test_the_shipped_policy_is_played_from_a_start_that_stays(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """22 of 24 scenes were done when this was written: of three at least one is."""
    line += ["--fixed", "red_bottle", "--rollouts", "3", "--ratio", "8"]
    assert command.main(line) == 0
    said = capsys.readouterr().out
    assert "red_bottle begins at x -0.132, y -0.067 m, standing (as in scene 1000000), in all scenes" in said
    (found,) = json.loads((tmp_path / "paths.json").read_text())
    assert found["variant"] == f"policy {found['protocol']['checkpoint']}" and found["variant"] in said
    assert found["scenes"] == 3 and found["successes"] == len(found["paths"]) >= 1
    for path in found["paths"]:
        for side, sign in (("left", -1), ("right", 1)):
            way_m = np.array(path[f"{side}_m"])
            assert way_m[0] == pytest.approx((sign * READY_X_M, READY_Z_M), abs=0.002), "X and Z, from the ready pose"
            target_x_m = DualBottlesPickHard.targets_m[side][0]
            assert abs(way_m[-1, 0] - target_x_m) < 0.06 and way_m[-1, 1] > 0.85, "to where the bottle belongs"
            assert 20 < len(way_m) < 140, "ten a second"
    assert command.main(line) == 0
    assert "scenes succeeded (played before by " in capsys.readouterr().out, "what is known is not played again"


def test_the_expert_fills_both_rows_and_the_plot(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line += ["--expert", "--rollouts", "5", "--successes", "3", "--fixed-scene", str(KEPT_FROM + 4)]
    assert command.main(line) == 0
    found = distribution.read(tmp_path / "paths.json")
    assert [(one.variant, one.fixed.name, one.side, one.outcomes) for one in found] == [
        ("expert", "green_bottle", "right", "111"),
        ("expert", "red_bottle", "left", "111"),
    ]
    for one in found:
        other = "left" if one.side == "right" else "right"
        own, others = one.areas[one.side], one.areas[other]
        assert own is not None and others is not None
        assert own.all_cm2 < 1.1 * own.one_cm2, "an expert that sees the same does the same"
        assert others.all_cm2 > 1.1 * others.one_cm2, "the other bottle's start varies"
    said = capsys.readouterr().out
    assert "red_bottle begins at x -0.072, y -0.073 m, lying " in said and "(as in scene 1000004)" in said
    assert "wanted" not in said and "do not compare" not in said
    with Image.open(tmp_path / "paths.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) > 700
    for rgb in ((0xC0, 0x39, 0x2B), (0x2A, 0x7F, 0x3F)):  # hulls and starts
        rows = (np.abs(pixels - rgb).max(axis=2) < 8).any(axis=1).nonzero()[0]
        assert rows.min() < pixels.shape[0] / 2 < rows.max(), "in both rows"


def test_too_few_successes_are_said_in_a_line(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*line, "--expert", "--rollouts", "2", "--fixed", "green_bottle"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert (
        "expert, green_bottle fixed: 2 of 2 scenes succeeded: fewer than 3 successes give no area; raise --rollouts"
        in said
    )
    (found,) = json.loads((tmp_path / "paths.json").read_text())
    assert found["hands"] == {"left": None, "right": None} and len(found["paths"]) == 2


@pytest.mark.parametrize("scene", [KEPT_FROM, KEPT_FROM + 4, KEPT_FROM + 11])
def test_what_is_said_of_a_start_is_how_the_bottle_lies(scene: int) -> None:
    physics = Physics(make_task(PATHS_TASK))
    physics.reset(scene)
    for name in NAMES.values():
        x_m, y_m, z_m, *turned = physics.data.joint(name).qpos.tolist()
        said = str(Fixed(name=name, scene=scene, at_m=(x_m, y_m, z_m), quaternion=tuple(turned)))
        axis = physics.data.body(name).xmat[2::3]
        if abs(axis[2]) > 0.9:
            assert ", standing (" in said
        else:
            degrees = int(said.partition("lying ")[2].partition(" deg")[0])
            turn = np.radians(degrees)  # anticlockwise, seen from above
            assert np.array([-np.sin(turn), np.cos(turn), 0]) == pytest.approx(axis, abs=0.01)


@pytest.mark.parametrize("workers", [1, 4])
def test_each_variant_plays_the_same_scenes_until_it_has_its_successes(options: EvaluateFlags, workers: int) -> None:
    ways = Ways()
    results = hand_paths.run(options.model_copy(update={"workers": workers}), ways)
    bottles = ["green_bottle", "red_bottle"]
    assert [(one.variant, one.fixed.name) for one in results] == [
        (variant, bottle) for variant in ("no video", "raw features", "both filters") for bottle in bottles
    ]
    assert list(dict.fromkeys(policy for policy, _, _ in ways.played)) == ["no-video", "raw-features", "unchanged"]
    thirds = [seed for seed in range(KEPT_FROM, KEPT_FROM + 30) if seed % 3 == 0][:4]
    for one in results:
        assert [path.scene for path in one.paths] == thirds, "in the order of their seeds, however many play at once"
        assert len(one.outcomes) == thirds[-1] - KEPT_FROM + 1, "what was played beyond the last one does not count"
        assert one.interval == table.wilson(4, len(one.outcomes))


def test_a_stopped_sweep_goes_on_and_another_start_is_played(options: EvaluateFlags) -> None:
    ways = Ways()
    hand_paths.run(options.model_copy(update={"variants": ("no video",)}), ways)
    known = len(ways.played)
    hand_paths.run(options, ways)
    assert not any(policy == "no-video" for policy, _, _ in ways.played[known:])
    hand_paths.run(options.model_copy(update={"data": None, "video": None}), ways)
    assert [one.variant for one in distribution.read(options.out / "paths.json")][:3] == [
        "policy some",
        "policy some",
        "no video",
    ]
    known = len(ways.played)
    hand_paths.run(options.model_copy(update={"fixed_scene": KEPT_FROM + 1, "variants": ("no video",)}), ways)
    assert {policy for policy, _, _ in ways.played[known:]} == {"no-video"}


def test_areas_of_other_numbers_of_paths_are_not_compared(options: EvaluateFlags) -> None:
    results = hand_paths.run(options.model_copy(update={"variants": ("no video",)}), Ways())
    fewer = changed(results[0], outcomes="111", paths=results[0].paths[:3])
    said = hand_paths.warnings([fewer, results[1]], 4)
    assert said == [
        "no video, green_bottle fixed: 3 of 3 scenes succeeded: fewer than the 4 successes of --successes; raise --rollouts",
        "areas of 3 and of 4 paths cannot be compared: a hull grows with each path",
    ]
    assert hand_paths.warnings(results, 4) == []


def test_a_plot_has_a_column_a_variant_a_row_a_hand_and_axes_alike(options: EvaluateFlags) -> None:
    results = hand_paths.run(options, Ways())
    none = changed(results[0], outcomes="00000", paths=())
    figure = plot([none, *results[1:]])
    figure.canvas.draw()
    panels = figure.axes
    assert len(panels) == 6 and len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    titles = [axes.get_title().splitlines() for axes in panels]
    assert titles[0] == [
        "no video: right hand, green bottle fixed",
        "too few paths for an area",
        "success 0/5, 0 % (0 to 43)",
    ]
    assert titles[5][0] == "both filters: left hand, red bottle fixed"
    area = hulls.area_cm2(results[5].hands_m("left"))
    assert titles[5][1].startswith(f"hull {area:.0f} cm² (")
    drawn = panels[5]
    assert len(drawn.lines) == 4 + 4 + 1 and len(drawn.patches) == 1, "both hands' paths, the start; the hull"
    assert not panels[0].patches
    head = figure.get_suptitle()
    assert "Upper row: green bottle begins at x 0.159" in head and "Lower row: red bottle begins at x -0.132" in head
    boxes = [axes.title.get_window_extent() for axes in panels[:3]]
    assert boxes[0].x1 < boxes[1].x0 and boxes[1].x1 < boxes[2].x0, "no title lies on another"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "pick_apple_messy"], "--task pick_apple_messy: --sweep paths plays dual_bottles_pick_hard"),
        (["--fixed", "blue_bottle"], "--fixed blue_bottle: must be one of both, green_bottle, red_bottle"),
        (["--fixed-scene", "12"], "--fixed-scene 12: must be a whole number from 1000000"),
        (["--successes", "0"], "--successes 0: must be a whole number from 1 to 1000"),
        (["--successes", "50", "--rollouts", "12"], "--successes 50: must be at most the 12 scenes of --rollouts"),
        (["--repeats", "2"], "--repeats: does not apply to --sweep paths"),
        (["--film", "1"], "--film: does not apply to --sweep paths"),
        (["--train-seeds", "0,1"], "--train-seeds: --sweep paths draws one training of each variant"),
        (["--train-seeds", "1"], "--train-seeds 1: --sweep paths trains nothing"),
        (["--variants", "no video"], "--sweep paths: trains policies; give --data and --video"),
        (
            ["--variants", "Sobel"],
            "--variants Sobel: must be one or more of given policy, no video, raw features, both",
        ),
        (["--expert", "--variants", "no video"], "--expert: is not trained"),
    ],
)
def test_a_wrong_flag_is_one_line(line: list[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        command.main([*line, *arguments])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "7", "[7]", "{", "\xff", '[{"variant": "x"}]', "[" * 100_000])
def test_a_file_that_is_no_record_is_one_line(options: EvaluateFlags, text: str) -> None:
    (options.out / "paths.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"paths.json: not a record of paths \(.*\); give another --out") as caught:
        hand_paths.run(options, Ways())
    assert "\n" not in str(caught.value)


def test_a_record_whose_paths_are_not_its_successes_is_refused(options: EvaluateFlags) -> None:
    hand_paths.run(options.model_copy(update={"variants": ("no video",)}), Ways())
    path = options.out / "paths.json"
    records = json.loads(path.read_text())
    records[0]["paths"].pop()
    path.write_text(json.dumps(records))
    with pytest.raises(SettingsError, match="not a record of paths"):
        distribution.read(path)


@pytest.mark.parametrize("flag", ["--successes=3", "--fixed=both", f"--fixed-scene={KEPT_FROM}"])
def test_what_only_paths_take_is_refused_elsewhere(flag: str) -> None:
    for other in ([], ["--sweep", "ratio"]):
        with pytest.raises(SettingsError, match=f"{flag.partition('=')[0]}: applies to --sweep paths; leave it out"):
            command.main([*other, flag, "--workers", "1"])
