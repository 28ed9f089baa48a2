"""The base error of every driver: its message names the device, the bad value and the remedy.

Raised all over this package; the processes that own devices report it and try again, commands print it and stop.
"""


class DriverError(Exception):
    """A device, or the simulator in its place, could not do what was asked."""
