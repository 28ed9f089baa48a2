"""What stands in for hardware in the loop bench: cameras that hold ready pictures, and a policy that takes exactly 168 ms.
Started by loop.py as `python -m runtime.bench.stand_in NAME FOLDER EPOCH`.

Everything else in the loop bench is the runtime's own processes.
"""

import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.cobot_magic import ready_pose
from models.requirements import needs_of
from models.sizes import small
from runtime.config.settings import Settings
from runtime.devices import cameras
from runtime.host.child_process import die_with_parent
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.policy.protocols import Observation
from runtime.process.base import Process
from runtime.systems import system1
from runtime.systems.system1_state import System1Config

POLICY_NS = 168_000_000  # a System-1 chunk of the paper: 5.96 Hz
CHECKPOINT = "bench"
TOKENS, TOKEN_WIDTH = 224, 512  # of the paper's conditions, a branch
_SPIN_NS = 500_000  # the last stretch of its time: a sleep may end 0.1 ms late, and more on a busy machine
_SWING_RAD = 0.15  # chosen, as the next: at most 0.4 rad/s, which no limit touches
_SWING_HZ = 0.4  # chosen with the swing
_WRISTS, _INWARD_RAD = (4, 11), 0.25
"""Derived: the ready pose's fifth joints are 0.07 rad from their limits, and the swing goes 0.15 rad beyond it."""
_OFFSET_RAD = 0.01  # each chunk is off by this much at random, so that its seam has something to blend; chosen


class ReadyCamera:
    """Returns ready pictures on a common grid of time, as three synchronised cameras would."""

    noisy = False
    usb = ""
    damaged = 0

    def __init__(self, name: str, settings: Settings, folder: Path) -> None:
        camera = settings.cameras.by_name()[name]
        self.name, self.width_px, self.height_px, self.rate_hz = name, camera.width_px, camera.height_px, camera.rate_hz
        shape = (camera.height_px, camera.width_px, 3)
        generator = np.random.default_rng(0)
        self._pictures: list[NDArray[np.uint8]] = [generator.integers(0, 255, shape, np.uint8) for _ in range(4)]
        self._number = 0

    def open(self) -> None:
        """Does nothing: the pictures were made before."""

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next picture, at the next grid time."""
        wait_for_trigger(self.rate_hz)
        self._number += 1
        stamp_ns = robot_time_ns()
        return CameraFrame(self._number, stamp_ns, stamp_ns, self._pictures[self._number % 4], b"bench", exact=True)

    def close(self) -> None:
        """Does nothing: there is no device."""


class TimedPolicy:
    """A FastPolicy (runtime/policy/protocols.py); from its encoding of the pictures to the chunk it takes exactly POLICY_NS."""

    weights = 0

    def __init__(self) -> None:
        tokens = [part.model_copy(update={"shape": (TOKENS, TOKEN_WIDTH)}) for part in needs_of(small()).conditions]
        self.needs = needs_of(small()).model_copy(update={"conditions": tuple(tokens)})
        self._random = np.random.default_rng(0)
        self._encoded: deque[tuple[int, ...]] = deque(maxlen=8)

    def has_images(self, key: tuple[int, ...]) -> bool:
        """Whether that very set is among the last eight."""
        return key in self._encoded

    def prepare_images(self, pictures: tuple[NDArray[np.uint8], ...]) -> object:
        """The pictures, as they were copied out of the ring."""
        return pictures

    def encode_images(self, key: tuple[int, ...], prepared: object) -> None:
        """Note the set; its encoding is part of the time that `predict_chunk` takes."""
        self._encoded.append(key)

    def clear(self) -> None:
        """Forget which sets were encoded."""
        self._encoded.clear()

    def instruct(self, instruction: object) -> None:
        """Does nothing: the swing does not depend on the instruction."""

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        """Does nothing: the swing does not depend on conditions."""

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        """A slow swing of all joints around the ready pose; there long before the time is up."""
        began_ns = robot_time_ns()
        swing_s = began_ns / 1e9 + np.arange(self.needs.targets) / 30
        swing = _SWING_RAD * np.sin(2 * np.pi * _SWING_HZ * swing_s)[:, None] * np.ones(messages.JOINTS)
        swing[:, [6, 13]] = 0
        offset = self._random.normal(0, _OFFSET_RAD, messages.JOINTS)
        offset[[6, 13]] = 0
        middle = ready_pose() - _INWARD_RAD * np.isin(np.arange(messages.JOINTS), _WRISTS)
        chunk = (middle + swing + offset).astype(np.float32)
        deadline_ns = began_ns + POLICY_NS
        time.sleep(max(0, deadline_ns - robot_time_ns() - _SPIN_NS) / 1e9)
        while robot_time_ns() < deadline_ns:
            pass
        return chunk


def _no_instruction(key: str) -> Any:
    """No embedding: the stand-in's chunks do not depend on the instruction."""
    return None


def main(name: str, folder: Path, epoch: int) -> None:
    """Run the real process with its stand-in."""
    die_with_parent(name)
    process = Process(name, folder, epoch)
    signal.signal(signal.SIGTERM, process.stop)
    try:
        if name == "cameras":
            cameras.main(process, ReadyCamera)
        else:
            system1.serve(process, System1Config(process.settings, TimedPolicy(), CHECKPOINT), _no_instruction)
    finally:
        process.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
