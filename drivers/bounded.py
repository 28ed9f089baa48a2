"""Calls into a library that may hang, each with a limit: the caller is told instead of waiting for ever.

Used by drivers/piper_bus.py. Only for libraries that wait without Python's lock; others need a process (camera_process.py).
"""

import threading
from collections.abc import Callable

from drivers.errors import DriverError


class BoundedCalls:
    """Makes calls one after the other. While one hangs no other is made, so that never more than one thread is left behind."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._hanging: threading.Thread | None = None

    def __call__(self, call: Callable[[], object], what: str, remedy: str) -> None:
        """Make a call, and raise what it raises.

        Args:
            call: Into the library.
            what: Who hangs in what, as a message begins.
            remedy: As a message ends.

        Raises:
            DriverError: It did not return in time, or an earlier one still has not.
        """
        error: list[BaseException] = []

        def made() -> None:
            try:
                call()
            except Exception as raised:  # noqa: BLE001 - the thread's edge: raised again below
                error.append(raised)

        hangs = DriverError(f"{what} hung (no answer within {self._limit_s:.0f} s); {remedy}")
        if self._hanging is not None and self._hanging.is_alive():
            raise hangs
        self._hanging = threading.Thread(target=made, daemon=True)
        self._hanging.start()
        self._hanging.join(self._limit_s)
        if self._hanging.is_alive():
            raise hangs
        if error:
            raise error[0]
