"""The public layouts of HDF5 demonstrations: where each keeps joints, targets and pictures, and in which units.

Called by hdf5.py.

A file is of the first layout whose datasets it has. What a layout says was read from its makers' code, and tried on small files
of each: nothing is guessed from the numbers but whether the grippers of an ALOHA file are shares of their stroke.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import foreign_files, hdf5_arrays
from models.data.episode import JOINTS
from models.data.foreign_files import REMOVE
from models.errors import ModelError

Array = NDArray[np.float32]
ALOHA_NAMES = dict(zip(CAMERAS, ("cam_high", "cam_left_wrist", "cam_right_wrist"), strict=True))
_LARGEST_JPEG = 16 << 20  # bytes of one picture that lies in a file of its own; chosen: far more than any camera's


@dataclass(frozen=True)
class Layout:
    """One way of writing a demonstration."""

    name: str
    q: tuple[str, ...]
    """Datasets that beside each other are the measured joints (T, 14)."""
    leader: tuple[str, ...]
    """The same of the commanded ones; none: what was measured one step later."""
    pictures: tuple[str, ...]
    """By camera, in the order of CAMERAS."""
    grippers: Literal["m", "shares", "either"] = "m"
    """shares: of their stroke. either: shares where they are above what any gripper opens in m, and velocities are missing."""
    swapped: Literal["never", "always", "with shares"] = "never"
    """Whether red and blue of its JPEGs are exchanged."""
    files: bool = False
    """Pictures are names of JPEG files, relative to the folder of the HDF5 file."""
    task_above: int = 0
    """How many folders above the file's own one is named after the task."""


def _of_arms(place: str, arms: str, grippers: str) -> tuple[str, ...]:
    return tuple(f"{place}/{side}{part}" for side in ("left", "right") for part in (arms, grippers))


ALOHA = Layout(
    "ALOHA, Cobot Magic",
    ("observations/qpos",),
    ("action",),
    tuple(f"observations/images/{name}" for name in ALOHA_NAMES.values()),
    grippers="either",
    swapped="with shares",
)
LAYOUTS = (
    ALOHA,
    Layout(
        "RoboTwin 2",
        _of_arms("joint_action", "_arm", "_gripper"),
        (),
        tuple(f"observation/{name}_camera/rgb" for name in ("head", "left", "right")),
        grippers="shares",
        swapped="always",
        task_above=2,  # TASK/SETTING/data/episode0.hdf5
    ),
    Layout(
        "RoboTwin since August 2026",
        _of_arms("state", "_arm_joint_states", "_ee_joint_states"),
        _of_arms("action", "_arm_joint_states", "_ee_joint_states"),
        tuple(f"vision/{name}/colors" for name in ("cam_head", "cam_left_wrist", "cam_right_wrist")),
        grippers="shares",
        swapped="always",
    ),
    Layout(
        "Agilex data_tools",
        ("arm/jointStatePosition/puppetLeft", "arm/jointStatePosition/puppetRight"),
        ("arm/jointStatePosition/masterLeft", "arm/jointStatePosition/masterRight"),
        tuple(f"camera/color/{name}" for name in ("front", "left", "right")),
        files=True,
        task_above=1,  # TASK/episode0/data.hdf5
    ),
)


def layout_of(file: h5py.File, path: Path) -> Layout:
    """The layout of an open file. Raises ModelError that lists those that are read, where it has none of them."""
    for layout in LAYOUTS:
        if all(hdf5_arrays.find(file, name, path) is not None for name in layout.q):
            return layout
    raise ModelError(
        f"{path}: /observations/qpos is missing, and it is of no other known layout "
        f"({', '.join(layout.name for layout in LAYOUTS[1:])}); convert it to the ALOHA layout (README.md)"
    )


def joints(file: h5py.File, names: tuple[str, ...], path: Path) -> Array:
    """The datasets of these names beside each other, (T, 14). Raises ModelError for one that is missing or of another shape."""
    parts: list[Array] = []
    for name in names:
        stored = hdf5_arrays.find(file, name, path)
        if stored is None:
            raise ModelError(f"{path}: /{name} is missing; {REMOVE}")
        values = np.asarray(stored[()], np.float32)
        parts.append(values[:, None] if values.ndim == 1 else values)
    widths = [part.shape[1] if part.ndim == 2 else -1 for part in parts]
    if sum(widths) != JOINTS or min(widths) < 1 or len({len(part) for part in parts}) != 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        place = " + ".join(f"/{name}" for name in names)
        in_all = " in all" if len(names) > 1 else ""
        raise ModelError(f"{path}: {place}: expected shape (steps, {JOINTS}){in_all}, got {shapes}")
    return np.concatenate(parts, axis=1)


def picture_file(name: bytes, path: Path) -> bytes:
    """The JPEG of a name that a dataset holds.

    Raises:
        ModelError: It leads out of the file's folder, is not there, or too large.
    """
    text = name.rstrip(b"\0").decode(errors="replace")
    place, folder = (path.parent / text).resolve(), path.parent.resolve()
    if not place.is_relative_to(folder):
        raise ModelError(f"{path}: its picture {text!r:.80} lies outside its folder; copy it there")
    if not place.is_file():
        raise ModelError(f"{path}: its picture {text!r:.80} does not exist; {REMOVE}")
    with foreign_files.plain(place).open("rb") as file:
        data = file.read(_LARGEST_JPEG + 1)
    if len(data) > _LARGEST_JPEG:
        raise ModelError(f"{place}: is too large for a picture ({len(data)} bytes); {REMOVE}")
    return data
