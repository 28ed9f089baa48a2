"""System 2 as the runtime uses it: video windows in, condition tokens out. Knows nothing of processes.

Base of SlowSystem (models/system2.py, torch) and of SlowGraphs (models/graphs/system2.py, ONNX Runtime), which compute its
networks. Legend: T frames, h w feature grid, c latent and C feature channels, K tokens, D their width.
"""

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray

from models import filters, images
from models.backbones.backbone import VideoText
from models.computed import Computed
from models.config.policy import PolicyConfig
from models.policy import EncodedVideo, InstructionEmbedding
from models.window import LatentRing

_KEPT_LATENTS = (8, 64)
"""Frames that the rings of the short and the long window keep at least. Chosen: four windows of each at `full`'s sizes, 2 and
16 frames; longer windows get room for two (ConditionMaker)."""


class ConditionMaker(Computed):
    """System 2: video model at the clean end of inversion, filters, two Q-formers (Video2Act, eq. (1) to (3))."""

    def __init__(self, config: PolicyConfig) -> None:
        self.config = config
        self._placed_text: tuple[VideoText, VideoText] | None = None
        video = config.video
        self.high, self.low = (
            LatentRing(self.latents, window, video.encoding, keep=max(kept, 2 * window.frames))
            for window, kept in zip((video.high, video.low), _KEPT_LATENTS, strict=True)
        )

    @abstractmethod
    def latents(self, pictures: torch.Tensor) -> torch.Tensor:
        """The VAE's latents (1, c, T', h, w) of pictures (1, 3, T, H, W), as Backbone.encode."""
        ...

    @abstractmethod
    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        """The video model's features (1, T, h / 2, w / 2, C) of latents (1, c, T, h, w), as Backbone.features."""
        ...

    @abstractmethod
    def formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spatial and motion tokens (B, K, D) of both windows' filtered features (B, T, h, w, C)."""
        ...

    @torch.inference_mode()
    def encode(self, ring: LatentRing, number: int, picture: NDArray[np.uint8]) -> None:
        """Put a frame's latent into a ring, unless it is there; resized as the policy says.

        Args:
            ring: `high` or `low`.
            number: the frame's number; a ring forgets its oldest frames.
            picture: (H, W, 3) uint8 RGB of the head camera.
        """
        if number in ring:
            return
        tensor = images.to_tensor(picture, self.device)
        resized = images.resize(tensor, ring.window.height_px, ring.window.width_px, self.config.resize)
        ring.encode(number, resized.to(self.dtype))

    @torch.inference_mode()
    def encode_video(self, high: list[int], low: list[int], instruction: InstructionEmbedding) -> EncodedVideo:
        """Condition tokens of two windows whose frames were encoded.

        Args:
            high: frame numbers of the short window, oldest first.
            low: frame numbers of the long window, oldest first.
            instruction: as the video model reads it.

        Returns:
            Tokens (K, D) of each branch, and maps (h, w) for people.

        Raises:
            ModelError: a frame is in no ring, or the motion filter keeps nothing.
        """
        text = self._on_device(instruction.video)
        return self.conditions(self.high.window_latents(high), self.low.window_latents(low), text)

    def conditions(self, high: torch.Tensor, low: torch.Tensor, text: VideoText) -> EncodedVideo:
        """What `encode_video` gives, of the latents (1, c, T', h, w) of both windows and a text on the device."""
        latents = high, low
        before = self.config.filters.place == "latents"
        if before:
            latents = self.filter_latents(*latents)
        features = [self.features(part, text) for part in latents]
        filtered = features if before else self.filter(*features)
        spatial, motion = self.formed(*filtered)
        boundaries, movement = (_as_features(part) for part in latents) if before else filtered
        return EncodedVideo(spatial[0], motion[0], _strength(boundaries[0, -1:]), _strength(movement[0]))

    def filter(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """S and M of Video2Act, eq. (3): boundaries of the high window, motion of the low one, both (B, T, h, w, C)."""
        chosen = self.config.filters
        return filters.spatial(high, chosen), filters.motion(low, chosen, self.config.video.low.span_s)

    def filter_latents(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`filter` on latents (B, c, T, h, w), before they go into the video model, as the released code does."""
        high, low = self.filter(_as_features(high), _as_features(low))
        return _as_latents(high), _as_latents(low)

    def warm_up(self) -> EncodedVideo:
        """Run everything once on black pictures, so that the first condition is not the slowest; leaves no trace.

        Returns:
            What came out.

        Raises:
            ModelError: the motion filter keeps nothing.
        """
        for ring in (self.high, self.low):
            blank = np.zeros((ring.window.height_px, ring.window.width_px, 3), np.uint8)
            for number in range(ring.window.frames):
                self.encode(ring, number, blank)
        high, low = (list(range(ring.window.frames)) for ring in (self.high, self.low))
        video = self.config.video.backbone
        text = VideoText(torch.zeros(1, 1, video.text_dim), torch.zeros(1, video.pooled_dim))
        found = self.encode_video(high, low, InstructionEmbedding(torch.zeros(1, 1, self.config.text.width), text))
        self.clear()
        return found

    def _on_device(self, text: VideoText) -> VideoText:
        """A text in the networks' dtype, brought there once: the same object as long as the instruction's is the same."""
        if self._placed_text is None or self._placed_text[0] is not text:
            states, pooled = (part.to(self.device, self.dtype) for part in (text.states, text.pooled))
            self._placed_text = text, VideoText(states, pooled)
        return self._placed_text[1]

    def clear(self) -> None:
        """Forget all frames, at a new episode: its frame numbers may be those of other pictures."""
        self.high.clear()
        self.low.clear()


def _strength(filtered: torch.Tensor) -> torch.Tensor:
    """Mean magnitude over time and channels: (T, h, w, C) -> (h, w) float32."""
    return filtered.float().abs().mean(dim=(0, 3))


def _as_features(latents: torch.Tensor) -> torch.Tensor:
    return latents.permute(0, 2, 3, 4, 1)  # (1, c, T, h, w) -> (1, T, h, w, c)


def _as_latents(features: torch.Tensor) -> torch.Tensor:
    return features.permute(0, 4, 1, 2, 3)
