"""The table of topics: what travels where, who publishes it, how often, how old it may get, whether it is logged.

Staleness verdicts, the recorder and the console derive from this table; nothing else names these figures.
"""

from dataclasses import dataclass

from runtime import wire
from runtime.errors import RuntimeFault


@dataclass(frozen=True)
class Topic:
    """One row. `publishers` with more than one name means one endpoint each."""

    name: str
    message: type[wire.Message]
    publishers: tuple[str, ...]
    rate_hz: float | None  # None: by event
    max_age_s: float | None  # above it a reader must treat the newest message as stale
    logged: bool = True
    max_bytes: int = 1 << 16


CAMERAS = ("head", "left_wrist", "right_wrist")
_BUSES = ("can_left", "can_right", "master_left", "master_right", "emulator", "masters")
PROCESSES = ("supervisor", "simulator", "cameras", "system2", "system1", "arms", "recorder", "text", "console", *_BUSES)
OPERATOR = "operator"  # whoever gives an order from a command line
_STEPPING = ("system2", "system1", "arms")

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *(Topic(f"frame.{camera}", wire.Frame, ("cameras",), 30, 0.15) for camera in CAMERAS),
        Topic("scene", wire.Scene, ("simulator",), 30, None),
        Topic("camera_health", wire.CameraHealth, ("cameras",), 30, 0.15),
        Topic("conditions", wire.Conditions, ("system2",), None, None, max_bytes=1 << 23),
        Topic("chunk", wire.ActionChunk, ("system1",), None, 0.6),
        Topic("skip", wire.Skip, ("system1",), None, None),
        Topic("joint_state", wire.JointState, ("arms",), 200, 0.05),
        Topic("arm_target", wire.ArmTarget, ("arms",), 200, 0.05),
        Topic("master", wire.MasterState, ("arms",), 200, 0.05),
        Topic("safety", wire.SafetyState, ("arms",), 5, 0.5),
        Topic("order", wire.Order, ("supervisor", "console", "arms", OPERATOR), None, None),
        Topic("instruction", wire.Instruction, ("supervisor",), 5, 1.0),
        Topic("episode", wire.Episode, ("supervisor",), 5, 1.0),
        Topic("steering", wire.Steering, ("console",), None, None),
        Topic("outcome", wire.Outcome, ("supervisor",), None, None),
        Topic("deadman", wire.Deadman, ("console",), 20, 0.2),
        Topic("demonstration", wire.Demonstration, ("supervisor",), 5, 1.0),
        Topic("embedding", wire.Embedding, ("text",), 5, 1.0),
        Topic("heartbeat", wire.Heartbeat, PROCESSES, 20, 0.2, logged=False),
        Topic("fault", wire.Fault, PROCESSES, None, None),
        Topic("supervision", wire.Supervision, ("supervisor",), 5, 1.0),
        Topic("recording", wire.Recording, ("recorder",), 5, 1.0, logged=False),
        Topic("snapshot", wire.Snapshot, _STEPPING, 0.1, None, max_bytes=1 << 22),
    )
}


def topic(name: str) -> Topic:
    """The row called `name`; raises RuntimeFault for an unknown one."""
    if name not in TOPICS:
        raise RuntimeFault(f"unknown topic {name!r}; see runtime/topics.py")
    return TOPICS[name]


_BY_MESSAGE = {row.message: row.name for row in TOPICS.values()}


def topic_of(message: wire.Message) -> str:
    """The topic that a message travels on; it follows from the message alone."""
    return f"frame.{message.camera}" if isinstance(message, wire.Frame) else _BY_MESSAGE[type(message)]


def reference(message: wire.Message) -> wire.InputRef:
    """How an output names this message among its inputs."""
    return (topic_of(message), message.epoch, message.seq)


def references(*messages: wire.Message | None) -> tuple[wire.InputRef, ...]:
    """The same of several, without what was not there."""
    return tuple(reference(message) for message in messages if message is not None)
