"""A Piper at the other end of its CAN bus: answers piper_sdk as the arm does, with faults that can be switched on. No clock.

Called by drivers/emulated_bus.py. `PiperEmulator` is given frames and the time, and gives frames; how joints move is its body's
affair: by themselves (`KinematicBody`), or the simulated robot's. It is as strict as the arm: the first enable frame is lost,
targets are followed under CAN control in joint mode only, and one sent before the motors are on is followed when they come on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from drivers import piper_frames as frames
from drivers.arm import MotorCommand
from drivers.can_hub import ERROR, EXTENDED, REMOTE
from drivers.cobot_magic import HIGH, LOW, OPEN_GRIP_M, READY_Q_RAD
from drivers.piper_frames import Array, Frame, Id, Motor, Status

FEEDBACK_HZ = 200.0  # a real arm's, of joints
FIRMWARE = "S-V1.8-2"
MOTORS = range(1, 7)  # numbers in frames
SPEED_RAD_S, ACCELERATION_RAD_S2 = 3.0, 5.0  # the greatest that a real arm accepts
_ENABLE_FRAMES = 2  # the first one is lost on a real arm
_SLOW_EVERY = 5  # ticks between the motors' slow frames (0x261 to 0x266): 40 a second
_FOLLOWS_S = 0.03  # time constant of a joint on its way to a target; chosen: six periods, so that it follows smoothly
_GRIP_M_S = 0.15  # greatest speed of the gripper; chosen: it opens in half a second
_STANDBY, _BY_CAN, _TEACHING = 0, 1, 2  # ctrl_mode in frame 0x2A1
_MOVE_JOINTS = 1  # MOVE J in frame 0x151
_LED = np.array([0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0])  # where a hand leads it to, a share of `led_rad`
_STOPPED = 1  # arm_status in frame 0x2A1: emergency stop
_ON, _ERROR, _HOT = 0x40, 0x20, 0x02  # bits 6, 5 and 1 of a motor's status, in frames 0x261 to 0x266
_MOTOR_OF_BITS = 2  # the motor whose status bits can be set one by one; chosen: joint 2 carries the most
_GRIPPER_ON, _GRIPPER_HOMED = 0x40, 0x80  # bits 6 and 7 of the gripper's status, in frame 0x2A8
_LEADING = 0x100  # added to the numbers of its feedback while it leads
_STRANGE: dict[str, Frame] = {  # frames with the number of joints 1 and 2 that are no feedback
    "short": (Id.JOINTS, bytes(4)),
    "empty": (Id.JOINTS, b""),
    "remote": (Id.JOINTS | REMOTE, bytes(8)),
    "extended": (Id.JOINTS | EXTENDED, bytes(8)),
    "error": (Id.JOINTS | ERROR, bytes(8)),
}


class Faults(BaseModel):
    """What is wrong with the arm or its bus, nothing by default; a run's `faults.json` switches it while the arm runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    silent: bool = False
    """Nothing passes the bus, as with a broken wire."""
    cut: bool = False
    """The bus throws everybody out, as when the adapter is unplugged."""
    send_fails: bool = False
    """Nobody can send to it (ENOBUFS), as where an adapter's queue is full; what it sends goes on coming."""
    deaf: bool = False
    """What is sent to it is lost on the way, and nobody is told; what it sends goes on coming."""
    clock_s: float = 0.0
    """How far the times of its frames are ahead, as where the PC's wall clock, which stamps them, was turned."""
    late_enable_s: float = Field(default=0.0, ge=0)
    """How long the motors take to switch on."""
    status: int = Field(default=0, ge=0, le=15)
    """The arm's own code: 4 is a target beyond its limits, 5 a joint that does not answer, 7 a collision."""
    error_bits: int = Field(default=0, ge=0, le=0xFFFF)
    """Of its status: 0 to 5 that joints 1 to 6 do not communicate, 8 to 13 that they are beyond their ranges."""
    jump_joint: int = Field(default=1, ge=1, le=6)
    jump_rad: float = 0.0
    """How far off that joint is told to be in false readings."""
    jump_every: int = Field(default=1, ge=1)
    """Ticks from one false reading to the next; 1: all are false."""
    strange: Literal["", "short", "empty", "remote", "extended", "error"] = ""
    """What is no feedback but bears the number of joints 1 and 2: a frame of such a kind at every tick."""
    torn: bool = False
    """Every third set of joint frames lacks its middle."""
    frozen: bool = False
    """Feedback goes on without ever changing."""
    leader: bool = False
    """A leader arm is plugged in and commands the joints (0x155 to 0x157); its hand moves away slowly."""
    leads: Literal["", "silent", "feedback"] = ""
    """The arm itself is set to lead: it is silent while nobody moves it, or tells its state at other numbers."""
    foreign: int = Field(default=0, ge=0, le=0x7FF)
    """Somebody else sends frames of this id; 0 nobody."""
    mute: bool = False
    """Joints are told, but neither status nor gripper nor motors."""
    led_rad: float = 0.0
    """How far somebody leads joints 2 and 3 away while it is taught or led by that leader."""
    corrupt_limits: bool = False
    """Ranges read back are nonsense."""
    acceleration_rad_s2: float = Field(default=ACCELERATION_RAD_S2, gt=0)
    """What its motors are set to allow."""
    gripper_stuck: bool = False
    teaching: bool = False
    """Somebody pressed the teach button: targets are ignored."""
    motor_error: int = Field(default=0, ge=0, le=6)
    """The motor that reports an error; 0 none."""
    hot_motor: int = Field(default=0, ge=0, le=6)
    """The motor that reports 90 degrees Celsius."""
    motor_bits: int = Field(default=0, ge=0, le=255)
    """Of motor 2's status: 1 voltage, 2 motor too hot, 4 current, 8 driver too hot, 16 collision, 128 stall."""
    gripper_bits: int = Field(default=0, ge=0, le=255)
    """Of the gripper's: the same, and 16 its sensor."""


class Body(Protocol):
    """The joints behind the bus: six in rad, then the gripper's opening in m."""

    def advance(self, dt_s: float) -> None:
        """Move on by `dt_s`; does nothing where the joints have a clock of their own."""
        ...

    def reading(self) -> tuple[Array, Array, Array]:
        """q, dq and effort now, (7,) each: rad, rad/s, N m; gripper m, m/s, N."""
        ...

    def follow(self, target: Array, now_ns: int) -> None:
        """Go to a target (7,) from now on, rad and m, until another one comes."""
        ...

    def switch_motors(self, motor_command: MotorCommand) -> None:
        """Power on where the joints are (enable), off (release, reset), or off but damped (stop)."""
        ...


@dataclass
class KinematicBody:
    """A `Body` without mass: joints follow their targets at a limited speed, and stay where they are without power."""

    q: Array = field(default_factory=lambda: np.array((*READY_Q_RAD["left"], OPEN_GRIP_M)))
    dq: Array = field(default_factory=lambda: np.zeros(7))
    target: Array | None = None

    def advance(self, dt_s: float) -> None:
        fastest = np.array([SPEED_RAD_S] * 6 + [_GRIP_M_S])
        wanted = self.q if self.target is None else self.target
        self.dq = np.clip((wanted - self.q) / _FOLLOWS_S, -fastest, fastest)
        self.q = self.q + self.dq * dt_s

    def reading(self) -> tuple[Array, Array, Array]:
        return self.q, self.dq, np.zeros(7)

    def follow(self, target: Array, now_ns: int) -> None:
        self.target = target

    def switch_motors(self, motor_command: MotorCommand) -> None:
        self.target = None


@dataclass(frozen=True)
class Heard:
    """One whole target of the joints, as it came over the wire, and when."""

    at_ns: int
    joints: bytes  # data of 0x155, 0x156 and 0x157, 24 bytes


class PiperEmulator:
    """One arm. `heard` are the targets that it was sent, whole ones only, newest last, whether it followed them or not."""

    def __init__(self, body: Body, keep: int = 100_000, led: bool = False) -> None:
        """`keep` targets are remembered. `led`: a leader's follower, which is on and follows as soon as both have power."""
        self.body, self.faults = body, Faults()
        self.heard: list[Heard] = []
        self.enabled = led
        if led:
            body.switch_motors("enable")
        self.control, self.move = _STANDBY, 0
        self.stopped = False
        self.speed_percent = 0
        self._keep = keep
        self._commanded: dict[int, bytes] = {}
        self._joints: Array | None = None
        self._gripper_m = OPEN_GRIP_M
        self._gripper_on = False
        self._enable_frames, self._enabled_from_ns = 0, 0
        self._tick = 0
        self._answers: list[Frame] = []
        self._kept: tuple[Array, Array, Array] | None = None
        self._led_from: Array | None = None

    def hear(self, frame: Frame, now_ns: int) -> None:
        """Take a frame from the bus: a target, a mode, a stop, or a question, whose answer comes with the next tick."""
        number, data = frame
        if number in frames.JOINT_COMMAND_IDS:
            self._joint_target(number, data, now_ns)
        elif number == Id.GRIPPER_COMMAND:
            command = frames.gripper_command(data)
            self._gripper_on = bool(command.code & 1)
            self._gripper_m = command.opening_m
            self._follow(now_ns)
        elif number == Id.MODE:
            mode = frames.mode(data)
            self.control, self.move, self.speed_percent = mode.control, mode.move, mode.speed_percent
        elif number == Id.STOP:
            self._stop(data[0])
        elif number == Id.ENABLE:
            self._enable(data[1] == 2, now_ns)
        elif number == Id.ASK_LIMITS:
            self._answers += self._limits(data[0], data[1])
        elif number == Id.FIRMWARE:
            self._answers += frames.firmware(FIRMWARE)

    def tick(self, dt_s: float, now_ns: int) -> list[Frame]:
        """Move on by `dt_s`. Returns the frames that the arm sends; to be called FEEDBACK_HZ times a second."""
        self._tick += 1
        if not self.enabled and self._enabled_from_ns != 0 and now_ns >= self._enabled_from_ns:
            self.enabled = True
            self.body.switch_motors("enable")
            self._follow(now_ns)
        self._lead(now_ns)
        self.body.advance(dt_s)
        reading = self._kept if self.faults.frozen and self._kept is not None else self.body.reading()
        self._kept = (reading[0].copy(), reading[1].copy(), reading[2].copy())
        said = self._on_the_bus(self._answers, self._feedback(*reading))
        self._answers = []
        if self.faults.foreign:
            said.append((self.faults.foreign, bytes(8)))
        if self.faults.leader:
            said += frames.joints(reading[0][:6], Id.JOINT_COMMAND)
        return said

    def _on_the_bus(self, answers: list[Frame], feedback: list[Frame]) -> list[Frame]:
        """What of its answers and its feedback goes on the bus, by whether it is set to lead."""
        if self.faults.leads == "silent":
            return []
        if self.faults.leads == "feedback":
            feedback = [(number + _LEADING, data) for number, data in feedback if Id.STATUS <= number <= Id.GRIPPER]
        return [*answers, *feedback]

    def _joint_target(self, number: int, data: bytes, now_ns: int) -> None:
        """Take a frame of a target, which is followed once all three are there, if the arm is ready."""
        self._commanded[number] = data
        if number != frames.JOINT_COMMAND_IDS[-1] or len(self._commanded) < len(frames.JOINT_COMMAND_IDS):
            return
        whole = b"".join(self._commanded[known] for known in frames.JOINT_COMMAND_IDS)
        self._commanded = {}
        self.heard.append(Heard(now_ns, whole))
        del self.heard[: -self._keep]
        self._joints = np.clip(heard_rad(self.heard[-1:])[0], LOW[:6], HIGH[:6])
        self._follow(now_ns)

    def _follow(self, now_ns: int) -> None:
        """Give the body its target, if the arm is on, not stopped, under CAN control and without a fault."""
        ready = self.enabled and not self.stopped and (self.control, self.move) == (_BY_CAN, _MOVE_JOINTS)
        if not ready or self.faults.teaching or self.faults.status or self._joints is None:
            return
        opening_m = self.body.reading()[0][6] if self.faults.gripper_stuck or not self._gripper_on else self._gripper_m
        self.body.follow(np.append(self._joints, opening_m), now_ns)

    def _lead(self, now_ns: int) -> None:
        """Move it as a hand at the arm does, or at the leader that it follows, where a fault says so."""
        if not self.faults.led_rad or not (self.faults.teaching or self.faults.leader) or not self.enabled:
            self._led_from = None
            return
        if self._led_from is None:
            self._led_from = self.body.reading()[0].copy()
        self.body.follow(self._led_from + self.faults.led_rad * _LED, now_ns)

    def _stop(self, code: int) -> None:
        """Frame 0x150: code 1 is a damped stop; 2 takes the stop back and with it the power, so that the arm falls."""
        if code == 1:
            self.stopped = True
            self.body.switch_motors("stop")
        elif code == 2:
            self.stopped, self.control, self._joints = False, _STANDBY, None
            self._enable(False, 0)

    def _enable(self, on: bool, now_ns: int) -> None:
        if not on:
            self.enabled, self._enable_frames, self._enabled_from_ns = False, 0, 0
            self.body.switch_motors("release")
            return
        self._enable_frames += 1
        if self._enable_frames == _ENABLE_FRAMES:
            self._enabled_from_ns = now_ns + round(self.faults.late_enable_s * 1e9)

    def _limits(self, motor: int, asked: int) -> list[Frame]:
        if motor not in MOTORS:
            return []
        if asked == 2:
            return [frames.acceleration(motor, self.faults.acceleration_rad_s2)]
        if self.faults.corrupt_limits:
            return [frames.limits(motor, 1.0, -1.0, 0.0)]
        return [frames.limits(motor, LOW[motor - 1], HIGH[motor - 1], SPEED_RAD_S)]

    def _feedback(self, q: Array, dq: Array, effort: Array) -> list[Frame]:
        control = _TEACHING if self.faults.teaching else self.control
        code = self.faults.status or (_STOPPED if self.stopped else 0)
        false_rad = np.zeros(6)
        if self._tick % self.faults.jump_every == 0:
            false_rad[self.faults.jump_joint - 1] = self.faults.jump_rad
        joints = frames.joints(q[:6] + false_rad)
        if self.faults.torn and self._tick % 3 == 0:
            del joints[1]
        said = [frames.fast(motor, dq[motor - 1], 0.0, q[motor - 1]) for motor in MOTORS]
        said += [
            frames.status(
                Status(control, code, self.move, moving=int(np.abs(dq[:6]).max() > 0.01), errors=self.faults.error_bits)
            )
        ]
        said += [(Id.END_POSE + part, bytes(8)) for part in range(3)]
        said += joints
        if self.faults.strange:
            said.append(_STRANGE[self.faults.strange])
        gripper = (
            (_GRIPPER_ON if self._gripper_on else 0) | _GRIPPER_HOMED | (_ERROR if self.faults.gripper_stuck else 0)
        ) | self.faults.gripper_bits
        if self.faults.mute:
            return [frame for frame in said if frame[0] != Id.STATUS]
        said.append(frames.gripper(q[6], float(np.clip(effort[6], -5, 5)), gripper))
        if self._tick % _SLOW_EVERY == 0:
            said += [frames.slow(motor, self._motor(motor)) for motor in MOTORS]
        return said

    def _motor(self, motor: int) -> Motor:
        hot, broken = self.faults.hot_motor == motor, self.faults.motor_error == motor
        status = (_ON if self.enabled else 0) | (_ERROR if broken else 0) | (_HOT if hot else 0)
        status |= self.faults.motor_bits if motor == _MOTOR_OF_BITS else 0
        return Motor(24.0, 40, 90 if hot else 35, status, 0.5)


def heard_rad(heard: Sequence[Heard]) -> Array:
    """The joints (N, 6) of targets as they came over the wire, in rad; without the gripper."""
    values = np.frombuffer(b"".join(one.joints for one in heard), ">i4").reshape(-1, 6)
    return frames.from_wire(values.tolist())
