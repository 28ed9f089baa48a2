"""The table of topics: what travels where, who publishes it, how often, how old it may get, whether it is logged.
Read by the bus, the recorder, the console and the steps, which name their inputs by it.

Staleness verdicts, the recorder and the console derive from this table; nothing else names these figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.cobot_magic import CAMERAS
from runtime.errors import RuntimeFault
from runtime.messaging import messages

OPERATOR = "operator"  # whoever gives a command from another terminal


@dataclass(frozen=True)
class Topic:
    """One row. Several publishers have an endpoint each. EVERY_PROCESS stands for all: the bus is told their names."""

    name: str
    message: type[messages.Message]
    publishers: tuple[str, ...]
    rate_hz: float | None  # None: by event
    max_age_s: float | None  # above it a reader must treat the newest message as stale
    logged: bool = True
    max_bytes: int = 1 << 16
    ring: bool = False  # it travels through shared memory, which wakes nobody (ring_topic.py); it has one publisher

    def senders(self, processes: Sequence[str]) -> tuple[str, ...]:
        """Who publishes it, where `processes` are all there are."""
        return self.publishers or tuple(processes)

    def present(self, processes: Sequence[str]) -> tuple[str, ...]:
        """Those of its senders that take part in a run of these `processes`, and whoever may come to it from outside."""
        return tuple(name for name in self.senders(processes) if name in processes or name == OPERATOR)


EVERY_PROCESS: tuple[str, ...] = ()
_STEPPING = ("system2", "system1", "arms")

# Rates are their senders' own; ages and sizes are chosen: some periods of a rate, and room for the largest message.
TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *(Topic(f"frame.{camera}", messages.Frame, ("cameras",), 30, 0.15) for camera in CAMERAS),
        Topic("scene", messages.Scene, ("simulator",), 30, None),
        Topic("camera_health", messages.CameraHealth, ("cameras",), 30, 0.15),
        Topic("conditions", messages.Conditions, ("system2",), None, None, max_bytes=1 << 23),
        Topic("imagined", messages.Imagined, ("system2",), None, None, max_bytes=1 << 20),
        Topic("chunk", messages.ActionChunk, ("system1",), None, 0.6),
        Topic("skip", messages.Skip, ("system1",), None, None),
        Topic("joint_state", messages.JointState, ("arms",), 200, 0.05, ring=True),
        Topic("arm_target", messages.ArmTarget, ("arms",), 200, 0.05, ring=True),
        Topic("leader_state", messages.LeaderState, ("arms",), 200, 0.05, ring=True),
        Topic("safety", messages.SafetyState, ("arms",), 5, 0.5),
        Topic("operator_command", messages.OperatorCommand, ("supervisor", "console", "arms", OPERATOR), None, None),
        Topic("instruction", messages.Instruction, ("supervisor",), 5, 1.0),
        Topic("episode", messages.Episode, ("supervisor",), 5, 1.0),
        Topic("steering", messages.Steering, ("console",), None, None),
        Topic("outcome", messages.Outcome, ("supervisor",), None, None),
        Topic("deadman", messages.Deadman, ("console",), 20, 0.2),
        Topic("demonstration", messages.Demonstration, ("supervisor",), 5, 1.0),
        Topic("embedding", messages.Embedding, ("text",), 5, 1.0),
        Topic("heartbeat", messages.Heartbeat, EVERY_PROCESS, 20, 0.2, logged=False),
        Topic("fault", messages.Fault, EVERY_PROCESS, None, None),
        Topic("supervision", messages.Supervision, ("supervisor",), 5, 1.0),
        Topic("recording", messages.Recording, ("recorder",), 5, 1.0, logged=False),
        Topic("snapshot", messages.Snapshot, _STEPPING, 0.1, None, max_bytes=1 << 22),
    )
}


def topic(name: str) -> Topic:
    """The row called `name`. Raises RuntimeFault for an unknown one."""
    if name not in TOPICS:
        raise RuntimeFault(f"unknown topic {name!r}; see runtime/messaging/topics.py")
    return TOPICS[name]


_BY_MESSAGE = {row.message: row.name for row in TOPICS.values()}


def topic_of(message: messages.Message) -> str:
    """The topic that a message travels on; it follows from the message alone."""
    return f"frame.{message.camera}" if type(message) is messages.Frame else _BY_MESSAGE[type(message)]


def reference(message: messages.Message) -> messages.InputRef:
    """How an output names this message among its inputs."""
    return (topic_of(message), message.epoch, message.seq)


def references(*arrived: messages.Message | None) -> tuple[messages.InputRef, ...]:
    """The same of several, in order, leaving out what was not there."""
    return tuple(reference(message) for message in arrived if message is not None)
