"""Every public layout of HDF5 gives the same episode, in our joints, units and colours. Called by pytest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import simplejpeg

from models.config.policy import CAMERAS
from models.data import hdf5
from models.data.demonstrations import find
from models.data.episode import GRIPPERS
from models.data.hdf5_layouts import LAYOUTS
from models.errors import ModelError

STEPS = 40
Q = (np.linspace(0, 1, STEPS)[:, None] * np.linspace(-0.5, 0.5, 14)).astype(np.float32)
Q[:, GRIPPERS] = 0.04
TARGETS = Q + np.float32(0.01)
SHARES = np.where(np.isin(np.arange(14), GRIPPERS), 1 / hdf5.ROBOTWIN_STROKE_M, 1.0).astype(np.float32)
COLOURS: dict[str, tuple[int, int, int]] = dict(
    zip(CAMERAS, ((200, 30, 60), (60, 200, 30), (30, 60, 200)), strict=True)
)


def jpegs(camera: str, channels: Literal["RGB", "BGR"]) -> Any:
    """Pictures of one colour, all of one length."""
    picture = np.full((24, 32, 3), COLOURS[camera], np.uint8)
    data = simplejpeg.encode_jpeg(picture, 95, channels)
    return np.array([data] * STEPS, dtype=f"S{len(data)}")


def by_arms(file: h5py.File, place: str, q: Any, arms: str, grippers: str) -> None:
    for side, first in (("left", 0), ("right", 7)):
        file[f"{place}/{side}{arms}"] = q[:, first : first + 6]
        file[f"{place}/{side}{grippers}"] = q[:, first + 6]


def robotwin_2(folder: Path) -> Path:
    path = folder / "a_task" / "demo_clean" / "data" / "episode0.hdf5"
    path.parent.mkdir(parents=True)
    (folder / "a_task" / "demo_clean" / "instructions").mkdir()
    texts = {"seen": ["do it"], "unseen": ["never shown"]}
    (folder / "a_task" / "demo_clean" / "instructions" / "episode0.json").write_text(json.dumps(texts))
    with h5py.File(path, "w") as file:
        by_arms(file, "joint_action", Q * SHARES, "_arm", "_gripper")
        for camera, name in zip(CAMERAS, ("head", "left", "right"), strict=True):
            file[f"observation/{name}_camera/rgb"] = jpegs(camera, "BGR")
    return path


def robotwin_2026(folder: Path) -> Path:
    path = folder / "a_task" / "episode0.hdf5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for place, q in (("state", Q), ("action", TARGETS)):
            by_arms(file, place, q * SHARES, "_arm_joint_states", "_ee_joint_states")
        for camera, name in zip(CAMERAS, ("cam_head", "cam_left_wrist", "cam_right_wrist"), strict=True):
            file[f"vision/{name}/colors"] = jpegs(camera, "BGR")
        file["instructions"] = json.dumps(["do it"])
    return path


def data_tools(folder: Path) -> Path:
    path = folder / "a_task" / "episode0" / "data.hdf5"
    path.parent.mkdir(parents=True)
    (path.parent / "instructions.json").write_text('["do it"]')
    with h5py.File(path, "w") as file:
        for kind, q in (("puppet", Q), ("master", TARGETS)):
            file[f"arm/jointStatePosition/{kind}Left"] = q[:, :7].astype(np.float64)
            file[f"arm/jointStatePosition/{kind}Right"] = q[:, 7:].astype(np.float64)
        for camera, name in zip(CAMERAS, ("front", "left", "right"), strict=True):
            (path.parent / "camera" / "color" / name).mkdir(parents=True)
            names = [f"camera/color/{name}/{step}.jpg" for step in range(STEPS)]
            for picture, place in zip(jpegs(camera, "RGB"), names, strict=True):
                (path.parent / place).write_bytes(picture)
            file[f"camera/color/{name}"] = [place.encode() for place in names]
        file["instruction"] = "instructions.json"
    return path


@pytest.mark.parametrize(
    ("make", "commanded"),
    [(robotwin_2, np.concatenate([Q[1:], Q[-1:]])), (robotwin_2026, TARGETS), (data_tools, TARGETS)],
)
def test_a_layout_is_read_as_it_comes(make: Callable[[Path], Path], commanded: Any, tmp_path: Path) -> None:
    found = hdf5.read(make(tmp_path))
    assert (found.task, found.instructions) == ("a_task", ("do it",))
    np.testing.assert_allclose(found.q, Q, atol=1e-6)
    np.testing.assert_allclose(found.leader, commanded, atol=1e-6)
    for camera in CAMERAS:
        shown = simplejpeg.decode_jpeg(found.jpegs[camera][7])[12, 16].astype(int)
        assert np.abs(shown - COLOURS[camera]).max() < 12, "red stays red"
    (listed,) = find(tmp_path)
    assert (listed.task, listed.texts, listed.steps) == ("a_task", ("do it",), STEPS)


def test_every_layout_is_tried_here() -> None:
    assert len(LAYOUTS) == 4, "ALOHA's is tried in test_episode_files.py"


@pytest.mark.parametrize("name", ["../../outside.jpg", "/etc/passwd", "camera/color/front/none.jpg", ""])
def test_a_picture_of_elsewhere_is_not_opened(name: str, tmp_path: Path) -> None:
    path = data_tools(tmp_path)
    (tmp_path / "outside.jpg").write_bytes(b"\xff\xd8")
    with h5py.File(path, "a") as file:
        del file["camera/color/front"]
        file["camera/color/front"] = [name.encode() or b"."] * STEPS
    with pytest.raises(ModelError, match=r"lies outside its folder|does not exist") as refused:
        hdf5.read(path)
    assert str(path) in str(refused.value)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    path = data_tools(tmp_path)
    (tmp_path / "outside.jpg").write_bytes(b"\xff\xd8")
    shown = path.parent / "camera" / "color" / "front" / "3.jpg"
    shown.unlink()
    shown.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(ModelError, match="lies outside its folder"):
        hdf5.read(path)


def test_a_file_of_no_layout_names_those_that_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "odd.hdf5", "w") as file:
        file["poses"] = Q
    with pytest.raises(ModelError, match=r"/observations/qpos is missing, .*RoboTwin 2, .*data_tools\); convert it"):
        hdf5.read(tmp_path / "odd.hdf5")


def test_joints_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = robotwin_2026(tmp_path)
    with h5py.File(path, "a") as file:
        del file["state/left_arm_joint_states"]
        file["state/left_arm_joint_states"] = Q[:, :5]
    with pytest.raises(
        ModelError, match=r"/state/left_arm_joint_states \+ .*: expected shape \(steps, 14\) in all, got"
    ):
        hdf5.read(path)
    with h5py.File(path, "a") as file:
        del file["state/left_arm_joint_states"]
        file["state/left_arm_joint_states"] = Q[:, :6]
        del file["action/right_arm_joint_states"]
    with pytest.raises(ModelError, match="/action/right_arm_joint_states is missing"):
        hdf5.read(path)
