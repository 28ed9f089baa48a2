"""Where the golden sessions lie, and on which kind of processor this is.
Used by the tests that replay them, and by record_golden.py.
"""

from pathlib import Path

import torch

from runtime.host import machine

GOLDEN = Path(__file__).parent / "golden"


def processor() -> dict[str, str]:
    """What decides in which order floats are summed here."""
    return {
        "processor": machine.processor(),
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
