"""The networks of the policy that the settings name, and its encoded instructions.
Used by system1, system2, text, replay and evaluation.
"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray

from drivers.cobot_magic import ready_pose
from models.checkpoint import CPU, Checkpoint
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.families import Config
from models.graphs.folder import GraphFolder
from models.graphs.lean_system2 import LeanGraphs
from models.graphs.system1 import FastGraphs
from models.graphs.system2 import SlowGraphs
from models.lean_system2 import LeanSystem
from models.placement import usual_type
from models.policy import EncodedVideo
from models.sources import sources
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.video_policy.checkpoint import VideoPolicyCheckpoint
from runtime.config.policy import policy_config, video2act_config
from runtime.config.settings import Settings
from runtime.config.system_settings import System, System1, System2
from runtime.errors import RuntimeFault
from runtime.host import cache_folder
from runtime.host.clock import robot_time_ns
from runtime.policy import fit
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.policy.protocols import EncodedInstruction
from runtime.policy.video2act import FastVideo2Act, SlowVideo2Act, read_instruction
from runtime.policy.video_policy import FastVideoPolicy, SlowVideoPolicy

log = logging.getLogger(__name__)
Made = TypeVar("Made")
AnyCheckpoint = Checkpoint | VideoPolicyCheckpoint
_Config = TypeVar("_Config", contravariant=True)
_Opened = TypeVar("_Opened", covariant=True)

# How far an untrained policy may move from the ready pose: rad, gripper m. Chosen: small enough to stay clear of the table.
_UNTRAINED_REACH = np.array([0.6, 0.4, 0.4, 0.6, 0.3, 0.6, 0.03] * 2)
_MOST_WEIGHTS = 100_000_000
"""Of a policy that ONNX Runtime computes unasked. Chosen: ten times the shipped one; a graph's file may have 2 GiB."""
_OPEN_GRIPPERS = [6, 13]  # the grippers' places in a vector of all joints


def open_checkpoint(settings: Settings) -> AnyCheckpoint:
    """The trained policy of `policy.checkpoint`, or an untrained one from the seed.

    Raises:
        RuntimeFault: It cannot be loaded, or this robot does not fit it (fit.py).
    """
    config = policy_config(settings)
    checkpoint = (
        _opened(Checkpoint, config, settings)
        if isinstance(config, PolicyConfig)
        else _opened(VideoPolicyCheckpoint, config, settings)
    )
    fit.check(checkpoint.needs, settings)
    return checkpoint


def open_video2act(settings: Settings) -> Checkpoint:
    """The same where only Video2Act will do. Raises RuntimeFault, also for a policy of another family."""
    checkpoint = _opened(Checkpoint, video2act_config(settings), settings)
    fit.check(checkpoint.needs, settings)
    return checkpoint


class _Openable(Protocol[_Config, _Opened]):
    """A family's checkpoint class."""

    def untrained(
        self, config: _Config, seed: int, rest: NDArray[np.float64], reach: NDArray[np.float64]
    ) -> _Opened: ...

    def load(self, folder: Path, config: _Config) -> _Opened: ...


def _opened(kind: _Openable[_Config, _Opened], config: _Config, settings: Settings) -> _Opened:
    folder = settings.policy.checkpoint
    if folder is not None:
        return _made(lambda: kind.load(folder, config))
    rest = ready_pose()
    rest[_OPEN_GRIPPERS] -= _UNTRAINED_REACH[6]  # the middle of what the gripper then does
    return _made(lambda: kind.untrained(config, settings.seed, rest, _UNTRAINED_REACH))


def device_of(system: System, config: Config) -> tuple[torch.device, torch.dtype]:
    """Where a system's networks go, and in which type.

    Raises:
        RuntimeFault: There is no such device.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if system.device == "auto" else system.device
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeFault(
            f"device {name}: torch finds {torch.cuda.device_count()} GPUs on this machine; give cpu or auto"
        )
    return device, usual_type(config, device) if system.dtype == "auto" else getattr(torch, system.dtype)


def computed_by(system: System, checkpoint: AnyCheckpoint) -> Literal["torch", "onnx"]:
    """What computes a system's networks.

    Raises:
        RuntimeFault: ONNX Runtime is asked for where it cannot, or there is no such device.
    """
    if isinstance(checkpoint, VideoPolicyCheckpoint):
        return _computed_plainly(system)
    device, dtype = device_of(system, checkpoint.config)
    able = device.type == "cpu" and dtype == torch.float32 and not system.without_graphs
    if system.engine == "onnx" and not able:  # of the device's own accord: what flags say was looked at before
        what = f"on {device} in {dtype}".replace("torch.", "")
        raise RuntimeFault(f"engine onnx: runs on a CPU in float32, not {what}; give auto or torch")
    small = 0 < _made(lambda: checkpoint.count("")) <= _MOST_WEIGHTS and not sources(checkpoint.config)
    return "onnx" if system.engine == "onnx" or (system.engine == "auto" and small and able) else "torch"


def _computed_plainly(system: System) -> Literal["torch"]:
    """What computes a Video Policy. Raises RuntimeFault for what only Video2Act's networks can."""
    chosen = {"engine": system.engine} if system.engine == "onnx" else {}
    chosen |= {"compile": "true"} if system.compile else {}
    if isinstance(system, System2):
        chosen |= {"storage": "float8"} if system.storage == "float8" else {}
        chosen |= {"modulation": "host"} if system.modulation == "host" else {}
    for name, value in chosen.items():
        raise RuntimeFault(f"{name} {value}: does not run a Video Policy; leave it out")
    return "torch"


def _graphs(system: System, checkpoint: Checkpoint) -> GraphFolder:
    folder, refused = cache_folder.writable(cache_folder.usual("graphs"))
    if refused:
        log.warning(
            "%s; keeping graphs of networks in %s instead; set XDG_CACHE_HOME to keep them elsewhere", refused, folder
        )
    return GraphFolder(folder, checkpoint.id, system.threads)


@overload
def slow_system(settings: Settings, checkpoint: Checkpoint) -> SlowVideo2Act: ...
@overload
def slow_system(settings: Settings, checkpoint: AnyCheckpoint) -> SlowVideo2Act | SlowVideoPolicy: ...
def slow_system(settings: Settings, checkpoint: AnyCheckpoint) -> SlowVideo2Act | SlowVideoPolicy:
    """System 2 on its device and warmed up: compiled, captured, stored in float8 as the settings say.

    Raises:
        RuntimeFault: One line.
    """
    if isinstance(checkpoint, VideoPolicyCheckpoint):
        return _imagining(settings, checkpoint)
    if computed_by(settings.system2, checkpoint) == "onnx":
        kind = LeanGraphs if settings.system2.numerics == "lean" else SlowGraphs
        graphs = _made(lambda: kind(checkpoint, _graphs(settings.system2, checkpoint)))
        _check_tokens(settings, _made(graphs.warm_up))
        return SlowVideo2Act(graphs, checkpoint.needs)
    device, dtype = device_of(settings.system2, checkpoint.config)
    with progress("System 2's weights", f"loading to {device}, {dtype}".replace("torch.", "")):
        slow = _made(lambda: prepared(settings.system2, lambda at: checkpoint.slow(at, dtype), device, dtype))
    with progress("System 2", "warming up" + (", compiling for a minute or more" if settings.system2.compile else "")):
        _check_tokens(settings, _made(slow.warm_up))
    return SlowVideo2Act(slow, checkpoint.needs)


def prepared(
    chosen: System2, make: Callable[[torch.device], SlowSystem], device: torch.device, dtype: torch.dtype
) -> SlowSystem | LeanSystem:
    """System 2 as the settings choose it, on its device, not warmed up.

    Args:
        chosen: numerics, storage, where the modulation is kept, and whether to compile.
        make: gives the networks on a device, in `dtype`.
        device: where they are to compute.
        dtype: what they compute in.
    """
    small = chosen.storage == "float8" or chosen.modulation == "host"
    slow = make(CPU if small else device)  # the device may not hold them as they are
    if chosen.storage == "float8":
        slow.backbone.store_in_float8(dtype)
    if chosen.numerics == "plain":
        found: SlowSystem | LeanSystem = slow.to(device)
    else:
        found = LeanSystem(slow)
        found.move(device, chosen.modulation == "host")
        found.launch(together=True)
    if chosen.compile:
        found.backbone.compile_blocks()
    return found


@contextmanager
def progress(what: str, doing: str) -> Generator[None]:
    """Log what takes a while when it begins, and how long it took."""
    log.info("%s: %s", what, doing)
    began_ns = robot_time_ns()
    yield
    log.info("%s: done in %.1f s", what, (robot_time_ns() - began_ns) / 1e9)


def _imagining(settings: Settings, checkpoint: VideoPolicyCheckpoint) -> SlowVideoPolicy:
    computed_by(settings.system2, checkpoint)
    device, dtype = device_of(settings.system2, checkpoint.config)
    with progress("System 2's weights", f"loading to {device}, {dtype}".replace("torch.", "")):
        imaginer = _made(lambda: checkpoint.imaginer(device, dtype))
    with progress("System 2", "warming up"):
        _check_finite(settings, "condition", bool(torch.isfinite(_made(imaginer.warm_up).imagined.features).all()))
    return SlowVideoPolicy(imaginer, checkpoint.needs)


@overload
def fast_system(settings: Settings, checkpoint: Checkpoint) -> FastVideo2Act: ...
@overload
def fast_system(settings: Settings, checkpoint: AnyCheckpoint) -> FastVideo2Act | FastVideoPolicy: ...
def fast_system(settings: Settings, checkpoint: AnyCheckpoint) -> FastVideo2Act | FastVideoPolicy:
    """System 1 on its device, warmed up, fused and compiled as the settings say. Raises RuntimeFault with one line."""
    if isinstance(checkpoint, VideoPolicyCheckpoint):
        computed_by(settings.system1, checkpoint)
        device, dtype = device_of(settings.system1, checkpoint.config)
        with progress("System 1", f"loading to {device}, {dtype}, warming up".replace("torch.", "")):
            maker = _made(lambda: checkpoint.chunk_maker(device, dtype))
            _check_chunk(settings, _made(maker.warm_up))
        return FastVideoPolicy(maker, checkpoint.needs)
    if computed_by(settings.system1, checkpoint) == "onnx":
        graphs = _made(lambda: FastGraphs(checkpoint, _graphs(settings.system1, checkpoint)))
        _check_chunk(settings, _made(graphs.warm_up))
        return FastVideo2Act(graphs, checkpoint.needs)
    device, dtype = device_of(settings.system1, checkpoint.config)
    with progress("System 1's weights", f"loading to {device}, {dtype}".replace("torch.", "")):
        fast = _made(lambda: checkpoint.fast(device, dtype))
    with progress("System 1", "warming up" + (", compiling for a minute or more" if settings.system1.compile else "")):
        make_quick(settings.system1, fast)
        _check_chunk(settings, _made(fast.warm_up))
    return FastVideo2Act(fast, checkpoint.needs)


def make_quick(chosen: System1, fast: FastSystem) -> None:
    """What a live run does to System 1's networks once their weights are loaded and placed; not warmed up yet."""
    if chosen.compile:
        fast.compile_networks()
    if chosen.numerics == "lean":
        fast.fuse()


def text_encoder(checkpoint: AnyCheckpoint) -> Callable[[str], EncodedInstruction]:
    """What encodes an instruction. Raises RuntimeFault for weights that are not there, also when it is called."""
    instructor = _made(checkpoint.instructor)
    return lambda text: _made(lambda: instructor.encode([text])[0])


def _check_tokens(settings: Settings, made: EncodedVideo) -> None:
    _check_finite(settings, "condition", all(bool(torch.isfinite(one).all()) for one in (made.spatial, made.motion)))


def _check_chunk(settings: Settings, chunk: NDArray[np.float32]) -> None:
    _check_finite(settings, "chunk", bool(np.isfinite(chunk).all()))


def _check_finite(settings: Settings, what: str, is_so: bool) -> None:
    """Refuse a policy whose weights are numbers, but so large that what comes out is none."""
    if not is_so:
        where = f"checkpoint {settings.policy.checkpoint}" if settings.policy.checkpoint else "untrained policy"
        raise RuntimeFault(f"{where}: its first {what} is not finite; train it again, or give another checkpoint")


def _made(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def prepare_torch(system: System) -> None:
    """Fixed threads and deterministic kernels: what a replay repeats bit for bit.

    New memory is not filled before it is written to: nothing reads it, and it takes 4,500 operations a chunk at full size.
    """
    torch.set_num_threads(system.threads)
    if system.compile:
        torch.use_deterministic_algorithms(
            True, warn_only=True
        )  # tells inductor too, whose settings take 1.6 s to import
    else:
        torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


class Embeddings:
    """Encoded instructions as tensors, out of the cache; only the last one asked for stays in memory."""

    def __init__(self, cache: EmbeddingCache) -> None:
        self._cache = cache
        self._held: tuple[str, EncodedInstruction] | None = None

    def __call__(self, key: str) -> EncodedInstruction:
        """The embedding of a key that is in the cache. Raises RuntimeFault where it cannot be read."""
        if self._held is None or self._held[0] != key:
            self._held = (key, read_instruction(self._cache.path(key)))
        return self._held[1]
