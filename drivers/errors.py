"""The base error of every driver: its message names the device, the bad value and the remedy."""


class DriverError(Exception):
    """A device or the simulator could not do what was asked."""
