"""The base error of the models: one line with the value, what was expected, and the remedy."""


class ModelError(Exception):
    """A configuration, checkpoint or input that the networks cannot use."""
