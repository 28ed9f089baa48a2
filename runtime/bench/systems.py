"""Both systems with random weights and fixed inputs, for the bench of the networks: time does not depend on the numbers.
Used by models.py; started by system2_process.py with its settings as JSON, as System 2 in a process of its own.
"""

import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from models import normalize
from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint
from models.config import PolicyConfig
from models.graphs.folder import GraphFolder
from models.graphs.system1 import FastGraphs
from models.graphs.system2 import SlowGraphs
from models.placement import hollow, place, usual_type
from models.policy import ConditionTokens, InstructionEmbedding
from models.sizes import by_name
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.window import LatentRing
from runtime.host.clock import robot_time_ns

Network = TypeVar("Network", bound=nn.Module)
Parts = dict[str, tuple[Callable[[], None], Sequence[nn.Module]]]
_WORDS = 32  # tokens of the instruction; chosen: a long sentence
_PICTURE_PX = (480, 640, 3)  # of a robot's camera
_POOL = 1_000_003  # numbers, drawn once: a GPU's bench in float8 begins on the CPU, which draws billions for minutes
_SPREAD = 0.02
"""Of random weights; chosen, as transformers are usually drawn: the features stay finite through any depth."""


class Choice(BaseModel):
    """What is measured, and where."""

    size: str
    device: str
    threads: int = 1
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    storage: Literal["same", "float8"] = "same"
    engine: Literal["torch", "onnx"] = "torch"

    def torch_dtype(self) -> torch.dtype:
        """What is used where nothing is said, unless it is."""
        usual = usual_type(by_name(self.size), torch.device(self.device))
        return usual if self.dtype == "auto" else getattr(torch, self.dtype)

    def has_graphs(self) -> bool:
        """Whether ONNX Runtime can compute it too, as the runtime does unasked for a small policy on a CPU."""
        plain = self.torch_dtype() == torch.float32 and not self.compile and self.storage == "same"
        return self.size == "small" and self.device == "cpu" and plain


class SlowBench:
    """System 2 of a size, and a scene for it."""

    def __init__(self, choice: Choice) -> None:
        self.config, self.device = by_name(choice.size), torch.device(choice.device)
        dtype = choice.torch_dtype()
        cast_later = choice.storage == "float8"
        if choice.engine == "onnx":
            self.slow: SlowSystem | SlowGraphs = SlowGraphs(*_graphs(choice, self))
        else:
            self.slow = random_network(
                lambda: SlowSystem(self.config), torch.device("cpu") if cast_later else self.device, dtype
            )
            if cast_later:
                self.slow.backbone.store_in_float8(dtype)
                self.slow.to(self.device)
        self.picture = np.random.default_rng(0).integers(0, 255, _PICTURE_PX, np.uint8)
        self.instruction = instruction(self.config, self.device, dtype)
        self._frame = 0

    def run(self) -> None:
        """One run of System 2 as it comes in a run: one new frame in each window, then the tokens."""
        self._frame += 1
        for ring in (self.slow.high, self.slow.low):
            for number in self.numbers(ring):
                self.slow.encode(ring, number, self.picture)
        self.slow.encode_video(self.numbers(self.slow.high), self.numbers(self.slow.low), self.instruction)
        synchronize(self.device)

    def compile(self) -> None:
        """Compile its blocks, as the setting `system2.compile` does."""
        self.in_torch.backbone.compile_blocks()

    @property
    def in_torch(self) -> SlowSystem:
        """System 2 as torch's module, where torch computes it."""
        assert isinstance(self.slow, SlowSystem), "engine torch"
        return self.slow

    def numbers(self, ring: LatentRing) -> list[int]:
        """The frames of a window at this moment, oldest first."""
        return list(range(self._frame - ring.window.frames + 1, self._frame + 1))

    def filters(self) -> Callable[[], None]:
        """Both filters, on the features of both windows."""
        slow, text = self.slow, self.instruction.video
        high, low = (slow.features(ring.window_latents(self.numbers(ring)), text) for ring in (slow.high, slow.low))

        def call() -> None:
            slow.filter(high, low)
            synchronize(self.device)

        return call

    def parts(self) -> Parts:
        """Name -> the run in which it is called, and the modules that count as this part."""
        slow = self.in_torch
        parts: Parts = {
            "system2: VAE, a frame": (self.run, [slow.backbone.encoder]),
            "system2: Q-former": (self.run, [slow.spatial_former, slow.motion_former]),
        }
        for kind, blocks in slow.backbone.blocks().items():
            parts[f"system2: {kind} block"] = (self.run, blocks)
        return parts


class FastBench:
    """System 1 of a size, and a scene for it."""

    def __init__(self, choice: Choice) -> None:
        self.config, self.device = by_name(choice.size), torch.device(choice.device)
        config, dtype = self.config, choice.torch_dtype()
        if choice.engine == "onnx":
            self.fast: FastSystem | FastGraphs = FastGraphs(*_graphs(choice, self))
        else:
            self.fast = random_network(lambda: FastSystem(config, _statistics(config)), self.device, dtype)
        random = np.random.default_rng(0)
        self.pictures = tuple(random.integers(0, 255, _PICTURE_PX, np.uint8) for _ in config.cameras)
        self.instruction = instruction(config, self.device, dtype)
        formers = (config.spatial_former, config.motion_former)
        self.tokens = ConditionTokens(*(torch.randn(former.tokens, former.width) for former in formers))
        self._set = 0

    def run(self) -> None:
        """One run of System 1; the older set of pictures is encoded already (it was the last run's newest)."""
        self._predict_chunk(known=True)

    def run_without_history(self) -> None:
        """One run of System 1 that has to encode the older set of pictures too."""
        self._predict_chunk(known=False)

    def compile(self) -> None:
        """Compile its networks and warm them up, as the setting `system1.compile` does."""
        self.in_torch.compile_networks()
        self.fast.warm_up()

    @property
    def in_torch(self) -> FastSystem:
        """System 1 as torch's module, where torch computes it."""
        assert isinstance(self.fast, FastSystem), "engine torch"
        return self.fast

    def _predict_chunk(self, known: bool) -> None:
        fast = self.fast
        self._set += 1
        before = (self._set - 1, 1) if known else (self._set, 0)
        keys = [before, (self._set, 1)]
        sets = [
            fast.encode_images(key, torch.empty(0) if fast.has(key) else fast.prepare(self.pictures)) for key in keys
        ]
        nothing = np.zeros((0, self.config.joints))
        fast.predict_chunk(sets, np.zeros(self.config.joints), self.instruction, self.tokens, 0.2, nothing, 0)
        synchronize(self.device)

    def parts(self) -> Parts:
        """Name -> the run in which it is called, and the modules that count as this part."""
        return {
            "system1: image encoder, a set": (self.run, [self.in_torch.images]),
            "system1: denoising step": (self.run, [self.in_torch.head]),
        }


def _statistics(config: PolicyConfig) -> normalize.Statistics:
    return normalize.untrained(config.horizon, np.zeros(config.joints), np.ones(config.joints))


def _graphs(choice: Choice, owner: object) -> tuple[Checkpoint, GraphFolder]:
    """An untrained policy and a folder for its graphs, which is removed with its owner."""
    config = by_name(choice.size)
    checkpoint = Checkpoint(config, _statistics(config), None, 0)
    folder = tempfile.TemporaryDirectory(prefix="video2act-graphs-")
    weakref.finalize(owner, folder.cleanup)
    return checkpoint, GraphFolder(Path(folder.name), checkpoint.id, choice.threads)


def random_network(make: Callable[[], Network], device: torch.device, dtype: torch.dtype) -> Network:
    """A network with random weights, made where they will be: a full size does not fit most machines' memory twice."""
    with hollow():
        network = make()
    generator = torch.Generator(device).manual_seed(0)
    pool = torch.randn(_POOL, generator=generator, device=device, dtype=dtype) * _SPREAD
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            drawn = pool.repeat(weight.numel() // _POOL + 1)[: weight.numel()].view(weight.shape).clone()
            setattr(module, name, nn.Parameter(drawn, requires_grad=False))
    return place(network.eval(), device, dtype)


def instruction(config: PolicyConfig, device: torch.device, dtype: torch.dtype) -> InstructionEmbedding:
    """An instruction of 32 tokens."""
    video = config.video.backbone
    widths = (config.text.width, video.text_dim)
    language, states = (torch.randn(1, _WORDS, width, device=device, dtype=dtype) for width in widths)
    return InstructionEmbedding(language, VideoText(states, states.new_zeros(1, video.pooled_dim)))


def synchronize(device: torch.device) -> None:
    """Wait for a GPU; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main(choice: Choice) -> None:
    """System 2 alone: a run for every line on the standard input; prints each run's milliseconds."""
    torch.set_num_threads(choice.threads)
    with torch.inference_mode():
        bench = SlowBench(choice)
        if choice.compile:
            bench.compile()
        bench.run()
        sys.stdout.write("warm\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            began_ns = robot_time_ns()
            bench.run()
            sys.stdout.write(f"{(robot_time_ns() - began_ns) / 1e6:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Choice.model_validate_json(sys.argv[1]))
