"""Settings that were called otherwise before: one line names the new one, and old sessions still open. Called by pytest."""

import json
from pathlib import Path

import pytest

from models import field
from runtime.cli import COMMANDS, flags_of
from runtime.config import renamed
from runtime.config.loading import load_settings, settings_from_json
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.training import flags as training


@pytest.mark.parametrize("new", [new.to for new in renamed.SETTINGS.values()])
def test_the_new_name_is_a_setting(new: str) -> None:
    assert new in {setting.name for setting in field.leaves(Settings)}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--arms.resume", "itself"], "--arms.resume: is now --arms.auto_resume"),
        (["--arms.resume=order"], "--arms.resume: is now --no-arms.auto_resume"),
        (["--cameras.late_s", "2"], "--cameras.late_s: is now --cameras.max_frame_age_s 2"),
        (["--cameras.behind_s=1"], "--cameras.behind_s: is now --cameras.max_lag_s 1"),
        (
            ["--follow", "x"],
            "--follow: no longer a setting; run ./launch/replay.sh SESSION --on-robot",
        ),
        (["--arms.unfit", "x"], "--arms.unfit: no longer a setting; the preflight checks decide it"),
        (
            ["--arms.leaders", "shared"],
            "--arms.leaders shared: no longer a value; unplug the leaders, which only record.sh expects on the arms' CAN buses",
        ),
    ],
)
def test_an_old_flag_names_the_new_one(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    assert str(caught.value) == said


@pytest.mark.parametrize("flag", ["width", "height"])
def test_an_old_flag_of_a_single_command_does_too(flag: str) -> None:
    with pytest.raises(SettingsError, match=f"--{flag}: is now --{flag}-px 64"):
        training.DEMOS.read([f"--{flag}", "64"])


def test_the_size_of_a_policy_is_no_profile() -> None:
    """`--profile` is everywhere the robot's, of which training knows nothing."""
    with pytest.raises(SettingsError, match=r"^--profile: is now --size full$"):
        training.TRAIN.read(["video", "--profile", "full", "--data", "x", "--out", "y"])
    own = {name: set(flags_of(name).flags.model_fields) for name in COMMANDS}
    assert not [name for name, flags in own.items() if "profile" in flags]
    assert {name for name, flags in own.items() if "size" in flags} == {"train", "weights", "bench"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[arms]\nresume = "itself"', "arms.resume = itself: is now arms.auto_resume; write arms.auto_resume = true"),
        ('[arms]\nresume = "order"', "arms.resume = order: is now arms.auto_resume; write arms.auto_resume = false"),
        ("[cameras]\nlate_s = 0.2", "cameras.late_s = 0.2: is now cameras.max_frame_age_s"),
        ('follow = "x"', "follow: no longer a setting"),
        ('[arms]\nmasters = "own"', 'arms.masters = own: is now arms.leaders; write arms.leaders = "own"'),
        ('[arms]\nmasters = "shared"', "arms.leaders shared: no longer a value; unplug the leaders"),
    ],
)
def test_an_old_name_in_a_profile_names_the_new_one(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(["--profile", str(path)])
    assert str(caught.value).startswith(f"{path}: {said}")


def test_the_settings_of_an_old_session_are_read_under_their_new_names() -> None:
    stored = {
        "follow": "that one",
        "arms": {"resume": "itself", "unfit": "led by hand", "masters": "shared"},
        "cameras": {"late_s": 0.3, "behind_s": 0.4},
        "system1": {"threads": 2},
        "system2": {"engine": "onnx"},
    }
    settings = settings_from_json(json.dumps(stored))
    assert (settings.system1.engine, settings.system2.engine) == ("torch", "onnx"), "torch computed all of them"
    assert settings.system1.numerics == "plain", "there was no other"
    assert settings.system2.numerics == "plain", "diffusers' own numbers, whatever is usual now"
    assert (settings.arms.auto_resume, settings.arms.leaders) == (True, "unplugged")
    assert (settings.cameras.max_frame_age_s, settings.cameras.max_lag_s) == (0.3, 0.4)
