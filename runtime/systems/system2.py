"""System 2, the slow process: video windows in, condition tokens out, once for every n runs of System 1.
Started by the supervisor (runtime/process/base.py).

When one is due and what it holds is in runtime/systems/system2_step.py.
"""

from runtime.host.clock import robot_time_ns
from runtime.messaging import messages
from runtime.policy import arithmetic
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.policy.networks import Embeddings, open_checkpoint, prepare_torch, slow_system
from runtime.process.base import Process, log
from runtime.process.snapshot import Snapshots
from runtime.systems.drawing import Drawing
from runtime.systems.faulty_system2 import with_faults
from runtime.systems.frame_sets import History, PictureSource, RingPictures
from runtime.systems.gpu_room import GpuRoom
from runtime.systems.system2_state import System2Config, System2State
from runtime.systems.system2_step import encode, gather, step

_POLL_S = 0.02
"""Longest wait for messages; chosen: less than the 33 ms between two frames, so that the heartbeat counts steps."""


def main(process: Process) -> None:
    """Encode grid frames as they come, and make a condition when one is due, until asked to end."""
    settings, bus = process.settings, process.bus
    prepare_torch(settings.system2)
    checkpoint = open_checkpoint(settings)
    config = System2Config(settings, with_faults(slow_system(settings, checkpoint), process), checkpoint.id)
    arithmetic.keep(process, settings.system2, checkpoint)
    frames = [bus.subscriber(f"frame.{camera}", depth=256) for camera in config.cameras]
    chunks, skips = bus.subscriber("chunk", newest=True), bus.subscriber("skip", newest=True)
    states = {name: bus.subscriber(name, newest=True) for name in ("episode", "instruction", "embedding")}
    publisher, imaginings = process.publisher("conditions"), process.publisher("imagined")
    snapshots = Snapshots(process)
    pictures, history, state = RingPictures(process.folder), History(config.cameras), System2State()
    embeddings = Embeddings(EmbeddingCache())
    held: dict[str, messages.Message] = {}
    room, drawing = GpuRoom(process), Drawing(process.epoch)
    process.settle(settings.system2.nice)
    log.info("policy %s, %d weights", checkpoint.id, config.slow.weights)
    while process.running:
        bus.wait(_POLL_S)
        for received in (received for subscriber in frames for received in subscriber.take()):
            history.add(received.message)
        with room:
            _encode_grid(config, history, pictures)
        for name, subscriber in (*states.items(), ("chunk", chunks), ("skip", skips)):
            for received in subscriber.take():
                held[name] = received.message
        if (shown := drawing.take(robot_time_ns())) is not None:
            imaginings.send(shown)
        inputs = gather(held, history.frames())
        process.stepped()
        if inputs is None:
            continue
        with room:
            conditions = step(config, state, inputs, pictures, embeddings, process.epoch, robot_time_ns())
            if conditions is not None:
                room.enough()
                publisher.send(conditions)
                snapshots.keep(conditions.seq, state)
                drawing.begin(conditions, config.slow.expected())


def _encode_grid(config: System2Config, history: History, pictures: PictureSource) -> None:
    """Encode the newest grid frame of each window on arrival, so that a condition that is due needs only the newest frames."""
    for window in config.windows:
        stride = config.stride(window)
        frames = reversed(history.notices[window.camera]) if stride is not None else ()
        newest = next((frame for frame in frames if stride is not None and frame.seq % stride == 0), None)
        if newest is not None:
            encode(config.slow, window, pictures, newest)
