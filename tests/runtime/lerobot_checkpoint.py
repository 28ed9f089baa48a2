"""Files of a LeRobot checkpoint as lerobot 0.4.4 writes them, for tests that do without lerobot. Their weights are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

NAMES = ("cam_high", "cam_left_wrist", "cam_right_wrist")
_LENGTHS: dict[str, dict[str, int]] = {
    "act": {"n_obs_steps": 1, "chunk_size": 100, "n_action_steps": 100},
    "diffusion": {"n_obs_steps": 2, "horizon": 16, "n_action_steps": 8},
    "smolvla": {"n_obs_steps": 1, "chunk_size": 50, "n_action_steps": 50},
    "pi0": {"n_obs_steps": 1, "chunk_size": 50, "n_action_steps": 50},
}  # the defaults of lerobot's configurations


def config_of(kind: str, cameras: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """config.json of a policy for this robot."""
    seen = {f"observation.images.{name}": {"type": "VISUAL", "shape": [3, 480, 640]} for name in cameras}
    return {
        "type": kind,
        **_LENGTHS[kind],
        "input_features": {"observation.state": {"type": "STATE", "shape": [14]}, **seen},
        "output_features": {"action": {"type": "ACTION", "shape": [14]}},
        "normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"},
    }


def write(
    folder: Path, kind: str, change: Callable[[dict[str, Any]], object] = lambda _: None,
    cameras: tuple[str, ...] = NAMES,
) -> Path:  # fmt: skip
    """A checkpoint's folder; `change` is done to its config.json. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(kind, cameras)
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"weight": np.zeros(1, np.float32)}, folder / "model.safetensors")
    joints = {
        f"{name}.{one}": np.full(14, 0.05, np.float32)
        for name in ("observation.state", "action")
        for one in ("mean", "std")
    }
    save_file(joints, folder / "statistics.safetensors")
    for name in ("policy_preprocessor", "policy_postprocessor"):
        steps = [
            {"registry_name": "device_processor"},
            {"registry_name": "normalizer", "state_file": "statistics.safetensors"},
        ]
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "steps": steps}))
    return folder
