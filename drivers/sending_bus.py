"""The sending end of a CAN bus, which knows what could not be sent: piper_sdk catches that, and tells nobody.

Put between the SDK and python-can by drivers/piper_bus.py.
"""

import can

_PREFIX = "Failed to transmit: "  # of python-can's errors on SocketCAN


class SendingBus(can.BusABC):
    """Sends through another bus, and remembers what failed.

    It calls itself active always: where the state is another one, the SDK drops a frame without trying.
    """

    def __init__(self, bus: can.BusABC) -> None:
        self._bus = bus
        self.channel_info = bus.channel_info
        self.unsent = 0
        """Frames that could not be sent."""
        self.error = ""
        """Why the newest of them could not be."""
        super().__init__(channel=bus.channel_info)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame. Raises what the other bus raises."""
        try:
            self._bus.send(msg, timeout)
        except Exception as error:
            self.unsent += 1
            self.error = str(error).removeprefix(_PREFIX) or type(error).__name__
            raise

    def shutdown(self) -> None:
        """Close the other bus with this one."""
        super().shutdown()
        self._bus.shutdown()
