"""The command `console.sh`: the page without a robot, to look through recorded sessions.
Called by runtime/cli.py.
"""

import asyncio
import signal

from runtime.console import app
from runtime.console.access import check, encryption, printed, token, url
from runtime.console.flags import CONSOLE
from runtime.console.guard import Guard
from runtime.console.recorded import SessionIndex
from runtime.errors import SettingsError
from runtime.host.shutdown import Ending
from runtime.host.terminal import say

_POLL_S = 0.1  # between two looks whether to end; chosen


def main(arguments: list[str]) -> int:
    """Serve sessions until Ctrl-C or SIGTERM. Called by runtime/cli.py; returns 0."""
    options, _ = CONSOLE.read(arguments)
    try:
        check(options)
    except SettingsError as error:
        raise SettingsError(str(error).replace("--console.", "--")) from None
    ending = Ending()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ending.ask)

    async def serve() -> None:
        while not ending.asked:
            await asyncio.sleep(_POLL_S)

    console = app.Console(Guard(options.host, token(options)), SessionIndex(options.sessions))
    app.run_forever(
        app.application(console), options.host, options.port, encryption(options),
        lambda port: say(f"video2act: sessions at {printed(options, url(options, port))}"), serve(),
    )  # fmt: skip
    return 0
