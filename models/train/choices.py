"""What a training can be told: how long, how fast, how it samples. Loads no torch.

Read by the trainers, and by the flags and help of `train.sh`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.config.part import Part

# Upper bounds are chosen: far beyond what anybody trains with, so that they only stop slips.
_LONGEST = 10**8  # steps
LARGEST_BATCH = 65_536  # chosen, as above
HEAVIEST = 1000.0  # of a loss, or of a rate, times the usual one
LONGEST_CHUNK = 128  # targets: as MOST_TARGETS in runtime/messaging/messages.py
_Factor = Annotated[float, Field(gt=0, le=10)]
_Seconds = Annotated[float, Field(ge=0, le=3600)]


class Schedule(Part):
    """How long and how fast either stage trains."""

    steps: int = Field(gt=0, le=_LONGEST)
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    warmup_steps: int = Field(default=200, ge=0, le=_LONGEST)
    rate: Literal["cosine", "hold"] = "cosine"
    """The learning rate after the warm-up. cosine: it falls all along; hold: it stays, and falls evenly to 0 within the last
    steps, so that a training can be made longer while it stays."""
    fall_steps: int = Field(default=2000, ge=0, le=_LONGEST)
    """With rate hold: in how many last steps it falls."""
    weight_decay: float = Field(default=1e-4, ge=0, le=10)
    largest_gradient: float = Field(default=1.0, gt=0, le=1e6)
    average: float = Field(default=0.9995, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which a checkpoint holds."""
    save_every: int = Field(default=2000, gt=0, le=_LONGEST)
    precision: Literal["auto", "no", "bf16"] = "auto"
    """auto: bf16 on a GPU that has it, and on a processor with AMX, else `no` (float32), which is faster there."""
    loaders: int = Field(default=1, ge=0, le=256)
    """Data loader processes."""
    seed: int = Field(default=0, ge=0, lt=2**31)


class Autoencoding(Part):
    """How a VAE of our own learns, which both families train where none is published."""

    pictures: int = Field(default=8, gt=0, le=LARGEST_BATCH)
    """Images in a batch of the VAE."""
    divergence: float = Field(default=1e-4, ge=0, le=HEAVIEST)
    """Weight of the VAE's KL term, which only keeps the latents bounded."""


class Filming(Autoencoding):
    """How stage 1 samples; defaults are those of the shipped policy."""

    windows: int = Field(default=8, gt=0, le=LARGEST_BATCH)
    """Windows in a batch of the video model."""
    clean_share: float = Field(default=0.1, ge=0, le=1)
    """Share of windows at diffusion time 0, at which System 2 uses the model."""
    lora_rank: int = Field(default=0, ge=0, le=4096)
    """Above 0: rank of LoRA updates (Hu et al. 2022); the rest stays frozen, which fits one GPU."""


class Augmentation(Part):
    """What changes System 1's pictures in training: each camera of an observation by itself, alike in both its pictures."""

    share: float = Field(default=0.8, ge=0, le=1)
    """Share of the cameras whose pictures are changed; 0: none."""
    gain: tuple[_Factor, _Factor] = (0.4, 1.4)
    """Least and greatest factor of each colour channel. Lamps of another colour scaled them by 0.47 to 0.64."""
    gamma: tuple[_Factor, _Factor] = (0.7, 1.4)
    """Least and greatest exponent of the brightness."""
    offset: float = Field(default=0.1, ge=0, le=1)
    """Largest change of the brightness, as a share of white."""
    contrast: float = Field(default=0.0, ge=0, lt=1)
    """Largest relative change of the contrast about the middle of the brightness."""
    hue_deg: float = Field(default=20.0, ge=0, le=180)
    """Largest turn of the hue."""
    grey: float = Field(default=0.5, ge=0, le=1)
    """Largest share of the colour that is taken away."""
    noise: float = Field(default=0.03, ge=0, le=1)
    """Largest standard deviation of a pixel's noise, as a share of white."""
    shift_px: int = Field(default=1, ge=0, le=64)
    """Largest shift of a picture. In a head picture 64 pixels wide, one pixel shows 14 mm of the table."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("gain", "gamma"):
            least, greatest = getattr(self, name)
            if not 0 < least <= greatest:
                raise ValueError(f"{name}: must be two numbers above 0, the smaller first, got {least}, {greatest}")
        return self


class Prefixes(Part):
    """How the committed targets that training shows are perturbed, so that a chunk continues them wherever they end.

    Each time one of: an offset of every joint, a delay, a start at the present joints, the motion of another demonstration.
    """

    share: float = Field(default=0.7, ge=0, le=1)
    """Share of the prefixes that are perturbed; 0: none."""
    offset_rad: float = Field(default=0.08, ge=0, le=3.2)
    """Largest offset of an arm's joint."""
    offset_m: float = Field(default=0.002, ge=0, le=0.15)
    """Largest offset of a gripper."""
    delay_steps: int = Field(default=6, ge=1, le=LONGEST_CHUNK)
    """Longest delay, in steps of a demonstration."""
    largest_rad: float = Field(default=0.15, gt=0, le=3.2)
    """Largest deviation of an arm's joint, from any cause."""
    blend_targets: int = Field(default=12, ge=1, le=LONGEST_CHUNK)
    """Number of targets over which a chunk leads back to the demonstration."""


class Cloning(Part):
    """How stage 2 samples. The shipped policy is older than much of it: models/shipped/train.sh has the ones of then."""

    samples: int = Field(default=48, gt=0, le=LARGEST_BATCH)
    """Observations in a batch."""
    of_window: int = Field(default=3, gt=0, le=LARGEST_BATCH)
    """Observations per window of System 2, each at another age; fewer windows make a batch cheaper."""
    draws: int = Field(default=2, gt=0, le=1024)
    """Noisy chunks per observation; the image encoder and System 2's formers cost more than the head."""
    lag_s: tuple[_Seconds, _Seconds] = (0.1, 2.7)
    """Shortest and longest age of the conditions, drawn evenly; covers ratios 1:8 and 1:16 of size small."""
    longest_prefix: int = Field(default=16, ge=0, le=LONGEST_CHUNK)
    no_prefix_share: float = Field(default=0.5, ge=0, le=1)
    """Share of samples without a committed prefix."""
    prefixes: Prefixes = Prefixes()
    condition_dropout: float = Field(default=0.1, ge=0, le=1)
    """Share of observations without System 2's tokens."""
    language_dropout: float = Field(default=0.1, ge=0, le=1)
    """Share of observations with an empty instruction for System 1, as in RDT-1B."""
    picture_dropout: float = Field(default=0.1, ge=0, le=1)
    """Share of System 1's images that are grey, each drawn by itself, as in RDT-1B."""
    black_share: float = Field(default=0.15, ge=0, le=1)
    """Share of observations in which all of System 1's images are black, so that it learns to act on System 2's tokens."""
    one_black_share: float = Field(default=0.1, ge=0, le=1)
    """Share of further observations in which both images of one camera are black."""
    state_dropout: float = Field(default=0.1, ge=0, le=1)
    """Share of observations with the demonstrations' mean joints for the observed ones, as in RDT-1B."""
    early_share: float = Field(default=0.2, ge=0, le=1)
    """Extra share of observations from the first second, where images decide where to reach."""
    cut_share: float = Field(default=0.3, ge=0, le=1)
    """Share of the windows that are drawn from episodes that were cut (`demos.sh --cut-after`), where there are both kinds."""
    noise_share: float = Field(default=0.25, ge=0, le=1)
    """Share of samples at full noise, where denoising begins."""
    state_noise: float = Field(default=0.01, ge=0, le=10)
    """Noise on the joint state, as a share of its spread (RDT-1B: 40 dB)."""
    newest_teaches: bool = False
    """The eyes learn from the newest images alone. The older ones look almost alike; without them a step takes less time."""
    augmentation: Augmentation = Augmentation()
    changed_versions: int = Field(default=0, ge=0, le=64)
    """Number of further copies of System 2's features, prepared from pictures that are changed as `augmentation` says, each
    episode alike throughout. Each copy adds its disk space and time; 0: only the unchanged pictures."""
    task_power: float = Field(default=0.5, ge=0, le=1)
    """Tasks are drawn by their number of steps to this power; 1: by steps, 0: evenly."""
    held_out_share: float = Field(default=0.0, ge=0, le=0.9)
    """Share of each task's demonstrations that are not learnt from; the loss on them is among the curves. 0: none."""
    loss: Literal["l1", "l2"] = "l2"
    """Norm of the error in the loss."""
    token_loss: float = Field(default=0.3, ge=0, le=HEAVIEST)
    """Weight of a further loss: of a chunk that is predicted from System 2's tokens, joints and age alone. 0: none."""
    grip_loss: float = Field(default=0.0, ge=0, le=HEAVIEST)
    """Weight of further losses: of where each hand next opens or closes, predicted from System 2's tokens alone, and from
    System 1's newest images alone. 0: none."""
    former_rate: float = Field(default=1.0, gt=0, le=HEAVIEST)
    """Learning rate of System 2's Q-formers, as a multiple of the schedule's."""
    prepared: bool = True
    """Compute features of the frozen video model once and keep them on disk; false: compute them while training."""
    video_loss: float = Field(default=0.0, ge=0, le=HEAVIEST)
    """Above 0: train the video model too, with this weight of its loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        shortest_s, longest_s = self.lag_s
        if not 0 <= shortest_s <= longest_s:
            raise ValueError(f"lag_s: must be two times in s, the shorter first, none below 0, got {self.lag_s}")
        if (both := self.black_share + self.one_black_share) > 1:
            raise ValueError(f"one_black_share: must be at most 1 together with black_share, got {both:g}")
        if self.samples % self.of_window:
            raise ValueError(f"samples: must be a multiple of of_window ({self.of_window}), got {self.samples}")
        return self
