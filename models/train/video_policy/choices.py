"""What a training of Video Policy can be told besides its schedule (models/train/choices.py). Loads no torch.

Read by the trainers, and by the flags and help of `train.sh`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.config.part import Part
from models.train.choices import HEAVIEST, LARGEST_BATCH, LONGEST_CHUNK, Augmentation, Autoencoding, Prefixes

_Seconds = Annotated[float, Field(ge=0, le=3600)]


class Clips(Part):
    """How clips are cut out of demonstrations and shown to the video model; both stages need the same."""

    clips: int = Field(default=8, gt=0, le=LARGEST_BATCH)
    """Clips in a batch."""
    dropout: float = Field(default=0.1, ge=0, le=2 / 3)
    """Share of the clips without their text, and as large a share without their pictures. Half of each is without both, as
    guidance asks for."""
    changed_versions: int = Field(default=0, ge=0, le=64)
    """Number of further copies of the clips, prepared from pictures that are changed as `augmentation` says, each episode
    alike throughout. 0: only the unchanged pictures."""
    augmentation: Augmentation = Augmentation()
    """Of those copies, and of what an action network with eyes sees."""


class Imagining(Clips, Autoencoding):
    """How stage 1 samples; the VAE takes as many images of one camera together as a clip has."""


class Acting(Clips):
    """How stage 2 samples."""

    chunks: int = Field(default=4, gt=0, le=1024)
    """Chunks learnt from each clip, each at another age and with other noise; the video model costs far more than they do."""
    age_s: tuple[_Seconds, _Seconds] = (0.0, 1.5)
    """Least and greatest age of a clip when a chunk begins, drawn evenly."""
    longest_prefix: int = Field(default=16, ge=0, le=LONGEST_CHUNK)
    """Most targets that are committed already."""
    no_prefix_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the chunks without a committed prefix."""
    prefixes: Prefixes = Prefixes()
    targets: Literal["leader", "follower"] = "leader"
    """What a demonstration's targets are: what the leader arm commanded, or where the follower arm was next."""
    state_noise: float = Field(default=0.01, ge=0, le=10)
    """Noise on the joints that a network with eyes is given, as a share of their spread."""
    task_power: float = Field(default=0.5, ge=0, le=1)
    """Tasks are drawn by their number of steps to this power; 1: by steps, 0: evenly."""
    cut_share: float = Field(default=0.3, ge=0, le=1)
    """Share of the clips that are drawn from episodes that were cut (`demos.sh --cut-after`), where there are both kinds."""
    held_out_share: float = Field(default=0.0, ge=0, le=0.9)
    """Share of each task's demonstrations that are not learnt from; the loss on them is among the curves. 0: none."""
    video_loss: float = Field(default=0.0, ge=0, le=HEAVIEST)
    """Above 0: train the video model too, with this weight of its loss. The actions' loss never changes it."""
    video_rate: float = Field(default=0.2, gt=0, le=HEAVIEST)
    """With video_loss: learning rate of the video model, as a multiple of the schedule's (0.2 in the public code)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        least_s, greatest_s = self.age_s
        if not 0 <= least_s <= greatest_s:
            raise ValueError(f"age_s: must be two times in s, the smaller first, none below 0, got {self.age_s}")
        return self
