"""What a size needs, counted on networks without weights: memory of a card, TFLOP and operations of a run. Needs no GPU.
Called by command.py.

The figures tell whether a card can hold a size, and how long a run takes at least, before anything is fetched.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import normalize
from models.backbones.backbone import VideoText
from models.config.policy import PolicyConfig
from models.config.video import Window
from models.lean_system2 import LeanSystem
from models.placement import place
from models.sizes import by_name
from models.system1 import FastSystem
from models.system2 import SlowSystem
from runtime.bench.operations import launched
from runtime.bench.peak_bytes import peak_bytes

_META = torch.device("meta")
_WORDS = 256  # tokens of the instruction: the most that HunyuanVideo's text encoder keeps; System 1 may read fewer
_DTYPE = torch.bfloat16
_PROCESS_GIB = 0.9
"""Of a process on a card beside its tensors: CUDA's context and libraries' workspaces. Chosen: 0.5 to 0.8 are usual, and the
allocator's blocks are not quite full."""
_CARDS_GIB = (16, 24)  # of the cards that a robot's PC usually has


def run(size: str) -> dict[str, Any]:
    """Memory of both systems on one card, TFLOP and operations of a run of each; a multiply-add counts as two."""
    config = by_name(size)
    statistics = normalize.untrained(config.horizon, np.zeros(config.joints), np.ones(config.joints))
    with _META:
        fast = place(FastSystem(config, statistics).eval(), _META, _DTYPE)
        fast.fuse()
    with _META, torch.inference_mode():
        parts = _fast(fast)
        own = _bytes(fast) + max(peak_bytes(call) for call in parts.values())
        plain = {storage: _plain(config, storage) for storage in _STORAGES}
        latents = {name: _encoded(plain["bfloat16"], window) for name, window in _windows(config)}
        operations = {name: launched(call) for name, call in _plain_runs(plain["bfloat16"], latents).items()}
        lean = {storage: LeanSystem(slow) for storage, slow in plain.items()}
        runs = {storage: _lean_runs(system, latents) for storage, system in lean.items()}
        memory = {
            f"{storage}, {where}": found
            for storage in lean
            for where, found in _memory_gib(lean[storage], runs[storage], own).items()
        }
        system1, system2 = _counted(parts, {"denoising": config.head.steps}), _counted(runs["bfloat16"])
        return {
            "size": size,
            "memory_gib": memory,
            "system2_tflop": system2[0],
            "system1_tflop": system1[0],
            "system2_operations": system2[1],
            "system2_operations_plain": _with_all(operations),
            "system1_operations": system1[1],
        }


_STORAGES = ("bfloat16", "float8")
Runs = dict[str, Callable[[], Any]]
Number = TypeVar("Number", int, float)
Latents = Mapping[str, torch.Tensor]  # of each window, by its name


def _memory_gib(lean: LeanSystem, runs: Runs, system1_bytes: int) -> dict[str, dict[str, float | bool]]:
    """Both systems in two processes, by where System 2's modulation is kept; GiB."""
    working = max(peak_bytes(call) for call in runs.values())
    away = sum(_bytes(layer) for layer in lean.backbone.only_read())
    found: dict[str, dict[str, float | bool]] = {}
    for where, held in (("device", _bytes(lean)), ("host", _bytes(lean) - away)):
        both = (held + working + system1_bytes) / 2**30 + 2 * _PROCESS_GIB
        found[where] = {
            "system2_weights": round(held / 2**30, 2),
            "system2_peak": round((held + working) / 2**30, 2),
            "system1_peak": round(system1_bytes / 2**30, 2),
            "both": round(both, 2),
        } | {f"fits_{card}": both <= card for card in _CARDS_GIB}
    return found


def _plain(config: PolicyConfig, storage: str) -> SlowSystem:
    slow = place(SlowSystem(config).eval(), _META, _DTYPE)
    if storage == "float8":
        slow.backbone.store_in_float8(_DTYPE)
    return slow


def _bytes(network: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


def _counted(runs: Runs, times: Mapping[str, int] | None = None) -> tuple[dict[str, float], dict[str, int]]:
    """TFLOP and operations of each run, in one call of it, and of all of them; `times`: how often those are run that repeat."""
    tflop: dict[str, float] = {}
    operations: dict[str, int] = {}
    for name, call in runs.items():
        count = (times or {}).get(name, 1)
        with FlopCounterMode(display=False) as counter:
            operations[name] = launched(call) * count
        tflop[name] = round(counter.get_total_flops() / 1e12 * count, 4)
    return _with_all(tflop), _with_all(operations)


def _with_all(figures: dict[str, Number]) -> dict[str, Number]:
    return figures | {"all": cast(Number, round(sum(figures.values()), 4))}


def _text(config: PolicyConfig) -> VideoText:
    backbone = config.video.backbone
    words = _WORDS if backbone.kind == "hunyuan" else 512  # Wan's are filled up to that length
    return VideoText(
        torch.zeros(1, words, backbone.text_dim, dtype=_DTYPE), torch.zeros(1, backbone.pooled_dim, dtype=_DTYPE)
    )


def _windows(config: PolicyConfig) -> tuple[tuple[str, Window], ...]:
    return ("short window", config.video.high), ("long window", config.video.low)


def _encoded(slow: SlowSystem | LeanSystem, window: Window) -> torch.Tensor:
    """Latents of a window of which one frame is new, or all where windows are encoded as videos."""
    frames = window.frames if slow.config.video.encoding == "causal" else 1
    latents = slow.latents(torch.zeros(1, 3, frames, window.height_px, window.width_px, dtype=_DTYPE))
    return latents if slow.config.video.encoding == "causal" else latents.expand(-1, -1, window.frames, -1, -1)


def _lean_runs(lean: LeanSystem, latents: Latents) -> Runs:
    """A run of System 2; the instruction was read before."""
    reading = lean.read(_text(lean.config))
    return _runs(lean, latents, lambda seen: lean.features_of(seen, reading))


def _plain_runs(slow: SlowSystem, latents: Latents) -> Runs:
    text = _text(slow.config)
    return _runs(slow, latents, lambda seen: slow.features(seen, text))


def _runs(slow: SlowSystem | LeanSystem, latents: Latents, features: Callable[[torch.Tensor], torch.Tensor]) -> Runs:
    """One new frame in each window, and the features of both."""
    runs = Runs()
    for name, window in _windows(slow.config):
        runs[f"VAE, {name}"] = lambda window=window: _encoded(slow, window)
        runs[f"blocks, {name}"] = lambda name=name: features(latents[name])
    return runs


def _fast(fast: FastSystem) -> Runs:
    """A run whose older set of pictures is known, and whose instruction was read before."""
    config = fast.config
    tokens = len(config.cameras) * config.image.tokens
    pictures = torch.zeros(len(config.cameras), 3, config.image.image_px, config.image.image_px, dtype=_DTYPE)
    former = config.spatial_former
    language = torch.zeros(1, min(_WORDS, config.text.max_tokens), config.text.width, dtype=_DTYPE)
    seen = (
        torch.zeros(1, 2 * tokens, config.image.width, dtype=_DTYPE),
        torch.zeros(1, former.tokens + config.motion_former.tokens, former.width, dtype=_DTYPE),
        torch.zeros(1),
        torch.zeros(1, config.joints, dtype=_DTYPE),
    )
    words = fast.head.words(language)
    context, at = fast.head.context_of(words, *seen), fast.head.at(torch.zeros(1), _DTYPE)
    noisy = torch.zeros(1, config.horizon, config.head.action_width, dtype=_DTYPE)
    committed = torch.zeros(1, config.horizon, dtype=torch.bool)
    return {
        "image encoder": lambda: fast.images(pictures),
        "keys and values": lambda: fast.head.context_of(words, *seen),
        "denoising": lambda: fast.head(noisy, at, context, committed),
    }
