"""The bus between processes: order, who hears whom, slow and lost participants. Called by pytest."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import can
import numpy as np
import pytest

from drivers import can_hub
from drivers.can_hub import INTERFACE, Hub
from drivers.piper_frames import Frame


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "can")
    yield made
    made.close()


def joined(hub: Hub, local_loopback: bool = True) -> can.BusABC:
    bus = can.Bus(channel=str(hub.path), interface=INTERFACE, local_loopback=local_loopback)
    hub.poll(0.1)
    hub.poll(0.1)
    return bus


def message(number: int, data: bytes = b"\1\2") -> can.Message:
    return can.Message(arbitration_id=number, data=data, is_extended_id=False)


def heard(bus: can.BusABC) -> list[Frame]:
    found: list[Frame] = []
    while (got := bus.recv(0.02)) is not None:
        found.append((got.arbitration_id, bytes(got.data)))
    return found


def test_frames_come_in_order_and_as_they_were(hub: Hub) -> None:
    with joined(hub) as bus:
        frames = [(number, bytes(range(number % 9))) for number in range(200)]
        hub.send(frames)
        assert heard(bus) == frames
        for number, data in frames[:50]:
            bus.send(message(number, data))
        assert hub.poll(0.1) == frames[:50]


def test_an_emulator_that_is_kept_waiting_sends_no_torn_set(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a real arm, whose controller sends a set at once: only the set as a whole can come late."""
    clock = itertools.count(time.time_ns(), 10_000_000)
    monkeypatch.setattr(can_hub.time, "time_ns", lambda: next(clock))
    with joined(hub) as bus:
        hub.send([(0x2A5, bytes(8)), (0x2A6, bytes(8)), (0x2A7, bytes(8))])
        sent_s = [got.timestamp for _ in range(3) if (got := bus.recv(0.02)) is not None]
    assert np.diff(sent_s) == pytest.approx([120e-6, 120e-6], abs=1e-6)


def test_a_participant_hears_others_and_not_itself(hub: Hub) -> None:
    with joined(hub) as one, joined(hub) as other:
        one.send(message(0x155))
        assert hub.poll(0.1) == [(0x155, b"\1\2")]
        assert heard(one) == []
        assert heard(other) == [(0x155, b"\1\2")]


def test_without_loopback_a_process_does_not_hear_its_own_other_socket(hub: Hub) -> None:
    """piper_sdk sends and receives through two sockets: what it sends itself must not look foreign to it."""
    with joined(hub, local_loopback=False) as sends, joined(hub, local_loopback=False) as receives:
        sends.send(message(0x155))
        hub.poll(0.1)
        assert heard(receives) == []
        hub.send([(0x2A1, bytes(8))])
        assert heard(receives) == [(0x2A1, bytes(8))]
        code = (
            "import can, sys; bus = can.Bus(channel=sys.argv[1], interface='hub', local_loopback=False);"
            "bus.send(can.Message(arbitration_id=0x156, data=b'x', is_extended_id=False)); bus.shutdown()"
        )
        stranger = subprocess.Popen([sys.executable, "-c", code, str(hub.path)])
        while not (found := hub.poll(1.0)):
            pass
        assert stranger.wait(10) == 0
        assert found == [(0x156, b"x")]
        assert heard(receives) == [(0x156, b"x")]


def test_a_broken_wire_carries_nothing(hub: Hub) -> None:
    with joined(hub) as bus:
        hub.silent = True
        hub.send([(1, b"")])
        bus.send(message(2))
        assert hub.poll(0.1) == [] and heard(bus) == []
        hub.silent = False
        hub.send([(3, b"")])
        assert heard(bus) == [(3, b"")]


def test_a_full_queue_takes_nothing_and_lets_everything_be_heard(hub: Hub) -> None:
    """Also of participants in other processes, and of those that come later."""
    with joined(hub) as bus:
        hub.full = True
        with joined(hub) as late:
            for end in (bus, late):
                with pytest.raises(can.CanOperationError, match=r"No buffer space available \[Error Code 105\]"):
                    end.send(message(2))
            hub.send([(1, b"")])
            assert hub.poll(0.1) == [] and heard(bus) == heard(late) == [(1, b"")]
        hub.full = False
        bus.send(message(3))
        assert hub.poll(0.1) == [(3, b"\1\2")], "what could not be sent does not come later"


def test_a_hub_that_ended_with_a_full_queue_leaves_nothing(tmp_path: Path) -> None:
    first = Hub(tmp_path / "can")
    first.full = True
    second = Hub(tmp_path / "can")  # as after a crash of the first
    with joined(second) as bus:
        bus.send(message(1))
        assert second.poll(0.1) == [(1, b"\1\2")]
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_cut_bus_is_an_error_on_both_ways(hub: Hub) -> None:
    bus = joined(hub)
    hub.cut()
    with pytest.raises(can.CanOperationError, match="the emulated bus has closed"):
        bus.recv(0.1)
    with pytest.raises(can.CanOperationError, match="the emulated bus has closed"):
        bus.send(message(1))
    bus.shutdown()


def test_a_participant_that_does_not_read_loses_frames_and_stops_nobody(hub: Hub) -> None:
    with joined(hub) as sleeps, joined(hub) as reads:
        got: list[Frame] = []
        for _ in range(300):
            hub.send([(7, bytes(8))] * 10)
            got += [(m.arbitration_id, bytes(m.data)) for m in iter(lambda: reads.recv(0), None)]
        assert len(got) == 3000
        assert hub.dropped > 0
        assert 0 < len(heard(sleeps)) < 3000


def test_a_missing_hub_is_told(tmp_path: Path) -> None:
    with pytest.raises(can.CanInitializationError, match="check that the emulator runs"):
        can.Bus(channel=str(tmp_path / "nobody"), interface=INTERFACE)


def test_a_waiting_receiver_wakes(hub: Hub) -> None:
    with joined(hub) as bus:
        sender = threading.Timer(0.05, lambda: hub.send([(9, b"")]))
        sender.start()
        got = bus.recv(5)
        sender.join()
        assert got is not None and got.arbitration_id == 9


def test_a_clock_that_is_turned_shifts_all_stamps_and_no_difference_of_a_set(hub: Hub) -> None:
    with joined(hub) as bus:

        def stamps() -> list[float]:
            hub.send([(0x2A5, bytes(8)), (0x2A6, bytes(8)), (0x2A7, bytes(8))])
            heard = [bus.recv(1.0) for _ in range(3)]
            return [message.timestamp for message in heard if message is not None]

        before, hub.clock_s = stamps(), 3600.0
        after = stamps()
        assert after[0] - before[0] == pytest.approx(3600.0, abs=5.0)
        assert np.diff(after) == pytest.approx(np.diff(before), abs=1e-6)
