"""One contract for every arm and one for every camera: whatever drives a device must pass these.
Called by pytest. A new driver joins with a rig in ARM_RIGS or CAMERA_RIGS; the simulated devices run on real physics."""

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from camera_rigs import CameraRig, file_rig, realsense_rig, uvc_rig
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS, Arm, ArmState, MotorCommand
from drivers.arm_link import TargetSlot
from drivers.camera import CameraFrame
from drivers.can_hub import INTERFACE
from drivers.cobot_magic import OPEN_GRIP_M, SIDES, ready_pose
from drivers.emulated_bus import EmulatedBus
from drivers.errors import DriverError
from drivers.piper import PiperArm
from drivers.piper_emulator import PiperEmulator
from drivers.sim.arm import SimulatedArm
from drivers.sim.camera import SimulatedCamera
from drivers.sim.link import SimulatorState, StateSlot
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task

STEP_S = 0.005
WITHIN_S = 5.0  # chosen: a loaded machine runs every thread within it


class SimulatedRobot:
    """What the simulator's process does in a cycle, without a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.physics = Physics(make_task("block_handover"))
        self.physics.reset(0)
        self._states = StateSlot(folder)
        self._targets = [TargetSlot(folder, "simulator", side) for side in SIDES]
        self._number, self._obeyed = 0, [0, 0]

    def step(self) -> None:
        """Take the targets, advance 5 ms, publish."""
        for side, slot in enumerate(self._targets):
            reported = slot.read()
            for motor_command in reported.since(self._obeyed[side]):
                self.physics.switch_motors(side, motor_command)
            self._obeyed[side] = reported.number
            if reported.stamp_ns:
                self.physics.command(side, reported.q)
        self.physics.advance(3)
        self._number += 1
        left, right = self.physics.powered
        state = SimulatorState(
            self._number, time.monotonic_ns(), 0, self.physics.arms(), self.physics.qpos(), (left, right)
        )
        self._states.write(state)

    def close(self) -> None:
        """Unmap the slots."""
        for slot in (self._states, *self._targets):
            slot.close()


@dataclass
class ArmRig:
    """An arm's driver and its device: `step` lets 5 ms of the device pass, `measured` is where its joints truly are."""

    make: Callable[[], Arm]
    step: Callable[[], None]
    measured: Callable[[], NDArray[np.float64]]
    others: Callable[[], NDArray[np.float64]]
    start: NDArray[np.float64]
    close: Callable[[], None]
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    """The device goes on by itself while the driver waits for it."""


def simulated_arm_rig(side: str) -> Callable[[Path], ArmRig]:
    """One arm of the simulated robot."""

    def make(folder: Path) -> ArmRig:
        robot, index = SimulatedRobot(folder), SIDES.index(side)
        return ArmRig(
            make=lambda: SimulatedArm(side, folder),
            step=robot.step,
            measured=lambda: robot.physics.arms()[index, 0],
            others=lambda: robot.physics.arms()[1 - index, 0],
            start=ready_pose().reshape(2, ARM_JOINTS)[index],
            close=robot.close,
            waiting=lambda: going_on(robot.step),
        )

    return make


@contextmanager
def going_on(step: Callable[[], None]) -> Generator[None]:
    """A device that steps in a thread."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(STEP_S):
            step()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    ended.set()
    thread.join()


class PhysicsBody:
    """The joints of the simulated robot behind an emulated CAN bus."""

    def __init__(self, robot: SimulatedRobot, index: int) -> None:
        self._robot, self._index = robot, index

    def advance(self, dt_s: float) -> None:
        """The robot is stepped by the rig."""

    def reading(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """q, dq, effort."""
        q, dq, effort = self._robot.physics.arms()[self._index]
        return q, dq, effort

    def follow(self, target: NDArray[np.float64], now_ns: int) -> None:
        """Straight into the physics."""
        self._robot.physics.command(self._index, target)

    def switch_motors(self, motor_command: MotorCommand) -> None:
        """Straight into the physics."""
        self._robot.physics.switch_motors(self._index, motor_command)


class PiperDevice:
    """An emulated Piper whose joints are the simulated robot's; a step ends when the driver, if one is open, has seen it."""

    def __init__(self, side: str, folder: Path) -> None:
        self.robot = SimulatedRobot(folder)
        self.bus = EmulatedBus(folder / "can", PiperEmulator(PhysicsBody(self.robot, SIDES.index(side))))
        self.stepped = False
        self.driver: PiperArm | None = None

    def step(self) -> None:
        """5 ms."""
        before = self.driver.read() if self.driver is not None else None
        self.stepped = True
        self.robot.step()
        self.bus.step()
        deadline = time.monotonic() + 1
        while self.driver is not None and self.driver.read() is before and time.monotonic() < deadline:
            time.sleep(0.0002)

    def close(self) -> None:
        """End the bus."""
        self.bus.close()
        self.robot.close()


class SteppedPiper(PiperArm):
    """The Piper's driver; its device runs by itself while the arm is being enabled, if it has run before."""

    def __init__(self, side: str, folder: Path, device: PiperDevice) -> None:
        super().__init__(side, str(folder / "can"), INTERFACE, stroke_m=OPEN_GRIP_M)
        self._device = device

    def connect(self) -> None:
        """The device lets the driver in, and says nothing yet."""
        super().connect()
        self._device.driver = self
        for _ in range(6):
            self._device.bus.hub.poll(0.01)

    def enable(self, timeout_s: float) -> None:
        """With the device running, until it has told how it is afterwards: on a loaded machine it may come to that late."""
        ended = threading.Event()
        device = threading.Thread(target=lambda: self._device.bus.run(lambda: not ended.is_set()))
        if self._device.stepped:
            device.start()
        try:
            super().enable(timeout_s)
            before, deadline = self.read(), time.monotonic() + WITHIN_S
            while self._device.stepped and self.read() is before and time.monotonic() < deadline:
                time.sleep(0.002)
        finally:
            ended.set()
            if self._device.stepped:
                device.join()
                self._catch_up()

    def _catch_up(self) -> None:
        """Until nothing is on its way any more: later steps count on that."""
        seen, quiet_s = self.read(), 0.0
        while quiet_s < 0.1:
            time.sleep(0.01)
            now = self.read()
            seen, quiet_s = (seen, quiet_s + 0.01) if now is seen else (now, 0.0)

    def close(self) -> None:
        """The device goes on alone."""
        super().close()
        self._device.driver = None


def piper_rig(side: str) -> Callable[[Path], ArmRig]:
    """A Piper through the real SDK, on an emulated bus that ends in the simulated robot."""

    def make(folder: Path) -> ArmRig:
        device, index = PiperDevice(side, folder), SIDES.index(side)
        physics = device.robot.physics
        return ArmRig(
            make=lambda: SteppedPiper(side, folder, device),
            step=device.step,
            measured=lambda: physics.arms()[index, 0],
            others=lambda: physics.arms()[1 - index, 0],
            start=ready_pose().reshape(2, ARM_JOINTS)[index],
            close=device.close,
        )

    return make


def simulated_camera_rig(name: str) -> Callable[[Path], CameraRig]:
    """One camera of the simulated robot."""

    def make(folder: Path) -> CameraRig:
        robot = SimulatedRobot(folder)
        camera = SimulatedCamera(name, make_task("block_handover"), folder, 80, 60, rate_hz=100.0, seed=1)
        return CameraRig(camera, robot.step, robot.close)

    return make


ARM_RIGS = {
    **{f"simulated {side}": simulated_arm_rig(side) for side in SIDES},
    **{f"piper {side}": piper_rig(side) for side in SIDES},
}


CAMERA_RIGS = {
    **{f"simulated {name}": simulated_camera_rig(name) for name in ("head", "left_wrist")},
    "realsense": realsense_rig,
    "uvc": uvc_rig,
    "file": file_rig,
}


@pytest.fixture(params=ARM_RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArmRig]:
    """Every arm's device in turn."""
    made = ARM_RIGS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def arm(rig: ArmRig) -> Iterator[Arm]:
    """A connected driver of a device that has not stepped yet."""
    made = rig.make()
    made.connect()
    yield made
    made.close()


@pytest.fixture
def ready(rig: ArmRig, arm: Arm) -> Arm:
    """A driver whose arm is enabled: it follows targets."""
    rig.step()
    arm.enable(1.0)
    return arm


@pytest.fixture(params=CAMERA_RIGS)
def camera_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CameraRig]:
    """Every camera's device in turn, its stream started."""
    made = CAMERA_RIGS[request.param](tmp_path)
    made.camera.open()
    yield made
    made.camera.close()
    made.close()


def advance(rig: ArmRig, seconds: float) -> None:
    """Let the device run."""
    for _ in range(round(seconds / STEP_S)):
        rig.step()


def near(rig: ArmRig) -> NDArray[np.float64]:
    """A target a little away from the start in every joint, with the gripper half closed."""
    return rig.start + np.array([0.15, 0.1, -0.1, 0.1, -0.1, 0.2, -0.04])


def frame(rig: CameraRig) -> CameraFrame:
    """Something new, and its picture."""
    rig.step()
    got = rig.camera.read(1.0)
    assert got is not None
    return got


def test_arm_has_no_reading_before_the_first(arm: Arm) -> None:
    assert arm.read() is None


def test_enabling_a_silent_arm_fails_with_its_name(arm: Arm) -> None:
    began = time.monotonic()
    with pytest.raises(DriverError, match=arm.name):
        arm.enable(0.05)
    assert 0.04 < time.monotonic() - began < 2


def test_enabling_a_live_arm_succeeds_and_does_not_move_it(rig: ArmRig, arm: Arm) -> None:
    rig.step()
    arm.enable(0.5)
    advance(rig, 0.5)
    np.testing.assert_allclose(rig.measured(), rig.start, atol=2e-3)


def test_reading_has_seven_values_of_each_kind(rig: ArmRig, arm: Arm) -> None:
    rig.step()
    reading = arm.read()
    assert reading is not None
    for values in (reading.q, reading.dq, reading.effort):
        assert values.shape == (ARM_JOINTS,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()


def test_reading_is_where_the_arm_is(rig: ArmRig, ready: Arm) -> None:
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 0.2)
    reading = ready.read()
    assert reading is not None
    np.testing.assert_allclose(reading.q, rig.measured(), atol=1e-3)
    assert np.abs(reading.q - rig.start).max() > 0.01


def test_velocity_is_the_change_of_the_position(rig: ArmRig, ready: Arm) -> None:
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 0.1)
    before = ready.read()
    rig.step()
    after = ready.read()
    assert before is not None
    assert after is not None
    change = (after.q - before.q) / STEP_S
    np.testing.assert_allclose(change[:6], ((before.dq + after.dq) / 2)[:6], atol=0.02)
    assert change[6] < 0 and after.dq[6] < 0  # a gripper's is told by the clock, and the step is not in time with it
    assert np.abs(after.dq[:6]).max() > 0.05


def test_number_and_stamp_advance_with_the_device(rig: ArmRig, arm: Arm) -> None:
    began_ns, numbers, stamps = time.monotonic_ns(), list[int](), list[int]()
    for _ in range(5):
        rig.step()
        reading = arm.read()
        assert reading is not None
        numbers.append(reading.number)
        stamps.append(reading.stamp_ns)
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert began_ns <= stamps[0] <= stamps[-1] <= time.monotonic_ns()


def test_same_reading_keeps_its_number(rig: ArmRig, arm: Arm) -> None:
    rig.step()
    first, second = arm.read(), arm.read()
    assert first is not None
    assert second is not None
    assert (first.number, first.stamp_ns) == (second.number, second.stamp_ns)
    assert np.array_equal(first.q, second.q)


def test_reading_never_changes_after_it_was_made(rig: ArmRig, ready: Arm) -> None:
    rig.step()
    reading = ready.read()
    assert reading is not None
    copy = reading.q.copy()
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 0.2)
    assert np.array_equal(reading.q, copy)


def test_command_moves_the_arm_to_the_target_and_no_other(rig: ArmRig, ready: Arm) -> None:
    others = rig.others().copy()
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), near(rig), atol=5e-3)
    np.testing.assert_allclose(rig.others(), others, atol=2e-3)


def test_last_of_many_commands_counts(rig: ArmRig, ready: Arm) -> None:
    for part in np.linspace(0, 1, 20):
        ready.command(rig.start + part * (near(rig) - rig.start), time.monotonic_ns())
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), near(rig), atol=5e-3)


def test_hold_without_a_target_leaves_the_arm_where_it_is(rig: ArmRig, ready: Arm) -> None:
    ready.hold(time.monotonic_ns())
    advance(rig, 0.5)
    np.testing.assert_allclose(rig.measured(), rig.start, atol=2e-3)


def test_hold_repeats_the_last_target(rig: ArmRig, ready: Arm) -> None:
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 0.05)
    for _ in range(10):
        ready.hold(time.monotonic_ns())
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), near(rig), atol=5e-3)


def test_hold_repeats_the_target_as_it_was_sent(rig: ArmRig, ready: Arm) -> None:
    target = near(rig)
    ready.command(target, time.monotonic_ns())
    target[:] = rig.start + 0.02  # the caller uses its array again
    ready.hold(time.monotonic_ns())
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), near(rig), atol=5e-3)


def test_arm_holds_its_target_after_the_driver_is_closed(rig: ArmRig) -> None:
    arm = rig.make()
    arm.connect()
    rig.step()
    arm.enable(1.0)
    arm.command(near(rig), time.monotonic_ns())
    arm.close()
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), near(rig), atol=5e-3)


def released(rig: ArmRig, arm: Arm, how: Callable[[], None]) -> ArmState:
    """What an arm reads some time after its power went."""
    how()
    advance(rig, 0.4)
    state = arm.read()
    assert state is not None
    return state


def test_a_released_arm_falls_and_takes_no_targets(rig: ArmRig, ready: Arm) -> None:
    ready.command(rig.start, time.monotonic_ns())
    assert not released(rig, ready, ready.release).powered
    fallen = rig.measured().copy()
    assert np.abs(fallen - rig.start)[:6].max() > 0.1
    ready.command(near(rig), time.monotonic_ns())
    advance(rig, 0.4)
    assert np.abs(rig.measured() - near(rig))[:6].max() > 0.1


def test_a_stopped_arm_sinks_slower_than_one_that_is_released(rig: ArmRig, ready: Arm) -> None:
    ready.stop()
    advance(rig, 0.4)
    sunk = np.abs(rig.measured() - rig.start)[:6].max()
    ready.reset()
    advance(rig, 0.4)
    assert 0.01 < sunk < np.abs(rig.measured() - rig.start)[:6].max() / 2


def test_an_arm_that_is_switched_on_again_stays_where_it_is(rig: ArmRig, ready: Arm) -> None:
    ready.stop()
    advance(rig, 0.1)
    assert not released(rig, ready, ready.reset).powered
    advance(rig, 2.0)
    fallen = rig.measured().copy()
    with rig.waiting():
        ready.enable(2.0)
    assert (state := ready.read()) is not None and state.powered
    advance(rig, 1.0)
    np.testing.assert_allclose(rig.measured()[:6], fallen[:6], atol=0.05)  # it may have fallen beyond a range
    ready.command(rig.start, time.monotonic_ns())
    advance(rig, 3.0)
    np.testing.assert_allclose(rig.measured(), rig.start, atol=5e-3)


def test_arm_can_be_connected_again_after_close(rig: ArmRig) -> None:
    first = rig.make()
    first.connect()
    first.close()
    rig.step()
    second = rig.make()
    second.connect()
    second.enable(0.5)
    assert second.read() is not None
    second.close()


def test_camera_gives_nothing_within_the_time_when_the_device_is_silent(camera_rig: CameraRig) -> None:
    began = time.monotonic()
    assert camera_rig.camera.read(0.05) is None
    assert 0.04 < time.monotonic() - began < 1


def test_frame_has_the_cameras_size_and_colours(camera_rig: CameraRig) -> None:
    pixels = frame(camera_rig).pixels
    assert pixels.shape == (camera_rig.camera.height_px, camera_rig.camera.width_px, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 5


def test_frames_are_counted_from_one_with_rising_times(camera_rig: CameraRig) -> None:
    began_ns = time.monotonic_ns()
    frames = [frame(camera_rig) for _ in range(4)]
    assert [f.number for f in frames] == [1, 2, 3, 4]
    times = [time_ns for f in frames for time_ns in (f.capture_ns, f.returned_ns)]
    assert times == sorted(times)
    assert len({f.capture_ns for f in frames}) == 4
    assert began_ns <= times[0] <= times[-1] <= time.monotonic_ns()


def test_frozen_device_gives_no_further_frame(camera_rig: CameraRig) -> None:
    frame(camera_rig)
    assert camera_rig.camera.read(0.05) is None
    assert frame(camera_rig).number == 2


def test_jpeg_shows_the_pixels_and_gives_them_back_where_it_says_so(camera_rig: CameraRig) -> None:
    got = frame(camera_rig)
    decoded = simplejpeg.decode_jpeg(got.jpeg, "RGB")
    assert np.abs(decoded.astype(int) - got.pixels).mean() < 8
    assert not got.exact or np.array_equal(decoded, got.pixels)


def test_noisy_camera_never_sends_the_same_bytes_twice(camera_rig: CameraRig) -> None:
    frames = [frame(camera_rig) for _ in range(4)]
    assert not camera_rig.camera.noisy or len({f.jpeg for f in frames}) == 4


def test_frame_never_changes_after_it_was_made(camera_rig: CameraRig) -> None:
    first = frame(camera_rig)
    copy = first.pixels.copy()
    frame(camera_rig)
    assert np.array_equal(first.pixels, copy)


def test_camera_keeps_its_rhythm_and_no_faster(camera_rig: CameraRig) -> None:
    for _ in range(3):
        frame(camera_rig)  # the first pictures are slow to make
    began = time.monotonic()
    for _ in range(20):
        frame(camera_rig)
    assert time.monotonic() - began > 14 / camera_rig.camera.rate_hz


def test_camera_can_be_opened_again_after_close(camera_rig: CameraRig) -> None:
    before = frame(camera_rig)
    camera_rig.camera.close()
    camera_rig.camera.open()
    after = frame(camera_rig)
    assert after.capture_ns > before.capture_ns
    assert after.number >= 1
