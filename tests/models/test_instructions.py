"""Instructions of demonstrations wherever public layouts have them. Called by pytest."""

import json
from pathlib import Path
from typing import Any

import h5py
import pytest

from models.data.instructions import of_file
from models.errors import ModelError

RDT = {"instruction": "pour", "simplified_instruction": ["pour"], "expanded_instruction": ["pour it slowly"]}


def found(path: Path, **datasets: Any) -> tuple[str, ...]:
    """What a file says that holds these datasets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            file[name] = value
        return of_file(file, path)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("instructions.json", ["a", "b", "a"], ("a", "b")),
        ("instructions.json", {"instructions": ["a", "b"]}, ("a", "b")),
        ("expanded_instruction_gpt-4-turbo.json", RDT, ("pour", "pour it slowly")),
        ("../instructions/episode_0.json", {"seen": ["a"], "unseen": ["kept for evaluation"]}, ("a",)),
    ],
)
def test_files_beside_it_say_it(tmp_path: Path, name: str, content: Any, texts: tuple[str, ...]) -> None:
    beside = tmp_path / "data" / name
    (tmp_path / "data").mkdir()
    beside.resolve().parent.mkdir(exist_ok=True)
    beside.resolve().write_text(json.dumps(content))
    assert found(tmp_path / "data" / "episode_0.hdf5") == texts


def test_the_file_itself_says_it(tmp_path: Path) -> None:
    assert found(tmp_path / "a.hdf5", instruction="pour water") == ("pour water",)
    assert found(tmp_path / "b.hdf5", instructions=json.dumps(["x", "y"])) == ("x", "y")
    assert found(tmp_path / "c.hdf5", instruction=[1, 2]) == ()
    assert found(tmp_path / "d.hdf5") == ()


def test_a_file_beside_it_comes_before_a_dataset_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "instructions.json").write_text('["lift it"]')
    assert found(tmp_path / "data.hdf5", instruction="instructions.json") == ("lift it",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "are not JSON"),
        ("3", "must be a JSON list of texts"),
        ("[1]", "must be a JSON list of texts"),
        ('{"seen": [1]}', "must be a JSON list of texts"),
    ],
)
def test_what_is_no_list_of_texts_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "instructions.json").write_text(text)
    with pytest.raises(ModelError, match=f"instructions.json: its instructions {said}"):
        found(tmp_path / "a.hdf5")
    with pytest.raises(ModelError, match=r"instructions\.json: cannot be read"):
        (tmp_path / "instructions.json").write_bytes(b"\xff\xfe")
        found(tmp_path / "a.hdf5")
