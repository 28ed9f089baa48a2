"""Everything that can be wrong with a setting, for every setting: one line that names it, the value and what is allowed.

A robot's limits are set this way, so no wrong value may pass for another, and none may need the source to be understood.
"""

import json
import os
from pathlib import Path

import pytest

from models import field
from models.field import Field
from runtime.config.loading import load_settings, settings_from_json
from runtime.config.settings import Settings
from runtime.errors import SettingsError

LEAVES = list(field.leaves(Settings))
NUMBERS = [setting for setting in LEAVES if setting.kinds[0] in (int, float)]
LISTS = [setting for setting in LEAVES if setting.is_several]
CHOICES = [setting for setting in LEAVES if setting.choices and not setting.says.listed]
SWITCHES = [setting for setting in LEAVES if setting.kinds == (bool,)]
PATHS = [setting for setting in LEAVES if Path in setting.kinds]
TEXTS = [setting for setting in LEAVES if setting.kinds == (str,) and setting.name != "profile"]
NO_PATHS = ("", "a\0b", "/a\0b")
REMEDIES = (
    "must be",
    "needs a value",
    "did you mean",
    "give ",
    "lists the flags",
    "lists the settings",
    "leave",
    "write",
    "is now",
    "set --",
)
LEAKS = (
    "Input should",
    "Field required",
    "Extra input",
    "validation error",
    "type=",
    "Value error",
    "pydantic",
    "tuple[",
)


def wrong(setting: Field) -> tuple[str, ...]:
    """Texts that this setting cannot be."""
    if setting.of_numbers:
        return ("3", "1,2,3,4,5,6,7,8,9", "nan,1,1,1,1,1,1", "a,b,c,d,e,f,g", "[1,", "")
    if setting.is_several:
        return ("a", "a,b,c", "")
    whole = ("2.5", "99999999999999999999") if setting.kinds[0] is int else ()
    return ("many", "nan", "inf", "-inf", "", "1,2", "-99999", "0x10", "true", *whole)


def refused(*arguments: str) -> str:
    """The one line with which a command line is refused."""
    with pytest.raises(SettingsError) as caught:
        load_settings(arguments)
    return checked(str(caught.value))


def checked(line: str) -> str:
    assert line.isprintable(), "one line"
    assert len(line) < 400
    assert not any(leak in line for leak in LEAKS), line
    assert any(remedy in line for remedy in REMEDIES), line
    return line


def test_there_are_many() -> None:
    assert len(NUMBERS) > 35 and len(LISTS) > 8 and len(CHOICES) > 10 and len(SWITCHES) > 6


@pytest.mark.parametrize("setting", [*NUMBERS, *LISTS], ids=lambda setting: setting.name)
def test_a_wrong_value_of_a_flag_is_named_with_what_is_allowed(setting: Field) -> None:
    for text in wrong(setting):
        for line in (refused(f"--{setting.name}={text}"), refused(f"--{setting.name}", text)):
            assert line.startswith(f"--{setting.name} ") and (text[:50] or "(empty)") in line


@pytest.mark.parametrize("setting", CHOICES, ids=lambda setting: setting.name)
def test_a_wrong_choice_lists_all_and_the_nearest(setting: Field) -> None:
    for text in ("nonsense", ""):
        line = refused(f"--{setting.name}={text}")
        assert all(choice in line for choice in setting.choices) and (text or "(empty)") in line
    wrong = setting.choices[0] + "x"
    assert f"did you mean {setting.choices[0]}?" in refused(f"--{setting.name}={wrong}")


@pytest.mark.parametrize("setting", SWITCHES, ids=lambda setting: setting.name)
def test_a_switch_takes_no_value(setting: Field) -> None:
    line = refused(f"--{setting.name}=maybe")
    assert "maybe" in line and f"--no-{setting.name}" in line
    assert f"--{setting.name}" in refused(f"--{setting.name}", f"--no-{setting.name}"), "switched on and off"


@pytest.mark.parametrize("setting", [*NUMBERS, *LISTS, *CHOICES], ids=lambda setting: setting.name)
def test_a_flag_without_its_value_says_what_it_takes(setting: Field) -> None:
    for arguments in ((f"--{setting.name}",), (f"--{setting.name}", "--can")):
        assert refused(*arguments).startswith(f"--{setting.name} needs a value: ")


@pytest.mark.parametrize("setting", NUMBERS[::4], ids=lambda setting: setting.name)
def test_a_flag_given_twice_is_refused(setting: Field) -> None:
    assert refused(f"--{setting.name}", "1", f"--{setting.name}=2") == (
        f"--{setting.name} is given twice: 1 and 2; give it once"
    )


def test_a_velocity_for_one_joint_says_that_there_are_seven_and_their_unit() -> None:
    assert refused("--safety.velocity", "3") == (
        "--safety.velocity 3: must be 7 numbers above 0 and at most 30, one per joint (j1 to j6, gripper), "
        "written 1,2,3 (rad/s; gripper m/s)"
    )


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("--rato", "--ratio"),
        ("--velocity", "--safety.velocity"),
        ("--safety.velocit", "--safety.velocity"),
        ("--camera.head.width_px", "--cameras.head.width_px"),
        ("--secnds", "--seconds"),
        ("--console.prt", "--console.port"),
    ],
)
def test_an_unknown_flag_names_the_nearest(wrong: str, meant: str) -> None:
    assert refused(wrong, "1") == f"unknown flag {wrong}; did you mean {meant}?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stray"], "stray: unexpected word; a flag begins with --"),
        (["--can", "5"], "5: unexpected word"),
        (["--qqqqqqqqqq"], "unknown flag --qqqqqqqqqq; --help lists the flags"),
        (["--cameras.head", "3"], "--cameras.head 3: is a group of settings; set --cameras.head.NAME"),
        (["--sessions", ""], "--sessions (empty): must be a path"),
        (["--profile", ""], "--profile (empty): does not exist; choose one of cobot_magic, sim"),
        (["--profile", "simm"], "did you mean sim?"),
        (["--instruction", "a\nb" * 600], "--instruction 'a\\nba"),
        (["--task", ""], "--task (empty): must be a text of 1 to 64 characters"),
    ],
)
def test_what_is_no_flag_at_all_is_named(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


def test_dashes_and_negative_numbers_are_taken() -> None:
    low = "-2,0,-2,-1,-1,-2,0"
    assert load_settings(["--safety.low", low]).safety.low[0] == -2
    assert load_settings(["--safety.jump-rad", "0.2"]).safety.jump_rad == 0.2
    assert load_settings(["--can", "true"]).can and not load_settings(["--can=false"]).can


def toml(setting: Field, value: str) -> str:
    *groups, last = setting.path
    return f"[{'.'.join(groups)}]\n{last} = {value}\n" if groups else f"{last} = {value}\n"


@pytest.mark.parametrize("setting", [*NUMBERS, *LISTS], ids=lambda setting: setting.name)
def test_a_wrong_value_in_a_profile_is_named_with_its_file(setting: Field, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    wrong_numbers = ('"many"', "nan", "inf", "-99999", "[1, 2]", "true", '"3"', "{a = 1}", "1979-05-27", '""')
    wrong_lists = ("[1, 2, 3]", '"a"', "3", "[[1]]", "{a = 1}", "[]", "[nan, 1, 1, 1, 1, 1, 1]")
    for value in wrong_lists if setting.is_several else wrong_numbers:
        path.write_text(toml(setting, value))
        line = refused("--profile", str(path))
        assert line.startswith(f"{path}: {setting.name} ") and "must be" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rato = 3", "rato: unknown setting; did you mean ratio?"),
        ("[safety]\nvelocit = 3", "safety.velocit: unknown setting; did you mean safety.velocity?"),
        ("[saftey]\nvelocity = 3", "saftey: unknown setting"),
        ("velocity = 3", "velocity: unknown setting; did you mean safety.velocity?"),
        ("safety = 3", "safety 3: must be a table of settings"),
        ("[safety]\nmount = true", "safety.mount true: must be a table of settings"),
        ("policy = 7", "policy 7: must be a table of settings"),
    ],
)
def test_a_wrong_key_in_a_profile_names_the_nearest(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert f"{path}: {said}" in refused("--profile", str(path))


@pytest.mark.parametrize(
    "content", [b"ratio = ", b"[[[", b"\xff\xfe\x00", b"a = 1\na = 2", b"{}", b"[safety]\n[safety]"]
)
def test_a_profile_that_is_no_toml_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(["--profile", str(path)])
    line = str(caught.value)
    assert line.isprintable() and f"{path} is not TOML" in line and line.endswith("fix it there")


def test_a_profile_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    pipe, zeros, folder = (tmp_path / f"{name}.toml" for name in ("pipe", "zeros", "folder"))
    os.mkfifo(pipe)
    zeros.symlink_to("/dev/zero")
    folder.mkdir()
    for path in (pipe, zeros, folder):
        assert f"{path}: cannot be read (not a regular file)" in refused("--profile", str(path))


def test_a_profile_may_be_a_link_and_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("ratio = 3")
    (tmp_path / "link.toml").symlink_to(tmp_path / "mine.toml")
    assert load_settings(["--profile", str(tmp_path / "link.toml")]).ratio == 3
    (tmp_path / "mine.toml").write_text("#" * (2 << 20))
    assert "larger than" in refused("--profile", str(tmp_path / "mine.toml"))


def test_what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for deep in ("[" * 3000 + "]" * 3000, "[" * 100_000, "{a=" * 3000 + "1" + "}" * 3000):
        path.write_text(f"ratio = {deep}")
        with pytest.raises(SettingsError, match=r"is not TOML .*; fix it there"):
            load_settings(["--profile", str(path)])
    for deep in ("[" * 100_000, '{"a":' * 100_000):
        for setting in ("safety", "safety.velocity", "arms.interfaces"):
            assert refused(f"--{setting}", deep).startswith(f"--{setting} ")


@pytest.mark.parametrize(
    "values",
    [
        {"ratio": 0},
        {"safety": {"velocity": [3]}},
        {"nothing": 1},
        {"arms": 3},
        {"pacing": "x"},
        {"safety": {"jump_rad": "x"}},
    ],
)
def test_wrong_stored_settings_are_named(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_json(json.dumps(values))
    assert next(iter(values)) in checked(str(caught.value))


@pytest.mark.parametrize("setting", PATHS, ids=lambda setting: setting.name)
def test_a_path_that_no_file_can_have_is_named(setting: Field, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for value in NO_PATHS:
        path.write_text(toml(setting, json.dumps(value)))
        assert refused("--profile", str(path)).startswith(f"{path}: {setting.name} ")
        assert f"--{setting.name} " in refused(f"--{setting.name}={value}")


@pytest.mark.parametrize("setting", TEXTS, ids=lambda setting: setting.name)
def test_a_text_with_a_nul_is_named(setting: Field, tmp_path: Path) -> None:
    """It becomes a file, a device or a host, and none of them can have one."""
    path = tmp_path / "mine.toml"
    path.write_text(toml(setting, '"a\\u0000b"'))
    assert refused("--profile", str(path)).startswith(f"{path}: {setting.name} 'a\\x00b': must be ")
