"""One-way times: conditions and chunks over ZeroMQ, frame sets through the ring; beside each its floors.
Called by command.py; started by itself as the sender in a process of its own.

The floors, measured in the same run: a plain copy of the bytes, and ZeroMQ alone passing bytes that nobody reads.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from struct import Struct

import numpy as np
import zmq

from drivers.cobot_magic import CAMERAS
from runtime.host.clock import Rate, robot_time_ns
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.messaging.bus import Bus
from runtime.messaging.frame_ring import FrameRing
from runtime.process.processes import PROCESSES

PICTURES_HZ = 30  # rate of the robot's cameras, at which messages are sent
_COUNT = 60  # messages that count; chosen: two seconds at 30 Hz
_WARM_UP = 10  # before them
_WIDTH, _HEIGHT = 640, 480  # of a robot's camera
_TOKEN_WIDTH, _TARGETS = 512, 64  # of a condition token; of a chunk (paper 4.2.2)
_BARE = "bare "
_STAMP = Struct("<q")
_CONDITIONS = {"conditions 128 KB": 64, "conditions 512 KB": 256, "conditions 3.1 MB": 1514}
"""Tokens a branch. Chosen: around the paper's size, up to one token for each patch of a full-size window."""


def conditions(tokens: int, seq: int) -> messages.Conditions:
    """A message of 2 x tokens x 512 bfloat16."""
    bits = Array("bfloat16", np.full((tokens, _TOKEN_WIDTH), 0x3F80, np.uint16))
    return messages.Conditions(
        seq=seq,
        epoch=1,
        stamp_ns=robot_time_ns(),
        episode=1,
        arrays={"spatial": bits, "motion": bits},
        windows=(messages.Window(name="low", camera="head", frames=tuple(range(16))),),
        capture_ns=robot_time_ns(),
        widest_gap_ns=0,
        instruction=1,
        checkpoint_id="bench",
        trigger_run=seq,
        trigger="ratio",
        late_runs=0,
        timing=messages.Timing(finished_ns=robot_time_ns()),
    )


def chunk(seq: int) -> messages.ActionChunk:
    """A message of 64 targets of 14 joints, as large as the paper's chunks."""
    return messages.ActionChunk(
        seq=seq,
        epoch=1,
        stamp_ns=robot_time_ns(),
        episode=1,
        q=np.zeros((_TARGETS, messages.JOINTS), np.float32),
        t0_ns=robot_time_ns(),
        dt_ns=33_333_333,
        run=seq,
        observation_ns=robot_time_ns(),
        conditions_epoch=1,
        conditions_seq=0,
        conditions_capture_ns=0,
        conditions_limit_ns=0,
        previous_seq=-1,
        consumed=0,
        committed=0,
        noise_seed=0,
        instruction=1,
        checkpoint_id="bench",
        frame_returned_ns=0,
        saturated=False,
    )


FRAMES = "frames 2.76 MB, copied out"
AIMED = ("conditions 512 KB", FRAMES)  # what README promises figures for
# Bytes: two branches of two bytes a number; targets of four.
_SIZES = {name: tokens * _TOKEN_WIDTH * 4 for name, tokens in _CONDITIONS.items()} | {
    "chunk 3.6 KB": _TARGETS * messages.JOINTS * 4
}
PAYLOADS = (*_SIZES, FRAMES)


def run(names: Sequence[str] = PAYLOADS) -> dict[str, dict[str, float]]:
    """Some payloads once: for each, p50 and p99 in us, the copy's p50 and, where it goes by ZeroMQ, that of ZeroMQ alone."""
    return {name: _zeromq(name) | _bare(name) if name in _SIZES else _frames() for name in names}


def _zeromq(name: str) -> dict[str, float]:
    topic = "conditions" if name in _CONDITIONS else "chunk"
    with tempfile.TemporaryDirectory(prefix="video2act-bench-", dir="/dev/shm") as folder:
        bus = Bus(Path(folder), "bench", PROCESSES)
        subscriber = bus.subscriber(topic, depth=256)
        child = _sender(folder, name)
        times_us: list[float] = []
        while len(times_us) < _COUNT + _WARM_UP and bus.wait(10):
            times_us += [(robot_time_ns() - r.message.stamp_ns) / 1e3 for r in subscriber.take()]  # decoded
        child.wait(10)
        bus.close()
    return _figures(times_us, _SIZES[name])


def _bare(name: str) -> dict[str, float]:
    """ZeroMQ alone: bytes of that size with the time of sending in front."""
    with tempfile.TemporaryDirectory(prefix="video2act-bench-", dir="/dev/shm") as folder:
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.subscribe(b"")
        socket.connect(f"ipc://{folder}/bare.ipc")
        child = _sender(folder, _BARE + name)
        times_us: list[float] = []
        while len(times_us) < _COUNT + _WARM_UP and socket.poll(10_000):
            frame = socket.recv(copy=False)
            times_us.append((robot_time_ns() - _STAMP.unpack_from(frame.buffer)[0]) / 1e3)
        child.wait(10)
        socket.close()
        context.term()
    return {"bare_us": _figures(times_us, 8)["p50_us"]}


def _frames() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="video2act-bench-", dir="/dev/shm") as folder:
        bus = Bus(Path(folder), "bench", PROCESSES)
        subscribers = [bus.subscriber(f"frame.{camera}", depth=256) for camera in CAMERAS]
        child = _sender(folder, "frames")
        rings: dict[str, FrameRing] = {}
        out = {camera: np.empty((_HEIGHT, _WIDTH, 3), np.uint8) for camera in CAMERAS}
        got: dict[int, dict[str, int]] = {}
        times_us: list[float] = []
        while len(times_us) < _COUNT + _WARM_UP and bus.wait(10):
            for notice in (r.message for subscriber in subscribers for r in subscriber.take()):
                assert isinstance(notice, messages.Frame)
                if notice.camera not in rings:
                    rings[notice.camera] = FrameRing.attach(Path(folder) / f"{notice.camera}.ring")
                rings[notice.camera].read(notice.seq, out[notice.camera])
                stamps = got.setdefault(notice.seq, {})
                stamps[notice.camera] = notice.returned_ns
                if len(stamps) == len(CAMERAS):
                    times_us.append((robot_time_ns() - min(stamps.values())) / 1e3)
        child.wait(10)
        bus.close()
    return _figures(times_us, len(CAMERAS) * _WIDTH * _HEIGHT * 3)


def _figures(times_us: list[float], size_bytes: int) -> dict[str, float]:
    settled = times_us[_WARM_UP:]
    p50, p99 = (round(float(np.percentile(settled, q)), 1) for q in (50, 99))
    return {"p50_us": p50, "p99_us": p99, "copy_us": _copy_us(size_bytes)}


def _copy_us(size_bytes: int) -> float:
    source, target = np.ones(size_bytes, np.uint8), np.zeros(size_bytes, np.uint8)
    times: list[int] = []
    for _ in range(50):
        began_ns = robot_time_ns()
        np.copyto(target, source)
        times.append(robot_time_ns() - began_ns)
    return round(float(np.median(times)) / 1e3, 1)


def _sender(folder: str, kind: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "runtime.bench.transport", folder, kind])


def _send(folder: Path, kind: str) -> None:
    """The sender's side, in its own process."""
    if kind == "frames":
        _send_frames(folder)
        return
    if kind.startswith(_BARE):
        _send_bare(folder, _SIZES[kind.removeprefix(_BARE)])
        return
    tokens = _CONDITIONS.get(kind)
    bus = Bus(folder, "system2" if tokens else "system1", PROCESSES)
    publisher = bus.publisher("conditions" if tokens else "chunk")
    make: Callable[[int], messages.Message] = (lambda seq: conditions(tokens, seq)) if tokens else chunk
    time.sleep(0.3)  # the subscriber finds the endpoint
    rate = Rate(PICTURES_HZ)
    for seq in range(_COUNT + _WARM_UP):
        rate.wait()
        message = make(seq)
        fields = message.__dict__
        fields |= {"stamp_ns": robot_time_ns()}  # the clock starts when the message is ready to be sent
        publisher.send(message)
    time.sleep(0.3)
    bus.close()


def _send_bare(folder: Path, size_bytes: int) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    socket.bind(f"ipc://{folder}/bare.ipc")
    payload = bytearray(size_bytes)
    time.sleep(0.3)
    rate = Rate(PICTURES_HZ)
    for _ in range(_COUNT + _WARM_UP):
        rate.wait()
        _STAMP.pack_into(payload, 0, robot_time_ns())
        socket.send(bytes(payload))
    time.sleep(0.3)
    socket.close()
    context.term()


def _send_frames(folder: Path) -> None:
    bus = Bus(folder, "cameras", PROCESSES)
    publishers = {camera: bus.publisher(f"frame.{camera}") for camera in CAMERAS}
    rings = {camera: FrameRing.create(folder / f"{camera}.ring", _WIDTH, _HEIGHT, 16) for camera in CAMERAS}
    picture = np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH, 3), np.uint8)
    time.sleep(0.3)
    rate = Rate(PICTURES_HZ)
    for number in range(1, _COUNT + _WARM_UP + 1):
        rate.wait()
        began_ns = robot_time_ns()
        for camera in CAMERAS:
            rings[camera].write(number, began_ns, picture, b"")
            publishers[camera].send(
                messages.Frame.model_construct(  # as the cameras process does
                    seq=number,
                    epoch=1,
                    stamp_ns=began_ns,
                    camera=camera,
                    capture_ns=began_ns,
                    returned_ns=began_ns,
                    device_number=number,
                    exact=True,
                )
            )
    time.sleep(0.3)
    bus.close()


if __name__ == "__main__":
    _send(Path(sys.argv[1]), sys.argv[2])
