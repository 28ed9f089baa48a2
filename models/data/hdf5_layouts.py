"""The public layouts of HDF5 demonstrations: where each keeps joints, targets and pictures, and in which units.

Called by hdf5.py.

A file is of the first layout whose datasets it has. What a layout says was read from its makers' code, and tried on small files
of each. Several recorders write ALOHA's, in different units: hdf5_conventions.py finds out whose it is.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import foreign_files, hdf5_arrays
from models.data.episode import DEMONSTRATION_HZ, JOINTS
from models.data.foreign_files import REMOVE
from models.data.reading import Colours, Recorder
from models.errors import ModelError

Array = NDArray[np.float32]
ALOHA_NAMES = dict(zip(CAMERAS, ("cam_high", "cam_left_wrist", "cam_right_wrist"), strict=True))
STROKE_M = 0.08  # what a gripper's share of 1 is taken to mean: our own opening; deploy/robotwin says the same
_LARGEST_JPEG = 16 << 20  # bytes of one picture that lies in a file of its own; chosen: far more than any camera's


@dataclass(frozen=True)
class Layout:
    """One way of writing a demonstration."""

    name: str
    q: tuple[str, ...]
    """Datasets that beside each other are the measured joints (T, 14)."""
    leader: tuple[str, ...]
    """The same of the commanded ones; none: what was measured one step later."""
    picture: str
    """Where a camera's pictures are; {} stands for its name."""
    cameras: tuple[str, ...]
    """Their names, in the order of CAMERAS."""
    recorder: Recorder | None = None
    """Whose units and colours it has; None: several wrote it, and a file or a flag has to say whose it is."""
    files: bool = False
    """Pictures are names of JPEG files, relative to the folder of the HDF5 file."""
    task_above: int = 0
    """How many folders above the file's own one is named after the task."""


@dataclass(frozen=True)
class Units:
    """What the files of one recorder hold, where they do not say it."""

    rate_hz: float
    gripper_scale: tuple[float, ...]
    """m a unit, of measured and of commanded grippers, or of left and right ones each."""
    colours: Colours


RECORDERS: dict[Recorder, Units] = {
    "cobot_magic": Units(DEMONSTRATION_HZ, (1.0, 1.0), "rgb"),  # collect_data.py: --frame_rate is 30 unless given
    "aloha": Units(50.0, (STROKE_M, STROKE_M), "rgb"),  # DT = 0.02 s; shares of the stroke
    # RDT-1B's loader: control frequency 25; it divides measured by 4.7908 (4.7888 of the right arm) and commanded grippers by
    # 11.8997 (13.9231), so that 1 is open; OpenCV had been given RGB for BGR.
    "rdt": Units(25.0, (STROKE_M / 4.7908, STROKE_M / 4.7888, STROKE_M / 11.8997, STROKE_M / 13.9231), "bgr"),
    # Steps of its simulator are policies' steps, whatever their time; OpenCV was given RGB and took it for BGR.
    "robotwin": Units(DEMONSTRATION_HZ, (STROKE_M, STROKE_M), "bgr"),
}


def _of_arms(place: str, arms: str, grippers: str) -> tuple[str, ...]:
    return tuple(f"{place}/{side}{part}" for side in ("left", "right") for part in (arms, grippers))


ALOHA = Layout(
    "ALOHA, Cobot Magic",
    ("observations/qpos",),
    ("action",),
    "observations/images/{}",
    tuple(ALOHA_NAMES.values()),
)
LAYOUTS = (
    ALOHA,
    Layout(
        "RoboTwin 2",
        _of_arms("joint_action", "_arm", "_gripper"),
        (),
        "observation/{}/rgb",
        ("head_camera", "left_camera", "right_camera"),
        recorder="robotwin",
        task_above=2,  # TASK/SETTING/data/episode0.hdf5
    ),
    Layout(
        "RoboTwin since August 2026",
        _of_arms("state", "_arm_joint_states", "_ee_joint_states"),
        _of_arms("action", "_arm_joint_states", "_ee_joint_states"),
        "vision/{}/colors",
        ("cam_head", "cam_left_wrist", "cam_right_wrist"),
        recorder="robotwin",
    ),
    Layout(
        "Agilex data_tools",
        ("arm/jointStatePosition/puppetLeft", "arm/jointStatePosition/puppetRight"),
        ("arm/jointStatePosition/masterLeft", "arm/jointStatePosition/masterRight"),
        "camera/color/{}",
        ("front", "left", "right"),
        recorder="cobot_magic",
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


def cameras(layout: Layout) -> list[tuple[str, str]]:
    """What each of our cameras is called in a layout: ours and theirs."""
    return list(zip(CAMERAS, layout.cameras, strict=True))


def cameras_in(file: h5py.File, layout: Layout) -> list[str]:
    """The names of all cameras in a file of a layout."""
    group = file.get(layout.picture.partition("/{}")[0])
    return sorted(group) if isinstance(group, h5py.Group) else []


def joints(file: h5py.File, names: tuple[str, ...], path: Path, remedy: str = REMOVE) -> Array:
    """The datasets of these names beside each other, (T, 14). Raises ModelError for one that is missing or of another shape.

    `remedy`: of one that is missing.
    """
    parts: list[Array] = []
    for name in names:
        stored = hdf5_arrays.find(file, name, path)
        if stored is None:
            raise ModelError(f"{path}: /{name} is missing; {remedy}")
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
