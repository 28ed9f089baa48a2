"""What training reads of a demonstration, made once: a file an episode and kind, mapped into memory when it is read.

Made by runtime/training/preparation.py, read by both stages.
pictures: what System 1 sees. latents: System 2's windows after the VAE. features: the same after the frozen video model, before
the filters, so that one cache serves every filter. Legend: T steps, P pictures, W windows, C cameras, S px.
"""

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models import images
from models.backbones.backbone import VideoText
from models.config.policy import PolicyConfig
from models.config.video import Video
from models.data.episode import DEMONSTRATION_HZ, Episode
from models.data.foreign_files import REMOVE
from models.errors import ModelError
from models.system2 import SlowSystem
from models.window import grid_frames

WINDOW_EVERY = (
    11  # steps between the windows that are kept; no multiple of the long window's stride, to see all its phases
)
SAMPLES = 12  # head pictures of an episode from which a VAE learns; chosen: 1,500 demonstrations give 18,000
_BATCH = 8  # windows that go through the video model at once; chosen: it bounds memory
Tensors = dict[str, torch.Tensor]
Changed = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def history_steps(config: PolicyConfig) -> int:
    """Steps between the two pictures of System 1's history; one picture in so many is kept."""
    return max(1, round(config.history_offset_s * DEMONSTRATION_HZ))


def windows(steps: int) -> list[int]:
    """The last steps of the windows that are kept of an episode of so many steps: one every WINDOW_EVERY, from step 0."""
    return list(range(0, steps, WINDOW_EVERY))


def window_frames(video: Video, last: int) -> dict[str, list[int]]:
    """The steps whose head pictures both windows hold when `last` is the newest; before an episode its first one stands."""
    stride = max(1, round(video.low.stride_s * DEMONSTRATION_HZ))
    high, low = range(last - video.high.frames + 1, last + 1), grid_frames(last, stride, video.low.frames)
    return {name: [max(0, number) for number in numbers] for name, numbers in (("high", high), ("low", low))}


@torch.inference_mode()
def pictures(episode: Episode, config: PolicyConfig) -> Tensors:
    """What System 1 learns from: q (T, 14), targets (T + A, 14) float32; pictures (P, C, 3, S, S) uint8, resized as it does."""
    size = config.image.image_px
    kept = range(0, len(episode), history_steps(config))
    seen = torch.empty(len(kept), len(config.cameras), 3, size, size, dtype=torch.uint8)
    for place, step in enumerate(kept):
        for index, camera in enumerate(config.cameras):
            seen[place, index] = resized(decoded(episode.jpegs[camera][step]), (size, size), config.eyes_resize)
    return {"q": torch.from_numpy(episode.q), "targets": torch.from_numpy(targets(episode, config)), "pictures": seen}


def targets(episode: Episode, config: PolicyConfig) -> NDArray[np.float32]:
    """The target of each step, (T + A, 14): the leader's there, or the follower's position one step later.

    Of the A steps after an episode that was cut it is the leader's, which the follower would have followed.
    """
    return leader_targets(episode) if config.action_source == "master" else follower_targets(episode)


def leader_targets(episode: Episode) -> NDArray[np.float32]:
    """What the leader commanded at each step, (T + A, 14)."""
    return np.concatenate([episode.leader, episode.ahead])


def follower_targets(episode: Episode) -> NDArray[np.float32]:
    """Where the follower was one step after each, (T + A, 14)."""
    return np.concatenate([episode.q[1:], episode.ahead if len(episode.ahead) else episode.q[-1:]])


@torch.inference_mode()
def samples(episode: Episode, config: PolicyConfig, seed: int) -> Tensors:
    """What a VAE learns from: some head pictures, high and low (N, 3, H, W) uint8 at the sizes of System 2's windows."""
    steps = np.random.default_rng(seed).integers(len(episode), size=SAMPLES)
    seen = [decoded(episode.jpegs[config.cameras[0]][step]) for step in steps]
    high, low = config.video.high, config.video.low
    return {
        name: torch.stack([resized(picture, (w.height_px, w.width_px), config.resize) for picture in seen])
        for name, w in (("high", high), ("low", low))
    }


def resized(picture: NDArray[np.uint8], size: tuple[int, int], how: images.Resize) -> torch.Tensor:
    """A picture (H', W', 3) brought to a size as the networks do it, and back to (3, H, W) uint8, to be stored."""
    resized = images.resize(images.to_tensor(picture, torch.device("cpu")), *size, how)[0]
    return resized.add_(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


@torch.inference_mode()
def latents(episode: Episode, slow: SlowSystem, changed: Changed | None = None) -> Tensors:
    """System 2's windows after the VAE: high and low (W, c, T', h, w) float16. Before an episode its first picture stands.

    `changed` makes of each picture, in their order, what is seen in its place.
    """
    heads = episode.jpegs[slow.config.cameras[0]]
    kept: dict[str, list[torch.Tensor]] = {"high": [], "low": []}
    for last in windows(len(episode)):
        for (name, numbers), ring in zip(
            window_frames(slow.config.video, last).items(), (slow.high, slow.low), strict=True
        ):
            for number in numbers:
                if number not in ring:
                    picture = decoded(heads[number])
                    slow.encode(ring, number, picture if changed is None else changed(picture))
            kept[name].append(ring.window_latents(numbers).to(torch.float16))
    slow.clear()
    return {name: torch.cat(found).cpu() for name, found in kept.items()}


@torch.inference_mode()
def features(stored: Tensors, slow: SlowSystem, texts: Sequence[VideoText], seed: int) -> Tensors:
    """Features of stored latents, high and low (W, T, h, w, D), and text (W,), which wording each window was read with.

    They are stored in bfloat16 as their mean over time (`..._mean`) and what departs from it (`..._moving`): rounding the whole
    of a still scene's features would look like motion.
    """
    count = len(stored["high"])
    text = torch.from_numpy(np.random.default_rng(seed).integers(len(texts), size=count))
    rows: dict[str, dict[int, torch.Tensor]] = {"high": {}, "low": {}}
    for wording, states in enumerate(texts):
        read = (text == wording).nonzero().ravel()
        for part in read.split(_BATCH) if len(read) else ():  # a short episode may have no window for a wording
            high, low = (stored[name][part].to(slow.device, slow.dtype) for name in ("high", "low"))
            if slow.config.filters.place == "latents":
                high, low = slow.filter_latents(high, low)
            for name, batch in (("high", high), ("low", low)):
                found = slow.backbone.features(batch, _repeated(states, batch)).to("cpu", torch.float32)
                rows[name] |= dict(zip(part.tolist(), found, strict=True))
    kept: Tensors = {"text": text}
    for name, found in rows.items():
        stacked = torch.stack([found[place] for place in range(count)])
        mean = stacked.mean(1, keepdim=True).to(torch.bfloat16)
        kept |= {f"{name}_mean": mean, f"{name}_moving": (stacked - mean).to(torch.bfloat16)}
    return kept


def window_of(stored: "Prepared", name: str, place: int) -> torch.Tensor:
    """One window (T, h, w, D) float32 of stored features, or (c, T', h, w) of stored latents."""
    if name in stored:
        return stored.rows(name, place, place + 1)[0].float()
    mean, moving = (stored.rows(f"{name}_{part}", place, place + 1)[0].float() for part in ("mean", "moving"))
    return mean + moving


def _repeated(text: VideoText, like: torch.Tensor) -> VideoText:
    """One text for every sample of a batch, in its dtype and on its device."""
    states, pooled = (part.to(like).expand(len(like), *part.shape[1:]) for part in (text.states, text.pooled))
    return VideoText(states, pooled)


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    """A demonstration's picture (H, W, 3) RGB. Raises ModelError for a damaged one."""
    try:
        return simplejpeg.decode_jpeg(jpeg)
    except ValueError as error:
        raise ModelError(f"holds a damaged image ({error}); {REMOVE}") from None


def write(path: Path, tensors: Tensors) -> None:
    """Write tensors into a safetensors file, whole or not at all; makes the folder. Raises ModelError where it cannot."""
    beside = path.with_suffix(f".{platform.node()}.part")  # several machines may share the folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, beside)
        beside.rename(path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        raise ModelError(
            f"{path}: cannot be written ({error}); free disk space, or give another --cache; what is prepared is kept"
        ) from None


class Prepared:
    """An open file of prepared tensors; their rows are read when they are asked for. Raises ModelError for a damaged file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = safe_open(path, "pt")
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{path}: cannot be read ({error}); delete it; it is written again at the next start"
            ) from None
        self._slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> torch.Tensor:
        """A whole tensor, read into memory."""
        return self._slices[name][:]

    def __contains__(self, name: str) -> bool:
        """Whether the file holds a tensor of this name; the kinds of files differ in theirs."""
        return name in self._slices

    def rows(self, name: str, first: int, last: int) -> torch.Tensor:
        """Rows `first` to `last` - 1 of a tensor; nothing else of it is read."""
        return self._slices[name][first:last]

    def count(self, name: str) -> int:
        """How many rows a tensor has, without reading it."""
        return int(self._slices[name].get_shape()[0])
