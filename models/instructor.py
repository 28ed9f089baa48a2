"""Encodes instructions for both systems: once per instruction, never in the loop.

Made by models/checkpoint.py; called by the text process, `instruct.sh` and training.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models import published
from models.backbones.backbone import VideoText
from models.config.policy import PolicyConfig
from models.encoders.byte_text import ByteEncoder
from models.policy import InstructionEmbedding


class Instructor(nn.Module):
    """The encoders that a policy's configuration names; holds the small one's weights, published ones only while encoding."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ByteEncoder(config.text) if config.text.kind == "byt5" else None

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[InstructionEmbedding]:
        """The texts as both systems take them: for the head (1, L, D) each, for the video model states and pooled.

        Raises ModelError when published weights are not there or do not fit. Published encoders are loaded anew in every call.
        """
        language = self._language(texts)
        return [InstructionEmbedding(*both) for both in zip(language, self._video(texts, language), strict=True)]

    def _language(self, texts: Sequence[str]) -> list[torch.Tensor]:
        if self.encoder is not None:
            return [self.encoder(text) for text in texts]
        from models.encoders.published_texts import t5_states  # imports the published models' code: seconds

        source = self.config.published.text
        assert source is not None  # the configuration has been checked
        return t5_states(published.folder("text", source), self.config.text, texts)

    def _video(self, texts: Sequence[str], language: list[torch.Tensor]) -> list[VideoText]:
        """What the video model reads; one of our own reads System 1's states, and their mean as the pooled text."""
        source, backbone = self.config.published.video, self.config.video.backbone
        if source is None:
            return [VideoText(states, states.mean(1)) for states in language]
        from models.encoders.published_texts import hunyuan_texts, wan_texts

        folder = published.folder("video", source)
        if backbone.kind == "wan":
            return wan_texts(folder, backbone, texts)
        return hunyuan_texts(folder, backbone, texts)
