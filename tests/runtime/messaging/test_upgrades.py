"""Messages of former schemas in the present one: every golden payload of schema 1, names, shapes and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from runtime.errors import WireError
from runtime.messaging import codec, messages
from runtime.messaging.topics import TOPICS, topic_of
from runtime.messaging.upgrades import SCHEMA_NUMBER, UPGRADES, present_topic, upgraded

LATER = {"Imagined"}  # messages that schema 1 had not
FORMER = sorted((Path(__file__).parents[1] / "golden" / "schema-1").glob("*.msgpack"))


def body_of(name: str) -> dict[str, Any]:
    """The raw map of a golden payload of schema 1."""
    return codec.unpack((FORMER[0].parent / f"{name}.msgpack").read_bytes())


def pack(body: dict[str, Any]) -> bytes:
    """The payload of a raw map."""
    return msgpack.packb(body) or b""


def test_a_table_leads_from_each_former_schema_to_the_present_one() -> None:
    assert sorted(UPGRADES) == list(range(1, SCHEMA_NUMBER))


def test_there_is_one_of_each_former_message() -> None:
    renamed = {new: old for old, new in UPGRADES[1].types.items()}
    assert {path.stem for path in FORMER} == {
        renamed.get(kind, kind) for kind in messages.MESSAGES if kind not in LATER
    }


@pytest.mark.parametrize("path", FORMER, ids=lambda path: path.stem)
def test_every_former_message_is_upgraded(path: Path, build: Callable[..., Any]) -> None:
    message, payload = codec.decode_recorded(path.read_bytes())
    assert codec.decode(payload, type(message)).stamp_ns == message.stamp_ns
    same = build(type(message))
    for name in type(message).model_fields:
        if not isinstance(message, messages.Snapshot | messages.Conditions):
            np.testing.assert_equal(getattr(message, name), getattr(same, name))


@pytest.mark.parametrize("path", FORMER, ids=lambda path: path.stem)
def test_a_live_process_takes_no_former_message(path: Path) -> None:
    with pytest.raises(WireError):
        codec.decode(path.read_bytes())


def test_two_arrays_become_named_ones_bit_for_bit(build: Callable[..., Any]) -> None:
    message, _ = codec.decode_recorded(pack(body_of("Conditions")))
    present = build(messages.Conditions)
    assert isinstance(message, messages.Conditions)
    for recorded, made in ((message.arrays, present.arrays), (message.maps, present.maps)):
        assert list(recorded) == list(made)
        for name in recorded:
            assert recorded[name].dtype == made[name].dtype
            np.testing.assert_array_equal(recorded[name].values, made[name].values)
    assert message.windows == present.windows and message.inputs == present.inputs and message.timing == present.timing


def test_a_condition_without_maps_gets_none() -> None:
    empty = {"dtype": "uint8", "shape": (0, 0), "data": b""}
    for maps in ({"spatial_map": empty, "motion_map": empty}, {}):
        body = {name: value for name, value in body_of("Conditions").items() if not name.endswith("_map")} | maps
        message, _ = codec.decode_recorded(pack(body))
        assert isinstance(message, messages.Conditions) and message.maps == {}


def test_what_refers_to_a_renamed_topic_or_process_says_its_new_name() -> None:
    body = body_of("ArmTarget") | {"inputs": (("joint_state", 1, 0), ("order", 3, 4), ("master", 1, 9))}
    message, _ = codec.decode_recorded(pack(body))
    assert isinstance(message, messages.ArmTarget)
    assert message.inputs == (("joint_state", 1, 0), ("operator_command", 3, 4), ("leader_state", 1, 9))
    fault, _ = codec.decode_recorded(pack(body_of("Fault") | {"process": "master_left"}))
    assert isinstance(fault, messages.Fault) and fault.process == "leader_left"
    rows = tuple(row | {"process": "masters"} for row in body_of("Supervision")["processes"])
    reported, _ = codec.decode_recorded(pack(body_of("Supervision") | {"processes": rows}))
    assert isinstance(reported, messages.Supervision) and reported.processes[0].process == "leaders"


def test_topics_of_any_schema_are_found() -> None:
    assert present_topic("order") == "operator_command" and present_topic("master") == "leader_state"
    assert all(present_topic(name) == name for name in TOPICS)
    assert topic_of(codec.decode_recorded(pack(body_of("Order")))[0]) == present_topic("order")


@pytest.mark.parametrize("kind", ["Conditions", "ArmTarget", "Supervision", "Order"])
@pytest.mark.parametrize("spoil", [{"inputs": 3}, {"inputs": ((),)}, {"processes": (1,)}, {"surplus": 1}])
def test_a_spoilt_former_message_is_refused(kind: str, spoil: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        codec.decode_recorded(pack(body_of(kind) | spoil))


def test_a_former_condition_that_lacks_an_array_is_refused() -> None:
    body = body_of("Conditions")
    del body["motion"]
    with pytest.raises(WireError, match="schema 1: KeyError 'motion'"):
        codec.decode_recorded(pack(body))


@pytest.mark.parametrize("schema", [0, 5, -1, None, "1", True, 1.0])
def test_an_unknown_schema_stays_as_it_is_and_is_refused(schema: Any) -> None:
    body = body_of("Episode") | {"schema": schema}
    assert upgraded(body) is body
    with pytest.raises(WireError, match="schema"):
        codec.decode_recorded(pack(body))
