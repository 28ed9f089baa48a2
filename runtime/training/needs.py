"""What a training needs of memory and disk, counted on networks without weights before anything is fetched or made.

Called by command and preparation. Activations come on top: they depend on the batch (`--cloning.samples`, `--filming.windows`).
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import normalize
from models.config.policy import PolicyConfig
from models.config.video import Window
from models.placement import usual_type
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train.next_grips import GripTeller
from models.train.prepared import windows
from models.train.token_chunk import TokenChunk
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.imagination import Imagination
from runtime.errors import RuntimeFault
from runtime.host.terminal import say
from runtime.training.run import Run, Video2ActRun, VideoPolicyRun

_LEARNING_BYTES = 4 + 4 + 8 + 4  # float32: a weight, its gradient, AdamW's two moments, the average
_FEATURE_BYTES = 2  # bfloat16
_GIB = 2**30  # bytes
_NO_ROOM = ("out of memory", "can't allocate memory", "Unable to allocate", "by signal: Killed")
"""What torch says of a GPU and of this machine, numpy, and torch of a loader that was killed for its memory."""


@dataclass(frozen=True)
class Needs:
    """What a training takes, in weights; `frozen_bytes` are of those beside them in the same memory."""

    learning: int
    stored: int  # in a checkpoint
    frozen_bytes: int = 0
    exchanged: bool = False  # gradients, with other processes

    @property
    def memory_bytes(self) -> int:
        """Of one process, without activations."""
        return self.learning * (_LEARNING_BYTES + (4 if self.exchanged else 0)) + self.frozen_bytes

    @property
    def disk_bytes(self) -> int:
        """Of states and checkpoints: the next is written before the last is removed, so each counts twice."""
        return 2 * (self.learning * (_LEARNING_BYTES - 4) + self.stored * 4)


def check(run: Run) -> None:
    """Say what this training needs. Raises RuntimeFault when the machine does not have it."""
    needed, there, free = needs(run), _memory_bytes(run.device), _free_bytes(run.out)
    where, wanted = "this machine" if run.device == "cpu" else "a GPU", _wanted(run, needed)
    count = f"{needed.learning / 1e6:.1f} M weights learn"
    reported = f"{run.stage}: {count}, which needs {_gib(wanted)} GiB besides the activations"
    if wanted > there:
        raise RuntimeFault(f"{reported}; {where} has {_gib(there)} GiB: {_remedy(run, there)}")
    say(f"video2act: {reported}; {where} has {_gib(there)} GiB")
    if needed.disk_bytes > free:
        raise RuntimeFault(
            f"{run.stage}: states and checkpoints need {_gib(needed.disk_bytes)} GiB, --out {run.out} has {_gib(free)} GiB "
            "free; give another --out"
        )


def no_room(run: Run, error: Exception) -> RuntimeFault | None:
    """The line for a training that ended because memory ran out (a GPU's, this machine's, a killed loader's); else None."""
    lines = str(error).splitlines()
    said = [line for line in lines if any(sign in line for sign in _NO_ROOM)]
    if not said and not isinstance(error, torch.OutOfMemoryError | MemoryError):
        return None
    same = "fewer --workers" if run.recompute else "--recompute or fewer --workers"
    return RuntimeFault(
        f"{run.stage}: out of memory ({(said or lines or ['no reason'])[0].strip():.200}); resume with {same}, or begin in "
        f"another --out with smaller batches (now {run.batch})"
    )


def needs(run: Run) -> Needs:
    """Count a training's weights on networks that have none (torch's meta device)."""
    if isinstance(run, VideoPolicyRun):
        return _of_video_policy(run)
    assert isinstance(run, Video2ActRun), "there are two families"
    config, several, frozen = run.config, run.ranks.several, usual_type(run.config, torch.device(run.device)).itemsize
    with torch.device("meta"):
        slow = SlowSystem(config)
        video, transformer = _size(slow.backbone), _size(slow.backbone.transformer)
        if run.stage == "video" and run.filming.lora_rank:
            return Needs(_updates(slow, run.filming.lora_rank), video, 4 * video, several)
        if run.stage == "video":
            return Needs(transformer, video, 4 * (video - transformer), several)
        learning = _size(FastSystem(config, normalize.untrained(config.horizon, *_any_joints(config))))
        learning += _size(slow.spatial_former) + _size(slow.motion_former) if config.hears_video else 0
        stored = learning + (video if run.video or run.begin or run.cloning.video_loss else 0)
        learning += _size(TokenChunk(config)) if config.hears_video and run.cloning.token_loss else 0
        learning += _size(GripTeller.of_tokens(config)) if config.hears_video and run.cloning.grip_loss else 0
        learning += _size(GripTeller.of_images(config)) if config.inputs != "blind" and run.cloning.grip_loss else 0
        if run.cloning.video_loss:
            return Needs(learning + transformer, stored, 4 * (video - transformer), several)
        beside = run.device == "cpu" or (config.hears_video and not run.cloning.prepared)
        return Needs(learning, stored, frozen * video if beside else 0, several)


def _of_video_policy(run: VideoPolicyRun) -> Needs:
    config, several = run.config, run.ranks.several
    with torch.device("meta"):
        imagination, sampler = Imagination(config), ActionSampler(config)
    video, network = _size(imagination.video), _size(imagination.video.network)
    if run.stage == "video":
        return Needs(network, video, 4 * (video - network), several)
    learning = _size(imagination.adapter) + _size(sampler)
    stored = learning + (video if run.video or run.begin or run.acting.video_loss or not config.has_published else 0)
    if run.acting.video_loss:
        return Needs(learning + network, stored, 4 * (video - network), several)
    return Needs(learning, stored, 4 * video, several)


def check_disk(config: PolicyConfig, steps: Sequence[int], cache: Path) -> None:
    """Say what features of demonstrations of so many steps take in `cache`. Raises RuntimeFault when there is no room."""
    if not steps:
        return
    with torch.device("meta"), torch.inference_mode():
        slow = SlowSystem(config)
        of_window = sum(_of_window(slow, window) for window in (config.video.high, config.video.low))
    wanted, free = of_window * sum(len(windows(count)) for count in steps), _free_bytes(cache)
    reported = f"the features of {len(steps)} demonstrations need {_gib(wanted)} GiB"
    if wanted > free:
        raise RuntimeFault(
            f"{reported}, {cache} has {_gib(free)} GiB free; give another --cache, or --cloning.prepared false, which computes "
            "them while training"
        )
    say(f"video2act: {reported} of {_gib(free)} GiB free")


def _of_window(slow: SlowSystem, window: Window) -> int:
    """Bytes of one window's features: each frame's, and their mean."""
    causal = slow.config.video.encoding == "causal"
    pictures = torch.zeros(1, 3, window.frames if causal else 1, window.height_px, window.width_px)
    _, _, frames, height, width = slow.backbone.encode(pictures).shape
    frames = frames if causal else window.frames
    return (frames + 1) * (height // 2) * (width // 2) * slow.config.video.backbone.width * _FEATURE_BYTES


def _updates(slow: SlowSystem, rank: int) -> int:
    """How many weights low-rank updates of the blocks' linear layers have."""
    blocks = [block for blocks in slow.backbone.blocks().values() for block in blocks]
    layers = [layer for block in blocks for layer in block.modules() if isinstance(layer, nn.Linear)]
    return sum(rank * (layer.in_features + layer.out_features) for layer in layers)


def _wanted(run: Run, needed: Needs) -> int:
    """Bytes that one memory must hold: a GPU holds one process, this machine's memory all of them."""
    return needed.memory_bytes * (run.ranks.processes if run.device == "cpu" else 1)


def _remedy(run: Run, there: int) -> str:
    """The first change of the command line by which the training would fit."""
    for text, way in _ways(run).items():
        if way != run and _wanted(way, needs(way)) <= there:
            return text
    return "use a larger one"


def _ways(run: Run) -> dict[str, Run]:
    """What the line may say instead, and what the training would be then."""
    alone = {"give --processes 1": replace(run, ranks=replace(run.ranks, processes=1))}
    if isinstance(run, VideoPolicyRun):
        acting = run.acting.model_copy(update={"video_loss": 0.0})
        frozen = "leave out --acting.video_loss, so that the video model stays frozen"
        return {frozen: replace(run, acting=acting)} | alone
    assert isinstance(run, Video2ActRun), "there are two families"
    low_rank = run.filming.model_copy(update={"lora_rank": 32})
    prepared, frozen = (
        run.cloning.model_copy(update=change) for change in ({"prepared": True}, {"prepared": True, "video_loss": 0.0})
    )
    return {
        "give --filming.lora_rank 32 for low-rank updates": replace(run, filming=low_rank),
        "leave out --cloning.prepared false, so that features are computed before": replace(run, cloning=prepared),
        "leave out --cloning.video_loss, so that the video model stays frozen": replace(run, cloning=frozen),
    } | alone


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _any_joints(config: PolicyConfig) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(config.joints), np.ones(config.joints)


def _free_bytes(folder: Path) -> int:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _memory_bytes(device: str) -> int:
    if device != "cpu":
        return torch.cuda.get_device_properties(0).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gib(amount: float) -> str:
    return f"{amount / _GIB:.1f}"
