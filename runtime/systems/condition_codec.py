"""Condition tokens between torch and the wire, where bfloat16 travels as uint16."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.policy import ConditionTokens
from runtime.messaging import messages


def to_wire(tokens: torch.Tensor) -> NDArray[np.uint16]:
    """bfloat16 bits of condition tokens (K, D)."""
    return tokens.to(torch.bfloat16).contiguous().view(torch.uint16).cpu().numpy()


def to_map(strength: torch.Tensor) -> NDArray[np.uint8]:
    """A map (h, w) in 256 steps, the strongest place at 255."""
    scaled = strength / strength.max().clamp(min=1e-12) * 255
    return scaled.round().to(torch.uint8).cpu().numpy()


def from_wire(bits: NDArray[np.uint16]) -> torch.Tensor:
    """float32 tokens (K, D) of what `to_wire` gave."""
    return torch.from_numpy(bits.copy()).view(torch.bfloat16).to(torch.float32)


class ConditionTensors:
    """The tokens as System 1 takes them; those of the newest message stay at hand, since n runs share them."""

    def __init__(self) -> None:
        self._held: tuple[messages.Conditions, ConditionTokens] | None = None

    def __call__(self, message: messages.Conditions) -> ConditionTokens:
        """Tensors of a message; the second call for the same one costs nothing."""
        if self._held is None or self._held[0] is not message:
            self._held = (message, ConditionTokens(from_wire(message.spatial), from_wire(message.motion)))
        return self._held[1]
