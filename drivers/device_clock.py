"""A device's own clock brought to CLOCK_MONOTONIC: its steadiness without its offset, whatever the wall clock does.

Used by drivers/realsense.py for every frame.
"""

from collections import deque

_KEPT = 100
"""Frames over which the fastest delivery is looked for. Chosen: 3.3 s at 30 Hz, in which two quartz clocks (100 ppm) part by
0.3 ms."""
_JUMP_S = 1.0
"""A device whose stamps leap so far against the arrivals has started again. Chosen: far above any delay of a delivery."""


class DeviceClock:
    """Time of exposure from the device's stamp and the moment of arrival.

    The frame that came fastest of the last ones tells the offset; `delivery_s` is what even that one takes. The result never
    lies in the future, and rises with the device's stamps; the same stamp gives the same time again.
    """

    def __init__(self, delivery_s: float = 0.0) -> None:
        self._delivery_ns = round(delivery_s * 1e9)
        self._offsets_ns: deque[int] = deque(maxlen=_KEPT)
        self._last = (0, 0, 0)  # of the last frame: the device's stamp, arrival, and what was found

    def monotonic_ns(self, device_s: float, arrival_ns: int) -> int:
        """When a frame was exposed, CLOCK_MONOTONIC ns.

        Args:
            device_s: its stamp, by the device's own clock, s.
            arrival_ns: when it arrived, CLOCK_MONOTONIC ns.

        Returns:
            A time not after the arrival, and after that of the frame before.
        """
        device_ns = round(device_s * 1e9)
        last_device_ns, last_arrival_ns, last_ns = self._last
        if self._offsets_ns and device_ns == last_device_ns:
            return last_ns
        leap_ns = (device_ns - last_device_ns) - (arrival_ns - last_arrival_ns)
        if device_ns < last_device_ns or abs(leap_ns) > _JUMP_S * 1e9:
            self._offsets_ns.clear()
        self._offsets_ns.append(arrival_ns - device_ns)
        found_ns = max(device_ns + min(self._offsets_ns) - self._delivery_ns, last_ns + 1)
        self._last = (device_ns, arrival_ns, found_ns)
        return found_ns
