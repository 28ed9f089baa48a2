"""The action head: the diffusion transformer, its noise schedule, and the perceptron that may estimate the chunk first.

Part of a policy's configuration; read by models/action_dit.py, models/diffusion.py, models/action_vector.py and
models/guess.py.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import LARGEST_WIDTH, Count, Depth, Heads, Part, Width, check_divides


class Head(Part):
    """The action diffusion transformer (RDT-1B's shape; `full` has its sizes too)."""

    width: Width
    depth: Depth
    heads: Heads
    action_width: Count = 14
    """Width of an action vector."""
    joint_places: tuple[int, ...] = tuple(range(14))
    """Places of the joints in the action vector; RDT-1B's vector has places for many robots."""
    steps: Count = 5
    """Denoising steps of DPM-Solver++; RDT-1B's."""
    train_steps: int = Field(default=1000, ge=1, le=100_000)  # diffusion times, RDT-1B's
    prediction: Literal["sample", "epsilon", "velocity"] = "sample"
    token_targets: Count = 1
    """Targets per token; RDT-1B has 1, more make a small head several times as fast."""
    guess_width: int = Field(default=0, ge=0, le=LARGEST_WIDTH)
    """Width of a perceptron that estimates the chunk from joints and keypoints; the transformer corrects it. It learns faster
    from few samples. 0: none, as in RDT-1B."""
    guess_tokens: int = Field(default=0, ge=0, le=LARGEST_WIDTH)
    """Numbers of each of System 2's tokens for that perceptron; 0: only their mean."""
    guess_blend: int = Field(default=0, ge=0, le=4096)
    """Number of targets over which that estimate blends from the end of the committed targets to its own; 0: it ignores
    these."""
    norm: Literal["rms", "variance"] = "rms"
    """What the blocks' norms divide by. rms: the root of the mean square; variance: the standard deviation, without centring,
    which is what RDT-1B's weights were trained with (timm 1.0.3's RmsNorm)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        if self.width % 2:
            raise ValueError(f"width: must be even, got {self.width}")
        if self.steps > self.train_steps:
            raise ValueError(f"steps: must be at most train_steps {self.train_steps}, got {self.steps}")
        return self
