"""Every public layout of HDF5 gives the same episode, in our joints, units and colours. Called by pytest."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import simplejpeg
from public_layouts import COLOURS, LAYOUTS, STEPS, TARGETS, Q, data_tools, robotwin_2026

from models.config.policy import CAMERAS
from models.data import hdf5
from models.data.demonstrations import find
from models.data.episode import DEMONSTRATION_HZ
from models.data.hdf5_layouts import LAYOUTS as KNOWN
from models.data.reading import Reading
from models.errors import ModelError


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_means_the_same(name: str, tmp_path: Path) -> None:
    """As it comes, or with one flag; at another rate it takes as long as before."""
    layout = LAYOUTS[name]
    layout.make(tmp_path)
    (listed,) = find(tmp_path, Reading.model_validate(dict([layout.flag] if layout.flag else [])))
    found = listed.read()
    seconds = np.arange(len(found)) / DEMONSTRATION_HZ
    assert (len(found) - 1) / DEMONSTRATION_HZ == pytest.approx((STEPS - 1) / layout.rate_hz, abs=1 / DEMONSTRATION_HZ)
    known = np.arange(STEPS) / layout.rate_hz
    for stored, values in ((Q, found.q), (TARGETS, found.leader)):
        wanted = np.stack([np.interp(seconds, known, column) for column in stored.T], axis=1)
        np.testing.assert_allclose(values, wanted, atol=1e-5)
    for camera in CAMERAS:
        shown = simplejpeg.decode_jpeg(found.jpegs[camera][7])[12, 16].astype(int)
        assert np.abs(shown - COLOURS[camera]).max() < 12, "red stays red"
    assert (found.task, found.instructions[0]) == ("a_task", "do it")
    assert (listed.task, listed.texts, listed.steps) == (found.task, found.instructions, len(found))


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.flag])
def test_what_is_not_said_is_asked_for_by_its_flag(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    path, flag = layout.make(tmp_path), layout.flag
    assert flag is not None
    with pytest.raises(ModelError) as refused:
        find(tmp_path)[0].read()
    value = '"TEXT"' if flag[0] == "instruction" else flag[1]
    assert f"give --data.{flag[0]} {value}" in str(refused.value) and str(path) in str(refused.value)


def test_every_layout_of_the_table_is_tried_here() -> None:
    assert {layout.name.split(",")[0] for layout in KNOWN} == {
        "ALOHA", "RoboTwin 2", "RoboTwin since August 2026", "Agilex data_tools",
    }  # fmt: skip


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
