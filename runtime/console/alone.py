"""The command `console.sh`: the page without a robot, to look through recorded sessions.
Called by runtime/cli.py.
"""

from runtime.console import app
from runtime.console.access import check_alone, encryption, printed, token, url
from runtime.console.flags import CONSOLE
from runtime.console.guard import Guard
from runtime.console.recorded import SessionIndex
from runtime.host.shutdown import Ending
from runtime.host.terminal import say


def main(arguments: list[str]) -> int:
    """Serve sessions until Ctrl-C or SIGTERM. Called by runtime/cli.py; returns 0."""
    options, _ = CONSOLE.read(arguments)
    check_alone(options)
    ending = Ending()
    ending.ask_by_signals()
    console = app.Console(Guard(options.host, token(options)), SessionIndex(options.sessions))
    app.run_forever(
        app.application(console), options.host, options.port, encryption(options),
        lambda port: say(f"video2act: sessions at {printed(options, url(options, port))}"), ending.until_asked(),
    )  # fmt: skip
    return 0
