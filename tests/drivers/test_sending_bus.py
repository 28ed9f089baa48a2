"""What could not be sent is known, though the SDK's own sending swallows it. Called by pytest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import can
import pytest
from piper_sdk.hardware_port import C_STD_CAN

from drivers.can_hub import INTERFACE, Hub
from drivers.sending_bus import SendingBus


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "can")
    yield made
    made.close()


@pytest.fixture
def bus(hub: Hub) -> Iterator[SendingBus]:
    made = SendingBus(can.Bus(channel=str(hub.path), interface=INTERFACE))
    hub.poll(0.1)
    hub.poll(0.1)
    yield made
    made.shutdown()


@pytest.fixture
def sdk(bus: SendingBus) -> Any:
    """The SDK's own sending, as it is under its interface."""
    made: Any = C_STD_CAN("left", judge_flag=False, auto_init=False)
    made.send_bus = bus
    return made


def test_the_sdk_sends_through_it(sdk: Any, hub: Hub, bus: SendingBus) -> None:
    assert sdk.SendCanMessage(0x150, bytes(8)) == sdk.CAN_STATUS.SEND_MESSAGE_SUCCESS
    assert hub.poll(0.1) == [(0x150, bytes(8))]
    assert (bus.unsent, bus.error) == (0, "")


def test_what_the_sdk_swallows_is_counted_with_its_cause(sdk: Any, hub: Hub, bus: SendingBus) -> None:
    hub.full = True
    for sent in range(1, 4):
        assert sdk.SendCanMessage(0x150, bytes(8)) == sdk.CAN_STATUS.SEND_MESSAGE_FAILED, "it raises nothing"
        assert (bus.unsent, bus.error) == (sent, "No buffer space available [Error Code 105]")
    hub.full = False
    sdk.SendCanMessage(0x150, bytes(8))
    assert bus.unsent == 3
    assert hub.poll(0.1) == [(0x150, bytes(8))]


class Passive(can.BusABC):
    """A bus that says it is passive, and an error without a text."""

    def __init__(self) -> None:
        self.tried = 0
        self.closed = False
        super().__init__(channel="passive")

    @property
    def state(self) -> can.BusState:
        return can.BusState.PASSIVE

    @state.setter
    def state(self, new_state: can.BusState) -> None:
        raise NotImplementedError

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        self.tried += 1
        raise TimeoutError

    def shutdown(self) -> None:
        super().shutdown()
        self.closed = True


def test_a_bus_with_many_errors_is_tried(sdk: Any) -> None:
    """Without this the SDK sends nothing there, and tells nobody: a stop would be dropped."""
    passive = Passive()
    sdk.send_bus = passive
    sdk.SendCanMessage(0x150, bytes(8))
    assert passive.tried == 0
    sdk.send_bus = SendingBus(passive)
    sdk.SendCanMessage(0x150, bytes(8))
    assert (passive.tried, sdk.send_bus.unsent, sdk.send_bus.error) == (1, 1, "TimeoutError")
    sdk.send_bus.shutdown()
    assert passive.closed
