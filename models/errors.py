"""The base error of the models: one line with the value, what was expected, and the remedy.

Raised all over this package; commands and processes of the runtime print it and stop.
"""


class ModelError(Exception):
    """A configuration, checkpoint, demonstration or input that the networks cannot use."""
