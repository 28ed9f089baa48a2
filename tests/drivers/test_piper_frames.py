"""Our frames against piper_sdk itself, on python-can's virtual bus: what we pack it reads, what it sends we read.
Called by pytest; the SDK is the oracle, its parser is called frame by frame without its threads."""

import itertools
import struct
from collections.abc import Iterator
from typing import Any

import can
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from piper_sdk import C_PiperInterface_V2

from drivers import piper_frames as frames
from drivers.piper_frames import Frame, Id, Motor, Status

ANGLES = st.lists(st.floats(-3.1, 3.1), min_size=6, max_size=6)
_NAMES = itertools.count()  # the SDK keeps one instance a name for ever


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Any, can.BusABC]]:
    """The SDK's interface, and the other end of its bus."""
    name = f"frames{next(_NAMES)}"
    piper: Any = C_PiperInterface_V2(name, judge_flag=False, can_auto_init=False)
    piper.CreateCanBus(name, bustype="virtual", judge_flag=False)
    other = can.Bus(channel=name, interface="virtual")
    yield piper, other
    piper.GetCanBus().Close()
    other.shutdown()


def reported(piper: Any, *sent: Frame) -> Any:
    """The SDK after it parsed our frames."""
    for number, data in sent:
        assert len(data) == 8
        piper.ParseCANFrame(can.Message(arbitration_id=number, data=data, is_extended_id=False, timestamp=1.0))
    return piper


def sent(other: can.BusABC) -> list[Frame]:
    """What the SDK has put on the bus since."""
    found: list[Frame] = []
    while (message := other.recv(0.05)) is not None:
        found.append((message.arbitration_id, bytes(message.data)))
    return found


@given(angles=ANGLES)
def test_the_sdk_reads_our_joints(ends: tuple[Any, can.BusABC], angles: list[float]) -> None:
    state = reported(ends[0], *frames.joints(np.array(angles))).GetArmJointMsgs().joint_state
    read = [getattr(state, f"joint_{number}") for number in range(1, 7)]
    np.testing.assert_allclose(frames.from_wire(read), angles, atol=1e-5)


@given(angles=ANGLES)
def test_a_leaders_joints_are_read_by_the_sdk(ends: tuple[Any, can.BusABC], angles: list[float]) -> None:
    state = reported(ends[0], *frames.joints(np.array(angles), Id.JOINT_COMMAND)).GetArmJointCtrl().joint_ctrl
    assert [getattr(state, f"joint_{number}") for number in range(1, 7)] == frames.to_wire(np.array(angles))


def test_the_sdk_reads_our_gripper(ends: tuple[Any, can.BusABC]) -> None:
    state = reported(ends[0], frames.gripper(0.0432, -1.25, 0xC0)).GetArmGripperMsgs().gripper_state
    assert (state.grippers_angle, state.grippers_effort) == (43_200, -1_250)
    assert state.foc_status.driver_enable_status and state.foc_status.homing_status
    assert not state.foc_status.driver_error_status


@pytest.mark.parametrize("code", [0, 1, 4, 7])
def test_the_sdk_reads_our_status(ends: tuple[Any, can.BusABC], code: int) -> None:
    state = reported(ends[0], frames.status(Status(control=1, status=code, errors=0x0102))).GetArmStatus().arm_status
    assert (int(state.ctrl_mode), int(state.arm_status), state.err_code) == (1, code, 0x0102)


def test_the_sdk_reads_our_motors(ends: tuple[Any, can.BusABC]) -> None:
    piper = reported(ends[0], frames.fast(3, -1.234, 2.5, 0.7), frames.slow(3, Motor(24.1, 45, -3, 0b0101_0000, 1.5)))
    fast, slow = piper.GetArmHighSpdInfoMsgs().motor_3, piper.GetArmLowSpdInfoMsgs().motor_3
    assert (fast.motor_speed, fast.current, fast.pos) == (-1234, 2500, 700)
    assert (slow.vol, slow.foc_temp, slow.motor_temp, slow.bus_current) == (241, 45, -3, 1500)
    assert slow.foc_status.driver_enable_status and slow.foc_status.collision_status
    assert not slow.foc_status.driver_error_status


def test_the_sdk_reads_our_limits_and_firmware(ends: tuple[Any, can.BusABC]) -> None:
    piper = reported(ends[0], frames.limits(2, 0.0, 3.14, 3.0), frames.acceleration(2, 5.0))
    read = piper.GetCurrentMotorAngleLimitMaxVel().current_motor_angle_limit_max_vel
    assert (read.motor_num, read.max_angle_limit, read.min_angle_limit, read.max_joint_spd) == (2, 1799, 0, 3000)
    read = piper.GetCurrentMotorMaxAccLimit().current_motor_max_acc_limit
    assert (read.joint_motor_num, read.max_joint_acc) == (2, 500)
    assert reported(piper, *frames.firmware("S-V1.8-2")).GetPiperFirmwareVersion() == "S-V1.8-2"


def test_we_read_what_the_sdk_sends(ends: tuple[Any, can.BusABC]) -> None:
    piper, other = ends
    sent(other)
    piper.MotionCtrl_2(1, 1, 100, 0)
    piper.JointCtrl(1, -2, 3000, -4000, 170_000, -6)
    piper.GripperCtrl(43_200, 1500, 1, 0)
    found = dict(sent(other))
    assert found[Id.MODE].hex() == "0101640000000000"
    assert frames.mode(found[Id.MODE]) == frames.Mode(1, 1, 100, 0)
    read = [angle for number in frames.JOINT_COMMAND_IDS for angle in struct.unpack(">ii", found[number])]
    assert read == [1, -2, 3000, -4000, 170_000, -6]
    assert frames.gripper_command(found[Id.GRIPPER_COMMAND]) == frames.GripperCommand(0.0432, 1.5, 1, False)


def test_angles_come_back_within_their_resolution() -> None:
    q = np.array([0.1, -0.2, 1.0, -1.5, 2.0, 3.0])
    assert np.abs(frames.from_wire(frames.to_wire(q)) - q).max() <= np.radians(0.0005) + 1e-12
