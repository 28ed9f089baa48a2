"""JSON files of a checkpoint that are of the wrong kind, too deep, too large or of another shape: one line with its remedy.
Called by pytest; the files are the golden policy's with one thing changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.checkpoint import Checkpoint
from models.errors import ModelError
from models.identity import ABOUT, CHECKSUMS, INDEX, video2act_config
from models.tensors import StoredTensors

GOLDEN = Path(__file__).parents[1] / "runtime" / "golden" / "policy"
DEEP, HUGE = "[" * 100_000 + "]" * 100_000, "1" + "0" * 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the golden policy."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "policy"))


def refused(folder: Path, name: str, text: str) -> str:
    """The line by which a checkpoint with such a file is refused when it is opened."""
    (folder / name).write_text(text)
    with pytest.raises(ModelError) as caught:
        Checkpoint.load(folder)
    line = str(caught.value)
    assert line.isprintable() and len(line) < 400, line
    assert str(folder) in line and name in line, line
    assert ";" in line, "a remedy"
    assert "pydantic" not in line and "Error" not in line, line
    return line


NO_TABLE = ["", "{", "null", "42", "[]", '"text"', "true", HUGE, "1" * 5000, DEEP, '{"a":' + DEEP + "}", "\x00"]


@pytest.mark.parametrize("text", NO_TABLE, ids=range(len(NO_TABLE)))
@pytest.mark.parametrize("name", ["config.json", "stats.json", ABOUT, CHECKSUMS, INDEX])
def test_a_file_that_holds_no_table_is_named(folder: Path, name: str, text: str) -> None:
    assert f"{name} cannot be read" in refused(folder, name, text).replace(":", "")


def test_a_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"config\.json cannot be read \(not JSON: .*\); give a folder"):
        video2act_config(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["head"].update(steps=0), "(head.steps 0: must be a whole number from 1 to 4096); give a folder"),
        (lambda c: c["head"].update(steps="x" * 500), '(head.steps "xxx'),
        (lambda c: c["head"].update(steps=None), "(head.steps null: must be a whole number from 1 to 4096)"),
        (lambda c: c["head"].update(guess_blend=True), "(head: guess_blend: must not be true or false, got true)"),
        (lambda c: c["head"].update(surprise=1), "(head.surprise: unknown setting)"),
        (lambda c: c["head"].pop("width"), "(head.width is missing; give a whole number from 1 to 65536)"),
        (lambda c: c.update(head=[]), "(head []: must be a table of settings)"),
        (
            lambda c: c["video"]["backbone"].update(heads=-1),
            "(video.backbone.heads -1: must be a whole number from 1 to 1024)",
        ),
        (lambda c: c["video"]["backbone"].update(vae_groups=3), "vae_groups: must divide vae_channels 4, got 3"),
        (
            lambda c: c["video"]["backbone"].update(kind="film"),
            '(video.backbone.kind "film": must be one of hunyuan, wan)',
        ),
        (lambda c: c["image"].update(channels=[1]), "(image.channels [1]: must be 2 whole numbers, written 1,2)"),
        (lambda c: c.update(cameras=["a\nb", "c"]), "cameras: must be names of letters"),
        (lambda c: c.update({"a\nb": 1}), r'("a\nb": unknown setting)'),
        (lambda c: c.update(control_hz=float("inf")), "(control_hz Infinity: must be"),
        (lambda c: c.update(control_hz=10**400), "(control_hz"),
        (lambda c: c.update(resize="shrink"), '(resize "shrink": must be one of crop, letterbox'),
        (lambda c: c["spatial_former"].update(scaled=[]), "(spatial_former.scaled []: must be true or false)"),
    ],
)
def test_a_field_of_the_configuration_is_named_with_its_value(
    folder: Path, change: Callable[[Any], object], said: str
) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    assert said in refused(folder, "config.json", json.dumps(values))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("squash", "false", 'squash must be true or false, got "false"'),
        ("squash", [], "squash must be true or false, got []"),
        ("relative", None, "relative must be true or false, got null"),
        ("relative", 1, "relative must be true or false, got 1"),
        ("mean", {"a": 1}, "mean: expected numbers"),
        ("mean", None, "mean: expected numbers, got null"),
        ("mean", [[1.0], [1.0, 2.0]], "mean: expected lists of numbers"),
        ("low", ["0.1"] * 14, "low: expected numbers"),
        ("low", [True] * 14, "low: expected numbers"),
        ("low", [0.1] * 13 + [True], "low: expected numbers"),
        ("high", [10**400] * 14, "high: expected numbers"),
        ("high", [1e39] * 14, "high: expected finite values up to 1e+06, got 1e+39"),
        ("high", [float("nan")] * 14, "high: expected finite values up to 1e+06, got nan"),
        ("low", [9.0] * 14, "low must be below high, got 9 and "),
        ("state_spread", [-1.0] * 14, "state_spread must be above 0 everywhere, got -1.0"),
    ],
)
def test_an_entry_of_the_statistics_is_named(folder: Path, name: str, value: Any, said: str) -> None:
    values = json.loads((folder / "stats.json").read_text())
    assert said in refused(folder, "stats.json", json.dumps(values | {name: value}))


def test_a_range_of_no_width_can_be_clipped_into_but_not_squashed(folder: Path) -> None:
    """A joint that no demonstration moved has one."""
    values = json.loads((folder / "stats.json").read_text()) | {"low": [0.0] * 14, "high": [0.0] * 14}
    (folder / "stats.json").write_text(json.dumps(values | {"squash": False}))
    Checkpoint.load(folder)
    said = "low must be below high, got 0 and 0 for joint 0"
    assert said in refused(folder, "stats.json", json.dumps(values | {"squash": True}))


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"weight_map": []},
        {"weight_map": {"a": 1}, "metadata": {"checkpoint": "x"}},
        {"weight_map": {"a": "../b"}, "metadata": {"checkpoint": "x"}},
        {"weight_map": {"a": "b"}, "metadata": {"checkpoint": 3}},
    ],
)
def test_an_index_of_another_shape_is_named(folder: Path, index: Any) -> None:
    refused(folder, INDEX, json.dumps(index))


def test_a_checksum_that_is_no_text_is_named(folder: Path) -> None:
    (folder / CHECKSUMS).write_text('{"fast.a": 3}')
    with pytest.raises(ModelError, match=r'checksums\.json: cannot be read \("fast\.a": 3 is no text\); copy'):
        StoredTensors(folder)
