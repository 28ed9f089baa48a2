"""The whole loop with a policy of exactly 168 ms: overhead from picture to chunk, lateness of the arms' ticks, seams.
Called by command.py.

Real processes: cameras (ready pictures, 3 x 640x480), system1, simulator, arms. The bench itself plays supervisor and
System 2.
"""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.bench.stand_in import CHECKPOINT, POLICY_NS, TOKENS
from runtime.bench.transport import conditions
from runtime.config.loading import load_settings, settings_to_json
from runtime.errors import RuntimeFault
from runtime.host.clock import Rate, robot_time_ns, seconds
from runtime.host.run_folder import BENCH_PREFIX, MemoryFolder
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.publisher import Publisher
from runtime.process.base import RunFile
from runtime.process.processes import PROCESSES

_LOOP_HZ = 20  # at which the bench plays supervisor and System 2; as the supervisor's loop
_START_TIMEOUT_S = 30.0  # longest wait for the first RUNNING; chosen
_FLAGS = [
    "--no-recorder.enabled", "--system1.period_s=0.2", "--safety.max_chunk_age_s=1.0",
    *(f"--cameras.{camera}.{key}" for camera in ("head", "left_wrist", "right_wrist")
      for key in ("width_px=640", "height_px=480")),
]  # fmt: skip


@dataclass
class _Observed:
    """The chunks and targets that came by on the bus, with the chunks' arrivals at the arms."""

    chunks: dict[int, messages.ActionChunk] = field(default_factory=dict)
    arrivals: dict[int, int] = field(default_factory=dict)
    targets: list[messages.ArmTarget] = field(default_factory=list)


def run(seconds_s: float, realtime: bool, burners: int) -> dict[str, Any]:
    """Run the loop for some seconds. `burners` processes keep the cores busy; `realtime` asks for SCHED_FIFO."""
    settings = load_settings([*_FLAGS, "--arms.realtime" if realtime else "--no-arms.realtime"])
    with MemoryFolder(BENCH_PREFIX) as folder:
        RunFile(settings=settings_to_json(settings), session=folder, revision="").save(folder)
        bus = Bus(folder, "supervisor", PROCESSES)
        children = [_start(process, folder) for process in ("simulator", "cameras", "system1", "arms")]
        load = [subprocess.Popen([sys.executable, "-m", "runtime.bench.burner"]) for _ in range(burners)]
        try:
            observed = _serve(bus, folder, seconds_s)
        finally:
            for child in (*children, *load):
                child.terminate()
            for child in (*children, *load):
                child.wait(5)
            bus.close()
    return _figures(observed)


def _start(process: str, folder: Path) -> "subprocess.Popen[bytes]":
    module = "runtime.bench.stand_in" if process in ("cameras", "system1") else "runtime.process.base"
    return subprocess.Popen([sys.executable, "-m", module, process, str(folder), "1"], stderr=subprocess.DEVNULL)


def _serve(bus: Bus, folder: Path, seconds_s: float) -> _Observed:
    """Publish what supervisor, text and System 2 would, and watch for `seconds_s` from the first RUNNING."""
    publishers = {name: bus.publisher(name) for name in ("instruction", "episode")}
    other = {name: Bus(folder, name, PROCESSES) for name in ("text", "system2")}
    embeddings, understood = other["text"].publisher("embedding"), other["system2"].publisher("conditions")
    chunks, targets = bus.subscriber("chunk", depth=64), bus.subscriber("arm_target", depth=1000)
    observed, rate, count = _Observed(), Rate(_LOOP_HZ), 0
    running_ns: int | None = None
    began_ns = robot_time_ns()
    while running_ns is None or robot_time_ns() - running_ns < seconds(seconds_s):
        if running_ns is None and robot_time_ns() - began_ns > seconds(_START_TIMEOUT_S):
            raise RuntimeFault(
                f"the robot of the bench is not RUNNING within {_START_TIMEOUT_S:.0f} s; end other programs"
            )
        _publish(publishers, embeddings, count)
        if count % 10 == 0:
            message = conditions(TOKENS, count // 10)
            understood.send(message.model_copy(update={"checkpoint_id": CHECKPOINT, "stamp_ns": robot_time_ns()}))
        for received in chunks.take():
            assert isinstance(received.message, messages.ActionChunk)
            observed.chunks[received.message.seq] = received.message
        for received in targets.take():
            target = received.message
            assert isinstance(target, messages.ArmTarget)
            observed.arrivals |= dict(target.arrivals)
            if target.mode == "RUNNING":
                running_ns = running_ns or robot_time_ns()
            if running_ns is not None:
                observed.targets.append(target)
        count += 1
        rate.wait()
    for made in other.values():
        made.close()
    return observed


def _publish(publishers: dict[str, Publisher], embeddings: Publisher, count: int) -> None:
    stamp_ns = robot_time_ns()
    publishers["instruction"].send(messages.Instruction(seq=count, epoch=1, stamp_ns=stamp_ns, number=1, text="bench"))
    publishers["episode"].send(
        messages.Episode(seq=count, epoch=1, stamp_ns=stamp_ns, number=1, task="bench", seed=0, started_ns=0)
    )
    embeddings.send(messages.Embedding(seq=count, epoch=1, stamp_ns=stamp_ns, instruction=1, key="bench"))


def _figures(observed: _Observed) -> dict[str, Any]:
    overhead_ms = [
        (observed.arrivals[seq] - chunk.frame_returned_ns - POLICY_NS) / 1e6
        for seq, chunk in observed.chunks.items()
        if seq in observed.arrivals and seq > 1
    ]
    running = [target for target in observed.targets if target.mode == "RUNNING"]
    late_us = [(target.stamp_ns - target.deadline_ns) / 1e3 for target in running]
    seams = [target.seam_jump_rad_s for target in running if target.seam_jump_rad_s >= 0]
    return {
        "overhead_ms": _percentiles(overhead_ms, 50, 99),
        "chunks": len(overhead_ms),
        "tick_late_us": _percentiles(late_us, 50, 99, 100),
        "ticks": len(late_us),
        "longest_stall_ms": _longest_stall_ms(running),
        "seam_velocity_jump_rad_s": _percentiles(seams, 99, 100),
        "limited_fraction": round(sum(t.limited for t in running) / len(running), 4) if running else None,
    }


def _longest_stall_ms(running: list[messages.ArmTarget]) -> float | None:
    """The longest time in which no joint's command moved, beyond one tick."""
    if len(running) < 2:
        return None
    q = np.stack([target.q[WITHOUT_GRIPPERS] for target in running])
    times = np.array([target.deadline_ns for target in running])
    moving = np.flatnonzero(np.abs(np.diff(q, axis=0)).max(1) > 1e-7)
    return round(float(np.diff(times[moving]).max()) / 1e6, 1) if len(moving) > 1 else None


def _percentiles(values: list[float], *wanted: int) -> dict[str, float] | None:
    names = {50: "p50", 99: "p99", 100: "max"}
    return {names[q]: round(float(np.percentile(values, q)), 3) for q in wanted} if values else None
