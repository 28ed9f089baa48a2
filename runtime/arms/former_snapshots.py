"""What the snapshots of former versions hold of the arms' state, made into today's. Used when a session is replayed."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from runtime.arms.modes import Latched, StateMachine, Status, Wanted

# Where the fields of the one flat record stand today; what it repeated of the settings is left out.
_WANTED = {
    "wants_arm": "arm", "wants_power": "power", "wants_run": "run", "first_run": "first_run", "wants_takeover": "takeover",
    "bound_for": "pose",
}  # fmt: skip
_LATCHED = ("fault", "stopped", "never_armed", "held", "lost")
_OF_SETTINGS = ("unfit", "masters_own")


def machine(**fields: Any) -> StateMachine:
    """Of the record of up to nineteen fields, each of which came with its default. Raises TypeError for a foreign one."""
    wanted = {today: fields.pop(name) for name, today in _WANTED.items() if name in fields}
    latched = {name: fields.pop(name) for name in _LATCHED if name in fields}
    status = {name: value for name, value in fields.items() if name not in _OF_SETTINGS}
    return StateMachine(Wanted(**wanted), Latched(**latched), Status(**status))


FORMER: Final[Mapping[str, Callable[..., Any]]] = {"Machine": machine}
