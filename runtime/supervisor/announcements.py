"""What the supervisor says on the bus: each change at once, and 5 times a second whatever a process that starts late must know.
Used by robot.py; nothing that is recorded is said before the recorder hears it.
"""

from typing import Any

from runtime.config.settings import Settings
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.topics import topic
from runtime.supervisor import operator_changes, supervisor

_TOPICS = (
    "operator_command", "instruction", "episode", "outcome", "demonstration", "supervision", "fault", "heartbeat",
)  # fmt: skip
_RECORDER_START_S = 5.0  # after it states are sent without a recorder; as runtime/process/base.py waits
EPOCH = 1
"""Of what this process sends."""


class Announcements:
    """Publishers of the supervisor's topics, each with its count."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus, self._settings = bus, settings
        self._publishers = {name: bus.publisher(name) for name in _TOPICS}
        self._counts: dict[str, int] = dict.fromkeys(_TOPICS, 0)
        self._unheard = {name for name in _TOPICS if topic(name).logged}
        self._sent, self._started_ns = supervisor.SentRate(), robot_time_ns()

    @property
    def heard(self) -> bool:
        """Whether the recorder heard every topic already, or is not waited for any longer."""
        return not self._unheard

    def recorder_listens(self) -> bool:
        """Whether the recorder hears every logged topic of this process, or there is none, or it takes too long."""
        waited = robot_time_ns() - self._started_ns > seconds(_RECORDER_START_S)
        if not self._settings.recorder.enabled or waited:
            self._unheard.clear()
        self._unheard -= {name for name in self._unheard if self._publishers[name].wait_for_recorder(0)}
        return not self._unheard

    def publish(self, name: str, kind: type[messages.Message], /, **fields: Any) -> int:
        """Send the next message of a topic. Returns its seq."""
        assert topic(name).message is kind
        message = kind(seq=self._counts[name], epoch=EPOCH, stamp_ns=robot_time_ns(), **fields)
        self._counts[name] += 1
        self._publishers[name].send(message)
        return message.seq

    def repeat(self, plan: operator_changes.Plan) -> None:
        """Say which instruction and which episode the plan has reached."""
        self.publish("instruction", messages.Instruction, number=plan.instruction_number, text=plan.instruction)
        self.publish(
            "episode",
            messages.Episode,
            number=plan.episode,
            task=self._settings.task,
            seed=self._settings.seed + plan.episode - 1,
            started_ns=plan.started_ns,
            ratio=plan.ratio,
            blend=plan.blend,
            period_ns=plan.period_ns,
        )

    def tell_supervision(self, state: supervisor.SupervisorState) -> None:
        """How all processes are; nothing before the recorder hears it."""
        if self._unheard:
            return
        count, now_ns = self._counts["supervision"], robot_time_ns()
        self._sent.note(now_ns, self._bus.sent)
        own = messages.ProcessState(
            process="supervisor", state="alive", restarts=0, sent_hz=round(self._sent.hz, 1), lost=self._bus.lost
        )
        self._publishers["supervision"].send(supervisor.supervision(state, own, count, now_ns))
        self._counts["supervision"] += 1
