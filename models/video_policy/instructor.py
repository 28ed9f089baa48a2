"""Encodes instructions for a Video Policy: one pooled token each, once per instruction, never in the loop.

Made by checkpoint.py; called by the text process, `instruct.sh` and training.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models import published
from models.encoders.byte_text import ByteEncoder
from models.policy import InstructionEmbedding
from models.video_policy.config import VideoPolicyConfig


class PooledInstructor(nn.Module):
    """The encoder that a configuration names; holds the small one's weights, CLIP's only while encoding."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ByteEncoder(config.text) if config.text.kind == "byt5" else None

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[InstructionEmbedding]:
        """The texts as the video model takes them.

        Args:
            texts: instructions.

        Returns:
            Of each the pooled token, (1, 1, D) as `language` and as states, (1, D) as the pooled text.

        Raises:
            ModelError: published weights are not there or do not fit. They are loaded anew in every call.
        """
        return [InstructionEmbedding.of_pooled(one) for one in self._pooled(texts)]

    def _pooled(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """(1, D) each."""
        if self.encoder is not None:
            return [self.encoder(text).mean(1) for text in texts]
        from models.encoders.published_texts import clip_tokens  # imports the published models' code: seconds

        source = self.config.published.clip_text
        assert source is not None  # the configuration has been checked
        return clip_tokens(published.folder("clip_text", source), self.config.text.width, texts)
