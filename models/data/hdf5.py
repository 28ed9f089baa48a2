"""Demonstrations in files of HDF5, as the robot's recorder, RoboTwin, Agilex's data_tools and we write them.

Called by models/data/demonstrations.py, `demos.sh` and the export of sessions. Which layouts there are says hdf5_layouts.py.
We write ALOHA's: `/observations/{qpos,qvel,effort}` and `/action` (T, 14); pictures as JPEG, padded to one length, in
`/observations/images/{cam_high,cam_left_wrist,cam_right_wrist}`; attributes `sim` and `compress`. RoboTwin's grippers are
told as shares of their stroke, and its JPEGs have red and blue swapped: OpenCV was given RGB and took it for BGR. Ours may
also say how a drawn scene looked (`world`), that an episode shows no task being done (`kind`), whether it was done
(`success`), and what was commanded after an episode that was cut (`/action_ahead`).
"""

import json
import platform
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import foreign_files, hdf5_arrays, hdf5_layouts, instructions
from models.data.episode import DATASET_JPEG_QUALITY, EXPERT, GRIPPERS, JOINTS, Episode, check, task_name
from models.data.foreign_files import REMOVE
from models.data.hdf5_layouts import Layout, layout_of
from models.errors import ModelError

NAMES = hdf5_layouts.ALOHA_NAMES
ROBOTWIN_STROKE_M = 0.08  # what their gripper's 1 is taken to mean: our own opening; deploy/robotwin says the same
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, MemoryError, AttributeError)
"""What h5py, NumPy and simplejpeg raise for a file that is damaged or of another kind (RecursionError is a RuntimeError)."""
_WIDEST_M = 0.15  # no gripper opens so far: what is above is a share (as in episode.py)


def write(path: Path, episode: Episode) -> None:
    """Write an episode's file, whole or not at all. JPEGs are stored as they are."""
    beside = path.with_suffix(f".{platform.node()}.part")  # several machines may share the folder
    with h5py.File(beside, "w") as file:
        file.attrs["sim"], file.attrs["compress"] = episode.seed >= 0, True
        file.attrs["task"], file.attrs["seed"] = episode.task, episode.seed
        file.attrs["instructions"] = json.dumps(episode.instructions)
        if episode.world:
            file.attrs["world"] = episode.world
        if episode.kind != EXPERT:
            file.attrs["kind"] = episode.kind
        if episode.success is not None:
            file.attrs["success"] = episode.success
        file["action"], file["base_action"] = episode.leader, np.zeros((len(episode), 2), np.float32)
        if len(episode.ahead):
            file["action_ahead"] = episode.ahead
        for name, values in (("qpos", episode.q), ("qvel", episode.dq), ("effort", episode.effort)):
            file[f"observations/{name}"] = values
        for camera, name in NAMES.items():
            if camera in episode.jpegs:
                file[f"observations/images/{name}"] = _padded(episode.jpegs[camera])
    beside.rename(path)


def read(path: Path) -> Episode:
    """Read and check the robot's, RoboTwin's or our own file. Raises ModelError that names the file and what is wrong."""
    with _opened(path) as file:
        return check(_episode(file, path), str(path))


def about(path: Path) -> tuple[str, tuple[str, ...], int, str, bool | None]:
    """Task, wordings, number of steps, kind and success, without reading pictures. Raises ModelError as `read` does."""
    with _opened(path) as file:
        layout = layout_of(file, path)
        steps = len(hdf5_layouts.joints(file, layout.q, path))
        return (
            _task(file, layout, path),
            instructions.of_file(file, path),
            steps,
            _text(file, "kind", EXPERT),
            _success(file),
        )


def world(path: Path) -> str:
    """JSON of how the scene looked, empty where it was not drawn; raises ModelError as `read` does."""
    with _opened(path) as file:
        return _text(file, "world", "")


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of the first camera's first picture, px. Raises ModelError as `read` does."""
    with _opened(path) as file:
        stored = hdf5_arrays.find(file, f"observations/images/{NAMES['head']}", path)
        if stored is None or not len(stored):
            raise ModelError(f"{path}: images of camera head are missing; {REMOVE}")
        if stored.ndim == 4:
            return stored.shape[1], stored.shape[2]
        height_px, width_px, *_ = simplejpeg.decode_jpeg_header(bytes(stored[0]))
        return int(height_px), int(width_px)


@contextmanager
def _opened(path: Path) -> Generator[h5py.File]:
    """A file for reading. Whatever h5py or the content raises is one ModelError."""
    try:
        with h5py.File(foreign_files.plain(path), "r") as file:
            yield file
    except _UNREADABLE as error:
        raise ModelError(f"{path}: cannot be read ({' '.join(str(error).split()[:12])}); {REMOVE}") from None


def _task(file: h5py.File, layout: Layout, path: Path) -> str:
    above = path.resolve().parents[layout.task_above] if layout.task_above else path.parent
    return task_name(str(file.attrs.get("task", above.name)), str(path))


def _episode(file: h5py.File, path: Path) -> Episode:
    layout = layout_of(file, path)
    q = hdf5_layouts.joints(file, layout.q, path)
    leader = hdf5_layouts.joints(file, layout.leader, path) if layout.leader else np.concatenate([q[1:], q[-1:]])
    dq, effort = (_optional(file, f"observations/{name}", path) for name in ("qvel", "effort"))
    shares = layout.grippers == "shares"
    if layout.grippers == "either":  # RoboTwin's converter to this layout writes no velocities
        shares = dq is None and max(values[:, GRIPPERS].max(initial=0) for values in (q, leader)) > _WIDEST_M
    if shares:
        for values in (q, leader):
            values[:, GRIPPERS] *= ROBOTWIN_STROKE_M
    swapped = layout.swapped == "always" or (layout.swapped == "with shares" and shares)
    still, ahead = np.zeros_like(q), _optional(file, "action_ahead", path)
    return Episode(
        q=q,
        dq=still if dq is None else dq,
        effort=still if effort is None else effort,
        leader=leader,
        jpegs=_pictures(file, layout, swapped, path),
        instructions=instructions.of_file(file, path),
        task=_task(file, layout, path),
        seed=int(cast(Any, file.attrs.get("seed", -1))),
        world=_text(file, "world", ""),
        kind=_text(file, "kind", EXPERT),
        success=_success(file),
        ahead=leader[:0] if ahead is None else ahead,
    )


def _pictures(file: h5py.File, layout: Layout, swapped: bool, path: Path) -> dict[str, list[bytes]]:
    """JPEGs by camera, of those that there are."""
    found: dict[str, list[bytes]] = {}
    for camera, name in zip(CAMERAS, layout.pictures, strict=True):
        stored = hdf5_arrays.find(file, name, path)
        if stored is not None:
            rows = hdf5_arrays.rows(stored, path)
            shown = [hdf5_layouts.picture_file(bytes(row), path) for row in rows] if layout.files else rows
            found[camera] = _jpegs(shown, swapped)
    return found


def _success(file: h5py.File) -> bool | None:
    """Whether the task was done; None where the file does not say it."""
    value = cast(Any, file.attrs.get("success"))
    return bool(value) if np.ndim(value) == 0 and isinstance(value, np.bool_ | np.integer) else None


def _text(file: h5py.File, name: str, usual: str) -> str:
    return str(file.attrs.get(name, usual))


def _optional(file: h5py.File, name: str, path: Path) -> NDArray[np.float32] | None:
    """Joints (T, J) of a name; None where the file does not have them."""
    stored = hdf5_arrays.find(file, name, path)
    if stored is None:
        return None
    values = np.asarray(stored[()], np.float32)
    if values.ndim != 2 or values.shape[1] != JOINTS:
        raise ModelError(f"{path}: /{name}: expected shape (steps, {JOINTS}), got {values.shape}")
    return values


def _jpegs(stored: Sequence[Any], swapped: bool) -> list[bytes]:
    """JPEGs of a camera, T of them, from pictures (H, W, 3) each, or JPEGs as padded rows or byte strings.

    `swapped`: red and blue of JPEGs are exchanged, as RoboTwin's are; they are encoded again.
    """
    if len(stored) and np.ndim(stored[0]) == 3:
        return [simplejpeg.encode_jpeg(np.ascontiguousarray(picture), DATASET_JPEG_QUALITY) for picture in stored]
    jpegs = [bytes(row).rstrip(b"\0") for row in stored]
    return [_with_red_and_blue_in_place(jpeg) for jpeg in jpegs] if swapped else jpegs


def _with_red_and_blue_in_place(jpeg: bytes) -> bytes:
    try:
        return simplejpeg.encode_jpeg(simplejpeg.decode_jpeg(jpeg, "BGR"), DATASET_JPEG_QUALITY)
    except ValueError:
        return b""  # the check of the episode names it


def _padded(jpegs: list[bytes]) -> NDArray[np.uint8]:
    longest = max(map(len, jpegs))
    return np.stack([np.frombuffer(jpeg.ljust(longest, b"\0"), np.uint8) for jpeg in jpegs])
