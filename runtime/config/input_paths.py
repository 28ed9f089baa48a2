"""What a command reads: that it is not there is said at the start, before anything is loaded that takes seconds.
Called by the flags of commands; output_paths.py is about what they write.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.config.source import Source
from models.data import demonstration_files
from models.data.reading import AS_IT_COMES, Reading
from models.errors import ModelError
from models.identity import checkpoint_folder, no_checkpoint, stored_config
from models.refusal import nearest
from models.sources import OF_TORCH, holds_weights
from runtime.config.wire_settings import FROM_VARIABLE
from runtime.errors import SettingsError


def check_folder(path: Path | None, flag: str, remedy: str) -> None:
    """Raises SettingsError for a folder that was given and is not there."""
    if path is not None and not path.is_dir():
        raise SettingsError(f"{flag} {path}: {_lacks(path, 'folder')}; {remedy}")


def check_file(path: Path | None, flag: str, remedy: str) -> None:
    """Raises SettingsError for a file that was given and is not there; a pipe or a device is none."""
    if path is not None and not path.is_file():
        raise SettingsError(f"{flag} {path}: {_lacks(path, 'file')}; {remedy}")


def check_demonstrations(folder: Path | None, flag: str) -> None:
    """Raises SettingsError for a folder that was given and holds no demonstrations. What is wrong with one is said later."""
    check_folder(folder, flag, "create demonstrations with ./launch/demos.sh")
    if folder is not None and not demonstration_files.there_are(folder):
        raise SettingsError(f"{flag} {folder}: {demonstration_files.NONE}")


def check_tasks(folder: Path, names: Sequence[str], flag: str, reading: Reading = AS_IT_COMES) -> None:
    """Raises SettingsError for a task that none of a folder's demonstrations does, or for an unreadable demonstration.

    `reading`: what flags say of demonstrations.
    """
    from models.data import demonstrations  # they need HDF5 and Arrow, which most commands do without

    try:
        found = demonstrations.to_learn_from(demonstrations.find(folder, reading), folder)
    except ModelError as error:
        raise SettingsError(str(error)) from None
    there = sorted({demonstration.task for demonstration in found})
    for name in names:
        if name not in there:
            raise SettingsError(
                f"{flag} {name:.60}: must be all, or one or more of {', '.join(there)}, the tasks in {folder}"
                f"{nearest(name, there)}"
            )


def check_checkpoint(path: Path | None, flag: str) -> None:
    """Raises SettingsError for a folder that was given and holds no checkpoint, or one whose config.json is wrong.

    What is wrong with its weights is said later.
    """
    if path is None:
        return
    folder = checkpoint_folder(path)
    if not (folder / "config.json").is_file():
        raise SettingsError(f"{flag} {path}: {no_checkpoint(path)}")
    try:
        stored_config(folder)
    except ModelError as error:
        raise SettingsError(f"{flag}: {error}") from None


def check_source(text: str | None, flag: str) -> None:
    """Raises SettingsError for published weights on this machine (/..., ./..., ~...) that are not there, or hold none."""
    folder = None if text is None else Source.model_construct(repo=text).folder
    if folder is None:
        return
    remedy = "give the folder of the weights, or REPOSITORY@COMMIT"
    if not folder.exists():
        raise SettingsError(f"{flag} {text}: does not exist; {remedy}")
    if folder.is_dir() and not holds_weights(folder):
        raise SettingsError(f"{flag} {text}: holds no weights (*.safetensors, *{', *'.join(OF_TORCH)}); {remedy}")


def check_settings(given: Mapping[str, Any]) -> None:
    """Whether all is there that a robot's settings read, as far as flags give it (a profile's are checked with it).

    Args:
        given: What flags give of the tree.

    Raises:
        SettingsError: One line with the first flag whose path leads nowhere.
    """
    policy: Mapping[str, Any] = given.get("policy", {})
    checkpoint, certificate = policy.get("checkpoint"), given.get("console", {}).get("certificate")
    keys = given.get("system2", {}).get("keys")
    check_checkpoint(checkpoint and Path(checkpoint), "--policy.checkpoint")
    for part, source in policy.get("published", {}).items():
        check_source(source, f"--policy.published.{part}")
    check_certificate(certificate and Path(certificate), "--console.certificate")
    check_keys(keys and Path(keys), "--system2.keys")
    wire: Mapping[str, Any] = policy.get("wire", {})
    token, trusted = str(wire.get("token") or ""), wire.get("certificate")
    if not token.startswith(FROM_VARIABLE):
        check_file(Path(token) if token else None, "--policy.wire.token", "give the file of the server's token")
    check_file(trusted and Path(trusted), "--policy.wire.certificate", "give certificate.pem of the server")


def check_certificate(path: Path | None, flag: str) -> None:
    """Raises SettingsError for a folder without a certificate."""
    check_folder(path, flag, f"create one with ./launch/certificate.sh {path} NAME")


def check_keys(path: Path | None, flag: str) -> None:
    """Raises SettingsError for a folder that was given and is not there."""
    check_folder(path, flag, "create the keys with ./launch/keys.sh DIR")


def _lacks(path: Path, kind: str) -> str:
    return f"is no {kind}" if path.exists() else "does not exist"
