"""How a command's flags are read: own ones, a tree besides, words without a flag. Called by pytest.

What is wrong with settings is tried in test_refusals.py, all commands' lines in tests/runtime/test_cli.py.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config.command_line import CommandLine, Flags
from runtime.errors import SettingsError


class Oven(BaseModel):
    """A group."""

    heat_k: float = Field(default=450.0, gt=0, lt=1000)
    fan: bool = True


class Kitchen(BaseModel):
    """A tree."""

    oven: Oven = Oven()
    guests: int = 2
    table: tuple[float, float] = (1.0, 2.0)
    cooks: tuple[str, ...] = ()


class BakeFlags(Flags):
    """Bake something."""

    dish: CliPositionalArg[Literal["bread", "cake"]]
    """What."""
    toppings: CliPositionalArg[tuple[str, ...]] = ()
    """With what."""
    guests: int = 4
    """Own, though the tree has one of this name."""
    rise_s: Annotated[float | None, Says(metavar="LONG")] = None
    """How long."""
    dry_run: bool = False
    """Only say what would be done."""
    book: Path | None = Field(default=None, validation_alias="from")
    """Recipe."""


def _no_cake(flags: BakeFlags, tree: dict[str, Any]) -> None:
    if flags.dish == "cake" and "oven" not in tree:
        raise SettingsError("--oven.heat_k is missing: a cake needs one")


BAKE = CommandLine("bake", BakeFlags, Kitchen, ("oven.heat_k",), check=_no_cake)


def refused(*words: str) -> str:
    with pytest.raises(SettingsError) as caught:
        BAKE.read(words)
    return str(caught.value)


def test_own_flags_and_the_tree_are_told_apart() -> None:
    flags, tree = BAKE.read(
        [
            "bread",
            "--oven.heat_k",
            "500",
            "salt",
            "--guests=7",
            "--dry-run",
            "--no-oven.fan",
            "nuts",
            "--table",
            "1,2.5",
        ]
    )
    assert (flags.dish, flags.toppings, flags.guests, flags.dry_run) == ("bread", ("salt", "nuts"), 7, True)
    assert tree == {"oven": {"heat_k": "500", "fan": False}, "table": [1, 2.5]}


def test_a_flag_may_be_called_what_python_keeps_for_itself() -> None:
    assert BAKE.read(["bread", "--from", "a.txt"])[0].book == Path("a.txt")


def test_underscores_and_hyphens_mean_the_same() -> None:
    assert BAKE.read(["bread", "--rise_s", "3", "--dry_run"])[0] == BAKE.read(["bread", "--rise-s=3", "--dry-run"])[0]
    assert BAKE.read(["bread", "--oven.heat-k", "500"])[1] == {"oven": {"heat_k": "500"}}


ODD_TEXTS = (
    "salt, then rest",
    '"quoted"',
    "[1,2]",
    "[",
    "{",
    '{"a": 1}',
    'a"b',
    "a\tb",
    "a\nb",
    "a\rb",
    "12",
    "null",
    "a\\b",
)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_word_without_a_flag_is_taken_as_it_stands(text: str) -> None:
    assert BAKE.read(["bread", text, "nuts", text])[0].toppings == (text, "nuts", text)
    assert refused(text).startswith("DISH ")


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_several_texts_of_a_flag_are_parted_at_commas_alone(text: str) -> None:
    if "," not in text:
        assert BAKE.read(["bread", "--cooks", f"{text},ann"])[1] == {"cooks": [text, "ann"]}
    assert BAKE.read(["bread", "--cooks", json.dumps([text, "ann"])])[1] == {"cooks": [text, "ann"]}


def test_nothing_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GUESTS", "guests", "DISH", "RISE_S"):
        monkeypatch.setenv(name, "9")
    assert BAKE.read(["bread"])[0] == BakeFlags(dish="bread")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "DISH is missing; give one of bread, cake"),
        (["bred"], "DISH bred: must be one of bread, cake; did you mean bread?"),
        (["cake"], "--oven.heat_k is missing: a cake needs one"),
        (["bread", "--rise-s", "x"], "--rise-s x: must be a number (s)"),
        (["bread", "--dry-run", "--dry-run"], "--dry-run is given twice: --dry-run and --dry-run; give it once"),
        (["bread", "--dry-run=yes"], "--dry-run yes: takes no value; give --dry-run alone, or leave it out"),
        (["bread", "--no-dry-run"], "unknown flag --no-dry-run; did you mean --dry-run?"),
        (["bread", "--rise"], "unknown flag --rise; did you mean --rise-s?"),
        (["bread", "--heat_k", "3"], "unknown flag --heat_k; did you mean --oven.heat_k?"),
        (["bread", "--oven", "hot"], "--oven hot: is a group of settings; set --oven.NAME, or give all of it as JSON"),
        (["bread", "--table", "1,2,x"], "--table 1,2,x: must be 2 numbers, written 1,2"),
        (["bread", "--guests"], "--guests needs a value: a whole number"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], said: str) -> None:
    assert refused(*words) == said


def test_flags_of_the_tree_alone_are_read_for_it() -> None:
    assert BAKE.read_tree(["--oven.heat_k", "3"]) == {"oven": {"heat_k": "3"}}
    with pytest.raises(SettingsError, match="--guests: is not a setting; leave it out"):
        BAKE.read_tree(["--guests", "3"])


def test_another_command_is_given_the_flags_of_the_tree_alone() -> None:
    line = ["bread", "--oven.heat-k=500", "salt", "--guests", "7", "--no-oven.fan", "--dry-run", "--table", "1,2.5"]
    words = BAKE.tree_words(line)
    assert words == ["--oven.heat_k", "500", "--no-oven.fan", "--table", "1,2.5"]
    assert BAKE.read(["cake", *words])[1] == BAKE.read(line)[1]
    assert BAKE.tree_words(line, but=("oven.heat_k", "table")) == ["--no-oven.fan"]


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        BAKE.read(words)
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_wins_over_whatever_else_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["-h"], ["--nothing", "x", "--help"]):
        said = helped(capsys, *words)
        assert said.startswith("usage: video2act bake DISH [TOPPINGS ...] [flags] Bake something.")
        assert "DISH What. (one of bread, cake; required)" in said
        assert "--rise-s LONG How long. (s)" in said and "--guests N Own, though" in said
        assert "--oven.heat_k" in said and "--oven.fan" not in said
        assert "default 450" not in said, "of a tree that lies elsewhere nobody knows the values"
    assert "--oven.fan, --no-oven.fan" in helped(capsys, "--help-all")


def test_help_shows_the_trees_values(capsys: pytest.CaptureFixture[str]) -> None:
    known = CommandLine("bake", BakeFlags, Kitchen, ("oven.heat_k",), values=lambda words: {"oven": {"heat_k": 512.0}})
    with pytest.raises(SystemExit):
        known.read(["--help"])
    assert "--oven.heat_k X default 512" in " ".join(capsys.readouterr().out.split())
