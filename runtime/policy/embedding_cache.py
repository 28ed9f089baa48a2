"""The cache of encoded instructions on disk, shared by all runs of one user. Knows files, not tensors: no torch.

Where the user's cache cannot be written (no HOME, another user's, a full or read-only disk), a folder of his in /tmp serves.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from runtime.errors import RuntimeFault

_MINE = 0o700


class EmbeddingCache:
    """Files by a hash of the text and of the encoder, in the first of some folders that has or takes them."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders or _usual()
        self.note = ""  # why the first folder was not used; empty: it was

    @staticmethod
    def key(text: str, encoder_id: str) -> str:
        """File stem of a text under what encodes it."""
        return hashlib.sha256(f"{encoder_id}\n{text}".encode()).hexdigest()[:24]

    def path(self, key: str) -> Path:
        """Where an embedding lies; where it would, while there is none."""
        places = [folder / f"{key}.safetensors" for folder in self.folders]
        return next((place for place in places if place.exists()), places[0])

    def make_room(self, key: str) -> Path:
        """Where to write an embedding; the folder exists then. Raises RuntimeFault where no folder can be written."""
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
    """The user's, and one that serves where that cannot be written. Who has no home has the second alone."""
    beside = Path(tempfile.gettempdir()) / f"video2act-{os.geteuid()}" / "instructions"
    if beside.exists() and beside.stat().st_uid != os.geteuid():  # anybody may make it there
        beside = beside.with_name("none")
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no such user
        return (beside,)
    return root / "video2act" / "instructions", beside
