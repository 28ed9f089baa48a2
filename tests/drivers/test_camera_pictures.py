"""What the simulated cameras show: the objects where they are, the wrists' own fingers, and seeded noise on top.
Called by pytest; colours are judged in the clean render, frames in what `read` returns."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from drivers.camera import CameraFrame
from drivers.cobot_magic import CAMERAS
from drivers.sim import scene
from drivers.sim.camera import SimulatedCamera
from drivers.sim.camera_renderer import Eye
from drivers.sim.engine import mujoco
from drivers.sim.link import SimulatorState, StateSlot
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task

WIDTH, HEIGHT = 160, 120
WRISTS = ("left_wrist", "right_wrist")
OpenCamera = Callable[..., SimulatedCamera]


@pytest.fixture
def open_camera(tmp_path: Path) -> Iterator[OpenCamera]:
    """Open cameras of one folder by name and seed; all are closed at the end."""
    cameras: list[SimulatedCamera] = []

    def make(name: str, seed: int = 1) -> SimulatedCamera:
        camera = SimulatedCamera(name, make_task("block_handover"), tmp_path, WIDTH, HEIGHT, rate_hz=200.0, seed=seed)
        camera.open()
        cameras.append(camera)
        return camera

    yield make
    for camera in cameras:
        camera.close()


@pytest.fixture
def physics() -> Physics:
    """The robot at rest, the block strewn from seed 0."""
    made = Physics(make_task("block_handover"))
    made.reset(0)
    return made


@pytest.fixture
def show(tmp_path: Path, physics: Physics) -> Iterator[Callable[[], None]]:
    """Publish the scene's present state once more, with a new stamp."""
    slot = StateSlot(tmp_path)
    yield lambda: slot.write(SimulatorState(1, time.monotonic_ns(), 0, physics.arms(), physics.qpos()))
    slot.close()


def red(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the block's colour is."""
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (r > 2 * g) & (r > 2 * b) & (r > 50)


def blue(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the mat's colour is."""
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (b > 2 * r) & (b > 1.5 * g) & (b > 50)


def dark(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the fingers' dark grey is."""
    return (picture.max(-1) < 90) & (np.ptp(picture, axis=-1) < 15)


def middle_is_dark(picture: NDArray[np.uint8]) -> bool:
    """Whether a wrist camera sees a finger straight ahead."""
    return bool(dark(picture)[76:108, WIDTH // 2 - 5 : WIDTH // 2 + 5].any())


def column(mask: NDArray[np.bool_]) -> float:
    """Mean column of what is set."""
    return float(mask.nonzero()[1].mean())


def next_frame(camera: SimulatedCamera, show: Callable[[], None]) -> CameraFrame:
    """A frame of the scene as it is now."""
    show()
    got = camera.read(1.0)
    assert got is not None
    return got


def test_head_sees_the_red_block_left_of_the_blue_mat(open_camera: OpenCamera, physics: Physics) -> None:
    picture = open_camera("head").render(physics.qpos())
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert 100 < red(picture).sum() < 2000
    assert 100 < blue(picture).sum() < 2000
    assert column(red(picture)) < column(blue(picture)) - 10


def test_picture_follows_the_block(open_camera: OpenCamera, physics: Physics) -> None:
    camera, qpos = open_camera("head"), physics.qpos()
    before = column(red(camera.render(qpos).copy()))
    address = int(physics.model.joint("block").qposadr[0])
    qpos[address] += 0.2
    assert column(red(camera.render(qpos))) > before + 10


@pytest.mark.parametrize("name", WRISTS)
def test_wrist_sees_a_dark_finger_left_and_right(open_camera: OpenCamera, physics: Physics, name: str) -> None:
    band = dark(open_camera(name).render(physics.qpos()))[76:108]  # between the fingertips and the palm
    left, middle, right = band[:, : WIDTH * 3 // 8], band[:, WIDTH * 3 // 8 : WIDTH * 5 // 8], band[:, WIDTH * 5 // 8 :]
    assert left.sum() > 100
    assert right.sum() > 100
    assert middle.sum() < 20


@pytest.mark.parametrize("name", WRISTS)
def test_closing_the_gripper_brings_the_fingers_together_in_the_picture(
    open_camera: OpenCamera, physics: Physics, name: str
) -> None:
    camera = open_camera(name)
    opened = middle_is_dark(camera.render(physics.qpos()))
    side = WRISTS.index(name)
    physics.command(side, np.append(physics.arms()[side, 0, :6], 0.0))
    physics.advance(600)
    assert not opened
    assert middle_is_dark(camera.render(physics.qpos()))


def test_cameras_see_different_pictures(open_camera: OpenCamera, physics: Physics) -> None:
    head, left, right = (open_camera(name).render(physics.qpos()).copy() for name in ("head", *WRISTS))
    assert np.abs(head.astype(int) - left).mean() > 5
    assert np.abs(left.astype(int) - right).mean() > 2


def test_render_is_deterministic(open_camera: OpenCamera, physics: Physics) -> None:
    camera = open_camera("head")
    assert np.array_equal(camera.render(physics.qpos()).copy(), camera.render(physics.qpos()))


def test_two_frames_of_a_still_scene_differ_a_little(open_camera: OpenCamera, show: Callable[[], None]) -> None:
    camera = open_camera("head")
    first, second = next_frame(camera, show), next_frame(camera, show)
    difference = np.abs(first.pixels.astype(int) - second.pixels)
    assert first.jpeg != second.jpeg
    assert 0.5 < difference.mean() < 8


def test_noise_is_small_around_the_clean_picture(
    open_camera: OpenCamera, show: Callable[[], None], physics: Physics
) -> None:
    camera = open_camera("head")
    clean = camera.render(physics.qpos()).astype(int)
    error = next_frame(camera, show).pixels - clean
    assert abs(error.mean()) < 1
    assert 0.5 < np.abs(error).mean() < 6


def test_noise_is_a_function_of_the_seed_and_the_camera(open_camera: OpenCamera, show: Callable[[], None]) -> None:
    same, again, other = open_camera("head", 1), open_camera("head", 1), open_camera("head", 2)
    frames = [[next_frame(camera, show).jpeg for _ in range(3)] for camera in (same, again, other)]
    assert frames[0] == frames[1]
    assert not set(frames[0]) & set(frames[2])


@pytest.mark.parametrize("name", ["head", *WRISTS])
def test_decoding_the_jpeg_gives_the_pixels_bit_for_bit(
    open_camera: OpenCamera, show: Callable[[], None], name: str
) -> None:
    got = next_frame(open_camera(name), show)
    assert got.exact
    assert np.array_equal(simplejpeg.decode_jpeg(got.jpeg, "RGB"), got.pixels)


def test_capture_time_is_that_of_the_state_shown(open_camera: OpenCamera, show: Callable[[], None]) -> None:
    before_ns = time.monotonic_ns()
    show()
    after_ns = time.monotonic_ns()
    got = open_camera("head").read(1.0)
    assert got is not None
    assert before_ns <= got.capture_ns <= after_ns <= got.returned_ns


@pytest.mark.parametrize("camera", CAMERAS)
def test_what_is_out_of_view_is_left_out_and_no_pixel_changes(camera: str, physics: Physics) -> None:
    model = scene.build_model(make_task("block_handover"))
    data, whole = mujoco.MjData(model), mujoco.Renderer(model, HEIGHT, WIDTH)
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        whole.scene.flags[flag] = 0
    eye, generator = Eye(camera, make_task("block_handover"), WIDTH, HEIGHT, seed=1), np.random.default_rng(2)
    for _ in range(8):
        qpos = physics.qpos()
        qpos[:16] += generator.normal(0, 0.4, 16)  # the arms and fingers
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        whole.update_scene(data, camera)
        assert np.array_equal(eye.render(qpos), whole.render())
    eye.close()
    whole.close()
