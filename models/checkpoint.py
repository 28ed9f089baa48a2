"""Checkpoint folders, and the untrained policy drawn from a seed.

Called by runtime/policy and runtime/training. A folder holds `checkpoint.json` (what it needs of a robot), `config.json`,
`model.safetensors`, `checksums.json` (of its tensors), `stats.json` and `data.json` (what its demonstrations were taken to be).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import checkpoint_folder, normalize, published, rdt
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.identity import About, checkpoint_id, stored_needs, video2act_config
from models.normalize import Statistics
from models.placement import Loadable, hollow, place
from models.requirements import needs_of
from models.sources import PartName, sources
from models.stored_networks import Network, StoredNetworks
from models.tensors import StoredTensors
from models.token_scale import TokenScale

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.backbones.backbone import Backbone
    from models.instructor import Instructor
    from models.system1 import FastSystem
    from models.system2 import SlowSystem

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
        self._networks, self._seed = StoredNetworks(folder, seed), seed
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
        config = config or video2act_config(folder)
        statistics = checkpoint_folder.statistics_of(folder, (config.horizon, config.joints))
        return cls(config, statistics, folder, 0)

    def count(self, part: str) -> int:
        """How many numbers are stored under a prefix, as `fast.`; reads no weights. Of a policy that nobody trained: 0."""
        return self._networks.count(part)

    def slow(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "SlowSystem":
        """System 2 in evaluation mode, without gradients, on a device. Raises ModelError for weights that are not there."""
        from models.system2 import SlowSystem, make_backbone

        self._networks.draw(_PARTS["slow"])
        backbone = self._video(lambda: make_backbone(self.config.video), dtype)
        return self._ready("slow.", lambda: SlowSystem(self.config, backbone), backbone, device, dtype)

    def slow_to_train(self, seed: int, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "SlowSystem":
        """System 2 as stage 2 begins: its video model as it is stored or published, both Q-formers drawn from the seed."""
        from models.system2 import SlowSystem, make_backbone

        def make() -> "Backbone":
            return make_backbone(self.config.video)

        self._networks.draw(_PARTS["slow"])
        published_one = self._video(make, dtype)
        backbone = published_one or self._ready("slow.backbone.", make, None, device, dtype)
        torch.manual_seed(seed * 10 + _PARTS["slow"])
        return place(SlowSystem(self.config, backbone).eval().requires_grad_(False), device, dtype)

    def fast(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "FastSystem":
        """System 1 in evaluation mode, without gradients, on a device. Raises ModelError for weights that are not there.

        Untrained, what would start at zero is redrawn, so that every input has an influence.
        """
        system = self._fast(device, dtype)
        if self._networks.tensors is None:
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

        self._networks.draw(_PARTS["fast"])
        images = self._published("image", lambda: image_encoder(self.config.image, len(self.config.cameras)), dtype)
        system = self._ready("fast.", lambda: FastSystem(self.config, self.statistics, images), images, device, dtype)
        if self._networks.tensors is None and (source := self.config.published.head) is not None:
            rdt.load(system.head, published.folder("head", source))
        return system

    def instructor(self) -> "Instructor":
        """The text encoders, float32 on the CPU; published ones are loaded only when they encode."""
        from models.instructor import Instructor

        self._networks.draw(_PARTS["text"])
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
        if source is None or self._networks.holds(_PREFIXES[part]):
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
        """As StoredNetworks.ready; refuses statistics of tokens that are none too."""
        network = self._networks.ready(prefix, make, loaded, device, dtype)
        if self._networks.tensors is not None:
            self._check_scales(prefix, network, self._networks.tensors)
        return network

    def _check_scales(self, prefix: str, network: nn.Module, stored: StoredTensors) -> None:
        """Refuse statistics of tokens that are none. Raises ModelError."""
        for name, part in network.named_modules():
            if isinstance(part, TokenScale) and (wrong := part.wrong()):
                raise ModelError(
                    f"{stored.where(f'{prefix}{name}.spread')}: {prefix}{name}.{wrong}; "
                    "train it again, or give another checkpoint"
                )


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
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}
    checkpoint_folder.write(folder, config, About(needs=needs_of(config)), statistics, kept, data)


def _redraw(weights: list[torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in weights:
        width = weight.shape[-1]
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * width**-0.5)
