"""The command lines of `console` and `certificate`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated

from pydantic import field_validator
from pydantic_settings import CliPositionalArg

from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says
from runtime.config.settings import Page


class ConsoleFlags(Page, Flags):
    """Show recorded sessions in a browser, without a robot."""

    sessions: Path = Path("sessions")
    """Folder that holds the session folders."""

    @field_validator("sessions")
    @classmethod
    def _is_there(cls, sessions: Path) -> Path:
        if not sessions.is_dir():
            raise ValueError(f"--sessions {sessions}: does not exist; give the folder of your sessions")
        return sessions


class CertificateFlags(Flags):
    """Create a certificate for the console page, valid for ten years, and a token.

    A browser asks once whether to trust it: compare the printed fingerprint. A folder that holds only a
    certificate gets a token added.
    """

    folder: CliPositionalArg[Annotated[Path, Says(expects="a folder")]]
    """New folder, or one that holds a certificate without a token."""
    names: CliPositionalArg[tuple[str, ...]] = ()
    """Host names and addresses at which browsers reach the robot."""


CONSOLE = CommandLine("console", ConsoleFlags)
CERTIFICATE = CommandLine("certificate", CertificateFlags)
