"""Which source this is, for whatever keeps a record.
Called for sessions, training runs and evaluations.
"""

import subprocess
from pathlib import Path


def revision() -> str:
    """The source's git revision, with + when changed; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
