"""What is written for other programs is read as their loaders read it. Called by pytest.

The loaders are rebuilt from what those of ACT, RDT-1B and RoboTwin's converter do with a file.
"""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from models.config.policy import CAMERAS
from models.data.demonstrations import find
from models.data.episode import GRIPPERS, Episode
from models.data.folder_writers import Format, write
from models.data.reading import Reading
from models.errors import ModelError

STEPS = 130  # RDT-1B leaves out what has less than 128
NAMES = ("cam_high", "cam_left_wrist", "cam_right_wrist")
TEXTS = ("do it", "please do it")
STROKE_M = 0.08


def episode(seed: int = 1, task: str = "a_task") -> Episode:
    way = (np.linspace(0, 1, STEPS)[:, None] * np.linspace(-0.7, 0.7, 14) * seed / 2).astype(np.float32)
    way[:, GRIPPERS] = np.linspace(0, STROKE_M, STEPS)[:, None]
    jpegs = {
        camera: [simplejpeg.encode_jpeg(np.full((16, 24, 3), (200, 30, 20 * place), np.uint8), 95)] * STEPS
        for place, camera in enumerate(CAMERAS)
    }
    texts = TEXTS if seed == 1 else (f"do it {seed} times",)
    return Episode(way, way * 2, way * 3, way + 0.01, jpegs, texts, task)


@pytest.mark.parametrize(
    ("to", "flags"),
    [("hdf5", {}), ("lerobot", {}), ("act", {}), ("rdt", {"layout": "rdt"}), ("robotwin", {})],
)
def test_what_is_written_comes_back(to: Format, flags: dict[str, Any], tmp_path: Path) -> None:
    written = [episode(1), episode(2), episode(1, "b_task")]
    assert write(tmp_path / "out", written, to) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    found = [one.read() for one in find(tmp_path / "out", Reading.model_validate(flags))]
    for one, wanted in zip(found, written, strict=True):
        assert (one.task, one.instructions) == (wanted.task, wanted.instructions)
        np.testing.assert_allclose(one.q, wanted.q, atol=1e-6)
        leader = np.concatenate([wanted.q[1:], wanted.q[-1:]]) if to == "robotwin" else wanted.leader
        np.testing.assert_allclose(one.leader, leader, atol=1e-6)
        shown = simplejpeg.decode_jpeg(one.jpegs["right_wrist"][5])[8, 12].astype(int)
        assert np.abs(shown - (200, 30, 40)).max() < 14


def test_act_loads_its_files(tmp_path: Path) -> None:
    """Numbered from 0, joints and plain pictures by step, and as many targets as there are left."""
    write(tmp_path / "out", [episode(1), episode(2)], "act")
    for number, wanted in enumerate((episode(1), episode(2))):
        with h5py.File(tmp_path / "out" / "a_task" / f"episode_{number}.hdf5") as file:
            root: Any = file
            assert root.attrs["sim"] in (True, False)
            assert root["/action"].shape == (STEPS, 14)
            np.testing.assert_allclose(root["/observations/qpos"][7], wanted.q[7], atol=1e-6)
            np.testing.assert_allclose(root["/observations/qvel"][7], wanted.dq[7], atol=1e-6)
            shown = np.stack([root[f"/observations/images/{name}"][7] for name in NAMES])
            assert shown.shape == (3, 16, 24, 3) and shown.dtype == np.uint8
            assert np.abs(shown[0, 8, 12].astype(int) - (200, 30, 0)).max() < 14
            np.testing.assert_allclose(root["/action"][7:], wanted.leader[7:], atol=1e-6)


def test_our_own_files_are_those_of_its_followers(tmp_path: Path) -> None:
    """With `compress`, a row of a picture is a JPEG that a decoder reads to its end, zeros behind it or not."""
    write(tmp_path / "out", [episode()], "hdf5")
    with h5py.File(tmp_path / "out" / "a_task" / "episode_0.hdf5") as file:
        root: Any = file
        assert root.attrs["compress"]
        with Image.open(io.BytesIO(bytes(root["/observations/images/cam_high"][3]))) as picture:
            assert np.abs(np.asarray(picture)[8, 12].astype(int) - (200, 30, 0)).max() < 14


def test_rdt_loads_its_files(tmp_path: Path) -> None:
    write(tmp_path / "out", [episode()], "rdt")
    (path,) = (tmp_path / "out").rglob("*.hdf5")  # found as RDT finds it, with the texts of its folder
    texts = json.loads((path.parent / "expanded_instruction_gpt-4-turbo.json").read_text())
    for kind in ("instruction", "simplified_instruction", "expanded_instruction"):
        chosen = texts[kind]
        assert (chosen if isinstance(chosen, str) else chosen[0]) in TEXTS
    with h5py.File(path) as file:
        root: Any = file
        q, targets = root["observations"]["qpos"][:], root["action"][:]
        assert len(np.flatnonzero(np.any(np.abs(q - q[:1]) > 1e-2, axis=1))), "it moves"
        q = q / np.array([[1, 1, 1, 1, 1, 1, 4.7908, 1, 1, 1, 1, 1, 1, 4.7888]])
        targets = targets / np.array([[1, 1, 1, 1, 1, 1, 11.8997, 1, 1, 1, 1, 1, 1, 13.9231]])
        np.testing.assert_allclose(q[:, GRIPPERS].max(), 1, atol=1e-4)
        np.testing.assert_allclose(targets[:, GRIPPERS], episode().leader[:, GRIPPERS] / STROKE_M, atol=1e-3)
        for name in NAMES:
            stored = bytes(root["observations"]["images"][name][5])
            array = simplejpeg.decode_jpeg(stored, "BGR")  # as OpenCV gives it; RDT takes it for RGB
            assert array[8, 12, 0] > 180


def test_robotwins_converter_loads_its_files(tmp_path: Path) -> None:
    write(tmp_path / "out", [episode()], "robotwin")
    setting = tmp_path / "out" / "a_task" / "video2act"
    with h5py.File(setting / "data" / "episode0.hdf5") as file:
        root: Any = file
        parts = [root[f"/joint_action/{side}_{name}"][()] for side in ("left", "right") for name in ("arm", "gripper")]
        assert [part.shape for part in parts] == [(STEPS, 6), (STEPS,), (STEPS, 6), (STEPS,)]
        np.testing.assert_allclose(parts[1].max(), 1, atol=1e-6)
        assert root["/joint_action/vector"].shape == (STEPS, 14)
        assert set(root["/observation"]) == {"head_camera", "left_camera", "right_camera"}
        assert simplejpeg.decode_jpeg(bytes(root["/observation/head_camera/rgb"][3]), "BGR")[8, 12, 0] > 180
    assert json.loads((setting / "instructions" / "episode0.json").read_text())["seen"] == list(TEXTS)


def test_no_folder_is_written_over_or_left_half_done(tmp_path: Path) -> None:
    write(tmp_path / "out", [episode()], "hdf5")
    with pytest.raises(ModelError, match="already exists; give another folder"):
        write(tmp_path / "out", [episode()], "rdt")
    damaged = replace(episode(), jpegs=episode().jpegs | {"head": [b"\xff\xd8nothing"] * STEPS})
    for some, said in (([episode(), damaged], "image of head is damaged"), ([], "no episodes to write")):
        with pytest.raises(ModelError, match=said):
            write(tmp_path / "other", some, "act")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("to", ["lerobot", "act", "rdt", "robotwin"])
def test_films_and_cut_episodes_are_kept_by_our_own_files_alone(to: Format, tmp_path: Path) -> None:
    film = replace(episode(), kind="chance", jpegs={"head": episode().jpegs["head"]})
    cut = replace(episode(), ahead=episode().leader[:3])
    failure = replace(episode(), success=False)
    refused = [(film, "a film"), (cut, "cut, with targets after its end")]
    for one, what in refused if to == "lerobot" else [*refused, (failure, "a failure")]:
        with pytest.raises(ModelError, match=f"an episode of a_task is {what}, which {to} cannot hold; write hdf5"):
            write(tmp_path / to, [one], to)
    write(tmp_path / "ours", [film, cut, failure], "hdf5")
    kept = [one.read() for one in find(tmp_path / "ours")]
    assert kept[0].kind == "chance" and len(kept[1].ahead) == 3 and kept[2].success is False
