"""What a checkpoint needs of a robot: what means nothing, what an earlier format gets, what contradicts its configuration."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.checkpoint import Checkpoint, save
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.identity import ABOUT, FORMAT, About, stored_needs, video2act_config
from models.requirements import ConditionArray, Requirements, VideoWindow, needs_of
from models.sizes import small

GOLDEN = Path(__file__).parents[1] / "runtime" / "golden" / "policy"
GOAL = ConditionArray(name="goal", dtype="float32", shape=(3,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"targets": 0}, {"targets": 129}, {"dt_s": 0.0}, {"dt_s": 1.1}, {"cameras": ()}, {"history_s": ()},
        {"history_s": (0.1,)}, {"history_s": (0.0, 0.1, 0.0)}, {"target_frame": "sideways"}, {"gripper_open_m": 0},
        {"surplus": 1},
        {"conditions": (GOAL,)}, {"windows": (VideoWindow(name="a", camera="head", frames=1),)},
        {"windows": (VideoWindow(name="a", camera="head", frames=1),) * 2, "conditions": (GOAL,)},
        {"windows": (VideoWindow(name="a", camera="head", frames=1),), "conditions": (GOAL, GOAL)},
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_needs_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Requirements(**wrong)


def test_a_checkpoint_of_format_1_gets_what_held_then() -> None:
    assert not (GOLDEN / ABOUT).exists()
    needs = stored_needs(GOLDEN, video2act_config(GOLDEN))
    assert needs == needs_of(video2act_config(GOLDEN))
    assert (needs.cameras, needs.targets, needs.dt_s) == (("head", "left_wrist", "right_wrist"), 64, 1 / 30)
    assert (needs.picture, needs.picture_rate_hz, needs.gripper_open_m, needs.target_frame) == (
        None,
        None,
        None,
        "absolute",
    )
    assert [array.shape for array in needs.conditions] == [(4, 16), (3, 16)]


def test_a_policy_that_no_runtime_could_serve_is_one_line() -> None:
    said = r"^policy small: targets 256: must be a whole number from 1 to 128; train it with other settings, or"
    with pytest.raises(ModelError, match=said):
        needs_of(small().model_copy(update={"horizon": 256}))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("{", "checkpoint.json cannot be read .*update video2act, or give another"),
        ('{"format": 3, "needs": {}}', "checkpoint.json cannot be read .*update video2act, or give another"),
        ('{"format": 2}', "needs"),
        (
            '{"format": 2, "policy": "openvla", "needs": {}}',
            r"unknown policy 'openvla' \(known: video2act, video-policy\); update video2act",
        ),
        (
            '{"format": 2, "needs": {"targets": 16}}',
            r"history_s is .* in checkpoint.json, but .* in config.json; train it again",
        ),
    ],
)
def test_a_checkpoint_that_says_something_else_is_refused(about: str, said: str, tmp_path: Path) -> None:
    config = video2act_config(GOLDEN)
    shutil.copy(GOLDEN / "config.json", tmp_path)
    (tmp_path / ABOUT).write_text(about)
    with pytest.raises(ModelError, match=said) as caught:
        stored_needs(tmp_path, config)
    assert "\n" not in str(caught.value)


def test_a_saved_checkpoint_says_its_format_and_needs(untrained: Any, tiny: PolicyConfig, tmp_path: Path) -> None:
    drawn: Checkpoint = untrained(1)
    folder = tmp_path / "policy"
    parts = {"slow": drawn.slow(), "fast": drawn.fast(), "text": drawn.instructor()}
    save(folder, tiny, drawn.statistics, parts)
    about = About.model_validate_json((folder / ABOUT).read_text())
    assert (about.format, about.policy, about.needs) == (FORMAT, "video2act", needs_of(tiny))
    loaded = Checkpoint.load(folder)
    (folder / ABOUT).unlink()
    former = Checkpoint.load(folder)
    assert former.needs == loaded.needs == drawn.needs and former.id == loaded.id
