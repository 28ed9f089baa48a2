"""What a checkpoint's own files say of it, read without lerobot: kind, cameras, vectors, chunk, statistics.
Called by command.py before anything is loaded; what this robot cannot do is refused here by one line.

Files are those of lerobot's `save_pretrained`: config.json, policy_preprocessor.json, its tensors, train_config.json.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runtime.errors import RuntimeFault
from runtime.messaging.messages import JOINTS, MOST_TARGETS

KINDS = ("act", "diffusion", "smolvla", "pi0")
"""Types of policies that are served, by lerobot's names."""
STATE, ACTION = "observation.state", "action"
_IMAGES = ("observation.images.", "observation.")  # before a camera's name; the second of data sets with one `image`
_EMPTY = "empty_camera_"  # pictures that a policy fills in itself
_RESIZING = ("smolvla", "pi0")  # these bring pictures of any size to theirs within bars
_GRIPPERS = (6, 13)  # places of the joint vector: runtime/messaging/messages.py, JOINTS
_LARGEST_RAD = (
    4.0  # of a joint's statistics; chosen: beyond every joint of the arms (3.14), far below a range in degrees
)
_LARGEST_GRIP = {"m": 0.2, "share": 2.0}
"""Of a gripper's statistics. Chosen: twice the widest stroke of such grippers in m (0.1), and twice a whole opening."""


@dataclass(frozen=True)
class Checkpoint:
    """A policy that this robot can be led by."""

    folder: Path
    kind: str
    pictures: Mapping[str, tuple[int, int]]  # by the key in the checkpoint: width and height, px
    targets: int  # in a chunk as it is sent
    observations: int  # that a chunk is predicted from
    resizes: bool  # pictures of any size

    def id(self) -> str:
        """16 hexadecimal digits that tell checkpoints apart: a hash of all files that decide what it does."""
        digest = hashlib.sha256()
        for path in sorted((*self.folder.glob("*.json"), *self.folder.glob("*.safetensors"))):
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]

    def names(self) -> dict[str, str]:
        """The key of each camera by the name that lerobot's users know it by."""
        return {camera_name(key): key for key in self.pictures}


def camera_name(key: str) -> str:
    """`cam_high` of `observation.images.cam_high`."""
    return next((key.removeprefix(start) for start in _IMAGES if key.startswith(start)), key)


def read(folder: Path, grippers: str) -> Checkpoint:
    """What is in a folder.

    Args:
        folder: That lerobot saved.
        grippers: What the checkpoint counts them in: m or share.

    Raises:
        RuntimeFault: It is no policy of lerobot, or none for this robot; one line with the remedy.
    """
    config = _config(folder)
    kind = config.get("type")
    if kind not in KINDS:
        raise RuntimeFault(f"{folder}: is a policy of type {kind!r:.40}; expected {', '.join(KINDS)}")
    _check_files(folder)
    _check_vectors(folder, config)
    _check_units(folder, config, grippers)
    inputs = cast(dict[str, Any], config["input_features"])
    pictures = {
        name: (int(one["shape"][2]), int(one["shape"][1]))
        for name, one in inputs.items()
        if one["type"] == "VISUAL" and not camera_name(name).startswith(_EMPTY)
    }
    if not pictures:
        raise RuntimeFault(f"{folder}: takes no camera; give a policy that sees")
    if len({camera_name(name) for name in pictures}) < len(pictures):
        raise RuntimeFault(
            f"{folder}: two of its cameras have one name ({', '.join(pictures)}); rename one in its config.json"
        )
    targets = _count(folder, config, "n_action_steps" if kind == "diffusion" else "chunk_size")
    observations = _count(folder, config, "n_obs_steps") if "n_obs_steps" in config else 1
    return Checkpoint(folder, kind, pictures, min(targets, MOST_TARGETS), observations, kind in _RESIZING)


def _count(folder: Path, config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if type(value) is not int or value < 1:
        raise RuntimeFault(f"{folder}: config.json says {value!r:.40} for {name}; save the policy with lerobot again")
    return value


def rate_hz(folder: Path) -> float | None:
    """Frames per second of the data set that a checkpoint was trained on; None: it is not on this machine."""
    said = _json(folder / "train_config.json").get("dataset")
    root = cast(dict[str, Any], said).get("root") if isinstance(said, dict) else None
    fps = _json(Path(root) / "meta" / "info.json").get("fps") if isinstance(root, str) else None
    return float(fps) if isinstance(fps, int | float) and not isinstance(fps, bool) else None


def _json(path: Path) -> dict[str, Any]:
    """A file's map; empty: there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _config(folder: Path) -> dict[str, Any]:
    config = _json(folder / "config.json")
    if not config:
        inside = next((one for one in ("pretrained_model", "last/pretrained_model", "checkpoints/last/pretrained_model")
                       if (folder / one / "config.json").is_file()), None)  # fmt: skip
        remedy = f"give {folder / inside}" if inside else "give the folder pretrained_model that lerobot saved"
        raise RuntimeFault(f"{folder}: has no config.json that can be read; {remedy}")
    for name in ("input_features", "output_features"):
        if not _features(config.get(name)):
            raise RuntimeFault(
                f"{folder}: config.json names no {name}; save the policy with lerobot after its training"
            )
    return config


def _features(value: Any) -> bool:
    """Whether it is a map of features, each with a type and a shape."""
    if not isinstance(value, dict) or not value:
        return False
    for one in cast(dict[str, Any], value).values():
        shape = cast(dict[str, Any], one).get("shape") if isinstance(one, dict) and "type" in one else None
        least = 3 if shape is not None and one["type"] == "VISUAL" else 1
        if not isinstance(shape, list) or len(cast(list[Any], shape)) != least:
            return False
        if not all(type(side) is int and side > 0 for side in cast(list[Any], shape)):
            return False
    return True


def _check_files(folder: Path) -> None:
    """Refuse what lerobot would load in part, or not at all."""
    if (folder / "adapter_config.json").exists():
        raise RuntimeFault(f"{folder}: is an adapter of another policy; merge it into that one with peft first")
    if not (folder / "model.safetensors").is_file():
        raise RuntimeFault(f"{folder}: model.safetensors is missing; fetch or copy the folder again")
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        if not (folder / name).is_file():
            raise RuntimeFault(
                f"{folder}: {name} is missing, as an older lerobot saved it; convert it with python -m "
                f"lerobot.processor.migrate_policy_normalization --pretrained-path {folder}"
            )


def _check_vectors(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse other vectors than this robot's 14 joints, and further ones."""
    want = f"{JOINTS} joints (left j1..j6, gripper, right j1..j6, gripper); train it on this robot's demonstrations"
    for features, name in (("input_features", STATE), ("output_features", ACTION)):
        one = config[features].get(name)
        if one is None:
            raise RuntimeFault(f"{folder}: has no {name}; expected {want}")
        if one["shape"] != [JOINTS]:
            raise RuntimeFault(f"{folder}: {name} has {one['shape'][0]} numbers; expected {want}")
    if more := [name for name, one in config["input_features"].items() if one["type"] != "VISUAL" and name != STATE]:
        raise RuntimeFault(f"{folder}: also wants {', '.join(more)}, which this robot does not have; train it without")
    if config.get("adapt_to_pi_aloha"):
        raise RuntimeFault(f"{folder}: turns joints into those of ALOHA's arms (adapt_to_pi_aloha); train it without")


def _check_units(folder: Path, config: Mapping[str, Any], grippers: str) -> None:
    """Refuse statistics that are none of radians and these grippers, and what has none to normalise by."""
    modes = config.get("normalization_mapping") or {}
    statistics = _statistics(folder)
    for name, kind in ((STATE, "STATE"), (ACTION, "ACTION")):
        found = [value for key, value in statistics.items() if key.startswith(f"{name}.") and value.shape == (JOINTS,)]
        if not found and modes.get(kind, "IDENTITY") != "IDENTITY":
            raise RuntimeFault(
                f"{folder}: has no statistics of {name} to normalise by; save it with those of its data set"
            )
        largest = np.abs(np.array(found)).max(0, initial=0.0) if found else np.zeros(JOINTS)
        arms, hands = np.delete(largest, _GRIPPERS).max(), largest[list(_GRIPPERS)].max()
        if not arms <= _LARGEST_RAD:
            raise RuntimeFault(
                f"{folder}: {name} reaches {arms:.3g} (limit {_LARGEST_RAD:g} rad); train it on joints in rad"
            )
        if not hands <= _LARGEST_GRIP[grippers]:
            remedy = "give --grippers share if it counts shares of the opening" if grippers == "m" else "train it on m"
            raise RuntimeFault(
                f"{folder}: a gripper of {name} reaches {hands:.3g} (limit {_LARGEST_GRIP[grippers]:g} {grippers}); {remedy}"
            )


def _statistics(folder: Path) -> dict[str, NDArray[np.float64]]:
    """Means and bounds, by feature and statistic, of the processors' own files."""
    from safetensors import SafetensorError, safe_open  # not in what merely reads flags

    found: dict[str, NDArray[np.float64]] = {}
    for path in _tensor_files(folder):
        try:
            with safe_open(path, framework="numpy") as file:
                for key in file.keys():  # noqa: SIM118  no map
                    if key.rpartition(".")[2] in ("mean", "min", "max", "q01", "q99"):
                        found[key] = np.atleast_1d(file.get_tensor(key)).astype(np.float64)
        except (SafetensorError, OSError) as error:
            raise RuntimeFault(f"{path}: cannot be read ({error}); fetch or copy the folder again") from None
    return found


def _tensor_files(folder: Path) -> Iterator[Path]:
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        for step in _json(folder / name).get("steps") or []:
            state = cast(dict[str, Any], step).get("state_file") if isinstance(step, dict) else None
            if isinstance(state, str):
                yield folder / Path(state).name
