"""Where an HDF5 demonstration says what is done in it: within the file, or in a JSON file beside it. Called by hdf5.py.

The first of these that is there: our attribute `instructions`; the files `instructions.json`, RDT's
`expanded_instruction_gpt-4-turbo.json` and RoboTwin's `../instructions/EPISODE.json`; a dataset `/instructions` or
`/instruction`. It is a list of texts, or a map of them by the names that RoboTwin and RDT use. What RoboTwin keeps for
evaluation (`unseen`) is left out.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from models.data import foreign_files, hdf5_arrays
from models.errors import ModelError

_KEYS = (
    "instructions",
    "seen",
    "instruction",
    "simplified_instruction",
    "expanded_instruction",
)  # RoboTwin's, and RDT's
_DATASETS = ("instructions", "instruction")  # RoboTwin's since 2026, RDT's
_LONGEST_BYTES = 1 << 20  # of a dataset's text; chosen: far more than any instruction


def of_file(file: h5py.File, path: Path) -> tuple[str, ...]:
    """The wordings of a file's episode, each once; none where nothing says it.

    Args:
        file: Open.
        path: Its own.

    Raises:
        ModelError: What says it is no JSON, or not texts.
    """
    if "instructions" in file.attrs:
        return _of_attribute(file.attrs["instructions"], str(path))
    for beside in _beside(path):
        try:
            text = foreign_files.text(beside)
        except OSError:
            continue
        except ValueError as error:
            raise ModelError(f"{beside}: cannot be read ({error}); write a list of texts") from None
        return _texts(text, str(beside))
    return next(_in_datasets(file, path), ())


def of_rdt(path: Path) -> Path:
    """RDT's file of instructions beside a demonstration, whether or not it is there."""
    return path.with_name("expanded_instruction_gpt-4-turbo.json")


def _beside(path: Path) -> tuple[Path, ...]:
    return (
        path.with_name("instructions.json"),
        of_rdt(path),
        path.parent.parent / "instructions" / f"{path.stem}.json",
    )


def _in_datasets(file: h5py.File, path: Path) -> Iterator[tuple[str, ...]]:
    """What each dataset says that there is: JSON, or one plain text."""
    for name in _DATASETS:
        stored = hdf5_arrays.find(file, name, path)
        if stored is None or stored.shape != () or stored.nbytes > _LONGEST_BYTES:
            continue
        value = stored[()]
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        if text.strip().endswith(".json"):  # names a file, which would have been read before if it were there
            continue
        yield _texts(text, f"{path}: /{name}") if text.lstrip().startswith(("[", "{")) else (text,)


def _of_attribute(stored: Any, source: str) -> tuple[str, ...]:
    """JSON, or an array of texts."""
    if isinstance(stored, np.ndarray):
        words = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in np.ravel(stored).tolist()]
        return _checked(words, source)
    return _texts(stored.decode(errors="replace") if isinstance(stored, bytes) else str(stored), source)


def _texts(text: str, source: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source}: its instructions are not JSON ({error}); write a list of texts") from None
    if isinstance(found, dict):
        named = cast(dict[str, Any], found)
        found = [one for key in _KEYS for one in _several(named.get(key, []))]
    return _checked(found, source)


def _checked(found: Any, source: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in cast(list[Any], found)):
        raise ModelError(f"{source}: its instructions must be a JSON list of texts")
    return tuple(dict.fromkeys(cast(list[str], found)))


def _several(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else [value]
