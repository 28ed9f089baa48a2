"""Demonstration files: what is written comes back, the robot's and RoboTwin's variants are read, unfit ones are named.
Called by pytest; files are real HDF5."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import simplejpeg

from models.config.policy import CAMERAS
from models.data import hdf5, hdf5_layouts
from models.data.demonstrations import find, to_learn_from, unfit
from models.data.episode import EXPERT, GRIPPERS, SHORTEST_STEPS, Episode, check
from models.errors import ModelError

STEPS = 40


def episode() -> Episode:
    """A smooth one with tiny pictures."""
    random = np.random.default_rng(0)
    way = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None] * random.uniform(-1, 1, 14).astype(np.float32)
    way[:, GRIPPERS] = 0.07 * np.abs(way[:, GRIPPERS])
    pictures = random.integers(0, 255, (len(CAMERAS), STEPS, 16, 24, 3), np.uint8)
    jpegs = {
        camera: [simplejpeg.encode_jpeg(picture, 90) for picture in pictures[place]]
        for place, camera in enumerate(CAMERAS)
    }
    return Episode(way, way * 2, way * 3, way + 0.01, jpegs, ("do it", "please do it"), "a_task", 7)


def change(path: Path, edit: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """It in a file."""
    hdf5.write(tmp_path / "episode_000007.hdf5", episode())
    return tmp_path / "episode_000007.hdf5"


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        hdf5.read(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_an_episode_comes_back_bit_for_bit(path: Path) -> None:
    found, wanted = hdf5.read(path), episode()
    for name in ("q", "dq", "effort", "leader"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
    assert (found.jpegs, found.instructions, found.task, found.seed) == (wanted.jpegs, wanted.instructions, "a_task", 7)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_layout_is_that_of_the_robots_recorder(path: Path) -> None:
    with h5py.File(path) as file:
        images: Any = file["observations/images"]
        assert set(images) == {"cam_high", "cam_left_wrist", "cam_right_wrist"}
        layout: Any = file
        joints = ("observations/qpos", "observations/qvel", "observations/effort", "action")
        shapes = {name: layout[name].shape for name in joints}
        assert set(shapes.values()) == {(STEPS, 14)}
        assert bool(file.attrs["sim"])
        assert bool(file.attrs["compress"])


def test_a_folder_of_links_holds_what_they_lead_to(path: Path, tmp_path: Path) -> None:
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "a_task").symlink_to(path.parent)
    assert [one.path.name for one in find(tmp_path / "chosen")] == [path.name]


def test_pictures_without_compression_are_read(path: Path) -> None:
    def plain(file: h5py.File) -> None:
        del file["observations/images/cam_high"]
        file["observations/images/cam_high"] = np.full((STEPS, 16, 24, 3), 200, np.uint8)

    found = hdf5.read(change(path, plain))
    assert abs(simplejpeg.decode_jpeg(found.jpegs["head"][3]).astype(int) - 200).max() < 4


def test_robotwins_variant_is_read(path: Path) -> None:
    def converted(file: h5py.File) -> None:
        for name in ("observations/qvel", "observations/effort", "base_action"):
            del file[name]
        jpegs = episode().jpegs["head"]
        del file["observations/images/cam_high"]
        file["observations/images/cam_high"] = np.array(jpegs, dtype=f"S{max(map(len, jpegs))}")
        for name in ("observations/qpos", "action"):
            stored: Any = file[name]
            stored[...] = stored[()] / np.where(np.isin(np.arange(14), GRIPPERS), hdf5_layouts.STROKE_M, 1)
        for name in list(file.attrs):
            del file.attrs[name]

    (path.parent / "instructions.json").write_text(json.dumps(["pick it up"]))
    found = hdf5.read(change(path, converted))
    reported, shown = (simplejpeg.decode_jpeg(e.jpegs["head"][3]).astype(int) for e in (episode(), found))
    assert np.abs(shown - reported[..., ::-1]).mean() < 20 < np.abs(shown - reported).mean(), (
        "red and blue change places"
    )
    assert found.instructions == ("pick it up",)
    assert not found.dq.any()
    for name in ("q", "leader"):
        np.testing.assert_allclose(getattr(found, name), getattr(episode(), name), atol=1e-6)


def test_metres_without_velocities_are_no_shares(path: Path) -> None:
    wanted = hdf5.read(path)
    found = hdf5.read(change(path, lambda file: file.__delitem__("observations/qvel")))
    assert np.array_equal(found.q, wanted.q) and np.array_equal(found.leader, wanted.leader)
    assert found.jpegs == wanted.jpegs
    assert not found.dq.any()


def test_a_missing_camera_is_named(path: Path) -> None:
    assert "camera left_wrist is missing" in refused(
        change(path, lambda f: f.pop("observations/images/cam_left_wrist"))
    )


def test_joints_that_are_no_numbers_are_named(path: Path) -> None:
    def spoil(file: h5py.File) -> None:
        stored: Any = file["observations/qpos"]
        stored[5, 2] = np.nan

    assert "q of joint 3 is nan at step 5" in refused(change(path, spoil))


def test_a_short_episode_is_named(tmp_path: Path) -> None:
    whole = episode()
    short = SHORTEST_STEPS - 1
    cut = replace(
        whole, q=whole.q[:short], dq=whole.dq[:short], effort=whole.effort[:short], leader=whole.leader[:short],
        jpegs={camera: jpegs[:short] for camera, jpegs in whole.jpegs.items()},
    )  # fmt: skip
    hdf5.write(tmp_path / "short.hdf5", cut)
    assert f"steps, got {short}" in refused(tmp_path / "short.hdf5")


def test_a_camera_that_lost_pictures_is_named() -> None:
    whole = episode()
    with pytest.raises(ModelError, match="camera head: expected 40 images, got 39"):
        check(replace(whole, jpegs=whole.jpegs | {"head": whole.jpegs["head"][1:]}), "x.hdf5")


@pytest.mark.parametrize("picture", [b"", b"no picture of any kind"])
def test_what_is_no_picture_is_named_with_its_step(path: Path, picture: bytes) -> None:
    def lose(file: h5py.File) -> None:
        stored: Any = file["observations/images/cam_left_wrist"]
        stored[7] = np.frombuffer(picture.ljust(stored.shape[1], b"\0"), np.uint8)

    assert "camera left_wrist has no image at step 7" in refused(change(path, lose))


@pytest.mark.parametrize(("name", "field"), [("observations/qpos", "q"), ("action", "leader")])
def test_grippers_in_another_unit_are_named(path: Path, name: str, field: str) -> None:
    def shares(file: h5py.File) -> None:
        stored: Any = file[name]
        stored[:, 13] = np.linspace(0, 1, STEPS)

    assert (
        f"{field} of joint 14, a gripper, must be in m" in (said := refused(change(path, shares)))
        and "got 0.000 to 1.000" in said
    )


def test_a_jump_is_named(path: Path) -> None:
    def jump(file: h5py.File) -> None:
        stored: Any = file["observations/qpos"]
        stored[20:, 3] += 0.9

    assert "jumps by" in refused(change(path, jump))


def test_an_episode_without_words_is_named(path: Path) -> None:
    def silent(file: h5py.File) -> None:
        del file.attrs["instructions"]

    assert "its instruction is missing" in refused(change(path, silent))


@pytest.mark.parametrize("name", ["action", "observations/qpos"])
def test_a_missing_array_is_named(path: Path, name: str) -> None:
    assert f"/{name} is missing" in refused(change(path, lambda f: f.pop(name)))


def test_joints_of_another_robot_are_named(path: Path) -> None:
    def other(file: h5py.File) -> None:
        del file["action"]
        file["action"] = np.zeros((STEPS, 7))

    assert "/action: expected shape (steps, 14), got (40, 7)" in refused(change(path, other))


def test_a_truncated_file_is_named(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])
    assert "cannot be read" in refused(path)


def test_what_is_of_another_kind_is_named(path: Path) -> None:
    def seed(file: h5py.File) -> None:
        file.attrs["seed"] = "abc"

    def words(file: h5py.File) -> None:
        del file["observations/qpos"]
        file["observations/qpos"] = np.array([[b"left"] * 14] * STEPS)

    def two_channels(file: h5py.File) -> None:
        name = "observations/images/cam_high"
        del file[name]
        file[name] = np.zeros((STEPS, 16, 24, 2), np.uint8)

    def real(file: h5py.File) -> None:
        name = "observations/images/cam_high"
        del file[name]
        file[name] = np.full((STEPS, 16, 24, 3), 1000.0)

    for edit in (seed, words, two_channels, real):
        path.unlink()
        hdf5.write(path, episode())
        assert "cannot be read" in refused(change(path, edit)), edit.__name__


def test_the_size_of_pictures_is_told_without_reading_them(path: Path, tmp_path: Path) -> None:
    assert hdf5.picture_size(path) == (16, 24)
    (tmp_path / "empty.hdf5").touch()
    with pytest.raises(ModelError, match=r"empty\.hdf5: cannot be read"):
        hdf5.picture_size(tmp_path / "empty.hdf5")


def test_a_drawn_world_and_a_films_kind_come_back(path: Path, tmp_path: Path) -> None:
    plain = hdf5.read(path)
    assert (plain.world, plain.kind) == ("", EXPERT)
    film = replace(episode(), world='{"exposure":1.2}', kind="chance", jpegs={"head": episode().jpegs["head"]})
    hdf5.write(tmp_path / "chance.hdf5", check(film, "a film"))
    found = hdf5.read(tmp_path / "chance.hdf5")
    assert (found.world, found.kind, list(found.jpegs)) == (film.world, "chance", ["head"])
    assert hdf5.world(tmp_path / "chance.hdf5") == film.world
    with h5py.File(path) as file:
        assert not {"world", "kind"} & set(file.attrs)


def test_a_policy_learns_from_no_film(path: Path, tmp_path: Path) -> None:
    hdf5.write(tmp_path / "chance_000001.hdf5", replace(episode(), kind="chance"))
    found = find(tmp_path)
    assert [one.kind for one in found] == ["chance", EXPERT]
    assert [one.path for one in to_learn_from(found, tmp_path)] == [path]
    with pytest.raises(ModelError, match=r"holds only 1 film \(chance\), which train.sh video may use; create"):
        to_learn_from(found[:1], tmp_path)


def test_a_policy_learns_from_no_failure(path: Path, tmp_path: Path) -> None:
    for number, success in enumerate((False, True, False)):
        hdf5.write(tmp_path / f"judged_{number}.hdf5", replace(episode(), success=success))
    hdf5.write(tmp_path / "chance_000001.hdf5", replace(episode(), kind="chance"))
    found = find(tmp_path)
    assert [one.success for one in to_learn_from(found, tmp_path)] == [None, True]
    assert unfit(found) == "2 failures, 1 film (chance)" and unfit(found[:0]) == ""
    with h5py.File(tmp_path / "odd.hdf5", "w") as file, h5py.File(path) as good:
        for name in good:
            good.copy(name, file)
        file.attrs["success"] = [0, 1]
        file.attrs["instructions"] = good.attrs["instructions"]
    assert hdf5.read(tmp_path / "odd.hdf5").success is None, "of another program"
    for said, wanted in ((0.0, False), (1, True), ("False", False)):
        with h5py.File(tmp_path / "odd.hdf5", "a") as file:
            file.attrs["success"] = said
        assert hdf5.read(tmp_path / "odd.hdf5").success is wanted
    with h5py.File(tmp_path / "odd.hdf5", "a") as file:
        file.attrs["success"] = "no"
    with pytest.raises(ModelError, match="its success must be true or false, got 'no'"):
        hdf5.read(tmp_path / "odd.hdf5")
