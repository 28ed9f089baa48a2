"""The newest-value slot, between real processes: whole values only, never a wait, never a value lost.
Called by pytest; every child is killed by the fixture that started it."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.errors import DriverError
from drivers.shared_slot import SharedSlot

LARGE = 1 << 20
Start = Callable[..., "subprocess.Popen[bytes]"]

# Writes without pause: argument 2 is the value's length; each value is one repeated eight-byte counter.
WRITER = """
import sys
from pathlib import Path
from drivers.shared_slot import SharedSlot
size = int(sys.argv[2])
slot = SharedSlot(Path(sys.argv[1]), size)
count = 0
while True:
    count += 1
    slot.write(count.to_bytes(8, "little") * (size // 8))
"""

READER = """
import sys
from pathlib import Path
from drivers.shared_slot import SharedSlot
sys.stdout.buffer.write(SharedSlot(Path(sys.argv[1]), 64).read())
"""


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[SharedSlot]:
    """A small slot in this process."""
    made = SharedSlot(tmp_path / "value", 64)
    yield made
    made.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program with arguments; it is dead when the test ends."""
    children: list[subprocess.Popen[bytes]] = []

    def run(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate(timeout=10)


def wait_for_value(slot: SharedSlot) -> None:
    """Wait at most ten seconds for the first value."""
    deadline = time.monotonic() + 10
    while slot.read() is None:
        assert time.monotonic() < deadline, "the writer did not start"
        time.sleep(0.01)


def counter_of(value: bytes | None, size: int) -> int:
    """The counter of a value of WRITER; fails for a missing or torn one."""
    assert value is not None, "a slot that was written to gave no value"
    assert len(value) == size
    assert value == value[:8] * (size // 8)
    return int.from_bytes(value[:8], "little")


def test_nothing_is_read_before_the_first_value(slot: SharedSlot) -> None:
    assert slot.read() is None


def test_newest_value_is_read_again_and_again(slot: SharedSlot) -> None:
    for value in (b"one", b"two", b"a longer one", b"", b"x" * 64):
        slot.write(value)
        assert slot.read() == value
        assert slot.read() == value


def test_oversized_value_is_refused_and_the_last_one_stays(slot: SharedSlot) -> None:
    slot.write(b"good")
    with pytest.raises(DriverError, match=r"slot value: 65 bytes \(limit 64\)"):
        slot.write(b"x" * 65)
    assert slot.read() == b"good"


def test_value_read_is_not_changed_by_later_ones(slot: SharedSlot) -> None:
    slot.write(b"first")
    value = slot.read()
    slot.write(b"again")
    slot.write(b"third")
    assert value == b"first"


def test_both_ends_see_each_others_values(slot: SharedSlot) -> None:
    other = SharedSlot(slot.path, 64)
    slot.write(b"here")
    assert other.read() == b"here"
    other.write(b"there")
    assert slot.read() == b"there"
    other.close()


def test_value_outlives_its_writer(tmp_path: Path) -> None:
    writer = SharedSlot(tmp_path / "value", 64)
    writer.write(b"left behind")
    writer.close()
    reader = SharedSlot(tmp_path / "value", 64)
    assert reader.read() == b"left behind"
    reader.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    made = SharedSlot(tmp_path / "value", 64)
    made.write(b"kept")
    made.close()
    made.close()
    after = SharedSlot(tmp_path / "value", 64)
    assert after.read() == b"kept"
    after.close()


def test_file_is_readable_by_its_owner_only(slot: SharedSlot) -> None:
    assert slot.path.stat().st_mode & 0o777 == 0o600


def test_another_process_reads_the_value(slot: SharedSlot, start: Start) -> None:
    slot.write(b"across processes")
    output, _ = start(READER, str(slot.path)).communicate(timeout=30)
    assert output == b"across processes"


def test_reader_sees_only_whole_values_in_order_beside_a_busy_writer(tmp_path: Path, start: Start) -> None:
    size = 256
    reader = SharedSlot(tmp_path / "value", size)
    start(WRITER, str(reader.path), str(size))
    wait_for_value(reader)
    end, last, distinct = time.monotonic() + 1.0, 0, 0
    while time.monotonic() < end:
        counter = counter_of(reader.read(), size)
        assert counter >= last
        distinct += counter > last
        last = counter
    reader.close()
    assert distinct > 20


def test_writer_stopped_in_mid_write_leaves_a_whole_value_readable(tmp_path: Path, start: Start) -> None:
    reader = SharedSlot(tmp_path / "value", LARGE)
    child = start(WRITER, str(reader.path), str(LARGE))
    wait_for_value(reader)
    seen: set[int] = set()
    for _ in range(30):
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        began = time.monotonic()
        seen.add(counter_of(reader.read(), LARGE))
        assert time.monotonic() - began < 0.5
        os.kill(child.pid, signal.SIGCONT)
        time.sleep(0.005)
    reader.close()
    assert len(seen) > 5


def test_value_partly_written_beside_the_newest_does_not_disturb_it(slot: SharedSlot) -> None:
    """A writer that dies in mid-write has touched anything but the newest place and the count."""
    slot.write(b"old value")
    slot.write(b"new value")
    before = slot.path.read_bytes()
    place = before.index(b"old value")
    after = before[:place] + b"HALF" + before[place + 4 :]
    with slot.path.open("r+b") as file:
        file.write(after)
    assert slot.read() == b"new value"


def test_a_slot_without_room_is_one_line_and_no_signal_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DriverError, match=r"slot: No space left on device; free or enlarge"):
        SharedSlot(tmp_path / "slot", 100)


def test_a_slots_pages_are_there_from_the_beginning(tmp_path: Path) -> None:
    SharedSlot(tmp_path / "slot", 1 << 20).close()
    assert (tmp_path / "slot").stat().st_blocks * 512 >= 2 << 20
