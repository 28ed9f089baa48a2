"""A checkpoint's id: the same in every process that uses it, so that conditions of another one are refused. No torch."""

import hashlib
from pathlib import Path

from models.config import PolicyConfig
from models.errors import ModelError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_BLOCK_BYTES = 1 << 20


def checkpoint_id(config: PolicyConfig, folder: Path | None, seed: int) -> str:
    """Hash of the configuration and of the weights: the file of `folder`, or the seed of an untrained policy.

    Of a checkpoint in shards the index is hashed: it names the hash of all tensors, which every shard carries too.
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


def stored_config(folder: Path) -> PolicyConfig:
    """`config.json` of a checkpoint. Raises ModelError with the first thing that is wrong with it."""
    path = folder / "config.json"
    try:
        return PolicyConfig.model_validate_json(path.read_text())
    except OSError as error:
        reason = f"checkpoint {folder}: config.json: {error.strerror}"
        raise ModelError(f"{reason}; give a folder that ./launch/train.sh made") from None
    except ValueError as error:
        raise ModelError(f"checkpoint {folder}: config.json: {' '.join(str(error).split()[:30])}") from None
