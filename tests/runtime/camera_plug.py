"""A camera that is plugged in and out. Used by the tests of cameras."""

from drivers.camera import CameraFrame
from drivers.errors import DriverError


class Plug:
    """A camera that is plugged in and out; one event a call of open or read: a picture, None, or an error."""

    name, width_px, height_px, rate_hz, noisy = "head", 2, 2, 30.0, True
    damaged = 0

    def __init__(self, *events: CameraFrame | str | None) -> None:
        self.events = list(events)
        self.calls: list[str] = []

    @property
    def running(self) -> bool:
        return bool(self.events)

    def pause(self, duration_s: float) -> None:
        self.calls.append("pause")

    def open(self) -> None:
        self.calls.append("open")
        if isinstance(self.events[0], str):
            raise DriverError(str(self.events.pop(0)))

    def read(self, timeout_s: float) -> CameraFrame | None:
        event = self.events.pop(0)
        if isinstance(event, str):
            raise DriverError(event)
        return event

    def close(self) -> None:
        self.calls.append("close")
