"""System 2 of Video Policy as the runtime uses it: newest pictures and an instruction in, features and a clip out.

Made by checkpoint.py; called by runtime/policy. Legend: K cameras, n imagined frames of each, S denoising steps, G feature
sets, F feature numbers, c h w a latent, H W px.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models import images
from models.errors import ModelError
from models.placement import sent
from models.policy import InstructionEmbedding
from models.video_policy.imagination import Imagination, Imagined
from models.video_policy.video_model import Given

_KEPT = 8
"""Pictures of a camera whose latents are kept. Chosen: a clip reads the newest; some more may have come meanwhile."""


_Frame = tuple[torch.Tensor, torch.Tensor]  # a resized picture (1, 3, H, W), and its latent (1, c, h, w)
_SHOWN_PX = 64  # longest side of pictures for people; chosen: eight of them are 16 KB as JPEGs


@dataclass(frozen=True)
class Outlook:
    """A sampled clip, and what it begins with."""

    imagined: Imagined
    seen: torch.Tensor
    """(1, 3, H, W) in -1..1: the first camera's picture, as large as the clip's."""


class Imaginer:
    """Imagination, and the latents of each camera's newest pictures. The same frames and instruction give the same bits:
    all noise is drawn from the frames' numbers.
    """

    def __init__(self, imagination: Imagination) -> None:
        self.config, self.imagination = imagination.config, imagination
        self._frames: dict[str, OrderedDict[int, _Frame]] = {name: OrderedDict() for name in self.config.clip.cameras}

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.imagination.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What they compute in."""
        return next(self.imagination.parameters()).dtype

    @property
    def weights(self) -> int:
        """How many numbers they have learnt."""
        return sum(weight.numel() for weight in self.imagination.parameters())

    def has(self, camera: str, number: int) -> bool:
        """Whether a frame's latent is there."""
        return number in self._frames[camera]

    @torch.inference_mode()
    def encode(self, camera: str, number: int, picture: NDArray[np.uint8]) -> None:
        """Make a frame's latent, unless it is there.

        Args:
            camera: a name of `clip.cameras`.
            number: the frame's.
            picture: (H, W, 3) uint8 RGB, any size; the largest centred part of the clip's aspect is seen.
        """
        kept, clip = self._frames[camera], self.config.clip
        if number in kept:
            return
        resized = images.resize(images.to_tensor(picture, self.device), clip.height_px, clip.width_px, "crop")
        noise = _noise(resized.shape, clip.cameras.index(camera), number)
        entry = resized.to(self.dtype), sent(noise, self.device).to(self.dtype)
        kept[number] = resized, self.imagination.video.encode_current(*(one[None] for one in entry))[:, 0]
        while len(kept) > _KEPT:
            kept.popitem(last=False)

    @torch.inference_mode()
    def imagine(self, frames: Mapping[str, int], instruction: InstructionEmbedding) -> Outlook:
        """Sample a clip.

        Args:
            frames: of each camera the number of a frame that was encoded.
            instruction: its pooled token.

        Returns:
            The clip, of a batch of one, and what it begins with.

        Raises:
            ModelError: a frame was not encoded.
        """
        cameras = self.config.clip.cameras
        for name in cameras:
            if not self.has(name, frames[name]):
                raise ModelError(
                    f"frame {frames[name]} of {name} was not encoded; encode it before asking for its clip"
                )
        known = [self._frames[name][frames[name]] for name in cameras]
        current = torch.stack([latent for _, latent in known], dim=1)
        text = instruction.video.states.to(self.device, self.dtype)
        noise = _noise((1, self.config.clip.length, *self.config.latent_shape), *(frames[name] for name in cameras))
        return Outlook(self.imagination.imagine(Given(current, text), sent(noise, self.device)), known[0][0])

    @torch.inference_mode()
    def pictures(self, outlook: Outlook) -> NDArray[np.uint8]:
        """Pictures for people, of the clip's first camera. Not needed for acting.

        Args:
            outlook: of `imagine`.

        Returns:
            (1 + n, h, w, 3) uint8 RGB, at most 64 px along a side: what was seen, then what was imagined.
        """
        made = self.imagination.video.decode_camera(outlook.imagined.latents.to(self.dtype), 0)[0]
        both = torch.cat([outlook.seen.to(made.dtype), made]).float()
        height, width = both.shape[-2:]
        smaller = min(1.0, _SHOWN_PX / max(height, width))
        shown = images.resize(both, round(height * smaller), round(width * smaller), "stretch")
        return (shown + 1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

    def warm_up(self) -> Outlook:
        """Imagine once from black pictures, so that the first clip is not the slowest; leaves no trace. Returns the clip."""
        black = np.zeros((self.config.clip.height_px, self.config.clip.width_px, 3), np.uint8)
        for name in self.config.clip.cameras:
            self.encode(name, 0, black)
        pooled = torch.zeros(1, self.config.text.width)
        found = self.imagine(dict.fromkeys(self.config.clip.cameras, 0), InstructionEmbedding.of_pooled(pooled))
        self.clear()
        return found

    def clear(self) -> None:
        """Forget all frames, at a new episode: its frame numbers may be those of other pictures."""
        for kept in self._frames.values():
            kept.clear()


def _noise(shape: tuple[int, ...], *numbers: int) -> torch.Tensor:
    """Standard normal numbers (float32, CPU) that depend on the numbers alone."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed) >> 1))
