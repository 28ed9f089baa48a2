"""Checkpoint folders, and the untrained policy drawn from a seed.

Called by runtime/policy and runtime/training. A folder holds `checkpoint.json` (what it needs of a robot), `config.json`,
`model.safetensors`, `checksums.json` (of its tensors), `stats.json` and `data.json` (what its demonstrations were taken to be).
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from models import json_file, normalize, published, rdt
from models.backbones.backbone import VideoText
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.identity import ABOUT, About, checkpoint_id, stored_config, stored_needs
from models.normalize import Statistics
from models.placement import Loadable, hollow, place
from models.policy import InstructionEmbedding
from models.requirements import needs_of
from models.sources import PartName, sources
from models.tensors import StoredTensors, save_tensors
from models.token_scale import TokenScale
from models.weight_check import check_finite, check_type

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.backbones.backbone import Backbone
    from models.instructor import Instructor
    from models.system1 import FastSystem
    from models.system2 import SlowSystem

Network = TypeVar("Network", bound=nn.Module)
DATA = "data.json"  # what a checkpoint keeps of the demonstrations that it learnt from
CPU = torch.device("cpu")
_PREFIXES: dict[PartName, str] = {"video": "slow.backbone.", "image": "fast.images."}  # what a checkpoint calls them
_PARTS = {"slow": 1, "fast": 2, "text": 3}
"""A part is drawn from 10 times the policy's seed plus this, so that no two parts share random numbers."""


class Stored(Protocol):
    """A network, or what stands for one when it is stored (train/low_rank.py)."""

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Its tensors by name, on any device; a name is what a checkpoint adds `slow.`, `fast.` or `text.` to."""
        ...


class Checkpoint:
    """Where the two systems and the text encoder get their configuration, weights and statistics from.

    Networks are made when they are asked for: opening a checkpoint reads no weights.
    """

    def __init__(self, config: PolicyConfig, statistics: Statistics, folder: Path | None, seed: int) -> None:
        self.config, self.statistics = config, statistics
        self._stored, self._seed = None if folder is None else StoredTensors(folder), seed
        self.id = checkpoint_id(config, folder, seed)
        self.needs = needs_of(config) if folder is None else stored_needs(folder, config)

    @classmethod
    def untrained(
        cls, config: PolicyConfig, seed: int, rest: NDArray[np.float64], reach: NDArray[np.float64]
    ) -> "Checkpoint":
        """A policy that nobody trained: random weights where none are published, all drawn from the seed.

        Its targets stay within `reach` (J,) of the pose `rest` (J,); rad, gripper m.
        """
        return cls(config, normalize.untrained(config.horizon, rest, reach), None, seed)

    @classmethod
    def load(cls, folder: Path, config: PolicyConfig | None = None) -> "Checkpoint":
        """Open a folder. Raises ModelError with what is missing or wrong in it.

        `config` takes the place of its own configuration, to read published parts from elsewhere.
        """
        for name in ("config.json", "stats.json"):
            if not (folder / name).is_file():
                raise ModelError(f"checkpoint {folder}: {name} is missing; give a folder that ./launch/train.sh wrote")
        config = config or stored_config(folder)
        values = json_file.table(folder / "stats.json", f"checkpoint {folder}: stats.json", "give another checkpoint")
        try:
            statistics = Statistics.from_json(values)
        except ModelError as error:
            raise ModelError(f"checkpoint {folder}: {error}") from None
        if statistics.mean.shape != (config.horizon, config.joints):
            raise ModelError(
                f"checkpoint {folder}: stats.json has shape {statistics.mean.shape}, "
                f"config.json {(config.horizon, config.joints)}; give another checkpoint"
            )
        return cls(config, statistics, folder, 0)

    def count(self, part: str) -> int:
        """How many numbers are stored under a prefix, as `fast.`; reads no weights. Of a policy that nobody trained: 0."""
        return 0 if self._stored is None else self._stored.count(part)

    def slow(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "SlowSystem":
        """System 2 in evaluation mode, without gradients, on a device. Raises ModelError for weights that are not there."""
        from models.system2 import SlowSystem, make_backbone

        torch.manual_seed(self._seed * 10 + _PARTS["slow"])
        backbone = self._video(lambda: make_backbone(self.config.video), dtype)
        return self._ready("slow.", lambda: SlowSystem(self.config, backbone), backbone, device, dtype)

    def slow_to_train(self, seed: int, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "SlowSystem":
        """System 2 as stage 2 begins: its video model as it is stored or published, both Q-formers drawn from the seed."""
        from models.system2 import SlowSystem, make_backbone

        def make() -> "Backbone":
            return make_backbone(self.config.video)

        torch.manual_seed(self._seed * 10 + _PARTS["slow"])
        published_one = self._video(make, dtype)
        backbone = published_one or self._ready("slow.backbone.", make, None, device, dtype)
        torch.manual_seed(seed * 10 + _PARTS["slow"])
        return place(SlowSystem(self.config, backbone).eval().requires_grad_(False), device, dtype)

    def fast(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "FastSystem":
        """System 1 in evaluation mode, without gradients, on a device. Raises ModelError for weights that are not there.

        Untrained, what would start at zero is redrawn, so that every input has an influence.
        """
        system = self._fast(device, dtype)
        if self._stored is None:
            added = {id(weight) for weight in system.head.added()}
            from_zero = system.head.zero_initialised()
            published_head = self.config.published.head is not None
            _redraw([weight for weight in from_zero if not published_head or id(weight) in added], self._seed)
        return system

    def fast_to_train(self) -> "FastSystem":
        """System 1 as its training begins: as it is stored, or of published parts and otherwise drawn; float32 on the CPU."""
        return self._fast(CPU, torch.float32).train().requires_grad_(True)

    def _fast(self, device: torch.device, dtype: torch.dtype) -> "FastSystem":
        from models.system1 import FastSystem, image_encoder

        torch.manual_seed(self._seed * 10 + _PARTS["fast"])
        images = self._published("image", lambda: image_encoder(self.config.image, len(self.config.cameras)), dtype)
        system = self._ready("fast.", lambda: FastSystem(self.config, self.statistics, images), images, device, dtype)
        if self._stored is None and (source := self.config.published.head) is not None:
            rdt.load(system.head, published.folder("head", source))
        return system

    def instructor(self) -> "Instructor":
        """The text encoders, float32 on the CPU; published ones are loaded only when they encode."""
        from models.instructor import Instructor

        torch.manual_seed(self._seed * 10 + _PARTS["text"])
        return self._ready("text.", lambda: Instructor(self.config), None, CPU, torch.float32)

    def _video(self, make: "Callable[[], Backbone]", dtype: torch.dtype) -> "Backbone | None":
        """The video model with its published weights, its transformer perhaps from elsewhere; None as `_folder`."""
        folder, elsewhere = self._folder("video"), self.config.published.transformer
        if folder is None:
            return None
        with hollow():
            backbone = make()
        backbone.load(folder, dtype, elsewhere and published.folder("transformer", elsewhere))
        return backbone

    def _published(self, part: PartName, make: Callable[[], Loadable], dtype: torch.dtype) -> Loadable | None:
        """A part with its published weights; None as `_folder`."""
        folder = self._folder(part)
        if folder is None:
            return None
        with hollow():
            network = make()
        network.load(folder, dtype)
        return network

    def _folder(self, part: PartName) -> Path | None:
        """Where a part's published weights lie; None where it has none, or where the checkpoint holds its own of them."""
        source = sources(self.config).get(part)
        if source is None or (self._stored is not None and self._stored.names(_PREFIXES[part])):
            return None
        return published.folder(part, source)

    def _ready(
        self,
        prefix: str,
        make: Callable[[], Network],
        loaded: nn.Module | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> Network:
        """A network with the checkpoint's weights; those of its part `loaded` stay. Without a checkpoint, random ones."""
        if self._stored is None:
            network = make()
        else:
            with hollow():
                network = make()
            theirs = {id(weight) for weight in loaded.state_dict(keep_vars=True).values()} if loaded else set[int]()
            wanted = {n: w for n, w in network.state_dict(keep_vars=True).items() if id(w) not in theirs}
            network.load_state_dict(self._read(prefix, wanted, device), strict=False, assign=True)
            self._check_scales(prefix, network)
        return place(network.eval().requires_grad_(False), device, dtype)

    def _check_scales(self, prefix: str, network: nn.Module) -> None:
        """Refuse statistics of tokens that are none. Raises ModelError."""
        assert self._stored is not None
        for name, part in network.named_modules():
            if isinstance(part, TokenScale) and (wrong := part.wrong()):
                raise ModelError(
                    f"{self._stored.where(f'{prefix}{name}.spread')}: {prefix}{name}.{wrong}; "
                    "train it again, or give another checkpoint"
                )

    def _read(self, prefix: str, wanted: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
        """The checkpoint's tensors, each checked. Raises ModelError with the first that is missing or misshapen."""
        assert self._stored is not None
        found = self._stored.read(prefix, device)
        for name, tensor in wanted.items():
            path = self._stored.where(prefix + name)
            if name not in found:
                raise ModelError(f"{path}: {prefix}{name} is missing; copy the checkpoint again")
            if found[name].shape != tensor.shape:
                shapes = f"{tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
                raise ModelError(f"{path}: {prefix}{name} is {shapes}; give another checkpoint")
            check_type(path, prefix + name, found[name], tensor)
        return {name: found[name] for name in wanted}


def save(
    folder: Path,
    config: PolicyConfig,
    statistics: Statistics,
    parts: Mapping[str, Stored],
    trained: frozenset[PartName] = frozenset(),
    data: str = "",
) -> None:
    """Write a checkpoint folder, whole or not at all; `parts` are slow, fast and text.

    Published parts are left out, since the configuration says where they come from, unless they were `trained` further.
    `data`: JSON of what the demonstrations were taken to be; empty: nothing is known of them.
    Raises ModelError where it cannot be written; the folder stays as it was.
    """
    left_out = tuple(_PREFIXES[part] for part in sources(config) if part in _PREFIXES and part not in trained)
    tensors = {f"{part}.{name}": tensor for part, net in parts.items() for name, tensor in net.state_dict().items()}
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        save_tensors(beside, {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)})
        (beside / "config.json").write_text(config.model_dump_json(indent=1))
        (beside / ABOUT).write_text(About(needs=needs_of(config)).model_dump_json(indent=1))
        (beside / "stats.json").write_text(json.dumps(statistics.to_json()))
        if data:
            (beside / DATA).write_text(data)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise ModelError(f"{folder}: cannot be written ({error}); free disk space, then repeat the command") from None
    if folder.exists():
        before = folder.with_name(folder.name + ".before")
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
        beside.rename(folder)
        shutil.rmtree(before)
    else:
        beside.rename(folder)


def save_embedding(path: Path, embedding: InstructionEmbedding) -> None:
    """Write an encoded instruction as safetensors, whole or not at all."""
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
        for name, tensor in tensors.items():
            check_finite(path, name, tensor, "delete it; it is written again at the next start")
        return InstructionEmbedding(tensors["language"], VideoText(tensors["video_states"], tensors["video_pooled"]))
    except (SafetensorError, KeyError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); delete it; it is written again at the next start"
        ) from None


def _redraw(weights: list[torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        width = weight.shape[-1]
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * width**-0.5)
