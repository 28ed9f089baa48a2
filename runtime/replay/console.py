"""The live page of a session that is played again (`replay.sh --paced --console`): watched only, no robot is behind it.
Called by command.py.
"""

import asyncio
from pathlib import Path

from runtime.config.settings import Console as Settings
from runtime.console import app
from runtime.console.access import encryption, printed, token, url
from runtime.console.guard import Guard
from runtime.console.live import Live
from runtime.console.recorded import SessionIndex, settings_of
from runtime.console.sockets import Ticks
from runtime.host.shutdown import Ending
from runtime.host.terminal import say
from runtime.messaging.bus import Bus
from runtime.process.processes import PROCESSES
from runtime.replay.paced import PacedReplay
from runtime.session.reader import Session

_PERIOD_S = 0.05  # between two updates of the page; as runtime/console/process.py


def show(paced: PacedReplay, session: Session, folder: Path, speed: float) -> None:
    """Play a session once into the page, then show its last moment, until asked to end."""
    settings, ending, ticks = Settings(), Ending(), Ticks()
    ending.ask_by_signals()
    bus = Bus(folder, "console", PROCESSES)
    live = Live(bus, settings_of(session), folder, paced.time_ns)
    path = session.path.resolve()
    name = path.parent.name

    async def serve() -> None:
        playing = asyncio.create_task(asyncio.to_thread(paced.run, speed, ending.wait))
        playing.add_done_callback(lambda played: say(f"{played.result()} messages published"))
        while not (ending.asked and playing.done()):
            if playing.done():
                playing.result()
            live.update()
            ticks.tick()
            await asyncio.sleep(_PERIOD_S)

    console = app.Console(
        Guard(settings.host, token(settings)), SessionIndex(path.parent.parent), live, None, ticks, name
    )
    try:
        app.run_forever(
            app.application(console), settings.host, settings.port, encryption(settings),
            lambda port: say(f"video2act: playing {name} at {printed(settings, url(settings, port))} until Ctrl-C"), serve(),
        )  # fmt: skip
    finally:
        bus.close()
        ending.close()
