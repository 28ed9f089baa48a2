"""One arm's bus from end to end, on no clock: the stream and the real driver at one end, the emulated arm at the other.
Used by fuzz.py.
"""

import uuid

import can

from drivers import piper_frames
from drivers.arm_link import ArmCommand
from drivers.piper import PiperArm
from drivers.piper_emulator import KinematicBody, PiperEmulator
from runtime.config.settings import Settings
from runtime.devices.can_bus_step import stream_of


class ArmWire:
    """The stream and the real driver of one arm at one end of a bus, the emulated arm at the other."""

    def __init__(self, side: str, settings: Settings) -> None:
        self.stream = stream_of(settings, side)
        channel = f"{side}-{uuid.uuid4()}"
        self._arm_end = can.Bus(channel, interface="virtual")
        self.arm = PiperArm(side, channel, "virtual", settings.safety.gripper_nm, settings.safety.high[-1])
        self.arm.connect()
        self.emulator = PiperEmulator(KinematicBody(), keep=1)
        self.grips: list[piper_frames.GripperCommand] = []

    def send(self, command: ArmCommand, now_ns: int) -> bool:
        """What the arm's bus process does in one look. Returns whether it sent something."""
        if not self.stream.begun:
            self.stream.begin(command.q, command.stamp_ns)
        sent = self.stream.step(command, now_ns)
        if sent:
            self.arm.command(self.stream.q, now_ns)
        return sent

    def arrived(self, now_ns: int) -> tuple[bytes, ...]:
        """Whole joint targets that have come to the arm since the last call."""
        self.grips.clear()
        self.emulator.heard.clear()
        whole: list[bytes] = []
        while (message := self._arm_end.recv(0)) is not None:
            data = bytes(message.data)
            if message.arbitration_id == piper_frames.Id.GRIPPER_COMMAND:
                self.grips.append(piper_frames.gripper_command(data))
            self.emulator.hear((message.arbitration_id, data), now_ns)
            whole += [heard.joints for heard in self.emulator.heard]
            self.emulator.heard.clear()
        return tuple(whole)

    def close(self) -> None:
        self.arm.close()
        self._arm_end.shutdown()
