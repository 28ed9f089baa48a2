"""A CAN bus opened through piper_sdk, for an arm or for a master that leads one."""

import itertools
from collections.abc import Callable
from typing import Any

import can

from drivers.errors import DriverError

_numbers = itertools.count()


def open_bus(who: str, channel: str, interface: str, heard: Callable[[can.Message], None]) -> Any:
    """An SDK (C_PiperInterface_V2) whose bus is open; `heard` gets every frame once its `ConnectPort` was called.

    Its name is new each time: the SDK keeps one instance a name for ever. Raises DriverError that begins with `who`.
    """
    from piper_sdk import C_PiperInterface_V2

    shut = DriverError(f"{who}: the bus cannot be opened; is it up? See ./launch/doctor.sh")
    sdk: Any = C_PiperInterface_V2(f"{who} {next(_numbers)}", judge_flag=False, can_auto_init=False)
    try:
        sdk.CreateCanBus(channel, bustype=interface, judge_flag=False)
    except ConnectionError:
        raise shut from None
    bus = sdk.GetCanBus()
    if bus.recv_bus is None:
        raise shut
    bus.callback_function = heard
    return sdk
