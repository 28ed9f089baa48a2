"""The command line of launch/policy_server.sh, read by the standard library alone: before lerobot is set up, too.
Called by command.py, and by the script, which lets a wrong line wait for nothing.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RuntimeFault, SettingsError

CAMERAS = ("head", "left_wrist", "right_wrist")
"""This robot's, as drivers/cobot_magic.py has them."""
_HUB = re.compile(r"([\w-][\w.-]*/[\w.-]+?)(?:@([\w./-]+))?")  # ORG/NAME, and a commit, branch or tag
RATE_HZ = (1.0, 1000.0)  # a target a second to one a millisecond, as a chunk's message has it


@dataclass(frozen=True)
class LerobotFlags:
    """A line that was read."""

    lerobot: str  # as it was typed
    folder: Path | None  # None: on the hub
    repository: str
    revision: str | None
    port: int
    device: str
    task: str
    cameras: dict[str, str]  # by the checkpoint's name: the robot's camera
    rate_hz: float | None
    grippers: str
    seed: int


def read(line: Sequence[str]) -> LerobotFlags:
    """A command line; --help prints the help and ends.

    Raises:
        SettingsError: A flag or value that cannot be used; one line.
    """
    given = _parser().parse_args(line)
    folder, repository, revision = _place(given.lerobot)
    if not 0 <= given.port <= 65535:
        raise SettingsError(f"--port {given.port}: must be 0 to 65535; 0 is any free one")
    if given.rate_hz is not None and not RATE_HZ[0] <= given.rate_hz <= RATE_HZ[1]:
        raise SettingsError(f"--rate-hz {given.rate_hz:g}: must be {RATE_HZ[0]:g} to {RATE_HZ[1]:g} targets per second")
    return LerobotFlags(
        lerobot=given.lerobot, folder=folder, repository=repository, revision=revision, port=given.port,
        device=given.device, task=given.task, cameras=_cameras(given.cameras), rate_hz=given.rate_hz,
        grippers=given.grippers, seed=given.seed,
    )  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  argparse's own ends the program
        raise SettingsError(f"{message}; --help lists the flags")


def _parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="policy_server.sh",
        allow_abbrev=False,
        description="Serve a LeRobot policy (act, diffusion, smolvla, pi0) by openpi's protocol, on this machine alone. "
        "The first start sets lerobot up in an environment of its own. Then: robot.sh --policy.server ws://127.0.0.1:PORT",
    )
    add = made.add_argument
    add(
        "--lerobot",
        required=True,
        metavar="FOLDER|ORG/NAME[@REV]",
        help="checkpoint, or its name on the hub",
    )
    add("--port", type=int, default=8000, metavar="N", help="port; 0: any free one, which is printed (default: 8000)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where the policy runs (default: cpu)")
    add(
        "--task", default="", metavar="TEXT", help="instruction for the policy, whatever clients send (default: theirs)"
    )
    add("--cameras", default="", metavar="NAME=CAMERA,...",
        help=f"checkpoint's cameras that are named otherwise, each with one of {', '.join(CAMERAS)}")  # fmt: skip
    add("--rate-hz", type=float, default=None, metavar="R",
        help="targets per second, the fps of the data set (default: as the data set on this machine says)")  # fmt: skip
    add("--grippers", choices=("m", "share"), default="m", help="what the checkpoint counts grippers in (default: m)")
    add("--seed", type=int, default=0, metavar="N", help="of the noise that a connection begins with (default: 0)")
    return made


def _place(text: str) -> tuple[Path | None, str, str | None]:
    """Folder, or repository and revision on the hub."""
    if Path(text).is_dir():
        return Path(text), "", None
    on_hub = _HUB.fullmatch(text)
    if on_hub is None or Path(text).exists():
        raise SettingsError(f"--lerobot {text}: is no folder; give the folder that lerobot saved, or ORG/NAME")
    return None, on_hub[1], on_hub[2]


def _cameras(text: str) -> dict[str, str]:
    """The robot's camera by the checkpoint's name."""
    found: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        name, _, camera = pair.partition("=")
        if not name or camera not in CAMERAS or name in found:
            raise SettingsError(
                f"--cameras {pair}: must be NAME=CAMERA with one of {', '.join(CAMERAS)}, each name once"
            )
        found[name] = camera
    if len(set(found.values())) < len(found):
        raise SettingsError(f"--cameras {text}: gives one camera two names; give each camera once")
    return found


def main(line: Sequence[str]) -> int:
    """Read a line and say nothing, or one line. Returns the status."""
    try:
        read(line)
    except RuntimeFault as error:
        sys.stderr.write(f"video2act: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
