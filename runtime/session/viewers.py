"""The channels that Foxglove and Rerun read: pictures, joints, state and events, as protobuf and JSON. Used by the recorder."""

import json
from typing import Any, cast

from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.JointStates_pb2 import JointStates
from foxglove_schemas_protobuf.Log_pb2 import Log
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message as ProtobufMessage
from mcap.writer import Writer

from drivers.cobot_magic import joint_name
from runtime.host.clock import NS_PER_S
from runtime.messaging import messages
from runtime.session.format import IMAGE_PREFIX

_JOINTS_EVERY = 4  # of 200 a second; chosen: 50 Hz are enough for plots
_NAMES = tuple(joint_name(index) for index in range(messages.JOINTS))
_READABLE = (messages.JointState, messages.ArmTarget, messages.SafetyState, messages.Fault, messages.OperatorCommand)
_STATUS_SCHEMA = {
    "type": "object",
    "properties": {
        "mode": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "chunk_age_ms": {"type": "number"},
        "condition_age_ms": {"type": "number"},
        "holds": {"type": "integer"},
        "faults": {"type": "integer"},
    },
}


class ViewerChannels:
    """Writes to an open MCAP writer; channels are made when first used. Times are wall-clock ns."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._measured, self._commanded = _named_joints(), _named_joints()

    def picture(self, camera: str, number: int, jpeg: bytes, time_ns: int) -> None:
        """Write one frame; its number becomes the record's sequence number."""
        message = CompressedImage(frame_id=camera, format="jpeg", data=jpeg)
        message.timestamp.FromNanoseconds(time_ns)
        self._write_protobuf(IMAGE_PREFIX + camera, message, time_ns, number)

    def message(self, message: messages.Message, time_ns: int) -> None:
        """Write the readable side of a message; nothing for types that have none."""
        if type(message) not in _READABLE:
            return
        match message:
            case messages.JointState():
                if message.heard and message.seq % _JOINTS_EVERY == 0:
                    for joint, speed in zip(self._measured.joints, message.dq.tolist(), strict=True):
                        joint.velocity = speed
                    self._joints("/joints/measured", self._measured, message.q, time_ns)
            case messages.ArmTarget():
                if message.seq % _JOINTS_EVERY == 0 and message.sent:
                    self._joints("/joints/commanded", self._commanded, message.q, time_ns)
            case messages.SafetyState():
                self._status(message, time_ns)
            case messages.Fault():
                self._event(f"{message.name}: {message.text}", message.process, Log.ERROR, time_ns)
            case messages.OperatorCommand():
                self._event(f"operator command: {message.command}", message.source, Log.INFO, time_ns)
            case _:
                pass

    def _joints(self, topic: str, states: JointStates, q: Any, time_ns: int) -> None:
        states.timestamp.FromNanoseconds(time_ns)
        for joint, place in zip(states.joints, q.tolist(), strict=True):
            joint.position = place
        self._write_protobuf(topic, states, time_ns, 0)

    def _status(self, state: messages.SafetyState, time_ns: int) -> None:
        ages_ns = {"chunk_age_ms": state.chunk_age_ns, "condition_age_ms": state.condition_age_ns}
        ages_ms = {name: age / 1e6 for name, age in ages_ns.items() if age >= 0}  # below 0: there is none yet
        body = {
            "mode": state.mode,
            "reasons": list(state.reasons),
            "holds": state.holds,
            "faults": state.faults,
        } | ages_ms
        if "/status" not in self._channels:
            schema = self._writer.register_schema("video2act.Status", "jsonschema", json.dumps(_STATUS_SCHEMA).encode())
            self._channels["/status"] = self._writer.register_channel("/status", "json", schema)
        self._writer.add_message(self._channels["/status"], time_ns, json.dumps(body).encode(), time_ns)

    def _event(self, text: str, source: str, level: int, time_ns: int) -> None:
        log = Log(level=level, message=text, name=source)  # pyright: ignore[reportArgumentType]
        log.timestamp.FromNanoseconds(time_ns)
        self._write_protobuf("/events", log, time_ns, 0)

    def _write_protobuf(self, topic: str, message: ProtobufMessage, time_ns: int, sequence: int) -> None:
        if topic not in self._channels:
            descriptor = message.DESCRIPTOR
            if descriptor.full_name not in self._schemas:
                data = _descriptor_set(cast(FileDescriptor, descriptor.file)).SerializeToString()
                self._schemas[descriptor.full_name] = self._writer.register_schema(
                    descriptor.full_name, "protobuf", data
                )
            self._channels[topic] = self._writer.register_channel(
                topic, "protobuf", self._schemas[descriptor.full_name]
            )
        self._writer.add_message(self._channels[topic], time_ns, message.SerializeToString(), time_ns, sequence)


def _named_joints() -> JointStates:
    """A message of all joints to be filled again and again: to make a new one takes longer than to write it."""
    states = JointStates()
    for name in _NAMES:
        states.joints.add(name=name)
    return states


def wall_offset_ns(wall_ns: int, monotonic_ns: int) -> int:
    """What to add to a monotonic stamp to get the wall-clock label, fixed for a session."""
    return (wall_ns - monotonic_ns) // NS_PER_S * NS_PER_S


def _descriptor_set(file: FileDescriptor) -> FileDescriptorSet:
    """A file's descriptor with everything it imports, imports first."""
    files: dict[str, FileDescriptor] = {}

    def add(descriptor: FileDescriptor) -> None:
        for dependency in descriptor.dependencies:
            add(dependency)
        files.setdefault(descriptor.name, descriptor)

    add(file)
    result = FileDescriptorSet()
    for descriptor in files.values():
        descriptor.CopyToProto(result.file.add())
    return result
