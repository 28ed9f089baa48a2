"""Serves a LeRobot policy: fetch, check, load, listen.
Called by launch/policy_server.sh as `python -m runtime.lerobot.command`.
"""

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import RuntimeFault, SettingsError
from runtime.lerobot.flags import RATE_HZ, LerobotFlags, read


def main(line: Sequence[str]) -> int:
    """Serve until Ctrl-C or SIGTERM. Returns the status: 2 for a wrong line, 1 for what could not be done."""
    try:
        _serve(read(line))
    except RuntimeFault as error:
        sys.stderr.write(f"video2act: {' '.join(str(error).split())}\n")
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _serve(flags: LerobotFlags) -> None:
    from runtime.lerobot import checkpoint, contract, torchvision_operators

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    folder = flags.folder or _fetched(flags)
    found = checkpoint.read(folder, flags.grippers)
    keys = contract.cameras(found, flags.cameras)
    rate_hz = flags.rate_hz or checkpoint.rate_hz(folder)
    if rate_hz is None:
        raise SettingsError(f"--lerobot {folder}: does not say its rate; give --rate-hz R, the fps of its data set")
    least, most = RATE_HZ
    if not least <= rate_hz <= most:
        raise SettingsError(
            f"--lerobot {folder}: its data set says {rate_hz:g} frames/s; give --rate-hz {least:g} to {most:g}"
        )
    _say(f"loading {found.kind} from {folder} onto {flags.device}, {rate_hz:g} targets per second")
    torchvision_operators.name_missing()
    from runtime.lerobot.policy import LerobotPolicy
    from runtime.lerobot.server import PolicyServer

    policy = LerobotPolicy(found, keys, flags.device, 1 / rate_hz, flags.seed)
    _say(f"a chunk of {found.targets} targets takes {policy.warm() * 1e3:.0f} ms")
    server = PolicyServer(policy, contract.metadata(found, keys, 1 / rate_hz, flags.grippers), list(keys), flags.task)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.stop)
    try:
        server.run(flags.port, lambda port: _say(f"serving at ws://127.0.0.1:{port}"))
    except OSError as error:
        raise RuntimeFault(
            f"--port {flags.port}: {error.strerror or error}; give another, or 0 for any free one"
        ) from None


def _fetched(flags: LerobotFlags) -> Path:
    """The folder of a repository of the hub, fetched at one commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    _say(f"fetching {flags.lerobot} from the hub")
    try:
        return Path(
            snapshot_download(flags.repository, revision=flags.revision, allow_patterns=["*.json", "*.safetensors"])
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise RuntimeFault(f"--lerobot {flags.lerobot}: is no folder here, and the hub says: {said}") from None


def _say(text: str) -> None:
    sys.stdout.write(f"video2act: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
