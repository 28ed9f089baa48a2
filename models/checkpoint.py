"""Checkpoint folders (`config.json`, `model.safetensors`, `stats.json`), and the untrained policy drawn from a seed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from models import normalize
from models.backbones.backbone import VideoText
from models.config import PolicyConfig
from models.errors import ModelError
from models.identity import checkpoint_id, stored_config
from models.normalize import Statistics
from models.policy import InstructionEmbedding
from models.sizes import by_name

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.fast import FastSystem
    from models.instructor import Instructor
    from models.slow import SlowSystem

Network = TypeVar("Network", bound=nn.Module)
_PARTS = {"slow": 1, "fast": 2, "text": 3}  # offsets of the seeds, so that parts do not share random numbers


class Checkpoint:
    """Where the two systems and the text encoder get their configuration, weights and statistics from."""

    def __init__(self, config: PolicyConfig, statistics: Statistics, folder: Path | None, seed: int) -> None:
        self.config, self.statistics = config, statistics
        self._folder, self._seed = folder, seed
        self.id = checkpoint_id(config, folder, seed)

    @classmethod
    def untrained(cls, size: str, seed: int, rest: NDArray[np.float64], reach: NDArray[np.float64]) -> "Checkpoint":
        """Random weights of a size; targets stay within `reach` (J,) of the pose `rest` (J,)."""
        config = by_name(size)
        return cls(config, normalize.untrained(config.horizon, rest, reach), None, seed)

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Open a folder. Raises ModelError with the missing or mismatched piece."""
        for name in ("config.json", "model.safetensors", "stats.json"):
            if not (folder / name).is_file():
                raise ModelError(f"checkpoint {folder}: {name} is missing")
        config = stored_config(folder)
        try:
            statistics = Statistics.from_json(json.loads((folder / "stats.json").read_text()))
        except ValueError as error:
            raise ModelError(f"checkpoint {folder}: stats.json: {error}") from None
        if statistics.mean.shape != (config.horizon, config.joints):
            raise ModelError(
                f"checkpoint {folder}: stats.json is for {statistics.mean.shape}, "
                f"config.json for {(config.horizon, config.joints)}"
            )
        return cls(config, statistics, folder, 0)

    def slow(self) -> "SlowSystem":
        """System 2, ready to run."""
        from models.slow import SlowSystem

        return self._weights("slow", lambda: SlowSystem(self.config))

    def fast(self) -> "FastSystem":
        """System 1, ready to run."""
        from models.fast import FastSystem

        system = self._weights("fast", lambda: FastSystem(self.config, self.statistics))
        if self._folder is None:
            _redraw(system.head.zero_initialised(), self._seed)
        return system

    def instructor(self) -> "Instructor":
        """The text encoder."""
        from models.instructor import Instructor

        return self._weights("text", lambda: Instructor(self.config))

    def _weights(self, part: str, make: Callable[[], Network]) -> Network:
        torch.manual_seed(self._seed * 10 + _PARTS[part])
        network = make().eval().requires_grad_(False)
        if self._folder is not None:
            _load_part(network, self._folder / "model.safetensors", part)
        return network


def save(folder: Path, config: PolicyConfig, statistics: Statistics, parts: dict[str, nn.Module]) -> None:
    """Write a checkpoint folder; `parts` are slow, fast and text."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{part}.{name}": tensor.clone().contiguous()
        for part, net in parts.items()
        for name, tensor in net.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(config.model_dump_json(indent=1))
    (folder / "stats.json").write_text(json.dumps(statistics.to_json()))


def save_embedding(path: Path, embedding: InstructionEmbedding) -> None:
    """Write an encoded instruction; whole or not at all."""
    tensors = {
        "language": embedding.language,
        "video_states": embedding.video.states,
        "video_pooled": embedding.video.pooled,
    }
    beside = path.with_suffix(".part")
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, beside)
    beside.rename(path)


def load_embedding(path: Path) -> InstructionEmbedding:
    """Read what `save_embedding` wrote. Raises ModelError for a file that is not one."""
    try:
        tensors = load_file(path)
        return InstructionEmbedding(tensors["language"], VideoText(tensors["video_states"], tensors["video_pooled"]))
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{path}: not an encoded instruction ({error}); delete it, it will be made again") from None


def _load_part(network: nn.Module, path: Path, part: str) -> None:
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(part + ".")]  # noqa: SIM118  not a dict
            tensors = {name[len(part) + 1 :]: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch the checkpoint again") from None
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise ModelError(f"{path}: {part}.{name} is missing")
        if tensors[name].shape != tensor.shape:
            raise ModelError(f"{path}: {part}.{name} is {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}")
    network.load_state_dict({name: tensors[name] for name in wanted})


def _redraw(weights: list[torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        width = weight.shape[-1]
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * width**-0.5)
