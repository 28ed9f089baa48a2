"""What a checkpoint is, without its weights: its id, the same in every process, its configuration and its needs.

Called by models/checkpoint.py, runtime/config and runtime/training. Loads no torch.
"""

import hashlib
from pathlib import Path

from pydantic import Field

from models import hub_policy, json_file
from models.config.part import Part
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.families import CONFIGS, Config, needs_of
from models.requirements import Requirements

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CHECKSUMS = "checksums.json"
ABOUT = "checkpoint.json"
FORMAT = 2
"""Of a checkpoint's folder. 1: without ABOUT; always a Video2Act policy."""
_FIRST = "video2act"  # the family of a folder that names none
_BLOCK_BYTES = 1 << 20  # read and hashed at once; chosen: 1 MiB, so that a file of gigabytes needs no memory
_UNKNOWN_TO_CONFIG = ("picture", "picture_rate_hz", "gripper_open_m")


class About(Part):
    """`checkpoint.json`: what a robot must have for a checkpoint, readable without knowing its kind of policy."""

    format: int = Field(default=FORMAT, ge=2, le=FORMAT)
    policy: str = _FIRST
    needs: Requirements


def checkpoint_id(config: Config, folder: Path | None, seed: int) -> str:
    """16 hexadecimal digits of a hash over configuration and weights, by which processes and sessions know a policy.

    Of the weights the file in `folder` is hashed; of shards their index, which names the hash of all tensors; of an untrained
    policy the seed. Raises ModelError when the file cannot be read.
    """
    digest = hashlib.sha256(config.digest().encode())
    if folder is None:
        digest.update(f"untrained {seed}".encode())
        return digest.hexdigest()[:16]
    path = folder / INDEX if (folder / INDEX).is_file() else folder / SINGLE
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"checkpoint {folder}: {path.name}: {error.strerror}") from None
    return digest.hexdigest()[:16]


def checkpoint_folder(path: Path) -> Path:
    """The checkpoint that a user's path means: the folder itself, or `checkpoint/` in it, where it is a training's `--out`.

    ORG/NAME@COMMIT means a policy of the hub, once `launch/weights.sh` has fetched it; until then it stays as it is.
    """
    if (path / "config.json").is_file():
        return path
    inner = path / "checkpoint"
    return inner if (inner / "config.json").is_file() else hub_policy.cached(str(path)) or path


def no_checkpoint(path: Path) -> str:
    """What a path is that leads to no checkpoint, and the remedy; after the path."""
    name, _, commit = str(path).partition("@")
    if hub_policy.parts(str(path)) is not None:
        return f"is not on this machine; fetch it with ./launch/weights.sh --checkpoint {path}"
    if commit and hub_policy.is_name(name) and not path.exists():
        return "is no policy of the hub; give ORG/NAME@COMMIT with a commit of 40 hexadecimal digits"
    return "holds no checkpoint; give a folder that ./launch/train.sh wrote"


def stored_config(folder: Path) -> Config:
    """`config.json` of a checkpoint of any family. Raises ModelError with the first thing that is wrong with it."""
    if hub_policy.parts(str(folder)) is not None and not folder.exists():
        raise ModelError(f"checkpoint {folder}: {no_checkpoint(folder)}")
    remedy = "give a folder that ./launch/train.sh wrote"
    about = _about(folder)
    family = CONFIGS[_FIRST if about is None else about.policy]
    return json_file.group(family, folder / "config.json", f"checkpoint {folder}: config.json", remedy)


def video2act_config(folder: Path) -> PolicyConfig:
    """`config.json` of a Video2Act checkpoint. Raises ModelError, also for one of another family."""
    found = stored_config(folder)
    if not isinstance(found, PolicyConfig):
        raise ModelError(f"checkpoint {folder}: is a Video Policy; give one of Video2Act")
    return found


def stored_needs(folder: Path, config: Config) -> Requirements:
    """What a checkpoint needs of a robot; one of format 1 needs what its configuration says.

    `config` is that of the policy to be made, and may differ from the stored one: a training begins with the weights that fit.
    Raises ModelError when `checkpoint.json` is damaged, of a later version, or contradicts `config.json`.
    """
    about = _about(folder)
    if about is None:
        return needs_of(config)
    derived = needs_of(stored_config(folder))
    for name in Requirements.model_fields:
        theirs, ours = getattr(about.needs, name), getattr(derived, name)
        if theirs != ours and name not in _UNKNOWN_TO_CONFIG:
            raise ModelError(
                f"checkpoint {folder}: {name} is {theirs!r:.80} in {ABOUT}, but {ours!r:.80} in config.json; "
                "train it again, or give another checkpoint"
            )
    return needs_of(config).model_copy(update={name: getattr(about.needs, name) for name in _UNKNOWN_TO_CONFIG})


def _about(folder: Path) -> About | None:
    """`checkpoint.json`; None in a folder of format 1. Raises ModelError when it is damaged, or of a later version."""
    path = folder / ABOUT
    if not path.is_file():
        return None
    remedy = "update video2act, or give another checkpoint"
    about = json_file.group(About, path, f"checkpoint {folder}: {ABOUT}", remedy)
    if about.policy not in CONFIGS:
        known = ", ".join(CONFIGS)
        raise ModelError(f"checkpoint {folder}: unknown policy {about.policy!r:.40} (known: {known}); update video2act")
    return about
