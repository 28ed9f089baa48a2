"""The cache of encoded instructions on disk, shared by all runs of one user. Knows files, not tensors: no torch."""

import hashlib
import os
from pathlib import Path


class EmbeddingCache:
    """Files by a hash of the text and of the encoder."""

    def __init__(self, folder: Path | None = None) -> None:
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self.folder = folder or root / "video2act" / "instructions"

    @staticmethod
    def key(text: str, encoder_id: str) -> str:
        """File stem of a text under what encodes it."""
        return hashlib.sha256(f"{encoder_id}\n{text}".encode()).hexdigest()[:24]

    def path(self, key: str) -> Path:
        """Where an embedding lies."""
        return self.folder / f"{key}.safetensors"

    def make_room(self, key: str) -> Path:
        """Where to write an embedding; the folder exists then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.path(key)
