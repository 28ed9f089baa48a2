"""What System 2 does where a GPU has no memory left: it says so, gives back what it can, and goes on with the next frames.
Used by system2.py around everything that computes on the device.

To end would cost more: loading takes seconds to minutes, and whoever took the memory may still have it then. The arms go by the
age of the newest condition meanwhile.
"""

from types import TracebackType

import torch

from runtime.process.base import OnChange, Process

_AGAIN_S = 0.5  # before the next try; chosen: as often as a policy makes conditions
_LETTERS = 160  # of the library's reason
_REMEDY = "end other programs on that GPU, or give --system2.storage float8"


class GpuRoom:
    """A context manager that lets `torch.OutOfMemoryError` pass, told once for each time that it begins."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._tell = OnChange(lambda text: process.fault("memory", text))

    def enough(self) -> None:
        """There was enough: the next time that there is not will be told."""
        self._tell("")

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, torch.OutOfMemoryError):
            return False
        reason = " ".join(str(error).split())[:_LETTERS]
        self._tell(f"no GPU memory for a condition ({reason}); {_REMEDY}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._process.pause(_AGAIN_S)
        return True
