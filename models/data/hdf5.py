"""Demonstrations in files of HDF5, as the robot's recorder, RoboTwin, Agilex's data_tools and we write them.

Called by models/data/demonstrations.py, `demos.sh` and the export of sessions. Which layouts there are says hdf5_layouts.py, in
which units a file is hdf5_conventions.py.
We write ALOHA's: `/observations/{qpos,qvel,effort}` and `/action` (T, 14); pictures as JPEG, padded to one length, in
`/observations/images/{cam_high,cam_left_wrist,cam_right_wrist}`; attributes `sim` and `compress`. Ours also say who wrote them
(`recorder`) at which rate (`rate_hz`), and may say how a drawn scene looked (`world`), that an episode shows no task being done
(`kind`), whether it was done (`success`), and what was commanded after an episode that was cut (`/action_ahead`).
"""

import json
import platform
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import foreign_files, hdf5_arrays, hdf5_conventions, hdf5_layouts, instructions, rates, stored_pictures
from models.data.conventions import Conventions
from models.data.episode import DEMONSTRATION_HZ, EXPERT, GRIPPERS, JOINTS, Episode, check, judged, task_name
from models.data.foreign_files import REMOVE
from models.data.hdf5_layouts import Layout, layout_of
from models.data.reading import AS_IT_COMES, NEXT, Reading
from models.errors import ModelError

NAMES = hdf5_layouts.ALOHA_NAMES
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, MemoryError, AttributeError)
"""What h5py, NumPy and simplejpeg raise for a file that is damaged or of another kind (RecursionError is a RuntimeError)."""


_OF_ONE = re.compile(
    r"episode[_-]?\d+"
)  # a folder of one episode, as converters make them: TASK/episode_0/episode_0.hdf5


def write(path: Path, episode: Episode) -> None:
    """Write an episode's file, whole or not at all. JPEGs are stored as they are."""
    beside = path.with_suffix(f".{platform.node()}.part")  # several machines may share the folder
    with h5py.File(beside, "w") as file:
        file.attrs["sim"], file.attrs["compress"] = episode.seed >= 0, True
        file.attrs["task"], file.attrs["seed"] = episode.task, episode.seed
        file.attrs["instructions"] = json.dumps(episode.instructions)
        file.attrs["recorder"], file.attrs["rate_hz"] = hdf5_conventions.OURS, DEMONSTRATION_HZ
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


@dataclass(frozen=True)
class About:
    """What is known of a demonstration without its pictures; `steps` are ours, whatever the stored rate."""

    task: str
    texts: tuple[str, ...]
    steps: int
    kind: str
    success: bool | None
    conventions: Conventions


def read(path: Path, reading: Reading = AS_IT_COMES) -> Episode:
    """Read and check a file of any layout. Raises ModelError that names the file and what is wrong."""
    with _opened(path) as file:
        episode, most = _episode(file, path, reading)
        return check(episode, str(path), hdf5_conventions.gripper_remedy(path, most))


def about(path: Path, reading: Reading = AS_IT_COMES) -> About:
    """What is known without reading pictures. Raises ModelError as `read` does."""
    with _opened(path) as file:
        layout = layout_of(file, path)
        conventions = hdf5_conventions.of_file(file, layout, path, reading)
        steps = len(hdf5_layouts.joints(file, layout.q, path))
        return About(
            _task(file, layout, path),
            _wordings(file, path, reading),
            rates.steps_at_ours(steps, conventions.hz),
            _text(file, "kind", EXPERT),
            _success(file, path),
            conventions,
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
    if _OF_ONE.fullmatch(above.name) and "task" not in file.attrs:
        above = above.resolve().parent
    return task_name(str(file.attrs.get("task", above.name)), str(path))


def _wordings(file: h5py.File, path: Path, reading: Reading) -> tuple[str, ...]:
    found = instructions.of_file(file, path)
    return (reading.instruction,) if reading.instruction and not any(text.strip() for text in found) else found


def _episode(file: h5py.File, path: Path, reading: Reading) -> tuple[Episode, float]:
    """The episode at our rate, not checked, and the largest number of a gripper as it is stored."""
    layout = layout_of(file, path)
    conventions = hdf5_conventions.of_file(file, layout, path, reading)
    q, leader = hdf5_layouts.joints(file, layout.q, path), _leader(file, layout, path, reading)
    stored_dq, stored_effort = (_optional(file, f"observations/{name}", path) for name in ("qvel", "effort"))
    stored_q, most = q, _most(q)
    q = conventions.measured(q)
    if leader is None:
        leader = np.concatenate([q[1:], q[-1:]])
    else:
        most = max(most, _most(leader))
        leader = conventions.commanded(leader)
    still, ahead = np.zeros_like(q), _optional(file, "action_ahead", path)
    episode = Episode(
        q=q,
        dq=still if stored_dq is None else conventions.measured(stored_dq),
        effort=still if stored_effort is None else conventions.in_place(stored_effort),
        leader=leader,
        jpegs=_pictures(file, layout, conventions, path),
        instructions=_wordings(file, path, reading),
        task=_task(file, layout, path),
        seed=int(cast(Any, file.attrs.get("seed", -1))),
        world=_text(file, "world", ""),
        kind=_text(file, "kind", EXPERT),
        success=_success(file, path),
        ahead=stored_q[:0] if ahead is None else conventions.commanded(ahead),
    )
    return rates.at_ours(episode, conventions.hz, str(path)), most


def _most(q: NDArray[np.float32]) -> float:
    grippers = q[:, GRIPPERS]
    return float(grippers.max(initial=0, where=np.isfinite(grippers)))


def _leader(file: h5py.File, layout: Layout, path: Path, reading: Reading) -> NDArray[np.float32] | None:
    """What was commanded at each step, as stored; None: what was measured one step later."""
    names = layout.leader if reading.actions is None else (reading.actions.strip("/"),)
    if not names or reading.actions == NEXT:
        return None
    return hdf5_layouts.joints(file, names, path, f"give --data.actions FIELD, or --data.actions {NEXT}")


def _pictures(file: h5py.File, layout: Layout, conventions: Conventions, path: Path) -> dict[str, list[bytes]]:
    """JPEGs by camera, of those that there are."""
    found: dict[str, list[bytes]] = {}
    for camera, theirs in zip(CAMERAS, conventions.cameras.value, strict=True):
        stored = hdf5_arrays.find(file, layout.picture.format(theirs), path)
        if stored is None and (camera == CAMERAS[0] or _text(file, "kind", EXPERT) == EXPERT):
            flag = ",".join(f"THEIRS={ours}" for ours in CAMERAS)
            there = ", ".join(hdf5_layouts.cameras_in(file, layout)) or "none"
            raise ModelError(
                f"{path}: camera {camera} is missing (its cameras are {there}); give --data.cameras {flag}"
            )
        if stored is not None:
            rows = hdf5_arrays.rows(stored, path)
            if layout.files:
                rows = [hdf5_layouts.picture_file(bytes(row), path) for row in rows]
            found[camera] = _jpegs(rows, conventions)
    return found


def _jpegs(rows: list[Any], conventions: Conventions) -> list[bytes]:
    """JPEGs of a camera, T of them, from arrays, or from picture files as padded rows or byte strings."""
    swapped = conventions.red_and_blue_swapped
    if len(rows) and np.ndim(rows[0]) >= 2:
        return stored_pictures.of_arrays(rows, swapped)
    return [stored_pictures.of_bytes(bytes(row), swapped) for row in rows]


def _success(file: h5py.File, path: Path) -> bool | None:
    """Whether the task was done; None where the file does not say it."""
    return judged(file.attrs.get("success"), str(path))


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


def _padded(jpegs: list[bytes]) -> NDArray[np.uint8]:
    longest = max(map(len, jpegs))
    return np.stack([np.frombuffer(jpeg.ljust(longest, b"\0"), np.uint8) for jpeg in jpegs])
