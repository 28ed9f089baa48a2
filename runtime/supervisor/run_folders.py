"""The two folders of a run: one in shared memory, with room for its frames, and the session's on the disk.
Made by robot.py.
"""

import os
import re
from pathlib import Path

from runtime.config.settings import Settings
from runtime.devices import ring_room
from runtime.errors import RuntimeFault
from runtime.host.clock import wall_clock_label
from runtime.host.run_folder import RUN_PREFIX, MemoryFolder


def made(settings: Settings) -> tuple[MemoryFolder, Path]:
    """The run's folder in shared memory, with room for its frames, and the session's; neither where one is refused."""
    shared = MemoryFolder(f"{RUN_PREFIX}{os.getpid()}-")
    try:
        ring_room.check(shared.path, settings)
        return shared, _session_folder(settings)
    except RuntimeFault:
        shared.remove()
        raise


def _session_folder(settings: Settings) -> Path:
    task = re.sub(r"[^\w.-]+", "-", settings.task).strip(".-")[:64]
    name = f"{wall_clock_label()}_{task}_{settings.ratio}"
    folder, count = settings.sessions / name, 1
    try:
        while folder.exists():
            count += 1
            folder = settings.sessions / f"{name}_{count}"
        folder.mkdir(parents=True)
    except OSError as error:
        raise RuntimeFault(
            f"--sessions {settings.sessions}: cannot be written ({error.strerror}); give another folder"
        ) from None
    return folder.resolve()
