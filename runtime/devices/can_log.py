"""What an emulated arm heard in a run, written down when it ends.
Called by the emulator; runtime/faults reads it.
"""

from pathlib import Path

import numpy as np

from drivers.piper_emulator import Heard


def save(folder: Path, side: str, heard: list[Heard]) -> None:
    """Write times (N,) ns and joint frames (N, bytes) uint8 into the logs of a session's folder, whole or not at all."""
    joints = np.frombuffer(b"".join(one.joints for one in heard), np.uint8).reshape(len(heard), -1)
    path = path_of(folder, side)
    beside = path.with_suffix(".part.npz")
    np.savez(beside, at_ns=np.array([one.at_ns for one in heard], np.int64), joints=joints)
    beside.rename(path)


def path_of(session: Path, side: str) -> Path:
    return session / "logs" / f"heard_{side}.npz"
