"""Whether weights can be read and are what was written: finite, and of the checksum that lies beside them.

Called wherever weights are read: by models/tensors.py for our own checkpoints, by models/published.py, models/rdt.py and
models/foreign_weights.py for those of others.
Both together cost 0.4 to 1 s a GB of one core; a SHA-256 alone would cost 2.4 s.
"""

import hashlib
import re
import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  # its name alone: torch raises it where it refuses to unpickle

import torch
from safetensors import SafetensorError
from torch.nn import functional

from models.errors import ModelError

_WORD_BYTES, _BLOCK_WORDS = 8, 1 << 17  # 1 MiB a block; chosen: few sums, and blocks that changed places are noticed

_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

UNREADABLE = (
    SafetensorError, UnpicklingError, RuntimeError, OSError, ValueError, EOFError, LookupError, AssertionError, TypeError,
    AttributeError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What safetensors and torch raise for weight files that are damaged, each seen with some flipped bit."""


def why_unreadable(error: Exception) -> str:
    """Why a weight file was refused, and the remedy: half a line, to be put behind its path.

    Args:
        error: one of UNREADABLE.

    Returns:
        Which name was refused where the file is a pickle of more than tensors; else what was raised.
    """
    text = " ".join(str(error).split()).removeprefix("Weights only load failed.").strip()
    forbidden = re.search(r"(?:GLOBAL|class|function):? ([\w.]+)", text)
    if isinstance(error, UnpicklingError) and forbidden and "nsupported" in text:
        return (
            f"holds more than tensors ({forbidden[1]:.60}), which may run code and is not read; "
            "save its weights as model.safetensors where it was made"
        )
    return f"cannot be read ({type(error).__name__}: {text:.80}); fetch it again with ./launch/weights.sh, or copy it again"


def check_type(path: Path, name: str, tensor: torch.Tensor, wanted: torch.Tensor) -> None:
    """Refuse weights of another kind of number than the network has: whole, complex, or of eight bits and fewer.

    Args:
        path: the file that holds them, for the message.
        name: theirs in it.
        tensor: as they were read.
        wanted: the network's own of that name.

    Raises:
        ModelError: in one line with the file, the name and both types.
    """
    alike = tensor.dtype in _FLOATS if wanted.dtype in _FLOATS else tensor.dtype == wanted.dtype
    if not alike:
        expected = "float32, bfloat16 or float16" if wanted.dtype in _FLOATS else f"{wanted.dtype}"
        types = f"expected {expected}, got {tensor.dtype}".replace("torch.", "")
        raise ModelError(f"{path}: {name}: {types}; train it again, or give another checkpoint")


def check_finite(path: Path, name: str, tensor: torch.Tensor, remedy: str) -> None:
    """Refuse weights with values that are not finite.

    Args:
        path: the file or folder that holds them, for the message.
        name: theirs in it.
        tensor: any shape, type and device.
        remedy: what the user does about it.

    Raises:
        ModelError: in one line with all of these.
    """
    if not tensor.is_floating_point() or tensor.itemsize == 1 or not tensor.numel():
        return
    least, greatest = torch.aminmax(tensor)  # both NaN where any value is; a tenth of the time of isfinite
    if not torch.isfinite(greatest - least):
        bad = tensor.numel() - int(torch.isfinite(tensor).sum())
        if bad:
            raise ModelError(f"{path}: {name}: {bad} of {tensor.numel()} values are not finite; {remedy}")


def checksum(tensor: torch.Tensor) -> str:
    """16 hexadecimal digits of a tensor's type, shape and bytes: sums of its 64-bit words, a MiB each, hashed.

    One changed bit always changes it. It is no protection against whoever means to deceive.

    Args:
        tensor: contiguous, on any device; the sums are made there.

    Returns:
        The digits, the same on every device.
    """
    flat = tensor.detach().reshape(-1).view(torch.uint8) if tensor.numel() else torch.zeros(0, dtype=torch.uint8)
    words = functional.pad(flat, (0, -len(flat) % _WORD_BYTES)).view(torch.int64) if len(flat) else flat.to(torch.int64)
    whole = len(words) // _BLOCK_WORDS * _BLOCK_WORDS
    sums = [words[:whole].view(-1, _BLOCK_WORDS).sum(1), words[whole:].sum()[None]]
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(torch.cat(sums).cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
