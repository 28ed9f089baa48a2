"""Demonstrations in the ALOHA / Cobot Magic layout of HDF5, as the robot's recorder, RoboTwin's converter and we write them.

Called by models/data/demonstrations.py, `demos.sh` and the export of sessions.
`/observations/{qpos,qvel,effort}` and `/action` (T, 14); `/observations/images/{cam_high,cam_left_wrist,cam_right_wrist}` as
pictures (T, H, W, 3) uint8 or as JPEG, padded to one length; attributes `sim` and `compress`. RoboTwin's files have neither
velocities nor efforts, their grippers are told as shares of their stroke, and their JPEGs have red and blue swapped: OpenCV
was given RGB and took it for BGR. Instructions: an attribute of ours, or `instructions.json` beside the file.
"""

import json
import platform
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.data.episode import GRIPPERS, JOINTS, JPEG_QUALITY, Episode, check
from models.errors import ModelError

NAMES = {"head": "cam_high", "left_wrist": "cam_left_wrist", "right_wrist": "cam_right_wrist"}
ROBOTWIN_STROKE_M = 0.08  # what their gripper's 1 is taken to mean: our own opening; deploy/robotwin says the same
_WIDEST_M = 0.15  # no gripper opens so far: what is above is a share (as in episode.py)


def write(path: Path, episode: Episode) -> None:
    """Write an episode's file, whole or not at all. JPEGs are stored as they are."""
    beside = path.with_suffix(f".{platform.node()}.part")  # several machines may share the folder
    with h5py.File(beside, "w") as file:
        file.attrs["sim"], file.attrs["compress"] = episode.seed >= 0, True
        file.attrs["task"], file.attrs["seed"] = episode.task, episode.seed
        file.attrs["instructions"] = json.dumps(episode.instructions)
        file["action"], file["base_action"] = episode.leader, np.zeros((len(episode), 2), np.float32)
        for name, values in (("qpos", episode.q), ("qvel", episode.dq), ("effort", episode.effort)):
            file[f"observations/{name}"] = values
        for camera, name in NAMES.items():
            file[f"observations/images/{name}"] = _padded(episode.jpegs[camera])
    beside.rename(path)


def read(path: Path) -> Episode:
    """Read and check the robot's, RoboTwin's or our own file. Raises ModelError that names the file and what is wrong."""
    try:
        with h5py.File(path) as file:
            return check(_episode(file, path), str(path))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


def about(path: Path) -> tuple[str, tuple[str, ...], int]:
    """Task, wordings and number of steps, without reading pictures. Raises ModelError as `read` does."""
    try:
        with h5py.File(path) as file:
            return _task(file, path), _instructions(file, path), len(_array(file, "observations/qpos", path))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of the first camera's first picture, px. Raises ModelError as `read` does."""
    try:
        with h5py.File(path) as file:
            stored = file.get(f"observations/images/{NAMES['head']}")
            if not isinstance(stored, h5py.Dataset) or not len(stored):
                raise ModelError(f"{path}: images of camera head are missing; leave it out")
            if stored.ndim == 4:
                return stored.shape[1], stored.shape[2]
            height_px, width_px, *_ = simplejpeg.decode_jpeg_header(bytes(stored[0]))
            return int(height_px), int(width_px)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: cannot be read ({' '.join(str(error).split()[:12])}); leave it out")


def _task(file: h5py.File, path: Path) -> str:
    return str(file.attrs.get("task", path.parent.name))


def _episode(file: h5py.File, path: Path) -> Episode:
    q, leader = _array(file, "observations/qpos", path), _array(file, "action", path)
    shares = max(values[:, GRIPPERS].max(initial=0) for values in (q, leader)) > _WIDEST_M
    robotwins = "observations/qvel" not in file and bool(shares)
    if robotwins:
        for values in (q, leader):
            values[:, GRIPPERS] *= ROBOTWIN_STROKE_M
    still = np.zeros_like(q)
    pictures: dict[str, list[bytes]] = {}
    for camera, name in NAMES.items():
        stored = file.get(f"observations/images/{name}")
        if isinstance(stored, h5py.Dataset):
            pictures[camera] = _jpegs(stored[()], swapped=robotwins)
    return Episode(
        q=q,
        dq=_array(file, "observations/qvel", path) if "observations/qvel" in file else still,
        effort=_array(file, "observations/effort", path) if "observations/effort" in file else still,
        leader=leader,
        jpegs=pictures,
        instructions=_instructions(file, path),
        task=_task(file, path),
        seed=int(cast(Any, file.attrs.get("seed", -1))),
    )


def _array(file: h5py.File, name: str, path: Path) -> NDArray[np.float32]:
    stored = file.get(name)
    if not isinstance(stored, h5py.Dataset):
        raise ModelError(f"{path}: /{name} is missing; convert it to the ALOHA layout (README.md)")
    values = np.asarray(stored[()], np.float32)
    if values.ndim != 2 or values.shape[1] != JOINTS:
        raise ModelError(f"{path}: /{name}: expected shape (steps, {JOINTS}), got {values.shape}")
    return values


def _instructions(file: h5py.File, path: Path) -> tuple[str, ...]:
    beside = path.with_name("instructions.json")
    try:
        found = json.loads(str(file.attrs["instructions"]) if "instructions" in file.attrs else beside.read_text())
    except OSError:
        return ()
    except ValueError as error:
        raise ModelError(f"{path}: its instructions are not JSON ({error}); write a list of texts") from None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in cast(list[Any], found)):
        raise ModelError(f"{path}: its instructions must be a JSON list of texts")
    return tuple(cast(list[str], found))


def _jpegs(stored: NDArray[Any], swapped: bool) -> list[bytes]:
    """JPEGs of a camera, T of them, from pictures (T, H, W, 3) or JPEGs as padded rows or byte strings.

    `swapped`: red and blue of JPEGs are exchanged, as RoboTwin's are; they are encoded again.
    """
    if stored.ndim == 4:
        return [simplejpeg.encode_jpeg(np.ascontiguousarray(picture), JPEG_QUALITY) for picture in stored]
    jpegs = [bytes(row).rstrip(b"\0") for row in stored]
    return [_with_red_and_blue_in_place(jpeg) for jpeg in jpegs] if swapped else jpegs


def _with_red_and_blue_in_place(jpeg: bytes) -> bytes:
    try:
        return simplejpeg.encode_jpeg(simplejpeg.decode_jpeg(jpeg, "BGR"), JPEG_QUALITY)
    except ValueError:
        return b""  # the check of the episode names it


def _padded(jpegs: list[bytes]) -> NDArray[np.uint8]:
    longest = max(map(len, jpegs))
    return np.stack([np.frombuffer(jpeg.ljust(longest, b"\0"), np.uint8) for jpeg in jpegs])
