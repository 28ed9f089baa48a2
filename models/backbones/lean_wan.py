"""Wan2.2's kept blocks with less work (models/backbones/lean.py): the words' keys and values and all modulation are made once
for an instruction.

Made by models/backbones/lean_of.py. Legend as there; rows are those of a Reading's modulation, float32 as the model has them.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.backbones.backbone import VideoText
from models.backbones.frame_vae import wan_frame_encoder
from models.backbones.lean import FeedForward, LeanBackbone, Projection, Reading, attended, rotated
from models.backbones.wan import WanBackbone

_PATCH = 2  # latents along each side of a token
_ROWS = 6  # of a block: shift, scale and gate of attention, then of the feed-forward
_SCALES = (1, 4)  # of those, the two to which 1 is added: x is multiplied by 1 + scale

Table = tuple[torch.Tensor, torch.Tensor]


class LeanWan(LeanBackbone):
    """WanBackbone for live runs. Windows that are encoded as videos need its whole VAE beside it."""

    def __init__(self, whole: WanBackbone) -> None:
        super().__init__()
        self.config, self._transformer = whole.config, whole.transformer
        self.frames = wan_frame_encoder(whole.vae)
        self.latent_mean: torch.Tensor
        self.latent_spread: torch.Tensor
        self.register_buffer("latent_mean", whole.latent_mean, persistent=False)
        self.register_buffer("latent_spread", whole.latent_spread, persistent=False)
        self.kept, self.readers = nn.ModuleList(), nn.ModuleList()
        blocks = self._transformer.blocks
        for place in range(len(blocks)):
            block, blocks[place] = blocks[place], nn.Identity()
            self.readers.append(_Reader(block))
            self.kept.append(WanBlock(block))

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        mode = self.frames(picture.squeeze(2)).unsqueeze(2)
        return ((mode - self.latent_mean) / self.latent_spread).to(picture.dtype)

    def read(self, text: VideoText) -> Reading:
        time = torch.zeros(1, dtype=torch.long, device=text.states.device)
        _, modulation, words, _ = self._transformer.condition_embedder(time, text.states)
        made = [reader(words, modulation) for reader in self.readers]
        return Reading(torch.stack([words for words, _ in made]), torch.cat([rows for _, rows in made]))

    def features(self, latents: torch.Tensor, words: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        frames, height, width = latents.shape[2:]
        table = self.table(latents)
        broadcast = table[0][:, None], table[1][:, None]
        rows = iter(modulation.unbind())
        x = self._transformer.patch_embedding(latents).flatten(2).transpose(1, 2).contiguous()
        for block, said in zip(self.kept, words.unbind(), strict=True):
            x = block(x, said, broadcast, [next(rows) for _ in range(_ROWS)])
        return x.unflatten(1, (frames, height // _PATCH, width // _PATCH))

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"transformer": list(self.kept)}

    def only_read(self) -> Iterator[nn.Module]:
        yield self.readers

    @property
    def transformer(self) -> Any:
        return self._transformer


class _Reader(nn.Module):
    """What a block makes of the instruction alone: its modulation, and its words' keys and values."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn2
        self.key, self.value, self.norm = Projection(attention.to_k), Projection(attention.to_v), attention.norm_k
        self.table = block.scale_shift_table

    def forward(self, words: torch.Tensor, modulation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (2, 1, L, D) and rows (6, D) of words (1, L, D) and a modulation (1, 6 D)."""
        table, weight = self.table.to(words.device), self.norm.weight.to(words.device)
        rows = (table + modulation.unflatten(1, (_ROWS, -1)).float())[0].clone()
        rows[list(_SCALES)] += 1.0
        key = functional.rms_norm(self.key(words), weight.shape, weight, self.norm.eps)
        return torch.stack([key, self.value(words)]), rows


class WanBlock(nn.Module):
    """A block: attention over all places, attention to the words, feed-forward; modulated and added in float32."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.heads, self.epsilon, self.width = block.attn1.heads, block.norm1.eps, tuple(block.norm1.normalized_shape)
        own, cross = block.attn1, block.attn2
        self.project, self.out = Projection(own.to_q, own.to_k, own.to_v), Projection(own.to_out[0])
        self.norms = nn.ModuleList([own.norm_q, own.norm_k, cross.norm_q])
        self.before_words, self.ask, self.answer = block.norm2, Projection(cross.to_q), Projection(cross.to_out[0])
        self.feed_forward = FeedForward(block.ffn)

    def forward(self, x: torch.Tensor, words: torch.Tensor, table: Table, rows: list[torch.Tensor]) -> torch.Tensor:
        """One block.

        Args:
            x: (1, N, D).
            words: (2, 1, L, D) their keys and values.
            table: (N, 1, d) each.
            rows: (D,) float32 each.

        Returns:
            (1, N, D).
        """
        x = self._added(x, self._among_places(self._modulated(x, rows[1], rows[0]), table), rows[2])
        asked = self._split(self.norms[2](self.ask(self.before_words(x.float()).to(x.dtype))))
        key, value = (self._split(part) for part in words.unbind())
        x = x + self.answer(attended(asked, key, value))
        return self._added(x, self.feed_forward(self._modulated(x, rows[4], rows[3])), rows[5])

    def _among_places(self, x: torch.Tensor, table: Table) -> torch.Tensor:
        query, key, value = self.project(x).chunk(3, dim=-1)
        query, key = (self._split(norm(part)) for norm, part in zip(self.norms, (query, key), strict=False))
        return self.out(attended(rotated(query, table), rotated(key, table), self._split(value)))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1))

    def _modulated(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x.float(), self.width, scale, shift, self.epsilon).to(x.dtype)

    def _added(self, x: torch.Tensor, found: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(x.float(), found.float(), gate).to(x.dtype)
