"""The base error of the runtime. A message carries the value, the limit and the remedy in one line."""


class RuntimeFault(Exception):
    """Something the runtime refuses; shown to the operator as it is."""


class SettingsError(RuntimeFault):
    """A flag, profile or value that cannot be used; the program exits with status 2."""


class WireError(RuntimeFault):
    """A message that is not what its topic says; it is dropped and counted."""


class SessionError(RuntimeFault):
    """A session file that cannot be read or replayed."""
