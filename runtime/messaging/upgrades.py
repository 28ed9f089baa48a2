"""What changed on the wire from each schema to the next, so that former sessions stay readable.
Called by codec.py for recorded messages, and by the session reader for topics.

Works on raw maps, before anything is checked: a body that is no valid message of its schema is refused after the upgrade.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.errors import WireError

SCHEMA_NUMBER = 4  # of the messages as they are now; each change on the wire raises it and adds a row to UPGRADES

Body = dict[str, Any]


@dataclass(frozen=True)
class Upgrade:
    """What changed from one schema to the next: new names by old ones, and functions that change a message's body."""

    types: Mapping[str, str] = field(default_factory=dict[str, str])  # new names of messages
    topics: Mapping[str, str] = field(default_factory=dict[str, str])
    processes: Mapping[str, str] = field(default_factory=dict[str, str])
    fields: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )  # by a message's former name
    shapes: Mapping[str, Callable[[Body], Body]] = field(default_factory=dict[str, Callable[[Body], Body]])  # likewise


def _conditions(body: Body) -> Body:
    """Two fixed arrays, maps and windows become named ones."""
    windows = tuple({"name": name, "camera": "head", "frames": body.pop(f"{name}_frames")} for name in ("high", "low"))
    maps = {"boundaries": body.pop("spatial_map", None), "motion": body.pop("motion_map", None)}
    drawn = {name: strength for name, strength in maps.items() if strength and 0 not in strength["shape"]}
    return body | {
        "arrays": {name: body.pop(name) for name in ("spatial", "motion")},
        "windows": windows,
        "maps": drawn,
    }


def _without_state(body: Body) -> Body:
    """The classes of a step's state are of another version: nothing can be restored, a replay begins at the first output."""
    return body | {"state": b""}


UPGRADES: Mapping[int, Upgrade] = {
    1: Upgrade(
        types={"Order": "OperatorCommand", "MasterState": "LeaderState"},
        topics={"order": "operator_command", "master": "leader_state"},
        processes={"masters": "leaders", "master_left": "leader_left", "master_right": "leader_right"},
        fields={"Order": {"order": "command"}, "JointState": {"trouble": "warning"}, "Recording": {"trouble": "fault"}},
        shapes={"Conditions": _conditions, "Snapshot": _without_state},
    ),
    2: Upgrade(),  # an episode may say the period of System 1; where it says none, the settings do
    3: Upgrade(),  # System 2 may say what it expects to see
}
"""By the schema that it begins with. A former name is never given to anything else."""


def upgraded(body: Body) -> Body:
    """A message's map in the present schema; unchanged where it is of no schema that is known.

    Raises:
        WireError: It lacks a field that its schema has.
    """
    schema = body.get("schema")
    if type(schema) is not int or schema not in UPGRADES:
        return body
    try:
        return upgraded(_step(dict(body), UPGRADES[schema]) | {"schema": schema + 1})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WireError(f"not a message of schema {schema}: {type(error).__name__} {error}") from None


def present_topic(name: str) -> str:
    """What a topic of any schema is called in the present one."""
    for upgrade in UPGRADES.values():
        name = upgrade.topics.get(name, name)
    return name


def _step(body: Body, upgrade: Upgrade) -> Body:
    kind = body["type"]
    renamed = upgrade.fields.get(kind, {})
    body = {renamed.get(name, name): value for name, value in body.items()}
    body = upgrade.shapes.get(kind, dict)(body)
    body["type"] = upgrade.types.get(kind, kind)
    if "inputs" in body:
        body["inputs"] = tuple((upgrade.topics.get(topic, topic), *rest) for topic, *rest in body["inputs"])
    if "process" in body:
        body["process"] = upgrade.processes.get(body["process"], body["process"])
    if "processes" in body:
        body["processes"] = tuple(
            row | {"process": upgrade.processes.get(row["process"], row["process"])} for row in body["processes"]
        )
    return body
