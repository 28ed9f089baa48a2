"""Published weights on this machine: which files of a source a part needs, where they lie, and whether they fit the policy.

Never the network: `launch/weights.sh` fetches. Called when a policy is put together (models/checkpoint.py) and by the networks
that can be published (backbones, image_encoders, text_encoders, rdt).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from models.config import Source
from models.errors import ModelError
from models.sources import FILES, PartName


def folder(part: PartName, source: Source) -> Path:
    """The folder with a part's files. Raises ModelError when they are not all on this machine."""
    if source.folder is not None:
        if not source.folder.is_dir():
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
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); fetch it with ./launch/weights.sh") from None
    except ValueError as error:
        raise ModelError(f"{path}: not JSON ({error}); fetch it again with ./launch/weights.sh") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path}: not a JSON object; fetch it again with ./launch/weights.sh")
    return cast(dict[str, Any], values)


def agree(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raises ModelError with the first value that the published model has otherwise than the policy."""
    for name, wanted in ours.items():
        there = theirs.get(name)
        if _plain(there) != _plain(wanted):
            raise ModelError(
                f"{path}: {name}: the policy expects {wanted}, got {there}; give the model that the policy names"
            )


def diffusers_model(
    kind: type[Any], path: Path, arguments: Mapping[str, Any], depths: tuple[str, ...], dtype: torch.dtype
) -> Any:
    """A model of diffusers out of its folder, only as deep as `arguments` say in their entries `depths`.

    Raises ModelError when the folder's model is another one or shallower, or lacks weights.
    """
    theirs = kind.load_config(path, local_files_only=True) if (path / "config.json").is_file() else None
    if not isinstance(theirs, dict):
        raise ModelError(f"{path}: config.json is missing; fetch it with ./launch/weights.sh")
    agree(path / "config.json", theirs, {name: value for name, value in arguments.items() if name not in depths})
    for name in depths:
        if not isinstance(theirs.get(name), int) or theirs[name] < arguments[name]:
            raise ModelError(
                f"{path}/config.json: {name}: the policy expects at least {arguments[name]}, got {theirs.get(name)}"
            )
    return _loaded(kind, path, torch_dtype=dtype, **{name: arguments[name] for name in depths})


def transformers_model(kind: type[Any], path: Path, dtype: torch.dtype, **settings: Any) -> Any:
    """A model of transformers out of its folder. Raises ModelError when it cannot be read or lacks weights."""
    return _loaded(kind, path, dtype=dtype, **settings).eval()


def _loaded(kind: type[Any], path: Path, **settings: Any) -> Any:
    """Both libraries' way to read a folder, with every weight of the model found there."""
    try:
        model, report = kind.from_pretrained(path, local_files_only=True, output_loading_info=True, **settings)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()[:20])
        raise ModelError(f"{path}: cannot be loaded ({reason}); fetch it again with ./launch/weights.sh") from None
    for what, defect in (("missing_keys", "is missing"), ("mismatched_keys", "has another shape")):
        for name in sorted(map(str, report.get(what) or ())):
            raise ModelError(f"{path}: {name} {defect}; give the model that the policy names")
    return model


def _plain(value: Any) -> Any:
    """Lists as tuples, so that a configuration out of JSON compares with one out of code."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in cast(list[Any], value))
    return value
