"""What takes System 1's place under `replay.sh --on-robot`: chunks along a recorded movement, every period.
Started by the supervisor (runtime/process/base.py).

What a chunk is made of is in runtime/replay/tracker_step.py.
"""

from runtime.config import live_tuning
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import messages
from runtime.process.base import Process
from runtime.process.snapshot import Snapshots
from runtime.replay.tracker_step import FILE_NAME, TOPICS, TrackerConfig, TrackerState, inputs_of, load, step

_POLL_S = 0.05  # longest wait for messages; as runtime/systems/system1.py


def main(process: Process) -> None:
    """Send a chunk a period, until asked to end."""
    settings, bus = process.settings, process.bus
    config, state = TrackerConfig(settings, load(process.session / FILE_NAME)), TrackerState()
    states = {name: bus.subscriber(name, newest=True) for name in TOPICS}
    chunks, skips, snapshots = process.publisher("chunk"), process.publisher("skip"), Snapshots(process)
    held: dict[str, messages.Message] = {}
    due_ns = robot_time_ns()
    process.settle(settings.system1.nice)
    while process.running:
        process.stepped()
        bus.wait(min(_POLL_S, max(0.0, (due_ns - robot_time_ns()) / NS_PER_S)))
        for name, subscriber in states.items():
            for received in subscriber.take():
                held[name] = received.message
        inputs, now_ns = inputs_of(held), robot_time_ns()
        if inputs is None or now_ns < due_ns:
            continue
        due_ns = max(due_ns + live_tuning.period_ns(settings, inputs.episode), now_ns)
        made = step(config, state, inputs, process.epoch, now_ns)
        (chunks if isinstance(made, messages.ActionChunk) else skips).send(made)
        if isinstance(made, messages.ActionChunk):
            snapshots.keep(made.seq, state)
