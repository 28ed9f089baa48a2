"""What a training can be told: how long, how fast, how it samples. Loads no torch.

Read by the trainers, and by the flags and help of `train.sh`.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config import Part


class Schedule(Part):
    """How long and how fast either stage trains."""

    steps: int = Field(gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    largest_gradient: float = Field(default=1.0, gt=0)
    average: float = Field(default=0.9995, ge=0, lt=1)
    """Decay of the exponential moving average, which is what a checkpoint holds."""
    save_every: int = Field(default=2000, gt=0)
    precision: Literal["auto", "no", "bf16"] = "auto"
    """auto: bf16 where the processor multiplies it in hardware; emulated it takes ten times as long as float32.
    Where that is no faster (a Xeon without AMX: `small` takes a fifth longer in it), no is the better choice."""
    loaders: int = Field(default=1, ge=0)
    """Processes that put batches together."""
    seed: int = 0


class Filming(Part):
    """How stage 1 samples; defaults are those of the shipped policy."""

    pictures: int = Field(default=8, gt=0)
    """In a batch of the VAE."""
    divergence: float = Field(default=1e-4, ge=0)
    """Weight of the VAE's KL term: its latents need no more than not to run away."""
    windows: int = Field(default=8, gt=0)
    """In a batch of the video model."""
    clean_share: float = Field(default=0.1, ge=0, le=1)
    """Windows at diffusion time 0, where System 2 uses the model and ordinary training never comes."""
    lora_rank: int = Field(default=0, ge=0)
    """Above 0 low-rank updates of the blocks' linear layers learn, and nothing else (LoRA, Hu et al. 2022): fits one card."""


class Cloning(Part):
    """How stage 2 samples. The shipped policy is older than `early_share` and `noise_share` (models/shipped/train.sh)."""

    samples: int = Field(default=48, gt=0)
    """Observations in a batch."""
    of_window: int = Field(default=3, gt=0)
    """So many of them look at one window of System 2, each at another age: compressing a window costs more than they do."""
    draws: int = Field(default=2, gt=0)
    """Noisy chunks of each observation: the eyes and System 2's formers cost more than the head."""
    lag_s: tuple[float, float] = (0.1, 2.7)
    """How old the conditions are, drawn evenly: 1:8 and 1:16 of the small profile lie within."""
    longest_prefix: int = Field(default=16, ge=0)
    no_prefix_share: float = Field(default=0.5, ge=0, le=1)
    """How often nothing is committed yet."""
    condition_dropout: float = Field(default=0.1, ge=0, le=1)
    early_share: float = Field(default=0.2, ge=0, le=1)
    """How often an observation of the first second is drawn on purpose: there the pictures decide where to reach."""
    noise_share: float = Field(default=0.25, ge=0, le=1)
    """How often the chunk is all noise: where denoising begins, and what is seen has to tell everything."""
    state_noise: float = Field(default=0.01, ge=0)
    """Of the joints' spread (RDT-1B: 40 dB)."""
    colour_jitter: float = Field(default=0.1, ge=0)
    """How far brightness and contrast of a picture may be off."""
    task_power: float = Field(default=0.5, ge=0, le=1)
    """Tasks are drawn by their number of steps to this power: 1 is by steps, 0 each alike."""
    loss: Literal["l1", "l2"] = "l2"
    """Which norm of the error is learnt from."""
    prepared: bool = True
    """Features of the frozen video model are made once and kept; False: anew while training, which needs none of the disk."""
    video_loss: float = Field(default=0.0, ge=0)
    """Above 0 the video model is not frozen (joint training): the weight of its own loss beside the head's."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        shortest_s, longest_s = self.lag_s
        if not 0 <= shortest_s <= longest_s:
            raise ValueError(f"lag_s is {self.lag_s}; it must be two times in s, the shorter one first, none below 0")
        if self.samples % self.of_window:
            raise ValueError(f"samples ({self.samples}) must be a multiple of of_window ({self.of_window})")
        return self
