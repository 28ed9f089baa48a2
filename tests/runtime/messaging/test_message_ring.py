"""The ring of messages: order, wrapping, what is overwritten, a writer that starts again, a reader beside one. By pytest."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import RuntimeFault
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.message_ring import MessageRing
from runtime.messaging.ring_topic import ring_path
from runtime.messaging.topics import topic

ROOM = 1024
Build = Callable[..., Any]
OpenBus = Callable[[str], Bus]


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[MessageRing]:
    made = MessageRing.create(tmp_path / "said.ring", ROOM)
    yield made
    made.close()


def all_from(ring: MessageRing, place: int) -> list[bytes]:
    found: list[bytes] = []
    while (record := ring.read(place)) is not None:
        found.append(record[0])
        place = record[1]
    return found


def test_an_empty_ring_gives_nothing(ring: MessageRing) -> None:
    assert ring.read(0) is None
    assert ring.begin == ring.last == ring.end == 0


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 300, ROOM // 2 - 8])
def test_lengths_of_all_kinds_come_back_for_many_laps(ring: MessageRing, length: int) -> None:
    place = 0
    for count in range(100):
        payload = bytes([count]) * length
        ring.append(payload)
        record = ring.read(place)
        assert record is not None and record[0] == payload
        place = record[1]


def test_mixed_lengths_keep_their_order_and_the_newest_is_known(ring: MessageRing) -> None:
    dice = random.Random(3)
    sent: list[bytes] = []
    for _ in range(3000):
        payload = dice.randbytes(dice.randrange(200))
        ring.append(payload)
        sent.append(payload)
        kept = all_from(ring, ring.begin)
        assert kept == sent[len(sent) - len(kept) :]
        assert all_from(ring, ring.last) == [payload]
        assert sum(map(len, kept)) >= ROOM - 500 or len(kept) == len(sent), "what fits is kept"


def test_what_is_overwritten_is_not_read(ring: MessageRing) -> None:
    for count in range(200):
        ring.append(bytes([count]) * 100)
    assert ring.begin > 0
    assert ring.read(0) is None
    assert all_from(ring, ring.begin)[-1] == bytes([199]) * 100


def test_a_message_that_would_take_more_than_half_is_refused_and_nothing_is_lost(ring: MessageRing) -> None:
    ring.append(b"kept")
    with pytest.raises(RuntimeFault, match=f"message of {ROOM // 2} bytes"):
        ring.append(b"x" * (ROOM // 2))
    assert all_from(ring, 0) == [b"kept"]


def test_a_writer_that_starts_again_goes_on_where_the_last_one_ended(ring: MessageRing) -> None:
    ring.append(b"before")
    again = MessageRing.create(ring.path, ROOM)
    again.append(b"after")
    assert all_from(ring, 0) == [b"before", b"after"]
    again.close()


@pytest.mark.parametrize("left", [b"", b"x" * 8, b"x" * 4096, b"\0" * (ROOM + 40)])
def test_a_file_that_is_no_ring_is_replaced_and_never_read(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "said.ring"
    path.write_bytes(left)
    assert MessageRing.attach(path) is None
    made = MessageRing.create(path, ROOM)
    made.append(b"first")
    assert all_from(made, 0) == [b"first"]
    assert path.stat().st_mode & 0o777 in (0o600, 0o644), "the folder keeps others out"
    made.close()


def test_without_a_file_there_is_nothing_to_attach_to(tmp_path: Path) -> None:
    assert MessageRing.attach(tmp_path / "none.ring") is None


_WRITER = """
import sys
from pathlib import Path
from runtime.messaging.message_ring import MessageRing
ring = MessageRing.create(Path(sys.argv[1]), 4096)
for count in range(int(sys.argv[2])):
    ring.append(count.to_bytes(8, "little") * (1 + count % 40))
"""


def test_a_reader_beside_a_writer_sees_whole_messages_in_order(tmp_path: Path) -> None:
    path, count = tmp_path / "said.ring", 200_000
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(count)])
    ring: MessageRing | None = None
    try:
        place, last, seen = 0, -1, 0
        while last < count - 1:
            ring = ring or MessageRing.attach(path)
            if ring is None:
                continue
            ended = writer.poll() is not None
            place = max(place, ring.begin)
            record = ring.read(place)
            if record is None:
                assert not ended or ring.begin > place or last == count - 1, "the last message was not found"
                continue
            number = int.from_bytes(record[0][:8], "little")
            assert number > last and record[0] == number.to_bytes(8, "little") * (1 + number % 40)
            last, place, seen = number, record[1], seen + 1
        assert seen > 100
    finally:
        writer.kill()
        writer.wait(5)
        if ring is not None:
            ring.close()


def test_the_recorder_reads_what_was_sent_before_it_came_and_others_do_not(bus: OpenBus, build: Build) -> None:
    publisher = bus("arms").publisher("joint_state")
    for seq in range(3):
        publisher.send(build(messages.JointState, seq=seq))
    recorder = bus("recorder").subscriber("joint_state", recording=True)
    console = bus("console").subscriber("joint_state")
    publisher.send(build(messages.JointState, seq=3))
    assert [item.message.seq for item in recorder.take()] == [0, 1, 2, 3]
    assert [item.message.seq for item in console.take()] == [3]


def test_a_reader_that_waits_for_its_publisher_misses_nothing(bus: OpenBus, build: Build) -> None:
    early = bus("console").subscriber("arm_target")
    assert early.take() == []
    publisher = bus("arms").publisher("arm_target")
    publisher.send(build(messages.ArmTarget, seq=0))
    assert [item.message.seq for item in early.take()] == [0]


def test_a_reader_that_was_overtaken_says_how_many_it_missed(bus: OpenBus, build: Build) -> None:
    publisher, recorder = bus("arms").publisher("arm_target"), bus("recorder").subscriber("arm_target", depth=100_000)
    publisher.send(build(messages.ArmTarget, seq=0))
    assert len(recorder.take()) == 1
    ring = MessageRing.attach(ring_path(publisher_folder(recorder), topic("arm_target")))
    assert ring is not None
    seq = 0
    while ring.begin == 0 or seq % 100:
        seq += 1
        publisher.send(build(messages.ArmTarget, seq=seq))
    got = [item.message.seq for item in recorder.take()]
    assert got == list(range(got[0], seq + 1)) and got[0] > 1
    assert recorder.counters.missed == got[0] - 1
    ring.close()


def publisher_folder(subscriber: Any) -> Path:
    return subscriber._path.parent


def test_a_recorder_that_is_started_again_goes_on_where_its_predecessor_stopped(bus: OpenBus, build: Build) -> None:
    """What the last round gave it may not be on disk yet: that comes again, and nothing before it."""
    publisher = bus("arms").publisher("joint_state")

    def send(numbers: range) -> None:
        for number in numbers:
            publisher.send(build(messages.JointState, seq=number))

    send(range(10))
    first = bus("recorder").subscriber("joint_state", depth=1000, recording=True)
    assert [received.message.seq for received in first.take()] == list(range(10))
    send(range(10, 14))
    assert [received.message.seq for received in first.take()] == list(range(10, 14))
    send(range(14, 20))
    second = bus("recorder").subscriber("joint_state", depth=1000, recording=True)
    assert [received.message.seq for received in second.take()] == list(range(10, 20))
