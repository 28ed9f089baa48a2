"""HunyuanVideo's kept blocks with less work (models/backbones/lean.py): 27 operations a dual-stream block where diffusers' has
80, since at diffusion time 0 the instruction alone decides all modulation.

Made by models/backbones/lean_of.py. Legend as there; rows are those of a Reading's modulation.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.backbones.backbone import VideoText
from models.backbones.frame_vae import hunyuan_frame_encoder
from models.backbones.hunyuan import HunyuanBackbone, guidance_of
from models.backbones.lean import FeedForward, LeanBackbone, Projection, Reading, attended, rotated

_PATCH = 2  # latents along each side of a token
_DUAL_SCALES, _SINGLE_SCALES = (
    (1, 4),
    (1,),
)  # places among a layer's rows: shift, scale, gate, and again for the feed-forward
_EPSILON = 1e-6  # of all its norms

Table = tuple[torch.Tensor, torch.Tensor]


class LeanHunyuan(LeanBackbone):
    """HunyuanBackbone for live runs."""

    def __init__(self, whole: HunyuanBackbone) -> None:
        super().__init__()
        self.config, self._transformer = whole.config, whole.transformer
        self.frames = hunyuan_frame_encoder(whole.vae)
        model = self._transformer
        self.modulators, self.dual, self.single = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self._scales: list[int] = []
        for block in _taken(model.transformer_blocks):
            self._modulate(block.norm1.linear, _DUAL_SCALES)
            self._modulate(block.norm1_context.linear, _DUAL_SCALES)
            self.dual.append(DualBlock(block))
        for block in _taken(model.single_transformer_blocks):
            self._modulate(block.norm.linear, _SINGLE_SCALES)
            self.single.append(SingleBlock(block))

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        return self.frames(picture.squeeze(2)).unsqueeze(2) * self.config.latent_scaling

    def read(self, text: VideoText) -> Reading:
        model = self._transformer
        time = torch.zeros(1, dtype=torch.long, device=text.states.device)
        condition, _ = model.time_text_embed(time, text.pooled, guidance_of(self.config, text.states))
        everything = torch.ones(text.states.shape[:2], dtype=torch.bool, device=text.states.device)
        words = model.context_embedder(text.states, time, everything)
        quiet = functional.silu(condition)
        rows = torch.cat([layer(quiet).view(-1, self.config.width) for layer in self.modulators])
        one = torch.zeros(len(rows), 1, dtype=rows.dtype)
        one[self._scales] = 1.0
        return Reading(words, rows + one.to(rows.device))

    def features(self, latents: torch.Tensor, words: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        frames, height, width = latents.shape[2:]
        x = self._transformer.x_embedder(latents)
        places = x.shape[1]
        table = _with_words(self.table(latents), words.shape[1])
        rows = iter(modulation.unbind())
        for block in self.dual:
            x, words = block(x, words, table, [next(rows) for _ in range(12)])
        both = torch.cat([x, words], dim=1)
        for block in self.single:
            both = block(both, table, [next(rows) for _ in range(3)])
        return both[:, :places].unflatten(1, (frames, height // _PATCH, width // _PATCH))

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"dual-stream": list(self.dual), "single-stream": list(self.single)}

    def only_read(self) -> Iterator[nn.Module]:
        yield self.modulators

    @property
    def transformer(self) -> Any:
        return self._transformer

    def _modulate(self, linear: Any, scales: tuple[int, ...]) -> None:
        """Keep a layer that makes modulation, and where its scales stand among all rows."""
        before = (
            sum(weight.shape[0] for weight in self.modulators.parameters() if weight.ndim == 2) // self.config.width
        )
        self.modulators.append(Projection(linear))
        self._scales += [before + place for place in scales]


class DualBlock(nn.Module):
    """A dual-stream block: pictures and words with weights of their own, and one attention over both."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self.image = _Stream(
            (attention.to_q, attention.to_k, attention.to_v),
            (attention.norm_q, attention.norm_k),
            attention.to_out[0],
            block.ff,
            attention.heads,
        )
        self.words = _Stream(
            (attention.add_q_proj, attention.add_k_proj, attention.add_v_proj),
            (attention.norm_added_q, attention.norm_added_k),
            attention.to_add_out,
            block.ff_context,
            attention.heads,
        )

    def forward(
        self, x: torch.Tensor, words: torch.Tensor, table: Table, rows: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One block.

        Args:
            x: (1, N, D) pictures.
            words: (1, L, D).
            table: (S, 1, 1, d) each.
            rows: six for the pictures, then six for the words; (D,) each.

        Returns:
            Both again.
        """
        asked, values = zip(self.image.heard(x, rows), self.words.heard(words, rows[6:]), strict=True)
        query, key = rotated(torch.cat(asked, dim=1), table).unbind(2)
        mixed = attended(query, key, torch.cat(values, dim=1))
        places = x.shape[1]
        return self.image.left(x, mixed[:, :places], rows), self.words.left(words, mixed[:, places:], rows[6:])


class SingleBlock(nn.Module):
    """A single-stream block: pictures and words as one sequence, attention beside the feed-forward."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self.attention = _Heads(
            (attention.to_q, attention.to_k, attention.to_v), (attention.norm_q, attention.norm_k), attention.heads
        )
        self.widen, self.out = Projection(block.proj_mlp), Projection(block.proj_out)
        self.width = (len(self.out.bias),)

    def forward(self, x: torch.Tensor, table: Table, rows: list[torch.Tensor]) -> torch.Tensor:
        """(1, S, D) -> (1, S, D); rows are shift, scale and gate, (D,) each."""
        shift, scale, gate = rows
        normal = functional.layer_norm(x, self.width, scale, shift, _EPSILON)
        asked, value = self.attention(normal)
        query, key = rotated(asked, table).unbind(2)
        wide = functional.gelu(self.widen(normal), approximate="tanh")
        return torch.addcmul(x, self.out(torch.cat([attended(query, key, value), wide], dim=2)), gate)


class _Heads(nn.Module):
    """Queries, keys and values of one product; queries and keys normalised head by head."""

    def __init__(self, layers: tuple[Any, ...], norms: tuple[Any, Any], heads: int) -> None:
        super().__init__()
        self.project, self.heads = Projection(*layers), heads
        self.norm = nn.Parameter(torch.stack([norm.weight.data for norm in norms])[:, None], requires_grad=False)
        self.head_width = (self.norm.shape[-1],)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(1, S, D) -> queries and keys (1, S, 2, n, d), and values (1, S, n, d)."""
        found = self.project(x).unflatten(-1, (3, self.heads, -1))
        asked = functional.rms_norm(found[:, :, :2], self.head_width, eps=_EPSILON) * self.norm
        return asked, found[:, :, 2]


class _Stream(nn.Module):
    """What a dual-stream block does to pictures, or to words, before and after the attention over both."""

    def __init__(
        self, layers: tuple[Any, ...], norms: tuple[Any, Any], out: Any, feed_forward: Any, heads: int
    ) -> None:
        super().__init__()
        self.attention, self.out = _Heads(layers, norms, heads), Projection(out)
        self.feed_forward, self.width = FeedForward(feed_forward), (len(self.out.bias),)

    def heard(self, x: torch.Tensor, rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys, and values."""
        return self.attention(functional.layer_norm(x, self.width, rows[1], rows[0], _EPSILON))

    def left(self, x: torch.Tensor, mixed: torch.Tensor, rows: list[torch.Tensor]) -> torch.Tensor:
        """What the stream is after the block, from what it was and what it attended to."""
        x = torch.addcmul(x, self.out(mixed), rows[2])
        normal = functional.layer_norm(x, self.width, rows[4], rows[3], _EPSILON)
        return torch.addcmul(x, self.feed_forward(normal), rows[5])


def _with_words(table: Table, words: int) -> Table:
    """The pictures' rotation, and none for the words behind them; (S, 1, 1, d) each."""
    cos, sin = table
    cos, sin = functional.pad(cos, (0, 0, 0, words), value=1.0), functional.pad(sin, (0, 0, 0, words))
    return cos[:, None, None], sin[:, None, None]


def _taken(blocks: nn.ModuleList) -> Iterator[Any]:
    """The blocks one by one; each is let go of afterwards, so that no weight is held twice."""
    for place in range(len(blocks)):
        block, blocks[place] = blocks[place], nn.Identity()
        yield block
