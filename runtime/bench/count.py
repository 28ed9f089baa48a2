"""What a size needs, counted on networks without weights: memory in each number type, TFLOP of a run. Needs no GPU.
Called by command.py.

The figures tell whether a card can hold a size, and how long a run takes at least, before anything is fetched.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import normalize
from models.backbones.backbone import VideoText, in_float8
from models.config import Window
from models.sizes import by_name
from models.system1 import FastSystem
from models.system2 import SlowSystem

_META = torch.device("meta")
_WORDS = 256  # tokens of the instruction: the most that HunyuanVideo's text encoder keeps; System 1 may read fewer


def run(size: str) -> dict[str, Any]:
    """Weights in GiB and TFLOP of both systems; a multiply-add counts as two."""
    config = by_name(size)
    with _META, torch.inference_mode():
        statistics = normalize.untrained(config.horizon, np.zeros(config.joints), np.ones(config.joints))
        slow, fast = SlowSystem(config), FastSystem(config, statistics)
        return {
            "size": size,
            "system2_gib": {
                "bfloat16": _gib(slow, 2),
                "float8": round(
                    _gib(slow, 2) - sum(w.numel() for w in in_float8(slow.backbone.transformer)) / 2**30, 2
                ),
            },
            "system1_gib": {"bfloat16": _gib(fast, 2)},
            "system2_tflop": _slow(slow),
            "system1_tflop": _fast(fast),
        }


def _gib(network: nn.Module, bytes_each: int) -> float:
    return round(sum(weight.numel() for weight in network.parameters()) * bytes_each / 2**30, 2)


def _slow(slow: SlowSystem) -> dict[str, float]:
    """A run with one new frame in each window."""
    video = slow.config.video
    backbone = video.backbone
    text = VideoText(torch.zeros(1, _WORDS, backbone.text_dim), torch.zeros(1, backbone.pooled_dim))

    def encoded(window: Window) -> torch.Tensor:
        frames = window.frames if video.encoding == "causal" else 1
        latents = slow.backbone.encode(torch.zeros(1, 3, frames, window.height_px, window.width_px))
        return latents if video.encoding == "causal" else latents.expand(-1, -1, window.frames, -1, -1)

    figures: dict[str, float] = {}
    for name, window in (("short window", video.high), ("long window", video.low)):
        latents = encoded(window)
        figures[f"VAE, {name}"] = _tflop(lambda window=window: encoded(window))
        figures[f"blocks, {name}"] = _tflop(lambda latents=latents: slow.backbone.features(latents, text))
    return figures | {"all": round(sum(figures.values()), 4)}


def _fast(fast: FastSystem) -> dict[str, float]:
    """A run whose older set of pictures is known."""
    config = fast.config
    tokens = len(config.cameras) * config.image.tokens
    pictures = torch.zeros(len(config.cameras), 3, config.image.image_px, config.image.image_px)
    former = config.spatial_former
    seen = (
        torch.zeros(1, min(_WORDS, config.text.max_tokens), config.text.width),
        torch.zeros(1, 2 * tokens, config.image.width),
        torch.zeros(1, former.tokens + config.motion_former.tokens, former.width),
        torch.zeros(1),
        torch.zeros(1, config.joints),
    )
    context = fast.head.context(*seen)
    noisy = torch.zeros(1, config.horizon, config.head.action_width)
    committed = torch.zeros(1, config.horizon, dtype=torch.bool)
    figures = {
        "image encoder": _tflop(lambda: fast.images(pictures)),
        "keys and values": _tflop(lambda: fast.head.context(*seen)),
        "denoising": round(config.head.steps * _tflop(lambda: fast.head(noisy, torch.zeros(1), context, committed)), 4),
    }
    return figures | {"all": round(sum(figures.values()), 4)}


def _tflop(call: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return round(counter.get_total_flops() / 1e12, 4)
