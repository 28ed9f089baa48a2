"""Puts a policy on the hub, with a card that says what it needs: the command `push.sh DIR ORG/NAME`. Called by runtime/cli.py.

Only the checkpoint's own files go there: neither a training's state nor its settings, which name folders of a machine.
"""

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import logging

from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.hub_policy import FILES
from models.identity import stored_config
from models.requirements import Requirements
from models.tensors import StoredTensors
from models.video_policy.checkpoint import VideoPolicyCheckpoint
from runtime.errors import RuntimeFault
from runtime.host.next_step import say_next
from runtime.host.terminal import say, size_text
from runtime.policy.flags import PUSH

_CARD = "README.md"
_REASON_WORDS = 20  # of the hub's answer that are repeated; chosen: a line's worth


def main(arguments: list[str]) -> int:
    """Put what the line names on the hub. Called by runtime/cli.py; returns 0, raises RuntimeFault."""
    options, _ = PUSH.read(arguments)
    logging.set_verbosity_error()
    folder, name = options.checkpoint, options.repository
    needs = _checked(folder)
    if get_token() is None:
        raise RuntimeFault(f"{name}: nobody is logged in to the hub; set HF_TOKEN, or run `hf auth login`")
    with tempfile.TemporaryDirectory(prefix="video2act-push-") as temporary:
        made = Path(temporary)
        total = _gather(folder, made)
        (made / _CARD).write_text(card(name, needs))
        say(f"{name}: {size_text(total)} from {folder}")
        commit = _send(made, name, private=options.private)
    reference = f"{name}@{commit}"
    say(f"{reference}: complete")
    say_next("fetch it on another machine", "weights", "--checkpoint", reference)
    return 0


def _checked(folder: Path) -> Requirements:
    """What the policy needs. Raises RuntimeFault for one that would not load: every weight is read and compared."""
    try:
        family = Checkpoint if isinstance(stored_config(folder), PolicyConfig) else VideoPolicyCheckpoint
        checkpoint = family.load(folder)
        StoredTensors(folder).digest("")
        return checkpoint.needs
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def _gather(folder: Path, made: Path) -> int:
    """Link or copy a checkpoint's files into a folder. Returns their bytes."""
    files = [path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in FILES)]
    for path in files:
        try:
            (made / path.name).symlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, made / path.name)
    return sum(path.stat().st_size for path in files)


def _send(made: Path, name: str, private: bool) -> str:
    """Make the repository where there is none, and one commit of all files. Returns the commit."""
    api = HfApi()
    try:
        api.create_repo(name, private=private or None, exist_ok=True)
        sent = api.upload_folder(repo_id=name, folder_path=made, commit_message="A policy of video2act")
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()[:_REASON_WORDS]) or type(error).__name__
        raise RuntimeFault(
            f"{name}: cannot be put on the hub ({reason}); check the name and HF_TOKEN, then repeat the command"
        ) from None
    return sent.oid


def card(name: str, needs: Requirements) -> str:
    """The page that the hub shows: what the policy needs of a robot, and how to run it."""
    size = needs.picture
    rows = {
        "cameras": ", ".join(needs.cameras),
        "images": "any size" if size is None else f"{size.width_px} x {size.height_px}",
        "slow system": "yes" if needs.windows else "none",
        "joints": needs.state_layout,
        "a chunk": f"{needs.targets} targets, {needs.dt_s * 1000:.0f} ms apart",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return f"""---
library_name: video2act
tags:
- robotics
---

# {name.partition("/")[2]}

A policy for a two-armed robot, run by video2act.

| it needs | |
|---|---|
{table}

    video2act weights --checkpoint {name}@COMMIT
    video2act robot --policy.checkpoint {name}@COMMIT
"""
