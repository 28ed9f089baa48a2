"""A live run's latencies on the virtual clock: the same schedule, and the same chunks out of the same policy.
Called by pytest; the live run is a real one, the schedule is made anew by the rules."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime import config, wire
from runtime.evaluation.systems import Chunk, Policy, Systems, Timing, VirtualClock
from runtime.networks import fast_system, open_checkpoint, prepare_torch, slow_system
from runtime.session import reader

pytestmark = pytest.mark.live
_TRANSPORT_NS = 400_000


def on_the_virtual_clock(session: reader.Session) -> tuple[list[wire.ActionChunk], list[wire.ActionChunk]]:
    """(live chunks, virtual chunks) of a session: its pictures, its joints and its durations, nothing else of it."""
    settings = config.from_json(session.metadata["settings"])
    messages = [message for _, message, _ in reader.decode_all(session)]
    frames = sorted((m for m in messages if isinstance(m, wire.Frame)), key=lambda m: m.returned_ns)
    joints = [m for m in messages if isinstance(m, wire.JointState)]
    chunks = [m for m in messages if isinstance(m, wire.ActionChunk)]
    conditions = [m for m in messages if isinstance(m, wire.Conditions)]
    (episode,) = {m.number: m for m in messages if isinstance(m, wire.Episode)}.values()
    (instruction,) = {m.number: m for m in messages if isinstance(m, wire.Instruction)}.values()
    embedding = next(m for m in messages if isinstance(m, wire.Embedding))
    clock = VirtualClock(min(frame.capture_ns for frame in frames))
    held: dict[str, wire.Message] = {"episode": episode, "instruction": instruction}
    torch.set_num_threads(1)
    prepare_torch(settings.system1)
    checkpoint = open_checkpoint(settings)
    instructor = checkpoint.instructor()
    policy = Policy(
        slow_system(settings, checkpoint), fast_system(settings, checkpoint), checkpoint.id,
        lambda text: instructor.encode([text])[0],
    )  # fmt: skip
    taken1 = [chunk.timing.finished_ns - chunk.stamp_ns for chunk in chunks]
    taken2 = [condition.timing.finished_ns - condition.stamp_ns for condition in conditions]
    made: list[wire.ActionChunk] = []

    def system1(chunk: Chunk) -> int:
        return taken1[min(chunk.run - 1, len(taken1) - 1)] + _TRANSPORT_NS if isinstance(chunk, wire.ActionChunk) else 0

    timing = Timing(system1, lambda c: taken2[min(c.seq, len(taken2) - 1)] + _TRANSPORT_NS, at_once=False)
    systems = Systems(
        settings, policy, instruction.text, clock, held, session.picture, timing,
        lambda chunk: made.append(chunk) if isinstance(chunk, wire.ActionChunk) else None,
    )  # fmt: skip
    for state in joints:
        clock.at(state.stamp_ns + _TRANSPORT_NS, lambda state=state: held.update(joint_state=state))
    runs = sorted((m for m in messages if isinstance(m, wire.ActionChunk | wire.Skip)), key=lambda m: m.stamp_ns)

    clock.at(conditions[0].stamp_ns - 1, lambda: held.update(embedding=embedding))  # until then it was being loaded
    for condition in conditions:
        clock.at(condition.stamp_ns, systems.wake_system2)
    reached = arrivals(frames, runs)
    for frame in frames:
        clock.at(reached[frame.camera, frame.seq], lambda frame=frame: systems.arrive((frame,)))
    while clock.next():
        pass
    return chunks, made


def arrivals(frames: list[wire.Frame], runs: list[Chunk]) -> dict[tuple[str, int], int]:
    """When each picture's notice had reached System 1: with the run that it began, or after the one that did not see it."""
    reached: dict[tuple[str, int], int] = {}
    newest = [{topic: (seq, run.stamp_ns) for topic, _, seq in run.inputs[-3:]} for run in runs]
    for frame in frames:
        topic = f"frame.{frame.camera}"
        seen_by = [row[topic] for row in newest if row.get(topic, (-1, 0))[0] >= frame.seq]
        missed_by = [row[topic] for row in newest if row.get(topic, (frame.seq, 0))[0] < frame.seq]
        arrival_ns = frame.returned_ns + _TRANSPORT_NS
        if seen_by and seen_by[0][0] == frame.seq:
            arrival_ns = seen_by[0][1]
        elif missed_by:
            arrival_ns = max(arrival_ns, missed_by[-1][1] + 1)
        reached[frame.camera, frame.seq] = max(arrival_ns, runs[0].stamp_ns)
    return reached


@pytest.fixture
def live_session(tmp_path: Path) -> Path:
    """A run of some seconds."""
    command = [
        sys.executable,
        "-m",
        "runtime.cli",
        "robot",
        "--profile",
        "sim",
        "--sessions",
        str(tmp_path / "sessions"),
    ]
    subprocess.run([*command, "--seconds", "6", "--ratio", "4"], check=True, capture_output=True, timeout=120)
    return next((tmp_path / "sessions").iterdir())


def test_a_live_runs_latencies_give_its_chunks(live_session: Path) -> None:
    live, virtual = on_the_virtual_clock(reader.read(live_session))
    assert abs(len(live) - len(virtual)) <= 2
    same = [np.array_equal(a.q, b.q) for a, b in zip(live, virtual, strict=False)]
    assert np.mean(same) >= 0.5  # on a loaded machine a message falls on the other side of a run's start now and then
