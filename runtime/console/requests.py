"""What a page may say on the operator's socket, strictly parsed: anything else is answered with a line.
Called by sockets.py and operator_session.py.
"""

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from models import refusal
from runtime.messaging import messages

LARGEST_BYTES = 16_384  # of a request; chosen: an instruction and a note of 1000 letters each, and room for escapes
PRESS_LETTERS = 80  # of what a page calls one press of HOLD; chosen: its own name and a number
_JOINERS = "\u200c\u200d"  # which some scripts are written with


def _shown(text: str) -> str:
    if not text.translate(dict.fromkeys(map(ord, _JOINERS))).isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def _something(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[str, AfterValidator(_shown)]
"""Without characters that control a terminal or turn the direction of writing: it is shown in terminals and logs."""
Said = Annotated[Text, AfterValidator(_something)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Take(_Request):
    """A page wants the lease, for the operator of this name."""

    type: Literal["take"]
    name: Said = Field(max_length=80)


class Give(_Request):
    """A page gives the lease back."""

    type: Literal["give"]


class Beat(_Request):
    """A page says that it lives, 20 times a second.

    It is answered by `sent_ms` and the robot's time, so that the page knows the round trip. By the next one so does the
    console: `echo_ns` is the time of the last answer, which the page has had for `kept_ms`.
    """

    type: Literal["beat"]
    sent_ms: float = Field(default=0, allow_inf_nan=False)
    echo_ns: int | None = None
    kept_ms: float = Field(default=0, ge=0, allow_inf_nan=False)


class Deadman(_Request):
    """Whether the arms shall hold when the page is lost."""

    type: Literal["deadman"]
    wanted: bool


class Command(_Request):
    """A command to the arms; all but HOLD are refused when the page has shown an old robot."""

    type: Literal["command"]
    command: messages.CommandName
    confirmed: bool = False
    seen_ns: int | None = None  # the robot's time that the page shows; HOLD needs none
    press: str = Field(default="", max_length=PRESS_LETTERS)  # of a HOLD: what was pressed once is obeyed once


class Steer(_Request):
    """What an operator wants of the supervisor (messages.Steering); what is None stays as it is."""

    type: Literal["steer"]
    instruction: Said | None = Field(default=None, max_length=1000)
    ratio: int | None = Field(default=None, ge=1, le=1000)
    blend: messages.Blend | None = None
    result: messages.Result | None = None
    note: Text = Field(default="", max_length=1000)
    next_episode: bool = False
    seen_ns: int | None = None


Request = Take | Give | Beat | Deadman | Command | Steer
_KINDS: dict[str, type[Request]] = {
    "take": Take, "give": Give, "beat": Beat, "deadman": Deadman, "command": Command, "steer": Steer,
}  # fmt: skip


def parse(text: str) -> Request | str:
    """A request, or one line about what is wrong with it."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return "not a request: not JSON; reload the page"
    name = values.get("type") if isinstance(values, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return f"not a request: type {refusal.as_json(name)}: must be one of {', '.join(_KINDS)}; reload the page"
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        if (
            error.errors(include_url=False)[0]["type"] == "json_invalid"
        ):  # what Python's parser takes and pydantic's does not
            return "not a request: not JSON; reload the page"
        return f"not a request: {refusal.line(error, kind, values, refusal.place_of, in_json=True, what='field')}"
