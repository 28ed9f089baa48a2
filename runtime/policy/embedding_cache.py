"""The cache of encoded instructions on disk, shared by all runs of one user. Knows files, not tensors: no torch.
Used by instruct, the text process, both systems, the recorder and the link to a GPU box.

Where the user's cache cannot be written (no HOME, another user's, a full or read-only disk), his folder in /tmp serves.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from runtime.errors import RuntimeFault

_MINE = 0o700  # the mode of a folder that only its owner may enter


class EmbeddingCache:
    """Files named by a hash of the text and of its encoder, in the first of some folders that has them or can be written."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders or _usual()
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
        refused: list[str] = []
        for folder in self.folders:
            try:
                folder.mkdir(mode=_MINE, parents=True, exist_ok=True)
                if folder.stat().st_uid != os.geteuid():
                    raise PermissionError(0, "belongs to another user")
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                refused.append(f"{folder}: cannot be written ({error.strerror})")
                continue
            self.note = (
                f"{refused[0]}; keeping encoded instructions in {folder}; XDG_CACHE_HOME names another folder"
                if refused
                else ""
            )
            return folder / f"{key}.safetensors"
        raise RuntimeFault(f"{'; '.join(refused)}; set XDG_CACHE_HOME to a writable folder")


def _usual() -> tuple[Path, ...]:
    """The user's cache, and a folder in /tmp that serves where that cannot be written. Who has no home has the second alone."""
    beside = Path(tempfile.gettempdir()) / f"video2act-{os.geteuid()}" / "instructions"
    if beside.exists() and beside.stat().st_uid != os.geteuid():  # anybody may make it there
        beside = beside.with_name("none")
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no such user
        return (beside,)
    return root / "video2act" / "instructions", beside
