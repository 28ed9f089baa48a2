"""A LeRobot policy: an observation of this robot in, a chunk of joint targets out, by lerobot's own factory and processors.
Made by command.py; runs only where lerobot is installed.

Legend: H targets in a chunk, J joints.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig  # pyright: ignore[reportMissingImports]
from lerobot.policies.factory import (  # pyright: ignore[reportMissingImports]
    get_policy_class,
    make_pre_post_processors,
)
from lerobot.policies.utils import (  # pyright: ignore[reportMissingImports]
    populate_queues,
    prepare_observation_for_inference,
)
from numpy.typing import NDArray
from safetensors import safe_open

from runtime.errors import RuntimeFault, WireError
from runtime.lerobot.checkpoint import ACTION, STATE, Checkpoint
from runtime.lerobot.history import History
from runtime.messaging.openpi_observation import Seen

_STACKED = "observation.images"  # all cameras' pictures, as a diffusion policy queues them


class LerobotPolicy:
    """The policy and what it remembers of one client; `begin` forgets that."""

    def __init__(self, checkpoint: Checkpoint, keys: Mapping[str, str], device: str, dt_s: float, seed: int) -> None:
        """Load a checkpoint.

        Args:
            checkpoint: Its folder is read.
            keys: The checkpoint's key of each camera.
            device: cpu or cuda.
            dt_s: Between two of the observations that a chunk is predicted from.
            seed: Of the noise that a connection begins with.

        Raises:
            RuntimeFault: It cannot be loaded; one line.
        """
        self._checkpoint, self._keys, self._device, self._seed = checkpoint, keys, torch.device(device), seed
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeFault("--device cuda: torch finds none; give --device cpu")
        try:
            self._policy, self._before, self._after = _loaded(checkpoint, device)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
            raise RuntimeFault(f"{checkpoint.folder}: lerobot cannot load it: {_line(error)}") from error
        self._history: History[dict[str, Any]] = History(checkpoint.observations, dt_s)
        self.begin()

    def begin(self) -> None:
        """Forget what was seen: another client, or another episode."""
        self._policy.reset()
        self._history.clear()
        torch.manual_seed(self._seed)

    def chunk(self, seen: Seen, task: str) -> NDArray[np.float32]:
        """The chunk for an observation.

        Args:
            seen: Its pictures and joints.
            task: The instruction.

        Returns:
            (H, J) absolute targets in the checkpoint's units, the first one a step after the pictures.

        Raises:
            WireError: A picture has another size than the policy learnt from.
        """
        self._check_sizes(seen)
        observation: dict[str, Any] = {key: seen.pictures[camera] for camera, key in self._keys.items()}
        observation[STATE] = seen.q.astype(np.float32)
        with torch.inference_mode(), self._precision():
            batch = self._before(prepare_observation_for_inference(observation, self._device, task))
            batch.pop(ACTION, None)
            if self._checkpoint.kind == "diffusion":
                batch = self._with_history(batch)
            chunk = self._policy.predict_action_chunk(batch)[0, : self._checkpoint.targets]
            return self._after(chunk).float().cpu().numpy()

    def warm(self) -> float:
        """Predict chunks of nothing: no client waits for what only the first one costs. Returns how long one takes, s."""
        sizes = {camera: self._checkpoint.pictures[key] for camera, key in self._keys.items()}
        pictures = {camera: np.zeros((height, width, 3), np.uint8) for camera, (width, height) in sizes.items()}
        nothing = Seen(pictures, np.zeros(14), "", np.zeros((0, 14)))
        self.chunk(nothing, "stand still")
        began_s = time.perf_counter()
        self.chunk(nothing, "stand still")
        took_s = time.perf_counter() - began_s
        self.begin()
        return took_s

    def _with_history(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What a diffusion policy's queues must hold, put there; and its keys."""
        pictures = torch.stack([batch[key] for key in self._policy.config.image_features], dim=-4)
        newest = {STATE: batch[STATE], _STACKED: pictures}
        self._policy.reset()
        for one in self._history.add(time.monotonic(), newest):
            self._policy._queues = populate_queues(self._policy._queues, one)
        return newest

    def _check_sizes(self, seen: Seen) -> None:
        for camera, key in self._keys.items():
            wanted, found = self._checkpoint.pictures[key], seen.pictures[camera].shape[1::-1]
            if found != wanted and not self._checkpoint.resizes:
                raise WireError(
                    f"images: {camera}: must be {wanted[0]}x{wanted[1]} px as the policy learnt from, got {found[0]}x{found[1]}"
                )

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type) if self._policy.config.use_amp else nullcontext()


def _loaded(checkpoint: Checkpoint, device: str) -> tuple[Any, Any, Any]:
    """Policy, pre-processor and post-processor."""
    config: Any = PreTrainedConfig.from_pretrained(checkpoint.folder)
    config.device = device
    for name, value in (("pretrained_backbone_weights", None), ("load_vlm_weights", False), ("compile_model", False)):
        if hasattr(config, name):  # the checkpoint holds these weights; compiling takes minutes for what one robot asks
            setattr(config, name, value)
    policy = get_policy_class(checkpoint.kind).from_pretrained(checkpoint.folder, config=config, strict=True)
    _check_weights(policy, checkpoint)
    before, after = make_pre_post_processors(
        config, pretrained_path=str(checkpoint.folder), preprocessor_overrides={"device_processor": {"device": device}}
    )
    return policy, before, after


def _check_weights(policy: Any, checkpoint: Checkpoint) -> None:
    """Refuse a policy that does not compute with the file's weights: lerobot's pi0 only prints why it left them out."""
    own: dict[str, torch.Tensor] = policy.state_dict()
    with safe_open(checkpoint.folder / "model.safetensors", framework="pt") as file:
        for key in file.keys():  # noqa: SIM118  no map
            mine = own.get(key, own.get(f"model.{key}"))
            if mine is None or mine.dim() != 1:  # the small ones suffice: all are loaded, or none
                continue
            if not torch.equal(mine.float().cpu(), file.get_tensor(key).to(mine.dtype).float()):
                raise RuntimeError(f"{key} is not what model.safetensors has")


def _line(error: Exception) -> str:
    """An error's text on one line, its beginning."""
    return " ".join(str(error).split())[:300] or type(error).__name__
