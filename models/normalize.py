"""From joint targets to the numbers a network learns, and back, with the statistics that a checkpoint carries.

Called by models/system1.py and by training; the statistics are made by models/train/statistics.py. Targets are relative
to the observed joints (or absolute, as RDT-1B was trained) and scaled by step and joint; the result is kept in the ranges.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from models import refusal
from models.errors import ModelError

_FLAGS = ("squash", "relative")
_LARGEST = 1e6  # of what is in the file, rad or m; chosen: far from what float32 cannot hold, even squared


@dataclass(frozen=True)
class Statistics:
    """`stats.json` of a checkpoint: means, spreads and ranges. Legend: H targets, J joints; rad, gripper m."""

    mean: NDArray[np.float32]  # (H, J) of target minus observed joint, or of the target
    spread: NDArray[np.float32]  # (H, J), above 0
    state_mean: NDArray[np.float32]  # (J,)
    state_spread: NDArray[np.float32]  # (J,)
    low: NDArray[np.float32]  # (J,) range that targets are squashed into
    high: NDArray[np.float32]  # (J,)
    squash: bool  # smoothly (an untrained policy), or by clipping
    relative: bool = True  # targets as seen from the observed joints

    def to_json(self) -> dict[str, object]:
        """The entries of `stats.json`.

        Returns:
            Each field by its name: arrays as nested lists, flags as they are.
        """
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in self.__dict__.items()
        }

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "Statistics":
        """The inverse of `to_json`.

        Args:
            values: all fields by name, as parsed from JSON.

        Returns:
            The statistics, arrays in float32.

        Raises:
            ModelError: an entry is missing, unknown, misshapen, no number or not finite, a spread is not above 0, or a
                range is empty.
        """
        wanted = cls.__dataclass_fields__
        wrong = [f"{name!r} is missing" for name in wanted if name not in values]
        wrong += [f"unknown entry {name!r}" for name in values if name not in wanted]
        if wrong:
            raise _unfit(f"{wrong[0]:.80}")
        arrays = {name: _numbers(name, value) for name, value in values.items() if name not in _FLAGS}
        if arrays["mean"].ndim != 2:
            raise _unfit(f"mean: expected shape (targets, joints), got {arrays['mean'].shape}")
        joints = arrays["mean"].shape[1:]
        for name, array in arrays.items():
            shape = arrays["mean"].shape if name in ("mean", "spread") else joints
            if array.shape != shape:
                raise _unfit(f"{name}: expected shape {shape}, got {array.shape}")
        flags = {name: _flag(name, values[name]) for name in _FLAGS}
        for name in ("spread", "state_spread"):
            if (arrays[name] <= 0).any():
                raise _unfit(f"{name} must be above 0 everywhere, got {arrays[name].min()}")
        _check_ranges(arrays["low"], arrays["high"], flags["squash"])
        return cls(**arrays, squash=flags["squash"], relative=flags["relative"])

    def normalize_state(self, q: NDArray[np.float64]) -> torch.Tensor:
        """Joints as the head sees them: (q - state_mean) / state_spread.

        Args:
            q: (..., J) rad, gripper m.

        Returns:
            (..., J) float32.
        """
        return torch.from_numpy(((q - self.state_mean) / self.state_spread).astype(np.float32))

    def normalize(self, targets: NDArray[np.floating], observed: NDArray[np.float64]) -> torch.Tensor:
        """Targets as the head learns them: (target - observed - mean) / spread, without `observed` where absolute.

        Args:
            targets: (..., n, J) the first n <= H of a chunk; rad, gripper m.
            observed: (..., J) the joints that the head is shown; rad, gripper m.

        Returns:
            (..., n, J) float32.
        """
        count = targets.shape[-2]
        scaled = (targets - self._zero(observed)[..., None, :] - self.mean[:count]) / self.spread[:count]
        return torch.from_numpy(scaled.astype(np.float32))

    def denormalize(self, chunk: torch.Tensor, observed: NDArray[np.float64]) -> NDArray[np.float32]:
        """The inverse of `normalize`, then into the ranges: clipped, or squashed by tanh about their middles.

        Args:
            chunk: (H, J) what the head made, any float dtype and device.
            observed: (J,) the joints that the head was shown; rad, gripper m.

        Returns:
            (H, J) float32 on the CPU; rad, gripper m, within `low` and `high`.
        """
        scaled = chunk.to(torch.float32).cpu().numpy() * self.spread + self.mean
        targets = self._zero(observed).astype(np.float32) + scaled
        if not self.squash:
            return np.clip(targets, self.low, self.high).astype(np.float32)
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return (middle + half * np.tanh((targets - middle) / half)).astype(np.float32)

    def _zero(self, observed: NDArray[np.float64]) -> NDArray[np.float64]:
        """What targets are counted from, (..., J): the observed joints, or 0 where targets are absolute."""
        return observed if self.relative else np.zeros_like(observed)


def _unfit(what: str) -> ModelError:
    return ModelError(f"stats.json: {what}; train it again, or give another checkpoint")


def _numbers(name: str, value: object) -> NDArray[np.float32]:
    """An entry's lists of numbers, however deep, in float32. Raises ModelError for anything else."""
    found: NDArray[Any]
    try:
        found = np.array(value)  # without a type: text and flags stay what they are
    except (ValueError, TypeError, RecursionError):
        raise _unfit(f"{name}: expected lists of numbers, all of one length") from None
    if found.dtype.kind not in "if" or _holds_a_flag(value):
        raise _unfit(f"{name}: expected numbers, got {refusal.as_json(value)}")
    if not (np.abs(found) <= _LARGEST).all():  # NaN is not either
        raise _unfit(f"{name}: expected finite values up to {_LARGEST:g}, got {found[~(np.abs(found) <= _LARGEST)][0]}")
    return found.astype(np.float32)


def _holds_a_flag(value: object) -> bool:
    """Whether true or false stands among lists of numbers: numpy takes them for 1 and 0."""
    if isinstance(value, list):
        return any(_holds_a_flag(one) for one in cast(list[object], value))
    return isinstance(value, bool)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _unfit(f"{name} must be true or false, got {refusal.as_json(value)}")
    return value


def _check_ranges(low: NDArray[np.float32], high: NDArray[np.float32], squash: bool) -> None:
    """Refuse a joint without a range; one that never moved has a range of no width, into which nothing can be squashed."""
    for joint in np.flatnonzero((low > high) | (squash & (low == high))):
        raise _unfit(f"low must be below high, got {low[joint]:g} and {high[joint]:g} for joint {joint}")


def untrained(horizon: int, rest: NDArray[np.float64], reach: NDArray[np.float64]) -> Statistics:
    """Statistics for random weights: motions around a pose that begin small, grow along the chunk, and stay near.

    Args:
        horizon: H, targets in a chunk.
        rest: (J,) the pose; rad, gripper m.
        reach: (J,) how far targets may be from it, same units. Spreads grow evenly to twice that: tanh bends them back.

    Returns:
        Statistics that squash, of relative targets.
    """
    joints = len(rest)
    growth = np.linspace(1 / horizon, 1, horizon, dtype=np.float32)[:, None]
    return Statistics(
        mean=np.zeros((horizon, joints), np.float32),
        spread=(growth * 2 * reach).astype(np.float32),
        state_mean=rest.astype(np.float32),
        state_spread=np.maximum(reach, 1e-3).astype(np.float32),
        low=(rest - reach).astype(np.float32),
        high=(rest + reach).astype(np.float32),
        squash=True,
    )
