"""Writes a checkpoint's folder, whole or not at all, and reads its statistics. Called by the checkpoints of both families."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError

from models import json_file
from models.config.part import Part
from models.errors import ModelError
from models.identity import ABOUT, About
from models.normalize import Statistics
from models.tensors import save_tensors

DATA = "data.json"
"""What a checkpoint keeps of the demonstrations that it learnt from."""


def write(
    folder: Path,
    config: Part,
    about: About,
    statistics: Statistics,
    tensors: Mapping[str, torch.Tensor],
    data: str,
) -> None:
    """Write a folder; one that is there is replaced once the new one is whole.

    Args:
        folder: where to.
        config: what makes the networks.
        about: family and needs.
        statistics: of the demonstrations.
        tensors: by their names in the folder.
        data: JSON of what the demonstrations were taken to be; empty: nothing is known of them.

    Raises:
        ModelError: it cannot be written; what was there stays.
    """
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        save_tensors(beside, dict(tensors))
        (beside / "config.json").write_text(config.model_dump_json(indent=1))
        (beside / ABOUT).write_text(about.model_dump_json(indent=1))
        (beside / "stats.json").write_text(json.dumps(statistics.to_json()))
        if data:
            (beside / DATA).write_text(data)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise ModelError(f"{folder}: cannot be written ({error}); free disk space, then repeat the command") from None
    if folder.exists():
        before = folder.with_name(folder.name + ".before")
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
        beside.rename(folder)
        shutil.rmtree(before)
    else:
        beside.rename(folder)


def statistics_of(folder: Path, shape: tuple[int, int]) -> Statistics:
    """A folder's statistics.

    Args:
        folder: of a checkpoint.
        shape: targets and joints of its configuration.

    Returns:
        What stats.json holds.

    Raises:
        ModelError: a file is missing, or the statistics are of another shape.
    """
    for name in ("config.json", "stats.json"):
        if not (folder / name).is_file():
            raise ModelError(f"checkpoint {folder}: {name} is missing; give a folder that ./launch/train.sh wrote")
    values = json_file.table(folder / "stats.json", f"checkpoint {folder}: stats.json", "give another checkpoint")
    try:
        found = Statistics.from_json(values)
    except ModelError as error:
        raise ModelError(f"checkpoint {folder}: {error}") from None
    if found.mean.shape != shape:
        raise ModelError(
            f"checkpoint {folder}: stats.json has shape {found.mean.shape}, config.json {shape}; give another checkpoint"
        )
    return found
