"""The settings tree: defaults below the profile below flags; every bad value is one line that names it.

A robot's limits depend on this, so NaN, empty ranges and forgotten environment variables are tried too.
"""

import re
from pathlib import Path

import pytest

from runtime.config.loading import changed, load_settings, public_settings_json, settings_from_json, settings_to_json
from runtime.config.profile import PROFILES
from runtime.config.settings import Settings
from runtime.errors import SettingsError


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def refused(arguments: list[str]) -> str:
    """The one line with which arguments are refused."""
    with pytest.raises(SettingsError) as caught:
        load_settings(arguments)
    line = str(caught.value)
    assert line and "\n" not in line
    return line


def test_defaults_without_profile_values(profile: Path) -> None:
    profile.write_text("")
    settings = load_settings(["--profile", str(profile)])
    assert settings.model_dump(exclude={"profile"}) == Settings().model_dump(exclude={"profile"})
    assert settings.arms.start == "disarmed" and not settings.arms.auto_resume


def test_the_sim_profile_is_the_default() -> None:
    settings = load_settings([])
    assert settings.profile == "sim"
    assert (settings.arms.start, settings.arms.auto_resume, settings.cameras.head.width_px) == ("run", True, 256)


def test_a_profile_wins_over_defaults_and_a_flag_over_both(profile: Path) -> None:
    profile.write_text("ratio = 3\n[safety]\njump_rad = 0.2\nfollowing_rad = 0.5\n")
    settings = load_settings(["--profile", str(profile), "--safety.jump_rad", "0.1"])
    assert (settings.ratio, settings.safety.jump_rad, settings.safety.following_rad) == (3, 0.1, 0.5)
    assert settings.safety.outside_rad == Settings().safety.outside_rad


@pytest.mark.parametrize("form", [["--ratio", "5"], ["--ratio=5"]])
def test_flags_may_be_written_either_way(form: list[str]) -> None:
    assert load_settings(form).ratio == 5


def test_a_profile_may_follow_an_equals_sign(profile: Path) -> None:
    profile.write_text("ratio = 4")
    assert load_settings([f"--profile={profile}"]).ratio == 4


def test_a_profiles_checkpoint_lies_beside_it_unless_a_size_is_asked_for(profile: Path) -> None:
    profile.write_text('[policy]\ncheckpoint = "../mine"')
    line = ["--profile", str(profile)]
    assert load_settings(line).policy.checkpoint == profile.parent.parent / "mine"
    assert load_settings([*line, "--policy.checkpoint", "other"]).policy.checkpoint == Path("other")
    untrained = load_settings([*line, "--policy.size", "full"]).policy
    assert (untrained.checkpoint, untrained.size) == (None, "full")


def test_a_profile_cannot_name_another_profile(profile: Path) -> None:
    profile.write_text('profile = "robot"')
    assert load_settings(["--profile", str(profile)]).profile == str(profile)


def test_deep_flags_leave_their_neighbours(profile: Path) -> None:
    profile.write_text("[cameras.head]\nwidth_px = 160\nheight_px = 120\n")
    head = load_settings(["--profile", str(profile), "--cameras.head.width_px", "320"]).cameras.head
    assert (head.width_px, head.height_px) == (320, 120)


def test_nothing_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATIO", "77")
    monkeypatch.setenv("SAFETY__JUMP_RAD", "77")
    assert load_settings([]).ratio != 77


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--nothing", "1"], "nothing"),
        (["--safety.nothing", "1"], "nothing"),
        (["--ratio", "0"], "ratio"),
        (["--ratio", "many"], "ratio"),
        (["--ratio", "2.5"], "ratio"),
        (["--seconds", "-1"], "seconds"),
        (["--seconds", "nan"], "seconds"),
        (["--pacing", "sometimes"], "pacing"),
        (["--seed", "-1"], "seed"),
        (["--safety.jump_rad", "nan"], "safety.jump_rad"),
        (["--safety.velocity", "nan,1,1,1,1,1,1"], "--safety.velocity nan,1,1,1,1,1,1: must be 7 numbers"),
        (["--safety.jump_rad", "inf"], "safety.jump_rad"),
        (["--safety.jump_rad", "-0.1"], "safety.jump_rad"),
        (["--safety.max_chunk_age_s", "0"], "safety.max_chunk_age_s"),
        (["--safety.min_arm_distance_m", "-1"], "safety.min_arm_distance_m"),
        (["--safety.min_fingertip_m", "nan"], "safety.min_fingertip_m"),
        (["--arms.rate_hz", "5"], "arms.rate_hz"),
        (["--arms.start", "go"], "arms.start"),
        (["--cameras.head.width_px", "8"], "cameras.head.width_px"),
        (["--system1.period_s", "0"], "system1.period_s"),
        (["--trajectory.blend", "jump"], "trajectory.blend"),
        (["--trajectory.smoothing", "nan"], "trajectory.smoothing"),
        (["--policy.size", "huge"], "policy.size"),
    ],
    ids=" ".join,
)
def test_a_bad_flag_is_one_line_that_names_it(arguments: list[str], name: str) -> None:
    assert name in refused(arguments)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nothing = 1", "nothing"),
        ("[safety]\nnothing = 1", "safety.nothing"),
        ("[nothing]\na = 1", "nothing"),
        ("[safety]\njump_rad = nan", "safety.jump_rad"),
        ("[safety]\njump_rad = -inf", "safety.jump_rad"),
        ("[safety]\nvelocity = [3, 3, 3, 3, 3, 3, nan]", "safety.velocity"),
        ("[safety]\nvelocity = [3, 3, 3, 3, 3, 3, 0]", "safety"),
        ("[safety]\nacceleration = [5, 5, -5, 5, 5, 5, 2]", "safety"),
        ("[safety]\njerk = [1, 1, 1, 0, 1, 1, 1]", "safety"),
        ("[safety]\nvelocity = [3, 3, 3]", "safety.velocity"),
        ("[safety]\nlow = [3, 0, -2.9, -1.7, -1.2, -2, 0]", "safety"),
        ("safety = 3", "safety"),
        ("ratio = [8]", "ratio"),
        ("[cameras.tail]\nwidth_px = 64", "cameras.tail"),
    ],
)
def test_a_bad_profile_value_is_one_line_that_names_it(text: str, name: str, profile: Path) -> None:
    profile.write_text(text)
    assert name in refused(["--profile", str(profile)])


@pytest.mark.parametrize("limit", ["velocity", "acceleration", "jerk"])
def test_a_limit_of_zero_names_the_limit(limit: str, profile: Path) -> None:
    profile.write_text(f"[safety]\n{limit} = [1, 1, 1, 1, 1, 1, 0]")
    assert f"safety.{limit} 1,1,1,1,1,1,0: must be 7 numbers above 0" in refused(["--profile", str(profile)])


def test_an_empty_range_names_the_joint(profile: Path) -> None:
    profile.write_text("[safety]\nlow = [-2, 0, 0, -1, -1, -2, 0]\nhigh = [2, 3, 0, 1, 1, 2, 0.08]")
    assert "joint 3" in refused(["--profile", str(profile)])


def test_a_missing_profile_tells_which_there_are() -> None:
    line = refused(["--profile", "moon"])
    assert "moon" in line and "sim" in line


def test_a_missing_profile_file_is_one_line(profile: Path) -> None:
    assert "mine.toml" in refused(["--profile", str(profile)])


def test_a_folder_as_profile_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    assert "folder.toml" in refused(["--profile", str(folder)])


@pytest.mark.parametrize("content", [b"ratio = ", b"[[[", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_a_profile_that_is_not_toml_is_one_line(content: bytes, profile: Path) -> None:
    profile.write_bytes(content)
    assert "is not TOML" in refused(["--profile", str(profile)])


@pytest.mark.parametrize("arguments", [["--profile"], ["--ratio"], ["stray"], ["--seconds"]])
def test_an_incomplete_command_line_names_what_is_wrong(arguments: list[str]) -> None:
    assert arguments[0] in refused(arguments)


def test_settings_survive_json() -> None:
    arguments = ["--json", "out.json", "--seconds", "3", "--safety.jump_rad", "0.25", "--instruction", "greif zu: ü"]
    settings = load_settings(arguments)
    assert settings.json_file == Path("out.json")
    assert settings_from_json(settings_to_json(settings)) == settings


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nothing": 1}', '{"ratio": 0}', '{"safety": {"jump_rad": NaN}}'])
def test_bad_json_is_one_line(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_json(text)
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings([])
    with pytest.raises(ValueError, match="frozen"):
        settings.safety.jump_rad = 9.0


def test_every_shipped_profile_loads() -> None:
    for path in PROFILES.glob("*.toml"):
        assert load_settings(["--profile", path.stem]).profile == path.stem


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--arms.kind", "piper"], "--cameras.head.kind simulated: real arms need real cameras"),
        (["--profile", "cobot_magic", "--can"], "--can: emulates arms, but --arms.kind is piper"),
        (["--profile", "cobot_magic", "--shift", "all"], "--shift all: changes a simulation, but --arms.kind is piper"),
        (["--profile", "cobot_magic", "--pacing", "serial"], "--pacing serial: a real robot must not wait"),
        (["--profile", "cobot_magic", "--arms.start", "run"], "--arms.start run: real arms are armed by an operator"),
        (["--profile", "cobot_magic", "--arms.auto_resume"], "--arms.auto_resume: real arms resume by an operator's"),
        (
            ["--profile", "cobot_magic", "--safety.velocity", "3,3,3,3,3,3.5,1"],
            "--safety.velocity 3.5: must be at most 3.0",
        ),
        (
            ["--profile", "cobot_magic", "--safety.acceleration", "5,5,6,5,5,5,9"],
            "--safety.acceleration 6.0: must be at most",
        ),
        (
            ["--profile", "cobot_magic", "--safety.low=-2.7,0,-2,-1,-1,-2,0"],
            "--safety.low, --safety.high: joint 1 of a Piper must be -2.618 to 2.618",
        ),
        (
            ["--profile", "cobot_magic", "--safety.high", "2,3,0,1,1,2.2,0.1"],
            "--safety.low, --safety.high: joint 6 of a Piper must be -2.09 to 2.09 rad",
        ),
        (
            ["--profile", "cobot_magic", "--safety.high", "2,3,0,1,1,2,0.11"],
            "--safety.high 0.11: a gripper must open",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(flags)
    assert str(refused.value).startswith(said)


def test_the_real_robot_waits_for_an_operator() -> None:
    settings = load_settings(["--profile", "cobot_magic"])
    assert (settings.arms.kind, settings.arms.start, settings.arms.auto_resume) == ("piper", "disarmed", False)
    assert [camera.kind for camera in settings.cameras.by_name().values()] == ["realsense", "uvc", "uvc"]


def test_what_is_written_for_others_can_be_read_and_lets_nobody_in(tmp_path: Path) -> None:
    """A session, or a GPU box, of a robot whose console is open to the network."""
    flags = ["--console.host", "0.0.0.0", "--console.token", "a" * 20, "--console.certificate", str(tmp_path)]
    settings = load_settings([*flags, "--ratio", "4"])
    text = public_settings_json(settings)
    assert "a" * 20 not in text and str(tmp_path) not in text
    assert settings_from_json(text).ratio == 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--instruction", ""], r"--instruction \(empty\): must be a text of 1 to 1000 characters"),
        (["--instruction", "  "], "--instruction   : must be a text of 1 to 1000 characters"),
        (["--instruction", "x" * 1001], "--instruction xxx.*: must be a text of 1 to 1000 characters"),
        (["--seed", "99999999999999999999"], "--seed"),
        (["--system2.remote", "robot:5760"], "--system2.remote"),
    ],
)
def test_what_would_fail_later_is_refused_at_the_start(flags: list[str], said: str) -> None:
    assert re.search(said, refused(flags))


def test_another_size_is_not_the_policy_that_lay_there() -> None:
    settings = load_settings([])
    assert settings.policy.checkpoint is not None
    assert changed(settings, {"policy": {"size": "small"}}).policy.checkpoint is None


def test_the_folder_of_a_training_is_its_checkpoint(tmp_path: Path) -> None:
    shipped = load_settings([]).policy.checkpoint
    assert shipped is not None
    (tmp_path / "checkpoint").symlink_to(shipped)
    assert load_settings(["--policy.checkpoint", str(tmp_path)]).policy.checkpoint == tmp_path / "checkpoint"
