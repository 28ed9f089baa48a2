"""The console process: the page of a running robot. It only listens and passes orders on; the arms do not notice its end."""

import asyncio

from runtime.console import app
from runtime.console.access import encryption, token, url
from runtime.console.desk import Desk
from runtime.console.guard import Guard
from runtime.console.live import Live
from runtime.console.recorded import Shelf
from runtime.console.sockets import Ticks
from runtime.host.clock import now_ns
from runtime.process.base import CONSOLE_FILE, Process, log

_PERIOD_S = 0.05


def main(process: Process) -> None:
    """Serve until asked to end."""
    settings = process.settings.console
    live = Live(process.bus, process.settings, process.folder)
    publishers = {name: process.publisher(name) for name in ("order", "steering", "deadman")}
    desk = Desk(publishers, epoch=now_ns())
    ticks = Ticks()
    console = app.Console(Guard(settings.host, token(settings)), Shelf(process.session.parent), live, desk, ticks)
    process.settle()

    async def serve() -> None:
        while process.running:
            live.update()
            now = now_ns()
            desk.repeat(live.safety, now)
            desk.beat(now)
            ticks.tick()
            process.stepped()
            await asyncio.sleep(_PERIOD_S)

    def ready(port: int) -> None:
        address = url(settings, port)
        log.info("the console is at %s", address.partition("?")[0])  # logs lie in the session, which is passed on
        (process.folder / CONSOLE_FILE).write_text(address)

    application = app.application(console)
    app.run_forever(application, settings.host, settings.port, encryption(settings), ready, serve())
