"""What takes System 1's place under `replay.sh --on-robot`: chunks along a recorded movement, every period.

What a chunk is made of is in runtime/follow_step.py.
"""

from runtime import wire
from runtime.clock import now_ns, seconds
from runtime.follow_step import FILE_NAME, TOPICS, Memory, Rules, inputs_of, load, step
from runtime.process import Process
from runtime.snapshot import Snapshots

_POLL_S = 0.05


def main(process: Process) -> None:
    """A chunk a period, until asked to end."""
    settings, bus = process.settings, process.bus
    rules, memory = Rules(settings, load(process.session / FILE_NAME)), Memory()
    states = {name: bus.subscriber(name, newest=True) for name in TOPICS}
    chunks, skips, snapshots = process.publisher("chunk"), process.publisher("skip"), Snapshots(process)
    held: dict[str, wire.Message] = {}
    due_ns = now_ns()
    process.settle(settings.system1.nice)
    while process.running:
        process.stepped()
        bus.wait(_POLL_S)
        for name, subscriber in states.items():
            for received in subscriber.take():
                held[name] = received.message
        inputs, now = inputs_of(held), now_ns()
        if inputs is None or now < due_ns:
            continue
        due_ns = max(due_ns + seconds(settings.system1.period_s), now)
        made = step(rules, memory, inputs, process.epoch, now)
        (chunks if isinstance(made, wire.ActionChunk) else skips).send(made)
        if isinstance(made, wire.ActionChunk):
            snapshots.keep(made.seq, memory)
