"""The cache of encoded instructions on disk, shared by all runs of one user. Knows files, not tensors: no torch."""

import hashlib
import os
from pathlib import Path

from models.config import by_name
from models.errors import ModelError
from models.identity import checkpoint_id, stored_config
from runtime.config import Settings
from runtime.errors import RuntimeFault


def policy_id(settings: Settings) -> str:
    """The id of the policy that the settings name, without loading it. Raises RuntimeFault with one line."""
    folder = settings.policy.checkpoint
    try:
        config = by_name(settings.policy.size) if folder is None else stored_config(folder)
        return checkpoint_id(config, folder, settings.seed)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


class EmbeddingCache:
    """Files by a hash of the text and of the encoder."""

    def __init__(self, folder: Path | None = None) -> None:
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self.folder = folder or root / "video2act" / "instructions"

    @staticmethod
    def key(text: str, checkpoint_id: str) -> str:
        """File stem of a text under a checkpoint."""
        return hashlib.sha256(f"{checkpoint_id}\n{text}".encode()).hexdigest()[:24]

    def path(self, key: str) -> Path:
        """Where an embedding lies."""
        return self.folder / f"{key}.safetensors"

    def make_room(self, key: str) -> Path:
        """Where to write an embedding; the folder exists then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.path(key)
