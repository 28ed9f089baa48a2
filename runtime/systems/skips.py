"""Why there is no chunk, as a message. Used by whoever makes chunks: System 1, and the tracker that takes its place."""

from typing import Protocol

from runtime.messaging import messages


class Skipping(Protocol):
    """A state that counts its skips."""

    skips: int


def skip(
    state: Skipping,
    episode: messages.Episode,
    inputs: tuple[messages.InputRef, ...],
    reason: str,
    epoch: int,
    now_ns: int,
) -> messages.Skip:
    """The message, counted; `inputs` are what the run had consumed."""
    state.skips += 1
    return messages.Skip(
        seq=state.skips - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=episode.number,
        inputs=inputs,
        reason=reason,
    )
