"""The command lines of `console` and `certificate`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import CliPositionalArg

from runtime.config import refusal
from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says
from runtime.config.settings import TOKEN, Console


class ConsoleFlags(Flags):
    """Show recorded sessions in a browser, without a robot."""

    sessions: Path = Path("sessions")
    """Folder that holds the session folders."""
    host: str = "127.0.0.1"
    """Address of the page; beyond loopback it needs --certificate."""
    port: int = Field(default=8770, ge=0, le=65535)
    """Port of the page; 0, or a port in use: any free port."""
    token: Annotated[str, Says(expects="at least 16 letters, digits, - and _")] = Field(default="", pattern=TOKEN)
    """Token that opens the page; default: the one in the certificate's folder."""
    certificate: Path | None = None
    """Folder that certificate.sh wrote."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.sessions.is_dir():
            raise ValueError(f"--sessions {self.sessions}: does not exist; give the folder of your sessions")
        self.settings()
        return self

    def settings(self) -> Console:
        """The same as settings. Raises ValueError with one line."""
        values = self.model_dump(exclude={"sessions"})
        try:
            return Console.model_validate(values)
        except ValidationError as error:
            raise ValueError(refusal.line(error, Console, values).replace("--console.", "--")) from None


class CertificateFlags(Flags):
    """Create a certificate for the console page, valid for ten years, and a token.

    A browser asks once whether to trust it: compare the printed fingerprint. In a folder with a certificate alone the token is
    added.
    """

    folder: CliPositionalArg[Annotated[Path, Says(expects="a folder")]]
    """New folder, or one that holds a certificate without a token."""
    names: CliPositionalArg[tuple[str, ...]] = ()
    """Host names and addresses at which browsers reach the robot."""


CONSOLE = CommandLine("console", ConsoleFlags)
CERTIFICATE = CommandLine("certificate", CertificateFlags)
