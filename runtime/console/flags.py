"""The command lines of `console` and `certificate`. Read by runtime/cli.py before these commands are loaded."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator
from pydantic_settings import CliPositionalArg

from models.field import Says
from models.refusal import shown
from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_certificate
from runtime.config.output_paths import check_folder
from runtime.config.settings import Page
from runtime.errors import SettingsError

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)(\*\.(?=[^.]+\.))?({_LABEL}\.)*(?![0-9]+$){_LABEL}", re.IGNORECASE)
"""RFC 1123, 2.1: labels of 1 to 63 letters, digits and hyphens, 253 together; the last is no number (URL standard: that would
be an address). An underscore, as container networks have it, does no harm. `*` stands for one label (RFC 6125, 6.4.3)."""


def _host_name(name: str) -> str:
    """A name or an address as a browser compares it with a certificate. Raises ValueError for any other text."""
    try:
        ipaddress.ip_address("%" if "%" in name else name)  # a zone is this machine's own: no certificate has one
    except ValueError:
        if not _HOST.fullmatch(name):
            raise ValueError(
                f"{shown(name)} must be a host name or an address; give it as browsers do: robot.local, 192.168.1.7"
            ) from None
    return name


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
    names: CliPositionalArg[tuple[Annotated[str, AfterValidator(_host_name)], ...]] = ()
    """Host names and addresses at which browsers reach the robot."""


def _check_certificate(flags: CertificateFlags, _given: dict[str, Any]) -> None:
    check_folder(flags.folder, "FOLDER")
    if not flags.names and not flags.folder.exists():
        raise SettingsError(
            f"{flags.folder}: host names are missing; run ./launch/certificate.sh {flags.folder} NAME..."
        )


def _check(flags: ConsoleFlags, _given: dict[str, Any]) -> None:
    check_certificate(flags.certificate, "--certificate")


CONSOLE = CommandLine("console", ConsoleFlags, check=_check)
CERTIFICATE = CommandLine("certificate", CertificateFlags, check=_check_certificate)
