"""A live run's latencies on the virtual clock: the same schedule, and the same chunks out of the same policy.
Called by pytest; the live run is a real one, the schedule is made anew by the rules."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from live_run import LiveRun

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import settings_from_json
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.messaging.topics import topic_of
from runtime.policy.opening import open_policy
from runtime.session import reader
from runtime.systems.frame_sets import History, newest_set
from runtime.systems.system1 import due, next_due
from runtime.systems.virtual_clock import Chunk, VirtualClock, VirtualSystem1, VirtualSystem2

pytestmark = pytest.mark.live
_TRANSPORT_NS = 400_000
_FRAME_NS = 33_333_333
_PROMPT_NS = 5_000_000  # a process that is not kept waiting begins within
_HEARD = {
    "system1": ("episode", "instruction", "embedding", "joint_state", "conditions", "frame"),
    "system2": ("episode", "instruction", "embedding", "chunk", "skip", "frame.head"),
}
Run = messages.ActionChunk | messages.Conditions
Arrivals = dict[str, list[tuple[int, messages.Message]]]


def on_the_virtual_clock(session: reader.Session) -> tuple[list[messages.ActionChunk], list[messages.ActionChunk]]:
    """(live chunks, virtual chunks) of a session: its pictures, its joints and its latencies, nothing else of it."""
    settings = settings_from_json(session.metadata["settings"])
    arrived = [message for _, message, _ in reader.decode_all(session)]
    runs = sorted((m for m in arrived if isinstance(m, messages.ActionChunk | messages.Skip)), key=lambda m: m.stamp_ns)
    conditions = [m for m in arrived if isinstance(m, messages.Conditions)]
    clock = VirtualClock(min(message.stamp_ns for message in arrived))
    torch.set_num_threads(1)
    policy = open_policy(settings)
    (instruction,) = {m.number: m for m in arrived if isinstance(m, messages.Instruction)}.values()
    made: dict[tuple[str, int], messages.Message] = {}
    encoded = policy.instruct(instruction.text)
    common = (settings, policy, lambda _: encoded, clock, session.picture)

    def keep(message: messages.Message) -> None:
        made[topic_of(message), message.seq] = message

    episode = next(message for message in arrived if isinstance(message, messages.Episode))
    late = stalled(settings, episode, runs, [message for message in arrived if isinstance(message, messages.Frame)])
    hurried = {
        following.stamp_ns
        for run, following in itertools.pairwise(conditions)
        if following.late_runs > 0 or following.stamp_ns - run.timing.finished_ns < _FRAME_NS
    }
    assert len(late) < len(runs) / 2, "live runs begin later than by the rules"

    def taken_ns(run: Chunk) -> int:
        keep(run)  # it reaches System 2 when it did live, which may be before System 1 looks again
        return duration_ns(run, runs, late)

    system1 = VirtualSystem1(*common, taken_ns, lambda _: None)
    system2 = VirtualSystem2(*common, lambda run: duration_ns(run, conditions, hurried), keep)
    for system, heard, consumers in ((system1, "system1", runs), (system2, "system2", conditions)):
        inbox = arrivals([m for m in arrived if topic_of(m).startswith(_HEARD[heard])], consumers)
        for arrival_ns, message in inbox:
            clock.at(arrival_ns, partial(deliver, system, message, made))
        begin = (
            messages.Frame if system is system1 else messages.ActionChunk
        )  # else System 2 wakes when it did live, by poll
        begins_ns = {at_ns for at_ns, message in inbox if isinstance(message, begin)}
        for advance_ns in sorted(begins_ns | {run.stamp_ns for run in consumers}):
            clock.at(advance_ns, system.advance)  # after all that arrive then
    while clock.next():
        pass
    return [run for run in runs if isinstance(run, messages.ActionChunk)], [
        message
        for (topic, _), message in sorted(made.items())
        if topic == "chunk" and isinstance(message, messages.ActionChunk)
    ]


def deliver(
    system: VirtualSystem1 | VirtualSystem2, message: messages.Message, made: Mapping[tuple[str, int], messages.Message]
) -> None:
    """What the systems tell each other is made anew; the rest comes out of the session."""
    if isinstance(message, messages.ActionChunk | messages.Skip | messages.Conditions):
        again = made.get((topic_of(message), message.seq))
        if again is None:
            return
        message = again
    system.hear(message)


def stalled(
    settings: Settings, episode: messages.Episode, runs: Sequence[Run | messages.Skip], frames: Sequence[messages.Frame]
) -> set[int]:
    """Starts of the runs of System 1 that the machine kept waiting: a complete, due set had come well before."""
    late, due_ns, last = set[int](), 0, (-1,) * len(CAMERAS)
    history, waiting = History(CAMERAS), iter(sorted(frames, key=lambda frame: frame.stamp_ns))
    for run, following in itertools.pairwise(runs):
        due_ns = next_due(settings, episode, due_ns, run.stamp_ns)
        last = tuple(max(seq for topic, _, seq in run.inputs if topic == f"frame.{camera}") for camera in CAMERAS)
        newest, could_ns = newest_set(history.notices), run.stamp_ns
        while not due(settings, newest, due_ns, last):
            notice = next(waiting)
            history.add(notice)
            newest, could_ns = newest_set(history.notices), max(could_ns, notice.stamp_ns)
        if following.stamp_ns - could_ns > _PROMPT_NS:
            late.add(following.stamp_ns)
    return late


def duration_ns(made: messages.Message, live: Sequence[Run | messages.Skip], late: Set[int]) -> int:
    """How long the live run took that this one stands for, until the process looked again.

    When the machine kept the next one waiting, that was when it looked: it begins when it can.
    """
    place = next((i for i, run in enumerate(live) if (topic_of(run), run.seq) == (topic_of(made), made.seq)), None)
    run = live[place] if place is not None else None
    if place is None or not isinstance(run, Run):
        return 0 if isinstance(run, messages.Skip) else _TRANSPORT_NS  # where live there was none, the chunks will tell
    if place + 1 == len(live):
        return run.timing.finished_ns - run.stamp_ns
    following = live[place + 1]
    ready_ns = following.stamp_ns if following.stamp_ns in late else run.timing.finished_ns
    return min(ready_ns, following.stamp_ns) - run.stamp_ns


def arrivals(
    arrived: Sequence[messages.Message], runs: Sequence[Run | messages.Skip]
) -> list[tuple[int, messages.Message]]:
    """(time, message): when each had reached the system that made these runs, in order.

    Every run tells what it consumed. A message came with the run that first consumed it; else after the last run that would
    have consumed it, before the first that consumed a later one, and a transport's time after it was sent.
    """
    by_topic: dict[str, list[messages.Message]] = defaultdict(list)
    for message in sorted(arrived, key=lambda message: message.seq):
        by_topic[topic_of(message)].append(message)
    advances = [Advance.of(run, by_topic) for run in runs]
    found: list[tuple[int, messages.Message]] = []
    for topic, sent in by_topic.items():
        at_ns = runs[0].stamp_ns  # nothing arrives before the process looks for the first time
        for message in sent:
            missed = [
                advance.time_ns
                for advance in advances
                if topic in advance.telling and advance.newest[topic] < message.seq
            ]
            came = [advance for advance in advances if advance.newest.get(topic, -1) >= message.seq]
            at_ns = max(at_ns, sent_ns(message) + _TRANSPORT_NS, missed[-1] + 1 if missed else 0)
            if came and (at_ns > came[0].time_ns or came[0].newest[topic] == message.seq):
                at_ns = came[0].time_ns
            found.append((at_ns, message))
    known = [row for row in found if row[0] <= runs[-1].stamp_ns]  # of what came later no run tells
    return sorted(known, key=lambda row: (row[0], row[1].seq))


@dataclass(frozen=True)
class Advance:
    """What a run tells of what had come."""

    time_ns: int
    newest: Mapping[str, int]  # by topic
    telling: frozenset[str]  # topics of which it would have consumed a newer message

    @classmethod
    def of(cls, run: Run | messages.Skip, sent: Mapping[str, Sequence[messages.Message]]) -> "Advance":
        """System 1 takes a picture of each camera, taken at about the same time: the newest set waits for the camera whose
        next picture came last, newer ones of the others may have come. Of chunk and skip System 2 takes the newer."""
        newest = {topic: -1 for topic in sent if topic not in ("chunk", "skip")}
        for topic, _, seq in run.inputs:
            newest[topic] = max(seq, newest.get(topic, -1))
        cameras = [topic for topic in newest if topic.startswith("frame.")]
        following = {
            topic: next((sent_ns(m) for m in sent[topic] if m.seq > newest[topic]), run.stamp_ns) for topic in cameras
        }
        waited_for = max(cameras, key=lambda topic: following[topic])
        return cls(run.stamp_ns, newest, frozenset(newest) - set(cameras) | {waited_for})


def sent_ns(message: messages.Message) -> int:
    """When a message left."""
    return message.timing.finished_ns if isinstance(message, Run) else message.stamp_ns


def test_a_live_runs_latencies_give_its_chunks(session: LiveRun) -> None:
    live, virtual = on_the_virtual_clock(reader.read(session.session))
    assert len(live) > 20
    assert [chunk.stamp_ns for chunk in virtual] == [chunk.stamp_ns for chunk in live]
    assert all(np.array_equal(a.q, b.q) for a, b in zip(live, virtual, strict=True))
