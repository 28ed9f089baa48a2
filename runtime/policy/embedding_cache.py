"""The cache of encoded instructions on disk, shared by all runs of one user. Knows files, not tensors: no torch.
Used by instruct, the text process, both systems, the recorder and the link to a GPU box.
"""

import hashlib
from pathlib import Path

from runtime.host import cache_folder


class EmbeddingCache:
    """Files named by a hash of the text and of its encoder, in the first of some folders that has them or can be written."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders or cache_folder.usual("instructions")
        self.note = ""  # why the first folder was not used; empty: it was

    @staticmethod
    def key(text: str, encoder_id: str) -> str:
        """The file's stem of a text: 24 hexadecimal digits that depend on text and encoder."""
        return hashlib.sha256(f"{encoder_id}\n{text}".encode()).hexdigest()[:24]

    def path(self, key: str) -> Path:
        """Where the file of a key is; where it would be written first, while there is none."""
        places = [folder / f"{key}.safetensors" for folder in self.folders]
        return next((place for place in places if place.exists()), places[0])

    def make_room(self, key: str) -> Path:
        """Make the folder in which a new embedding can be written.

        Returns:
            The file to write. `note` says why it is not in the first folder.

        Raises:
            RuntimeFault: No folder can be written.
        """
        folder, refused = cache_folder.writable(self.folders)
        self.note = (
            f"{refused}; keeping encoded instructions in {folder} instead; set XDG_CACHE_HOME to keep them elsewhere"
            if refused
            else ""
        )
        return folder / f"{key}.safetensors"
