"""The channels that Foxglove and Rerun read, decoded from the file as they do: by the schemas that lie in it alone.
Called by pytest."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import make_reader
from mcap.writer import Writer

from runtime.messaging import messages
from runtime.session.viewers import ViewerChannels, wall_offset_ns

Build = Callable[..., Any]
NOW_NS = 1_700_000_000_123_456_789


def written(*arrived: messages.Message, picture: bytes | None = None) -> dict[str, list[Any]]:
    """What a reader finds, by topic; protobuf by the descriptors in the file."""
    file = io.BytesIO()
    writer = Writer(file)
    writer.start()
    channels = ViewerChannels(writer)
    for message in arrived:
        channels.message(message, NOW_NS)
    if picture is not None:
        channels.picture("head", 7, picture, NOW_NS)
    writer.finish()
    found: dict[str, list[Any]] = {}
    for schema, channel, message in make_reader(io.BytesIO(file.getvalue())).iter_messages():
        assert schema is not None and message.log_time == NOW_NS
        if schema.encoding == "jsonschema":
            made: Any = json.loads(message.data)
        else:
            pool = descriptor_pool.DescriptorPool()
            for one in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
                pool.Add(one)  # imports come first, or this raises
            made = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name)).FromString(message.data)
        found.setdefault(channel.topic, []).append(made)
    return found


def test_a_picture_is_the_cameras_own_bytes() -> None:
    (picture,) = written(picture=b"\xff\xd8 a jpeg")["/camera/head"]
    assert (picture.frame_id, picture.format, picture.data) == ("head", "jpeg", b"\xff\xd8 a jpeg")
    assert picture.timestamp.ToNanoseconds() == NOW_NS


def test_joints_have_names_positions_and_measured_ones_speeds(build: Build) -> None:
    q = np.arange(14) / 10
    measured, target = build(messages.JointState, seq=4, q=q, dq=-q), build(messages.ArmTarget, seq=8, q=q, sent=True)
    unheard = build(messages.JointState, seq=8, measured_ns=(messages.NEVER, messages.NEVER))
    found = written(
        measured, target, unheard, build(messages.JointState, seq=5), build(messages.ArmTarget, seq=12, sent=False)
    )
    assert {name: len(arrived) for name, arrived in found.items()} == {"/joints/measured": 1, "/joints/commanded": 1}
    (states,), (commanded,) = found["/joints/measured"], found["/joints/commanded"]
    assert [joint.name for joint in states.joints][::7] == ["left j1", "right j1"]
    assert [joint.position for joint in states.joints] == pytest.approx(q)
    assert [joint.velocity for joint in states.joints] == pytest.approx(-q)
    assert [joint.position for joint in commanded.joints] == pytest.approx(q)


def test_an_age_is_told_only_where_there_is_one(build: Build) -> None:
    """-1 ns, which means none, would be drawn as an age of nought."""
    state = build(
        messages.SafetyState, mode="HOLD", reasons=("no chunk yet",), chunk_age_ns=-1, condition_age_ns=250_000_000
    )
    (status,) = written(state)["/status"]
    assert (status["mode"], status["reasons"], status["condition_age_ms"]) == ("HOLD", ["no chunk yet"], 250.0)
    assert "chunk_age_ms" not in status


def test_faults_and_orders_are_events(build: Build) -> None:
    fault = build(messages.Fault, process="cameras", name="camera", text="head: frozen")
    events = written(fault, build(messages.OperatorCommand, command="hold", source="terminal"))["/events"]
    assert [(event.name, event.message) for event in events] == [
        ("cameras", "camera: head: frozen"),
        ("terminal", "operator command: hold"),
    ]
    assert events[0].level > events[1].level


def test_the_wall_clock_label_is_whole_seconds() -> None:
    """So that stamps keep their fractions, by which messages of a session are told apart."""
    assert wall_offset_ns(NOW_NS, 5_000_000_001) % 1_000_000_000 == 0
    assert abs(wall_offset_ns(NOW_NS, 5_000_000_001) - (NOW_NS - 5_000_000_001)) < 1_000_000_000
