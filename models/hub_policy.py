"""A policy that lies on the hub, at one commit, as a user names it: ORG/NAME@COMMIT.

Nothing here asks the hub: `launch/weights.sh` fetches, and `launch/push.sh` puts policies there. Called by models/identity.py
and runtime/policy. Loads no torch.
"""

import re
from pathlib import Path

FILES = (
    "config.json",
    "stats.json",
    "checkpoint.json",
    "checksums.json",
    "data.json",
    "*.safetensors",
    "model.safetensors.index.json",
)
"""Of a checkpoint's folder, all that a policy is made of."""
_NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"  # of a repository, as the hub allows it
_REFERENCE = re.compile(rf"({_NAME})@([0-9a-f]{{40}})")


def is_name(text: str) -> bool:
    """Whether a text is ORG/NAME."""
    return re.fullmatch(_NAME, text) is not None


def parts(text: str) -> tuple[str, str] | None:
    """Repository and commit of ORG/NAME@COMMIT; None for another text."""
    found = _REFERENCE.fullmatch(text)
    return None if found is None else (found[1], found[2])


def cached(text: str) -> Path | None:
    """The folder of such a policy in the hub's cache of this machine; None where it is not there or the text is another one."""
    if (found := parts(text)) is None:
        return None
    from huggingface_hub import try_to_load_from_cache  # takes a while, and few policies are named so

    repository, commit = found
    config = try_to_load_from_cache(repository, "config.json", revision=commit)
    return Path(config).parent if isinstance(config, str) else None
