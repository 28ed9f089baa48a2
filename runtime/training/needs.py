"""What a training needs of memory and disk, counted on networks without weights before anything is fetched or made.

Called by command and preparation. Activations come on top: they depend on the batch (`--cloning.samples`, `--filming.windows`).
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import normalize
from models.config import PolicyConfig, Window
from models.fast import FastSystem
from models.slow import SlowSystem
from models.train.prepared import windows
from runtime.errors import RuntimeFault
from runtime.terminal import say
from runtime.training.run import Run

_LEARNING_BYTES = 4 + 4 + 8 + 4  # float32: a weight, its gradient, AdamW's two moments, the average
_FEATURE_BYTES = 2  # bfloat16
_GB = 1e9


@dataclass(frozen=True)
class Memory:
    """Of one process."""

    learning: int  # weights
    frozen_bytes: int = 0  # of weights beside them

    @property
    def all_bytes(self) -> int:
        """Without activations."""
        return self.learning * _LEARNING_BYTES + self.frozen_bytes


def check_memory(run: Run) -> None:
    """Say what memory this training needs. Raises RuntimeFault when the machine does not have it."""
    needed = memory(run)
    cuda = run.device == "cuda"
    there = torch.cuda.get_device_properties(0).total_memory if cuda else _memory_bytes()
    wanted = needed.all_bytes * (1 if cuda else run.ranks.processes)
    where = "a GPU" if cuda else "this machine"
    told = (
        f"{run.stage}: {needed.learning / 1e6:.1f} M weights learn, which takes {_gb(wanted)} GB beside the activations"
    )
    if wanted > there:
        raise RuntimeFault(f"{told}; {where} has {_gb(there)} GB: {_remedy(run)}")
    say(f"video2act: {told}; {where} has {_gb(there)} GB")


def memory(run: Run) -> Memory:
    """Counted."""
    config = run.config
    with torch.device("meta"):
        slow = SlowSystem(config)
        transformer, whole = slow.backbone.transformer, _size(slow.backbone)
        if run.stage == "video" and run.filming.lora_rank:
            return Memory(_updates(slow, run.filming.lora_rank), 4 * whole)
        if run.stage == "video":
            return Memory(_size(transformer), 4 * (whole - _size(transformer)))
        learning = _size(FastSystem(config, normalize.untrained(config.horizon, *_any_joints(config))))
        if not config.hears_video:
            return Memory(learning)
        learning += _size(slow.spatial_former) + _size(slow.motion_former)
        if run.cloning.video_loss:
            return Memory(learning + _size(transformer), 4 * (whole - _size(transformer)))
        return Memory(learning, 0 if run.cloning.prepared else (2 if run.device == "cuda" else 4) * whole)


def check_disk(config: PolicyConfig, steps: Sequence[int], cache: Path) -> None:
    """Say what features of demonstrations of so many steps take in `cache`. Raises RuntimeFault when there is no room."""
    if not steps:
        return
    with torch.device("meta"), torch.inference_mode():
        slow = SlowSystem(config)
        of_window = sum(_of_window(slow, window) for window in (config.video.high, config.video.low))
    wanted, free = of_window * sum(len(windows(count)) for count in steps), _free_bytes(cache)
    told = f"the features of {len(steps)} demonstrations take {_gb(wanted)} GB"
    if wanted > free:
        raise RuntimeFault(
            f"{told}, and {cache} has {_gb(free)} GB free; give another --cache, or --cloning.prepared false, which makes "
            "them anew while training"
        )
    say(f"video2act: {told} of the {_gb(free)} GB that are free")


def _of_window(slow: SlowSystem, window: Window) -> int:
    """Bytes of one window's features: each frame's, and their mean."""
    causal = slow.config.video.encoding == "causal"
    pictures = torch.zeros(1, 3, window.frames if causal else 1, window.height_px, window.width_px)
    _, _, frames, height, width = slow.backbone.encode(pictures).shape
    frames = frames if causal else window.frames
    return (frames + 1) * (height // 2) * (width // 2) * slow.config.video.backbone.width * _FEATURE_BYTES


def _updates(slow: SlowSystem, rank: int) -> int:
    """Weights of low-rank updates of the blocks' linear layers."""
    blocks = [block for blocks in slow.backbone.blocks().values() for block in blocks]
    layers = [layer for block in blocks for layer in block.modules() if isinstance(layer, nn.Linear)]
    return sum(rank * (layer.in_features + layer.out_features) for layer in layers)


def _remedy(run: Run) -> str:
    if run.stage == "video" and not run.filming.lora_rank:
        return "give --filming.lora_rank 32, which trains updates of low rank, or take a larger one"
    if run.cloning.video_loss:
        return "leave out --cloning.video_loss, so that the video model is frozen, or take a larger one"
    if not run.cloning.prepared:
        return "leave out --cloning.prepared false, so that the video model's features are made before, or take a larger one"
    return "take a larger one" if run.ranks.processes == 1 else "give fewer --processes, or take a larger one"


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _any_joints(config: PolicyConfig) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(config.joints), np.ones(config.joints)


def _free_bytes(cache: Path) -> int:
    folder = cache.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gb(amount: float) -> str:
    return f"{amount / _GB:.1f}"
