"""The base error of the runtime and its kinds. A message carries the value, the limit and the remedy in one line.
Raised everywhere; caught by runtime/cli.py, which prints it, and at the edges of processes.
"""


class RuntimeFault(Exception):
    """Something the runtime refuses; shown to the operator as it is. Commands exit with status 1."""


class SettingsError(RuntimeFault):
    """A flag, profile or value that cannot be used; the program exits with status 2."""


class WireError(RuntimeFault):
    """A message that is not what its topic says; it is dropped and counted."""


class SessionError(RuntimeFault):
    """A session file that cannot be read or replayed."""
