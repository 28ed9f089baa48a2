"""The bus over real sockets and rings: delivery, bounded queues, counters, the recorder's handshake, who may publish.

Every wait is bounded; sockets lie in a folder of their own with a short path.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import codec, messages
from runtime.messaging.array_field import Array
from runtime.messaging.bus import Bus
from runtime.messaging.publisher import Publisher
from runtime.messaging.socket_topic import SocketSubscriber, endpoint
from runtime.messaging.subscriber import Received, Subscriber
from runtime.messaging.topics import topic

Build = Callable[..., Any]
OpenBus = Callable[[str], Bus]
WaitUntil = Callable[[Callable[[], bool]], bool]


def connect(publisher: Publisher, subscriber: Subscriber, payload: bytes) -> None:
    """Send until the subscription has arrived, then forget what came."""
    for _ in range(400):
        publisher.send_raw(payload)
        if arrives(subscriber, 0.005):
            break
    subscriber.take()
    while arrives(subscriber, 0.02):
        subscriber.take()
    subscriber.counters.missed = subscriber.counters.overflowed = subscriber.counters.rejected = 0


def arrives(subscriber: Subscriber, within_s: float) -> bool:
    """Whether something waits, or comes soon; what a ring holds has come already."""
    if isinstance(subscriber, SocketSubscriber):
        return bool(subscriber.socket.poll(round(within_s * 1e3)))
    return subscriber.drain()


def receive(subscriber: Subscriber, count: int) -> list[Received]:
    """At least `count` messages, waiting at most two seconds."""
    got: list[Received] = []
    for _ in range(400):
        got += subscriber.take()
        if len(got) >= count:
            break
        arrives(subscriber, 0.005)
    return got


def numbers(received: list[Received]) -> list[int]:
    return [item.message.seq for item in received]


SAID_BY_ARMS = pytest.mark.parametrize("kind", [messages.JointState, messages.SafetyState], ids=["ring", "socket"])


@SAID_BY_ARMS
def test_messages_arrive_in_order_and_whole(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher(_topic(kind)), bus("recorder").subscriber(_topic(kind))
    connect(publisher, subscriber, codec.encode(build(kind)))
    sent = [build(kind, seq=seq) for seq in range(1, 40)]
    for message in sent:
        publisher.send(message)
    got = receive(subscriber, len(sent))
    assert [codec.encode(item.message) for item in got] == [codec.encode(message) for message in sent]
    assert (subscriber.counters.missed, subscriber.counters.rejected, subscriber.counters.overflowed) == (0, 0, 0)


def _topic(kind: type[messages.Message]) -> str:
    return "joint_state" if kind is messages.JointState else "safety"


def test_a_large_message_arrives_whole(bus: OpenBus, build: Build) -> None:
    import numpy as np

    publisher, subscriber = bus("system2").publisher("conditions"), bus("system1").subscriber("conditions")
    connect(publisher, subscriber, codec.encode(build(messages.Conditions)))
    bits = (np.arange(224 * 512) % 0x7F80).astype(np.uint16).reshape(224, 512)
    tokens = Array("bfloat16", bits)
    message = build(messages.Conditions, seq=1, arrays={"spatial": tokens, "motion": tokens})
    publisher.send(message)
    assert codec.encode(receive(subscriber, 1)[0].message) == codec.encode(message)


def test_arrival_times_lie_between_sending_and_taking(bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher("safety"), bus("console").subscriber("safety")
    connect(publisher, subscriber, codec.encode(build(messages.SafetyState)))
    before = robot_time_ns()
    publisher.send(build(messages.SafetyState, seq=1))
    assert before <= receive(subscriber, 1)[0].arrival_ns <= robot_time_ns()


@pytest.mark.parametrize("name", ["safety", "operator_command", "joint_state"])
def test_newest_keeps_only_the_newest(name: str, bus: OpenBus, build: Build) -> None:
    publisher = bus("supervisor" if name == "operator_command" else "arms").publisher(name)
    subscriber = bus("console").subscriber(name, newest=True)
    kind = topic(name).message
    connect(publisher, subscriber, codec.encode(build(kind)))
    for seq in range(1, 101):
        publisher.send(build(kind, seq=seq))
    time.sleep(0.1)
    assert numbers(subscriber.take()) == [100]
    assert subscriber.counters.overflowed == 0


@SAID_BY_ARMS
def test_a_full_queue_drops_the_oldest_and_counts(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher(_topic(kind)), bus("console").subscriber(_topic(kind), depth=16)
    connect(publisher, subscriber, codec.encode(build(kind)))
    for seq in range(1, 51):
        publisher.send(build(kind, seq=seq))
    time.sleep(0.1)
    assert numbers(subscriber.take()) == list(range(35, 51))
    assert subscriber.counters.overflowed == 34
    assert subscriber.counters.missed == 0


def test_garbage_is_counted_and_named_not_raised(bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher("safety"), bus("console").subscriber("safety")
    good = codec.encode(build(messages.SafetyState))
    connect(publisher, subscriber, good)
    for payload in (
        b"",
        b"\xc1",
        b"garbage",
        good[:-1],
        codec.encode(build(messages.OperatorCommand)),
        good[:40] + good[41:],
    ):
        publisher.send_raw(payload)
    publisher.send(build(messages.SafetyState, seq=1))
    assert numbers(receive(subscriber, 1)) == [1]
    assert subscriber.counters.rejected == 6
    assert subscriber.counters.last_reason


def test_oversize_is_counted_and_named_not_raised(bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher("safety"), bus("console").subscriber("safety")
    connect(publisher, subscriber, codec.encode(build(messages.SafetyState)))
    publisher.send(build(messages.SafetyState, seq=1, reasons=("x" * topic("safety").max_bytes,)))
    publisher.send(build(messages.SafetyState, seq=2))
    assert numbers(receive(subscriber, 1)) == [2]
    assert subscriber.counters.rejected == 1
    assert str(topic("safety").max_bytes) in subscriber.counters.last_reason


@SAID_BY_ARMS
def test_gaps_in_seq_are_counted(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher(_topic(kind)), bus("console").subscriber(_topic(kind))
    connect(publisher, subscriber, codec.encode(build(kind)))
    for seq in (1, 2, 5, 6, 10):
        publisher.send(build(kind, seq=seq))
    receive(subscriber, 5)
    assert subscriber.counters.missed == 2 + 3


@SAID_BY_ARMS
def test_a_restarted_publisher_is_no_gap(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher, subscriber = bus("arms").publisher(_topic(kind)), bus("console").subscriber(_topic(kind))
    connect(publisher, subscriber, codec.encode(build(kind)))
    for epoch, seq in ((1, 1), (2, 0), (2, 1), (3, 7)):
        publisher.send(build(kind, epoch=epoch, seq=seq))
    receive(subscriber, 4)
    assert subscriber.counters.missed == 0


def test_several_publishers_reach_one_subscriber(bus: OpenBus, build: Build) -> None:
    publishers = [bus(name).publisher("fault") for name in ("arms", "system1", "text")]
    subscriber = bus("supervisor").subscriber("fault")
    for publisher in publishers:
        connect(publisher, subscriber, codec.encode(build(messages.Fault)))
    for index, publisher in enumerate(publishers):
        publisher.send(build(messages.Fault, seq=10 + index))
    assert sorted(numbers(receive(subscriber, 3))) == [10, 11, 12]


@SAID_BY_ARMS
def test_a_payload_is_kept_for_the_recorder_only(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher, name = bus("arms").publisher(_topic(kind)), _topic(kind)
    recorder, console = bus("recorder").subscriber(name, recording=True), bus("console").subscriber(name)
    payload = codec.encode(build(kind, seq=5))
    for subscriber in (recorder, console):
        connect(publisher, subscriber, codec.encode(build(kind)))
    recorder.take()
    publisher.send_raw(payload)
    assert [item.payload for item in receive(recorder, 1)] == [payload]
    assert [item.payload for item in receive(console, 1)] == [b""]


def test_the_recorder_is_waited_for(bus: OpenBus) -> None:
    publisher = bus("arms").publisher("safety")
    bus("console").subscriber("safety")
    bus("recorder").subscriber("safety", recording=True)
    assert publisher.wait_for_recorder(2.0)


@SAID_BY_ARMS
def test_nothing_after_the_handshake_is_lost(kind: type[messages.Message], bus: OpenBus, build: Build) -> None:
    publisher = bus("arms").publisher(_topic(kind))
    subscriber = bus("recorder").subscriber(_topic(kind), recording=True)
    assert publisher.wait_for_recorder(2.0)
    publisher.send(build(kind, seq=0))
    assert numbers(receive(subscriber, 1)) == [0]


def test_a_recorder_that_comes_later_is_waited_for(bus: OpenBus) -> None:
    publisher, recorder = bus("arms").publisher("safety"), bus("recorder")
    timer = threading.Timer(0.1, lambda: recorder.subscriber("safety", recording=True))
    timer.start()
    found = publisher.wait_for_recorder(2.0)
    timer.join()
    assert found


def test_without_a_recorder_the_wait_ends(bus: OpenBus) -> None:
    publisher = bus("arms").publisher("safety")
    bus("console").subscriber("safety")
    started = robot_time_ns()
    assert not publisher.wait_for_recorder(0.1)
    assert seconds(0.05) < robot_time_ns() - started < seconds(1)


def test_only_its_publisher_may_publish_a_topic(bus: OpenBus) -> None:
    with pytest.raises(RuntimeFault, match="system1 may not publish arm_target"):
        bus("system1").publisher("arm_target")


def test_an_unknown_topic_is_refused(bus: OpenBus) -> None:
    with pytest.raises(RuntimeFault, match="unknown topic 'targets'"):
        bus("arms").subscriber("targets")


@SAID_BY_ARMS
def test_sending_never_blocks_on_a_reader_that_does_not_read(
    kind: type[messages.Message], bus: OpenBus, build: Build
) -> None:
    publisher, subscriber = bus("arms").publisher(_topic(kind)), bus("console").subscriber(_topic(kind), depth=8)
    payload = codec.encode(build(kind))
    connect(publisher, subscriber, payload)
    started = robot_time_ns()
    for _seq in range(1, 20_001):
        publisher.send_raw(payload)
    assert robot_time_ns() - started < seconds(5)
    assert publisher.sent >= 20_000


def test_wait_sees_a_message_and_ends_without_one(bus: OpenBus, build: Build) -> None:
    arms, console = bus("arms"), bus("console")
    publisher, subscriber = arms.publisher("safety"), console.subscriber("safety")
    connect(publisher, subscriber, codec.encode(build(messages.SafetyState)))
    assert not console.wait(0.02)
    publisher.send(build(messages.SafetyState, seq=1))
    assert console.wait(2.0)
    assert numbers(subscriber.take()) == [1]


def test_drain_until_stamps_arrivals_and_ends_before_its_time(bus: OpenBus, build: Build) -> None:
    arms, console = bus("arms"), bus("console")
    publisher, subscriber = arms.publisher("safety"), console.subscriber("safety")
    connect(publisher, subscriber, codec.encode(build(messages.SafetyState)))
    publisher.send(build(messages.SafetyState, seq=1))
    until_ns = robot_time_ns() + seconds(0.1)
    console.drain_until((subscriber,), until_ns)
    (received,) = subscriber.take()
    assert received.arrival_ns < until_ns


def test_a_subscriber_may_come_before_its_publisher(bus: OpenBus, build: Build, wait_until: WaitUntil) -> None:
    subscriber = bus("console").subscriber("safety", newest=True)
    time.sleep(0.05)
    publisher = bus("arms").publisher("safety")

    def arrived() -> bool:
        publisher.send(build(messages.SafetyState, seq=3))
        return numbers(subscriber.take()) == [3]

    assert wait_until(arrived)


def test_a_foreign_multipart_message_harms_nobody(bus: OpenBus, build: Build) -> None:
    supervisor, console = bus("supervisor"), bus("console")
    subscriber = console.subscriber("safety")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    foreign = context.socket(zmq.XPUB)
    foreign.bind(endpoint(supervisor.folder, topic("safety"), "arms"))
    good = codec.encode(build(messages.SafetyState))
    for _ in range(400):
        foreign.send_multipart([b"part", good[:10], good])
        if arrives(subscriber, 0.005):
            break
    time.sleep(0.05)
    subscriber.take()
    foreign.close(linger=0)
    context.term()
    assert subscriber.counters.rejected >= 1


def test_a_bus_counts_what_its_process_sent_but_heartbeats_and_what_it_never_saw(bus: OpenBus, build: Build) -> None:
    sender, reader = bus("arms"), bus("recorder")
    assert (sender.sent, reader.lost) == (0, 0)
    publisher, subscriber = sender.publisher("joint_state"), reader.subscriber("joint_state", depth=2)
    connect(publisher, subscriber, codec.encode(build(messages.JointState)))
    before = sender.sent
    sender.publisher("heartbeat").send(build(messages.Heartbeat))
    for seq in (10, 12, 13):  # one is missing, and three do not fit
        publisher.send(build(messages.JointState, seq=seq))
    publisher.send_raw(b"no message")
    for _ in range(400):
        subscriber.drain()
        if subscriber.counters.rejected:
            break
        arrives(subscriber, 0.005)
    assert sender.sent == before + 4
    assert reader.lost == 9 + 1 + 1 + 1  # of those up to 10, that one, the one that did not fit, the unreadable one


def test_draining_by_descriptors_misses_nothing(bus: OpenBus, build: Build) -> None:
    """Bursts, and single messages while the reader waits: each round asks only the sockets that told of news."""
    arms, console = bus("arms"), bus("console")
    publishers = [arms.publisher(name) for name in ("safety", "joint_state")]
    subscribers = [console.subscriber(name, depth=4000) for name in ("safety", "joint_state")]
    for publisher, subscriber, kind in zip(
        publishers, subscribers, (messages.SafetyState, messages.JointState), strict=True
    ):
        connect(publisher, subscriber, codec.encode(build(kind)))
        subscriber.take()
    sent = 0
    for burst in (1, 1, 50, 1, 7, 300, 1, 2):
        for _ in range(burst):
            sent += 1
            publishers[0].send(build(messages.SafetyState, seq=sent))
            publishers[1].send(build(messages.JointState, seq=sent))
        got = [0, 0]
        while min(got) < burst:
            assert console.drain(subscribers, 5.0), f"{got} of {burst}"
            got = [count + len(subscriber.taken()) for count, subscriber in zip(got, subscribers, strict=True)]
        assert got == [burst, burst]
    assert not console.drain(subscribers)


@pytest.mark.parametrize("name", ["fault", "joint_state"])
def test_a_process_opens_a_topic_once(name: str, bus: OpenBus) -> None:
    """A second socket or ring would take the first one's address, and those who had connected to that would hear nothing."""
    arms = bus("arms")
    arms.publisher(name)
    with pytest.raises(RuntimeFault, match=f"^{name}: arms publishes it already; use that"):
        arms.publisher(name)
