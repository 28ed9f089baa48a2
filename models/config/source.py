"""Where published weights come from: a folder of this machine, or a repository of the hub at one commit.

Part of a policy's configuration; read by models/sources.py and models/published.py, and by runtime/policy/weights.py, which
fetches them.
"""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from models.config.part import Part


class Source(Part):
    """Published weights: a folder on this machine (of a transformer also a file), or a repository of the hub at one commit."""

    repo: str = Field(min_length=1)
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Read FOLDER (beginning with /, . or ~) or REPOSITORY@COMMIT. Raises ValueError for a repository without commit."""
        repo, _, revision = text.partition("@")
        return cls(repo=repo, revision=revision or None)

    @property
    def folder(self) -> Path | None:
        """The folder with `~` resolved, whether or not it is there; None for a repository."""
        if not self.repo.startswith(("/", ".", "~")):
            return None
        try:
            return Path(self.repo).expanduser()
        except RuntimeError:  # `~name` where nobody is called so: there is no such folder, as the shell sees it too
            return Path(self.repo)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.folder is None and not re.fullmatch("[0-9a-f]{40}", self.revision or ""):
            raise ValueError(f"{self.repo}: revision must be a commit of 40 hexadecimal digits, got {self.revision!r}")
        if self.folder is not None and self.revision is not None:
            raise ValueError(f"{self.repo}: a folder has no revision, got {self.revision!r}")
        return self


class Published(Part):
    """Where the weights of a policy's parts were published. A checkpoint holds only those parts that were trained further."""

    video: Source | None = None
    """Video model, VAE and their text encoders, in the folder layout of diffusers."""
    transformer: Source | None = None
    """The video model's transformer alone, where it is not the one in `video`: a folder, a repository, or for Wan also a file.
    Wan's may be in the original file format, as those tuned on robot video are published."""
    image: Source | None = None
    """SigLIP image encoder."""
    text: Source | None = None
    """T5 text encoder with its tokenizer."""
    head: Source | None = None
    """RDT-1B action head, as the initial weights."""
