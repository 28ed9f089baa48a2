"""Draws what System 2 expects to see beside its next conditions, never in their way. Called by system2.py.

A thread draws the newest when it has drawn the last one: on a busy machine some are never drawn. Its priority is that of the
process, since a thread that waits for a processor may hold Python's lock meanwhile.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from runtime.messaging import messages
from runtime.policy.protocols import Expected
from runtime.systems.expectation import imagined

log = logging.getLogger(__name__)


class Drawing:
    """The newest expectation that is being drawn, and the message of the last one that was."""

    def __init__(self, epoch: int) -> None:
        """`epoch` of System 2."""
        self._epoch = epoch
        self._before: messages.Imagined | None = None
        self._drawn: tuple[messages.Conditions, Future[Expected]] | None = None
        self._waits: tuple[messages.Conditions, Callable[[], Expected]] | None = None
        self._thread = ThreadPoolExecutor(1, "drawing")

    def begin(self, conditions: messages.Conditions, draw: Callable[[], Expected] | None) -> None:
        """Draw what is expected after conditions, once the one before is done; nothing where a policy imagines nothing."""
        self._waits = None if draw is None else (conditions, draw)
        self._next()

    def take(self, now_ns: int) -> messages.Imagined | None:
        """The message, once it is drawn; then begin with the newest that waits. `now_ns`: CLOCK_MONOTONIC."""
        if self._drawn is None or not self._drawn[1].done():
            return None
        (conditions, drawn), self._drawn = self._drawn, None
        self._next()
        try:
            expected = drawn.result()
        except RuntimeError as error:  # torch's, as for want of GPU memory: conditions matter more than pictures
            log.warning("what conditions %d expect cannot be drawn: %s", conditions.seq, error)
            return None
        self._before = imagined(conditions, expected, self._before, self._epoch, now_ns)
        return self._before

    def _next(self) -> None:
        if self._drawn is None and self._waits is not None:
            conditions, draw = self._waits
            self._drawn, self._waits = (conditions, self._thread.submit(draw)), None
