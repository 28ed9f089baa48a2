"""What the arms process hears and says: its subscriptions and publishers, in the order they are read.
Opened by process.py, which calls it in every tick.
"""

from collections.abc import Sequence

from runtime.arms.state import ArmsOutputs
from runtime.messaging import messages
from runtime.messaging.subscriber import Received
from runtime.process.base import Process

_STATES = ("camera_health", "supervision", "episode", "instruction", "deadman")


class ArmsSockets:
    """The process's sockets, opened once when it starts; the bus closes them."""

    def __init__(self, process: Process) -> None:
        bus = process.bus
        self._feedbacks, self._targets, self._safety = (
            process.publisher(name) for name in ("joint_state", "arm_target", "safety")
        )
        self._leaders = process.publisher("leader_state")
        self._chunks = bus.subscriber("chunk", depth=16)
        commands, self._commands = bus.subscriber("operator_command", depth=32), process.publisher("operator_command")
        self._others = [commands, *(bus.subscriber(name, newest=True) for name in _STATES)]
        self._bus, self._refused_before = bus, 0

    def drain_until(self, until_ns: int) -> None:
        """Receive chunks until shortly before a tick (CLOCK_MONOTONIC ns), so that arrivals are stamped when they happen.

        Nobody asks when the others came: to wake for each of them would cost as much as a third of the ticks.
        """
        self._bus.drain_until((self._chunks,), until_ns)

    def take(self) -> tuple[list[Received], int]:
        """What came since the last tick, and how many chunks could not be decoded.

        Commands and states come first, chunks last: a chunk is judged by the newest of everything else.
        """
        subscribers = (*self._others, self._chunks)
        self._bus.drain(subscribers)
        received = [item for subscriber in subscribers for item in subscriber.taken()]
        refused = self._chunks.counters.rejected - self._refused_before
        self._refused_before += refused
        return received, refused

    def send_hold(self, asked_ns: int) -> None:
        """Say hold to this very process, so that the session shows why the arms braked at the end."""
        self._commands.send(
            messages.OperatorCommand(
                seq=0, epoch=asked_ns, stamp_ns=asked_ns, command="hold", source="shutdown of arms"
            )
        )

    def publish(
        self,
        feedback: messages.JointState,
        led: messages.LeaderState | None,
        outputs: ArmsOutputs,
        received: Sequence[Received],
    ) -> None:
        """Send what a tick consumed and made; the safety state only where the step gave one. Targets carry their chunks'
        arrival times.
        """
        self._feedbacks.send(feedback)
        self._targets.send(_with_arrivals(outputs.target, received))
        if led is not None:
            self._leaders.send(led)
        if outputs.state is not None:
            self._safety.send(outputs.state)


def _with_arrivals(target: messages.ArmTarget, received: Sequence[Received]) -> messages.ArmTarget:
    arrivals = tuple((r.message.seq, r.arrival_ns) for r in received if isinstance(r.message, messages.ActionChunk))
    return target.model_copy(update={"arrivals": arrivals}) if arrivals else target
