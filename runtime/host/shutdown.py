"""Whether a process was asked to end, as a signal's handler may tell it: without a lock, however often.
Used by every process's base, the console without a robot, the replay's page and `serve`.

`threading.Event.set` takes a lock that is not reentrant. A second SIGTERM that arrives while the first one's handler holds it
waits for ever in the same thread; and several do arrive when a parent is killed, one for each of its threads that ends.
"""

import os
import select
import signal

_POLL_S = 0.1  # between two looks of an event loop; chosen


class Ending:
    """Asked for once, by any thread or handler; waited for by any thread."""

    def __init__(self) -> None:
        self._asked = False
        self._wake = os.eventfd(0)  # readable from the request on

    @property
    def asked(self) -> bool:
        """True once the process is to end."""
        return self._asked

    def ask(self, *_: object) -> None:
        """Ask for the end (also a handler of signals)."""
        if not self._asked:
            self._asked = True
            os.eventfd_write(self._wake, 1)

    def ask_by_signals(self) -> None:
        """Let Ctrl-C and SIGTERM ask for the end; to be called in the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.ask)

    async def until_asked(self) -> None:
        """Wait in an event loop until the end is asked for."""
        import asyncio  # which most processes do without

        while not self._asked:
            await asyncio.sleep(_POLL_S)

    def wait(self, duration_s: float) -> bool:
        """Sleep, but wake when the end is asked for. Returns whether it was."""
        if not self._asked:
            waiting = select.poll()
            waiting.register(self._wake, select.POLLIN)
            waiting.poll(max(0.0, 1e3 * duration_s))
        return self._asked

    def close(self) -> None:
        """Give the descriptor back, when nobody waits any more; later requests change nothing."""
        self._asked = True
        os.close(self._wake)
