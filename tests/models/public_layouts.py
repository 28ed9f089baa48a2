"""Small demonstrations as public recorders and converters write them, each of the same motion and the same three colours.

Each maker writes one demonstration below a folder and returns its HDF5 file, as that layout's own writers do.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import simplejpeg

from models.config.policy import CAMERAS
from models.data.episode import GRIPPERS

STEPS = 60
STROKE_M = 0.08
RATE_HZ = 30
_PHASE = np.linspace(0, 1.4 * np.pi, STEPS)[:, None]
_HOME = np.tile(np.array([0.05, 1.0, -1.0, 0.1, 0.2, -0.1, 0.04]), 2)
_SWING = np.tile(np.array([0.2, 0.3, 0.3, 0.2, 0.15, 0.3, 0.03]), 2)
Q = (_HOME + _SWING * np.sin(_PHASE + np.arange(14))).astype(np.float32)
"""(STEPS, 14) rad and m: what every layout means, whatever it stores."""
TARGETS = np.concatenate([Q[1:], Q[-1:]])
COLOURS: dict[str, tuple[int, int, int]] = dict(
    zip(CAMERAS, ((200, 30, 60), (60, 200, 30), (30, 60, 200)), strict=True)
)
_ALOHA = dict(zip(CAMERAS, ("cam_high", "cam_left_wrist", "cam_right_wrist"), strict=True))
_PICTURE_PX = (24, 32)
Make = Callable[[Path], Path]


def with_grippers(q: Any, factor: float) -> Any:
    """Joints whose grippers are in another unit."""
    return (q * np.where(np.isin(np.arange(14), GRIPPERS), factor, 1.0)).astype(np.float32)


def picture(camera: str, step: int = 0) -> Any:
    """(H, W, 3) RGB of one colour, but for a white line that moves: a video model learns nothing of a plain one."""
    shown = np.full((*_PICTURE_PX, 3), COLOURS[camera], np.uint8)
    shown[step % 8] = 255
    return shown


def jpegs(camera: str, channels: Literal["RGB", "BGR"]) -> Any:
    """STEPS equal JPEGs; BGR: red and blue are swapped."""
    data = simplejpeg.encode_jpeg(picture(camera), 95, channels)
    return np.array([data] * STEPS, dtype=f"S{len(data)}")


def words(folder: Path, name: str, texts: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(texts))


def aloha(
    path: Path, q: Any, targets: Any, pictures: Callable[[str], Any], velocities: Any = None, **attributes: Any
) -> Path:
    """The layout that ALOHA's recorder began and many write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        for name, value in attributes.items():
            file.attrs[name] = value
        file["observations/qpos"], file["action"] = q, targets
        if velocities is not None:
            file["observations/qvel"], file["observations/effort"] = velocities, np.zeros_like(q)
        for camera, name in _ALOHA.items():
            file[f"observations/images/{name}"] = pictures(camera)
    return path


def arrays(camera: str) -> Any:
    """(STEPS, H, W, 3) uint8 RGB."""
    return np.stack([picture(camera, step) for step in range(STEPS)])


def rows(camera: str) -> Any:
    """JPEGs as rows of one length, with zeros behind."""
    data = simplejpeg.encode_jpeg(picture(camera), 95)
    return np.stack([np.frombuffer(data.ljust(len(data) + 40, b"\0"), np.uint8)] * STEPS)


def cobot_magic(folder: Path) -> Path:
    """As Cobot Magic's recorder leaves it: nobody wrote down what was done."""
    return aloha(folder / "a_task" / "episode_0.hdf5", Q, TARGETS, arrays, np.zeros_like(Q))


def aloha_shares(folder: Path) -> Path:
    """ALOHA's own, by ACT: four cameras, grippers as shares of the stroke."""
    words(folder / "a_task", "instructions.json", ["do it"])
    shares = with_grippers(Q, 1 / STROKE_M)
    path = aloha(folder / "a_task" / "episode_0.hdf5", shares, np.concatenate([shares[1:], shares[-1:]]), rows)
    with h5py.File(path, "a") as file:
        file["observations/images/cam_low"] = rows("head")
        file["observations/qvel"] = np.zeros_like(Q)
    return path


def aloha_50_hz(folder: Path) -> Path:
    """Of another rate, which only its velocities tell."""
    words(folder / "a_task", "instructions.json", ["do it"])
    return aloha(folder / "a_task" / "episode_0.hdf5", Q, TARGETS, arrays, np.gradient(Q, axis=0) * 50)


def degrees(folder: Path) -> Path:
    """Arms in degrees."""
    words(folder / "a_task", "instructions.json", ["do it"])
    turned = [with_grippers(np.degrees(joints), np.pi / 180) for joints in (Q, TARGETS)]
    return aloha(folder / "a_task" / "episode_0.hdf5", turned[0], turned[1], arrays, np.zeros_like(Q))


def rdt(folder: Path) -> Path:
    """RDT's own fine-tuning set: grippers in its scale, red and blue swapped."""
    texts = {"instruction": "do it", "simplified_instruction": ["do"], "expanded_instruction": ["do it slowly"]}
    words(folder / "a_task", "expanded_instruction_gpt-4-turbo.json", texts)
    path, stored = folder / "a_task" / "episode_0.hdf5", [Q.copy(), TARGETS.copy()]
    for joints, scale in zip(stored, ((4.7908, 4.7888), (11.8997, 13.9231)), strict=True):
        joints[:, list(GRIPPERS)] *= np.array(scale) / STROKE_M
    aloha(path, stored[0], stored[1], lambda camera: jpegs(camera, "BGR"), np.zeros_like(Q))
    with h5py.File(path, "a") as file:
        file["instruction"] = "do it"
    return path


def _by_arms(file: h5py.File, place: str, q: Any, arms: str, grippers: str) -> None:
    for side, first in (("left", 0), ("right", 7)):
        file[f"{place}/{side}{arms}"] = q[:, first : first + 6]
        file[f"{place}/{side}{grippers}"] = q[:, first + 6]


def robotwin_2(folder: Path) -> Path:
    path = folder / "a_task" / "demo_clean" / "data" / "episode0.hdf5"
    path.parent.mkdir(parents=True)
    texts = {"seen": ["do it"], "unseen": ["never shown"]}
    words(folder / "a_task" / "demo_clean" / "instructions", "episode0.json", texts)
    with h5py.File(path, "w") as file:
        _by_arms(file, "joint_action", with_grippers(Q, 1 / STROKE_M), "_arm", "_gripper")
        for camera, name in zip(CAMERAS, ("head", "left", "right"), strict=True):
            file[f"observation/{name}_camera/rgb"] = jpegs(camera, "BGR")
    return path


def robotwin_2026(folder: Path) -> Path:
    path = folder / "a_task" / "episode0.hdf5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for place, q in (("state", Q), ("action", TARGETS)):
            _by_arms(file, place, with_grippers(q, 1 / STROKE_M), "_arm_joint_states", "_ee_joint_states")
        for camera, name in zip(CAMERAS, ("cam_head", "cam_left_wrist", "cam_right_wrist"), strict=True):
            file[f"vision/{name}/colors"] = jpegs(camera, "BGR")
        file["instructions"] = json.dumps(["do it"])
    return path


def robotwin_converted(folder: Path) -> Path:
    """RoboTwin's own converter to ALOHA's layout."""
    words(folder / "a_task" / "episode_0", "instructions.json", {"instructions": ["do it"]})
    shares = [with_grippers(q, 1 / STROKE_M) for q in (Q, TARGETS)]
    path = folder / "a_task" / "episode_0" / "episode_0.hdf5"
    return aloha(path, shares[0], shares[1], lambda camera: jpegs(camera, "BGR"))


def data_tools(folder: Path) -> Path:
    """The maker's present pipeline: pictures as files, each with its name in the HDF5 file."""
    path = folder / "a_task" / "episode0" / "data.hdf5"
    words(path.parent, "instructions.json", ["do it"])
    with h5py.File(path, "w") as file:
        for kind, q in (("puppet", Q), ("master", TARGETS)):
            file[f"arm/jointStatePosition/{kind}Left"] = q[:, :7].astype(np.float64)
            file[f"arm/jointStatePosition/{kind}Right"] = q[:, 7:].astype(np.float64)
        for camera, name in zip(CAMERAS, ("front", "left", "right"), strict=True):
            (path.parent / "camera" / "color" / name).mkdir(parents=True)
            names = [f"camera/color/{name}/{step}.jpg" for step in range(STEPS)]
            for data, place in zip(jpegs(camera, "RGB"), names, strict=True):
                (path.parent / place).write_bytes(data)
            file[f"camera/color/{name}"] = [place.encode() for place in names]
        file["instruction"], file["timestamp"] = "instructions.json", np.arange(STEPS) / RATE_HZ
    return path


@dataclass(frozen=True)
class Public:
    """A layout, the one flag that it needs, and what it is then taken to be."""

    make: Make
    flag: tuple[str, str] | None = None
    rate_hz: float = RATE_HZ


LAYOUTS: dict[str, Public] = {
    "Cobot Magic's recorder": Public(cobot_magic, ("instruction", "do it")),
    "ALOHA, shares": Public(aloha_shares, ("layout", "aloha"), 50),
    "ALOHA, 50 Hz": Public(aloha_50_hz, None, 50),
    "degrees": Public(degrees, ("unit", "deg")),
    "RDT": Public(rdt, ("layout", "rdt"), 25),
    "RoboTwin 2": Public(robotwin_2),
    "RoboTwin 2026": Public(robotwin_2026),
    "RoboTwin's converter": Public(robotwin_converted),
    "data_tools": Public(data_tools),
}
