"""The command `console.sh`: the page without a robot, to look through recorded sessions."""

import asyncio
import signal
from pathlib import Path

from pydantic import ValidationError

from runtime.config import command_line
from runtime.config.settings import Console as Settings
from runtime.console import app
from runtime.console.access import check, encryption, token, url
from runtime.console.guard import Guard
from runtime.console.recorded import SessionIndex
from runtime.errors import SettingsError
from runtime.host.shutdown import Ending
from runtime.host.terminal import say

_POLL_S = 0.1


def main(arguments: list[str]) -> int:
    """The command, until it is ended."""
    parser = command_line.parser("console.sh", __doc__)
    parser.add_argument("--sessions", type=Path, default=Path("sessions"), metavar="DIR", help="default: sessions")
    parser.add_argument("--host", default="127.0.0.1", help="beyond loopback only with --certificate")
    parser.add_argument("--port", type=int, default=8770, help="one that is taken gives way to a free one")
    parser.add_argument("--token", default="", help="whoever opens the page must know it; default: that of DIR")
    parser.add_argument("--certificate", type=Path, metavar="DIR", help="made by certificate.sh")
    options = command_line.parse(parser, arguments)
    if not options.sessions.is_dir():
        raise SettingsError(f"--sessions {options.sessions}: no such folder")
    given = {name: getattr(options, name) for name in ("host", "port", "token", "certificate")}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f"--{first['loc'][0]}: " if first["loc"] else ""
        raise SettingsError(
            f"{where}{str(first['msg']).removeprefix('Value error, ').replace('--console.', '--')}"
        ) from None
    try:
        check(settings)
    except SettingsError as error:
        raise SettingsError(str(error).replace("--console.", "--")) from None
    ending = Ending()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ending.ask)

    async def serve() -> None:
        while not ending.asked:
            await asyncio.sleep(_POLL_S)

    console = app.Console(Guard(settings.host, token(settings)), SessionIndex(options.sessions))
    app.run_forever(
        app.application(console), settings.host, settings.port, encryption(settings),
        lambda port: say(f"video2act: sessions at {url(settings, port)}"), serve(),
    )  # fmt: skip
    return 0
