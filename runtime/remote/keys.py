"""The command `keys.sh DIR`: the two key pairs (CURVE) by which the robot and the GPU box know each other.
Called by runtime/cli.py; both ends load keys by it.

Copy DIR to both machines. Whoever has it can be either of them.
"""

from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth

from runtime.errors import RuntimeFault, SettingsError
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.remote.flags import KEYS

ROBOT, BOX = "robot", "system2"
_LETTERS = 40  # of a CURVE key in Z85: 32 bytes, five letters for four


@dataclass(frozen=True)
class Keys:
    """The keys of one end: its own pair, and the other's public key; in CURVE's Z85."""

    public: bytes
    secret: bytes
    other: bytes


def main(arguments: list[str]) -> int:
    """Make both key pairs in the folder of the line. Called by runtime/cli.py; returns 0, raises SettingsError where some
    exist.
    """
    folder = KEYS.read(arguments)[0].folder
    if not zmq.has("curve"):
        raise RuntimeFault("this ZeroMQ has no CURVE encryption; reinstall pyzmq")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written ({error.strerror}); give another folder") from None
    if found := sorted(path.name for path in folder.glob("*.key*")):
        raise SettingsError(f"{folder / found[0]}: already exists; give another folder, or delete it")
    if any(folder.iterdir()):
        raise SettingsError(f"{folder}: is not empty; give a new folder")
    try:
        for name in (ROBOT, BOX):
            for path in zmq.auth.create_certificates(folder, name):
                Path(path).chmod(0o600)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written ({error.strerror}); give another folder") from None
    say(f"{folder}: wrote the keys of both sides; copy it to the GPU box, and let nobody else read it")
    say_next("run System 2 on the GPU box", "system2", "--robot", "tcp://ROBOT:5760", "--keys", folder)
    say_next("run the robot", "robot", "--system2.remote", "tcp://0.0.0.0:5760", "--system2.keys", folder)
    return 0


def load(folder: Path, own: str, other: str) -> Keys:
    """The keys of the end `own` (ROBOT or BOX).

    Raises:
        SettingsError: A file is missing, or a key in it is cut.
    """
    try:
        public, secret = zmq.auth.load_certificate(folder / f"{own}.key_secret")
        theirs, _ = zmq.auth.load_certificate(folder / f"{other}.key")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(
            f"keys in {folder}: cannot be read ({reason}); create them with ./launch/keys.sh DIR"
        ) from None
    if secret is None or any(len(key) != _LETTERS for key in (public, secret, theirs)):
        raise SettingsError(f"keys in {folder}: a key is missing or truncated; create them with ./launch/keys.sh DIR")
    return Keys(public, secret, theirs)
