"""System 1 as one object: pictures, joints, instruction and conditions in, a chunk of joint targets out.

Called by runtime/policy/video2act.py and by stage 2's training. Legend: S px of a resized picture, N tokens of one, D width,
H targets, J joints.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import diffusion, images
from models.action_dit import ActionTransformer
from models.backbones.backbone import VideoText
from models.config import Keypoints, PolicyConfig, Siglip
from models.encoders.image import ImageEncoder
from models.encoders.keypoints import KeypointEncoder
from models.normalize import Statistics
from models.policy import ConditionTokens, InstructionEmbedding, Pictures

_KEPT_SETS = 8
"""Sets of pictures whose tokens are kept. Chosen: a chunk reads two, the older of which an earlier chunk may have made."""


class FastSystem(nn.Module):
    """System 1 of Video2Act, section 3.3: an image encoder and the action diffusion transformer.

    It keeps the tokens of the last sets of pictures, and nothing else from call to call.
    """

    def __init__(self, config: PolicyConfig, statistics: Statistics, images: ImageEncoder | None = None) -> None:
        """`images` is an encoder whose weights are loaded already; without it one is made with random weights."""
        super().__init__()
        self.config, self.statistics = config, statistics
        self.images = images or image_encoder(config.image, len(config.cameras))
        positions = 2 * len(config.cameras) * config.image.tokens
        self.head = ActionTransformer(config, config.image.width, positions, config.spatial_former.width)
        self._sets: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()
        self._compiled = False

    @torch.inference_mode()
    def prepare(self, pictures: Pictures) -> torch.Tensor:
        """One set's pictures as the image encoder takes them: resized, in -1..1, unseen cameras black.

        Args:
            pictures: one (H, W, 3) uint8 RGB a camera, in the policy's order; any size.

        Returns:
            (cameras, 3, S, S) on the weights' device, in their dtype.
        """
        size, weight = self.config.image.image_px, next(self.parameters())
        unseen = self.config.unseen
        how = self.config.eyes_resize
        resized = [images.resize(images.to_tensor(p, weight.device), size, size, how) for p in pictures]
        for index in unseen:
            resized[index] = torch.full_like(resized[index], -1.0)  # black
        return torch.cat(resized).to(weight.dtype)

    def has(self, key: tuple[int, ...]) -> bool:
        """Whether `encode_images` still keeps the tokens of that very set; then its pictures need not be prepared."""
        return key in self._sets

    @torch.inference_mode()
    def encode_images(self, key: tuple[int, ...], prepared: torch.Tensor) -> torch.Tensor:
        """Tokens of a set of pictures, made once. Always one set at a time: grouping pictures differently changes bits.

        Args:
            key: what tells the set from all others since `clear`: its frame numbers.
            prepared: (cameras, 3, S, S) of `prepare`; not looked at when the set is kept.

        Returns:
            (cameras * N, D).
        """
        if key not in self._sets:
            self._sets[key] = self._kept(self.images(prepared)).flatten(0, 1)
            while len(self._sets) > _KEPT_SETS:
                self._sets.popitem(last=False)
        return self._sets[key]

    def clear(self) -> None:
        """Forget all sets, at a new episode: its frame numbers may be those of other pictures."""
        self._sets.clear()

    def compile_networks(self) -> None:
        """torch.compile for the image encoder and the head, at their first call; on a GPU each becomes one CUDA graph."""
        weight = next(self.head.parameters())
        for network in (self.images, self.head):
            network.compile(mode="reduce-overhead" if weight.is_cuda else "default")
        self._compiled = True

    def warm_up(self) -> None:
        """Make chunks of black pictures, so that the first real one is not the slowest; leaves no trace."""
        config, size = self.config, self.config.image.image_px
        blank = self.prepare((np.zeros((size, size, 3), np.uint8),) * len(config.cameras))
        formers = (config.spatial_former, config.motion_former)
        tokens = ConditionTokens(*(torch.zeros(former.tokens, former.width) for former in formers))
        text = VideoText(torch.zeros(1, 1, 1), torch.zeros(1, 1))
        for words in (8, 9) if self._compiled else (8,):  # two lengths: whatever is compiled then serves every length
            sets = [self.encode_images((count, words), blank) for count in range(2)]
            instruction = InstructionEmbedding(torch.zeros(1, words, config.text.width), text)
            nothing = np.zeros((0, config.joints))
            self.predict_chunk(sets, np.zeros(config.joints), instruction, tokens, 0.0, nothing, 0)
        self._sets.clear()

    def _kept(self, output: torch.Tensor) -> torch.Tensor:
        """The output of a network, copied where it is compiled: a CUDA graph writes its next output over this one."""
        return output.clone() if self._compiled else output

    @torch.inference_mode()
    def predict_chunk(
        self,
        sets: Sequence[torch.Tensor],
        q: NDArray[np.float64],
        instruction: InstructionEmbedding,
        conditions: ConditionTokens | None,
        age_s: float,
        prefix: NDArray[np.floating],
        noise_seed: int,
    ) -> NDArray[np.float32]:
        """A chunk of joint targets; the same arguments give the same bytes.

        Args:
            sets: tokens (cameras * N, D) of the set before, then of the newest one.
            q: (J,) the joints now, rad, gripper m.
            instruction: language (1, L, text width).
            conditions: System 2's tokens, (K, D) each; None: the chunk is made without.
            age_s: of the newest frame that the conditions saw, s.
            prefix: (n, J) targets that are committed already, rad and m; n from 0 to H.
            noise_seed: draws the noise that denoising begins with.

        Returns:
            (H, J) float32, rad, gripper m, within the checkpoint's ranges; the first n are the prefix, unchanged.
        """
        config = self.config
        tokens = torch.cat(tuple(sets))[None]
        device, dtype = tokens.device, tokens.dtype
        both = (
            None
            if conditions is None or not config.hears_video
            else torch.cat([conditions.spatial, conditions.motion])[None]
        )
        context = self.head.context(
            instruction.language.to(device, dtype),
            tokens,
            None if both is None else both.to(device, dtype),
            torch.tensor([age_s], device=device),
            self.statistics.normalize_state(q)[None].to(device, dtype),
        )
        generator = torch.Generator().manual_seed(noise_seed)
        noise = torch.randn((1, config.horizon, config.head.action_width), generator=generator).to(device)
        known = self.head.vector(self.statistics.normalize(prefix, q)[None].to(device))
        committed = (torch.arange(config.horizon, device=device) < len(prefix))[None]
        chunk = diffusion.sample(
            config.head, noise, known, lambda x, t: self._kept(self.head(x.to(dtype), t, context, committed)).float()
        )
        targets = self.statistics.denormalize(self.head.joints(chunk)[0], q)
        targets[: len(prefix)] = prefix
        return targets


def image_encoder(config: Siglip | Keypoints, cameras: int) -> ImageEncoder:
    """A new encoder with random weights.

    Args:
        config: which kind, and its sizes.
        cameras: how many a set has; SigLIP is the same for all of them.

    Returns:
        SiglipEncoder or KeypointEncoder.
    """
    if config.kind == "keypoints":
        return KeypointEncoder(config, cameras)
    from models.encoders.siglip import SiglipEncoder  # transformers' modelling code takes 8 s of a core to import

    return SiglipEncoder(config)
