"""The console process: the page of a running robot. It only listens and passes commands on; the arms do not notice its end.
Started by the supervisor (runtime/process/base.py).
"""

import asyncio

from runtime.console import app
from runtime.console.access import encryption, token, url
from runtime.console.guard import Guard
from runtime.console.live import Live
from runtime.console.operator_session import OperatorSession
from runtime.console.recorded import SessionIndex
from runtime.console.sockets import Ticks
from runtime.host.clock import robot_time_ns
from runtime.process.base import CONSOLE_FILE, Process, log

_PERIOD_S = 0.05  # 20 Hz, as runtime/messaging/topics.py says of `deadman`


def main(process: Process) -> None:
    """Serve the page until asked to end; update it, and repeat commands and beats, 20 times a second."""
    settings = process.settings.console
    live = Live(process.bus, process.settings, process.folder)
    publishers = {name: process.publisher(name) for name in ("operator_command", "steering", "deadman")}
    operator = OperatorSession(publishers, epoch=robot_time_ns())
    ticks = Ticks()
    console = app.Console(
        Guard(settings.host, token(settings)), SessionIndex(process.session.parent), live, operator, ticks
    )
    process.settle()

    async def serve() -> None:
        while process.running:
            live.update()
            now_ns = robot_time_ns()
            operator.repeat(live.safety, now_ns)
            operator.beat(now_ns)
            ticks.tick()
            process.stepped()
            await asyncio.sleep(_PERIOD_S)

    def ready(port: int) -> None:
        address = url(settings, port)
        log.info("serving the console at %s", address.partition("?")[0])  # logs lie in the session, which is passed on
        (process.folder / CONSOLE_FILE).write_text(address)

    application = app.application(console)
    app.run_forever(application, settings.host, settings.port, encryption(settings), ready, serve())
