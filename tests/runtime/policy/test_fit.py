"""What a policy needs and the robot does not have: each field of its requirements is one line with a remedy."""

from pathlib import Path
from typing import Any

import pytest

from models.identity import ABOUT, FORMAT, video2act_config
from models.requirements import ConditionArray, PictureSize, Requirements, VideoWindow, needs_of
from models.sizes import full, full_wan, small
from runtime.config.loading import load_settings
from runtime.config.policy import policy_needs
from runtime.errors import RuntimeFault
from runtime.policy import fit
from runtime.supervisor import robot

GOLDEN = Path(__file__).parents[1] / "golden" / "policy"
SMALLER = ("--cameras.head.width_px", "320", "--cameras.head.height_px", "180")
GOAL = ConditionArray(name="goal", dtype="float32", shape=(3,))

MISFITS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"cameras": ("head", "chest")}, (), "needs camera chest, this robot has head, left_wrist, right_wrist; give a policy"),
    (
        {"windows": (VideoWindow(name="a", camera="roof", frames=2),), "conditions": (GOAL,)}, (),
        "needs camera roof, this robot has head",
    ),
    (
        {"picture": PictureSize(width_px=640, height_px=480)}, SMALLER,
        "needs frames of aspect 640:480, camera head sends 320x180 px; set --cameras.head.width_px 640 and",
    ),
    (
        {"picture": PictureSize(width_px=224, height_px=168, exact=True)}, (),
        "needs frames of 224x168 px, camera head sends 256x192 px; set --cameras.head.width_px 224",
    ),
    (
        {"picture_rate_hz": 50}, (), "needs 50 frames/s, camera head sends 30; set --cameras.head.rate_hz 50",
    ),
    (
        {"history_s": (20.0, 0.0)}, (),
        "needs 20.0 s of frames, camera head keeps 8.5 s at 30 frames/s; set --cameras.head.rate_hz 12.8 or less",
    ),
    (
        {"windows": (VideoWindow(name="a", camera="left_wrist", frames=100, stride_s=0.5),), "conditions": (GOAL,)}, (),
        "needs 50.0 s of frames, camera left_wrist keeps 8.5 s",
    ),
    ({"state_layout": "x, y, z; m"}, (), "needs joints 'x, y, z; m', this robot has 'left j1..j6, left gripper"),
    (
        {"targets": 4, "dt_s": 0.02}, (),
        "makes chunks of 0.08 s, shorter than --system1.period_s 0.15: the arms would stop in between; set ",
    ),
    ({"dt_s": 0.002}, (), "makes chunks of 0.13 s"),
    (
        {"gripper_open_m": 0.07}, (),
        "scales grippers by 0.070 m, this robot's open 0.080 m (--safety.high); give a policy for this gripper",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "flags", "said"), MISFITS, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_one_line_with_both_values_and_a_remedy(
    changes: dict[str, Any], flags: tuple[str, ...], said: str
) -> None:
    needs = Requirements(**changes)
    found = fit.mismatches(needs, load_settings(list(flags)))
    assert any(line.startswith(said) for line in found), found
    assert all("\n" not in line and "; " in line for line in found)
    with pytest.raises(RuntimeFault) as caught:
        fit.check(needs, load_settings(list(flags)))
    assert str(caught.value).splitlines() == [f"policy: {line}" for line in found]


@pytest.mark.parametrize(
    "fitting",
    [
        {"picture": PictureSize(width_px=640, height_px=480)},
        {"picture": PictureSize(width_px=256, height_px=192, exact=True)},
        {"picture_rate_hz": 30},
        {"history_s": (8.0, 0.0)},
        {"targets": 1, "dt_s": 0.2},
        {"targets": 128, "dt_s": 0.002},
        {"target_frame": "relative"},
        {"gripper_open_m": 0.0805},
    ],
    ids=str,
)
def test_what_fits_is_not_complained_of(fitting: dict[str, Any]) -> None:
    assert fit.mismatches(Requirements(**fitting), load_settings([])) == []


def test_every_mismatch_is_told_at_once() -> None:
    needs = Requirements(state_layout="?", gripper_open_m=1.0, picture_rate_hz=60)
    assert len(fit.mismatches(needs, load_settings([]))) == 5, "three cameras, the layout, the gripper"


@pytest.mark.parametrize("config", [small(), full(), full_wan()], ids=lambda config: config.name)
def test_every_size_fits_the_robots_there_are(config: Any) -> None:
    assert fit.mismatches(needs_of(config), load_settings([])) == []
    assert fit.mismatches(needs_of(config), load_settings(["--profile", "cobot_magic"])) == []


@pytest.mark.parametrize(
    ("rate_hz", "instead"), [(10, ""), (20, ""), (30, ""), (60, ""), (25, "20"), (15, "20"), (5, "10")]
)
def test_a_real_camera_gives_a_windows_frames_at_their_distance(rate_hz: int, instead: str) -> None:
    window = VideoWindow(name="a", camera="head", frames=4, stride_s=0.1)
    needs = needs_of(small()).model_copy(update={"windows": (window,)})
    flags = ["--cameras.head.rate_hz", str(rate_hz)]
    assert fit.mismatches(needs, load_settings(flags)) == [], "simulated"
    found = fit.mismatches(needs, load_settings(["--profile", "cobot_magic", *flags]))
    assert [line.rpartition(" ")[2] for line in found] == ([instead] if instead else [])
    assert all(line.startswith("needs frames 0.1 s apart, camera head sends them") for line in found)


def with_needs(folder: Path, **changes: Any) -> Path:
    """The golden policy with needs of its own."""
    for file in GOLDEN.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    needs = needs_of(video2act_config(GOLDEN)).model_copy(update=changes)
    (folder / ABOUT).write_text(f'{{"format": {FORMAT}, "policy": "video2act", "needs": {needs.model_dump_json()}}}')
    return folder


def test_a_robot_that_does_not_fit_is_told_before_anything_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    with_needs(folder, picture_rate_hz=60)
    flags = ["--policy.checkpoint", str(folder), "--sessions", str(tmp_path / "sessions")]
    assert policy_needs(load_settings(flags)).picture_rate_hz == 60
    with pytest.raises(RuntimeFault, match="policy: needs 60 frames/s, camera head sends 30"):
        robot.main(flags)
    assert not (tmp_path / "sessions").exists()
