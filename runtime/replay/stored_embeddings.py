"""Encoded instructions out of a session's attachments. Used by the replay of both systems and by what-if."""

from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.policy.protocols import EncodedInstruction
from runtime.policy.video2act import read_instruction
from runtime.replay.index import Missing
from runtime.session.format import EMBEDDING_SUFFIX
from runtime.session.reader import Session


class StoredEmbeddings:
    """A session's encoded instructions by their keys; `folder` takes their files."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._held: dict[str, EncodedInstruction] = {}

    def __call__(self, key: str) -> EncodedInstruction:
        """The embedding of a key, from the session. Raises Missing."""
        if key not in self._held:
            data = self._session.attachments.get(key + EMBEDDING_SUFFIX)
            if data is None:
                raise Missing(f"embedding {key}")
            path = self._folder / f"{len(self._held)}.safetensors"  # not by its key: that may lead anywhere
            path.write_bytes(data)
            try:
                self._held[key] = read_instruction(path)
            except RuntimeFault:
                raise Missing(f"embedding {key}") from None
        return self._held[key]
