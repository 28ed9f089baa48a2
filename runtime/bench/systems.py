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
from models.config.encoders import Siglip
from models.config.policy import PolicyConfig
from models.config.source import Published
from models.config.video import Hunyuan
from models.graphs.folder import GraphFolder
from models.graphs.lean_system2 import LeanGraphs
from models.graphs.system1 import FastGraphs
from models.graphs.system2 import SlowGraphs
from models.lean_system2 import LeanSystem
from models.placement import hollow, place, usual_type
from models.policy import ConditionTokens, InstructionEmbedding
from models.sizes import by_name
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.window import LatentRing
from runtime.config.system_settings import System1, System2
from runtime.host.clock import robot_time_ns
from runtime.policy.networks import make_quick, prepare_torch, prepared

Network = TypeVar("Network", bound=nn.Module)
Parts = dict[str, tuple[Callable[[], None], Sequence[nn.Module]]]
_WORDS = 32  # tokens of the instruction; chosen: a long sentence
_PICTURE_PX = (480, 640, 3)  # of a robot's camera
_POOL = 1_000_003  # numbers, drawn once: a CPU draws billions for minutes
_SPREAD = 0.02
"""Of random weights; chosen, as transformers are usually drawn: the features stay finite through any depth."""


# Chosen: what a CPU runs in seconds, and still many times what `small` computes.
_MIDDLE_VIDEO = {
    "heads": 6, "head_dim": 64, "rope_axes": (16, 24, 24), "dual_blocks": 6, "single_blocks": 2, "refiner_blocks": 1,
    "text_dim": 256, "pooled_dim": 64, "vae_channels": (16, 32, 64, 64), "vae_layers": 1, "vae_groups": 8,
}  # fmt: skip


class Choice(BaseModel):
    """What is measured, and where."""

    size: str
    device: str
    threads: int = 1
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    storage: Literal["same", "float8"] = "same"
    numerics: Literal["lean", "plain"] = "lean"
    modulation: Literal["device", "host"] = "device"
    engine: Literal["torch", "onnx"] = "torch"

    def torch_dtype(self) -> torch.dtype:
        """What is used where nothing is said, unless it is."""
        usual = usual_type(configuration(self.size), torch.device(self.device))
        return usual if self.dtype == "auto" else getattr(torch, self.dtype)

    def has_graphs(self) -> bool:
        """Whether ONNX Runtime can compute it too, as the runtime does unasked for a small policy on a CPU."""
        plain = self.torch_dtype() == torch.float32 and not self.compile and self.storage == "same"
        return self.size == "small" and self.device == "cpu" and plain

    def system1(self) -> System1:
        """System 1's settings of a live run that chooses the same."""
        return System1(
            threads=self.threads, device=self.device, dtype=self.dtype, compile=self.compile, numerics=self.numerics
        )

    def system2(self) -> System2:
        """System 2's."""
        return System2(
            threads=self.threads, device=self.device, dtype=self.dtype, compile=self.compile, storage=self.storage,
            numerics=self.numerics, modulation=self.modulation,
        )  # fmt: skip


def configuration(size: str) -> PolicyConfig:
    """Of a size; `middle` is of the bench alone: the networks of `full`, some fifteen times as narrow and short."""
    if size != "middle":
        return by_name(size)
    whole, small = by_name("full"), by_name("small")
    assert isinstance(whole.video.backbone, Hunyuan)
    backbone = whole.video.backbone.model_copy(update=_MIDDLE_VIDEO)
    high, low = whole.video.high, whole.video.low
    video = whole.video.model_copy(
        update={
            "backbone": backbone,
            "high": high.model_copy(update={"height_px": high.height_px // 2, "width_px": high.width_px // 2}),
            "low": low.model_copy(update={"height_px": low.height_px // 2, "width_px": low.width_px // 2}),
        }
    )
    return whole.model_copy(
        update={
            "name": "middle",
            "video": video,
            "spatial_former": small.spatial_former,
            "motion_former": small.motion_former,
            "image": Siglip(image_px=112, width=192, depth=6, heads=4, patch_px=14, feed_forward=768),
            "text": small.text.model_copy(update={"width": backbone.text_dim}),
            "head": whole.head.model_copy(update={"width": 256, "depth": 8, "heads": 8}),
            "published": Published(),
        }
    )


class SlowBench:
    """System 2 of a size, and a scene for it."""

    def __init__(self, choice: Choice) -> None:
        self.config, self.device = configuration(choice.size), torch.device(choice.device)
        dtype = choice.torch_dtype()
        if choice.engine == "onnx":
            kind = LeanGraphs if choice.numerics == "lean" else SlowGraphs
            self.slow: SlowSystem | LeanSystem | SlowGraphs = kind(*_graphs(choice, self))
        else:  # weights are drawn where there is most room for them: on the device, whatever stays there
            drawn = random_network(lambda: SlowSystem(self.config), self.device, dtype)
            self.slow = prepared(choice.system2(), lambda _device: drawn, self.device, dtype)
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

    def read(self) -> None:
        """What a new instruction costs beyond a run; nothing that can be asked for apart where the numerics are plain."""
        if isinstance(self.slow, LeanSystem):
            self.slow.read(self.instruction.video)
        synchronize(self.device)

    @property
    def in_torch(self) -> SlowSystem | LeanSystem:
        """System 2 as torch's module, where torch computes it."""
        assert isinstance(self.slow, SlowSystem | LeanSystem), "engine torch"
        return self.slow

    def launch(self, together: bool) -> None:
        """Launch the kernels of each call together, as a live run does on a GPU, or one by one."""
        if isinstance(self.slow, LeanSystem):
            self.slow.launch(together)

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
            "system2: VAE, a frame": (self.run, [_encoder(slow)]),
            "system2: Q-former": (self.run, [slow.spatial_former, slow.motion_former]),
        }
        for kind, blocks in slow.backbone.blocks().items():
            parts[f"system2: {kind} block"] = (self.run, blocks)
        return parts


class FastBench:
    """System 1 of a size, and a scene for it."""

    def __init__(self, choice: Choice) -> None:
        self.config, self.device, self._settings = (
            configuration(choice.size),
            torch.device(choice.device),
            choice.system1(),
        )
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

    def make_quick(self) -> None:
        """What a live run does to the networks, and warm them up."""
        make_quick(self._settings, self.in_torch)
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


def _encoder(slow: SlowSystem | LeanSystem) -> nn.Module:
    if isinstance(slow, SlowSystem):
        return slow.backbone.encoder
    return slow.backbone.frames if slow.videos is None else slow.videos.encoder


def _statistics(config: PolicyConfig) -> normalize.Statistics:
    return normalize.untrained(config.horizon, np.zeros(config.joints), np.ones(config.joints))


def _graphs(choice: Choice, owner: object) -> tuple[Checkpoint, GraphFolder]:
    """An untrained policy and a folder for its graphs, which is removed with its owner."""
    config = configuration(choice.size)
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
    prepare_torch(choice.system2())
    with torch.inference_mode():
        torch.empty(1, device=choice.device)  # fails at once where there is no such device; the networks take seconds
        bench = SlowBench(choice)
        for _ in range(2):
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
