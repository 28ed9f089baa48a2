"""Published weights on this machine: which files of a source a part needs, where they lie, and whether they fit the policy.

Never asks the hub: `launch/weights.sh` fetches. Called when a policy is put together (models/checkpoint.py) and by the networks
that can be published (backbones, encoders, rdt).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from models import json_file
from models.config.source import Source
from models.errors import ModelError
from models.sources import FILES, PartName
from models.weight_check import UNREADABLE, check_finite, why_unreadable

_AGAIN = "fetch it again with ./launch/weights.sh"


def folder(part: PartName, source: Source) -> Path:
    """The folder with a part's files: the user's own, or the hub's cache. Raises ModelError when not all are there.

    A transformer alone may also be one file of the user's.
    """
    if source.folder is not None:
        if source.folder.is_file() and part != "transformer":
            raise ModelError(f"published.{part}: {source.folder} is a file; give its folder {source.folder.parent}")
        if not source.folder.is_dir() and not (part == "transformer" and source.folder.is_file()):
            raise ModelError(f"published.{part}: {source.folder} does not exist; give another folder")
        return source.folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                source.repo, revision=source.revision, allow_patterns=list(FILES[part]), local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, IncompleteSnapshotError):
        raise ModelError(
            f"published.{part}: {source.repo} is not complete on this machine; fetch it with ./launch/weights.sh"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """A published configuration. Raises ModelError when it is missing or no JSON object."""
    return json_file.table(path, f"{path}:", _AGAIN)


def agree(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Compare a published configuration, read from `path`, with the policy's. Raises ModelError with the first difference."""
    for name, wanted in ours.items():
        there = theirs.get(name)
        if _plain(there) != _plain(wanted):
            raise ModelError(
                f"{path}: {name}: the policy expects {wanted}, got {there}; give the model that the policy names"
            )


def diffusers_model(
    kind: type[Any], path: Path, arguments: Mapping[str, Any], depths: tuple[str, ...], dtype: torch.dtype
) -> Any:
    """A model of diffusers out of its folder, with its first blocks only.

    Args:
        kind: its class in diffusers.
        path: the folder with config.json and weights.
        arguments: what the policy makes such a model with; must agree with the folder's configuration.
        depths: those of the arguments that count blocks: the published model may have more.
        dtype: what the weights are brought to.

    Raises:
        ModelError: the folder's model is another one or shallower, or lacks weights.
    """
    theirs = kind.load_config(path, local_files_only=True) if (path / "config.json").is_file() else None
    if not isinstance(theirs, dict):
        raise ModelError(
            f"{path}: config.json is missing; give diffusers' folder, or fetch it with ./launch/weights.sh"
        )
    agree(path / "config.json", theirs, {name: value for name, value in arguments.items() if name not in depths})
    for name in depths:
        if not isinstance(theirs.get(name), int) or theirs[name] < arguments[name]:
            raise ModelError(
                f"{path}/config.json: {name}: the policy expects at least {arguments[name]}, got {theirs.get(name)}"
            )
    return _loaded(kind, path, torch_dtype=dtype, **{name: arguments[name] for name in depths})


def transformers_model(kind: type[Any], path: Path, dtype: torch.dtype, **settings: Any) -> Any:
    """A model of transformers out of its folder, in evaluation mode. Raises ModelError if it is unreadable or lacks weights."""
    return _loaded(kind, path, dtype=dtype, **settings).eval()


def _loaded(kind: type[Any], path: Path, **settings: Any) -> Any:
    """Read a folder as both libraries do. Raises ModelError for a weight that is missing or has another shape."""
    try:
        model, report = kind.from_pretrained(path, local_files_only=True, output_loading_info=True, **settings)
    except UNREADABLE as error:
        raise ModelError(f"{path}: {why_unreadable(error)}") from None
    found = [f"{name} is missing" for name in report.get("missing_keys") or ()]
    found += [
        f"{name}: expected shape {tuple(ours)}, got {tuple(theirs)}"
        for name, theirs, ours in report.get("mismatched_keys") or ()
    ]
    if found:
        raise ModelError(f"{path}: {min(found)}; give the model that the policy names")
    for name, weight in model.state_dict().items():
        check_finite(_file_of(path, name), name, weight, _AGAIN)
    return model


def _file_of(path: Path, name: str) -> Path:
    """The file of a folder that holds a weight; the folder itself where that cannot be told."""
    for index in sorted(path.glob("*.index.json")):
        file = read_json(index).get("weight_map", {}).get(name)
        if isinstance(file, str):
            return path / file
    alone = [*path.glob("*.safetensors"), *path.glob("*.bin")]
    return alone[0] if len(alone) == 1 else path


def _plain(value: Any) -> Any:
    """A value with its lists as tuples, however deep: a configuration out of JSON then equals one out of code."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in cast(list[Any], value))
    return value
