"""System 1 as one object: pictures, joints, instruction and conditions in, a chunk of joint targets out."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import diffusion, images
from models.action_dit import ActionTransformer
from models.config import PolicyConfig
from models.image_encoders import image_encoder, image_tokens
from models.normalize import Statistics
from models.policy import ConditionTokens, InstructionEmbedding, Pictures

_KEPT_SETS = 8


class FastSystem(nn.Module):
    """System 1: image encoder and action diffusion transformer; turns the newest of everything into a chunk."""

    def __init__(self, config: PolicyConfig, statistics: Statistics) -> None:
        super().__init__()
        self.config, self.statistics = config, statistics
        self.images = image_encoder(config.image)
        positions = 2 * len(config.cameras) * image_tokens(config.image)
        self.head = ActionTransformer(config, config.image.width, positions, config.spatial_former.width)
        self._sets: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()

    @torch.inference_mode()
    def prepare(self, pictures: Pictures) -> torch.Tensor:
        """One set's pictures as the image encoder takes them: (cameras, 3, S, S)."""
        size, weight = self.config.image.image_px, next(self.parameters())
        resized = [images.resize(images.to_tensor(p, weight.device), size, size, self.config.resize) for p in pictures]
        return torch.cat(resized).to(weight.dtype)

    def has(self, key: tuple[int, ...]) -> bool:
        """Whether the tokens of that very set are at hand."""
        return key in self._sets

    @torch.inference_mode()
    def look(self, key: tuple[int, ...], prepared: torch.Tensor) -> torch.Tensor:
        """Tokens (cameras * N, D) of a set. Always one set at a time: grouping pictures differently changes bits."""
        if key not in self._sets:
            self._sets[key] = self.images(prepared).flatten(0, 1)
            while len(self._sets) > _KEPT_SETS:
                self._sets.popitem(last=False)
        return self._sets[key]

    def warm_up(self) -> None:
        """Run the image encoder once, so that the first chunk is not the slowest; leaves no trace."""
        size = self.config.image.image_px
        self.look((), self.prepare((np.zeros((size, size, 3), np.uint8),) * len(self.config.cameras)))
        self._sets.clear()

    @torch.inference_mode()
    def act(
        self,
        sets: Sequence[torch.Tensor],
        q: NDArray[np.float64],
        instruction: InstructionEmbedding,
        conditions: ConditionTokens | None,
        age_s: float,
        prefix: NDArray[np.floating],
        noise_seed: int,
    ) -> NDArray[np.float32]:
        """A chunk (H, J) of joint targets.

        sets (cameras * N, D) each: the set before, then the newest; q (J,) the joints now; prefix (n, J) targets
        that are already committed and come back unchanged; age_s of the conditions' newest frame.
        """
        config = self.config
        tokens = torch.cat(tuple(sets))[None]
        device, dtype = tokens.device, tokens.dtype
        both = None if conditions is None else torch.cat([conditions.spatial, conditions.motion])[None]
        context = self.head.context(
            instruction.language.to(device, dtype),
            tokens,
            None if both is None else both.to(device, dtype),
            torch.tensor([age_s], device=device),
            self.statistics.normalize_state(q).to(device, dtype),
        )
        generator = torch.Generator().manual_seed(noise_seed)
        noise = torch.randn((1, config.horizon, config.head.action_width), generator=generator).to(device)
        known = self.head.vector(self.statistics.normalize(prefix, q).to(device))
        committed = (torch.arange(config.horizon, device=device) < len(prefix))[None]
        chunk = diffusion.sample(
            config.head, noise, known, lambda x, t: self.head(x.to(dtype), t, context, committed).float()
        )
        targets = self.statistics.denormalize(self.head.joints(chunk), q)
        targets[: len(prefix)] = prefix
        return targets
