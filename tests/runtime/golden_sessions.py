"""Where the golden sessions lie, and on which kind of processor this is.
Used by the tests that replay them, and by record_golden.py.
"""

import shutil
from pathlib import Path

import torch

from runtime.host import machine
from runtime.messaging.upgrades import SCHEMA_NUMBER

GOLDEN = Path(__file__).parent / "golden"
NEWEST = GOLDEN / f"schema-{SCHEMA_NUMBER}" / "session.mcap"
"""Two seconds, in today's schema."""


def copied(folder: Path) -> Path:
    """That session in a new folder of its own, which is given back."""
    folder.mkdir()
    shutil.copy(NEWEST, folder)
    return folder


def processor() -> dict[str, str]:
    """What decides in which order floats are summed here."""
    return {
        "processor": machine.processor(),
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
