"""A robot for the console alone: the real console process, and one thread that publishes what all other processes would.
Used by console_links.py and by the tests of the page.

It costs a tenth of a core, so that a page is measured, not the machine. Its arms obey: `hold` holds them, `run` lets them run.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.arms.reasons import HELD
from runtime.bench.transport import chunk, conditions
from runtime.config.loading import load_settings, settings_to_json
from runtime.errors import RuntimeFault
from runtime.host.clock import Rate, robot_time_ns
from runtime.host.run_folder import BENCH_PREFIX, MemoryFolder
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.messaging.bus import Bus, Publisher
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.topics import topic_of
from runtime.process.base import CONSOLE_FILE, RunFile
from runtime.process.processes import PROCESSES

_HZ = 30  # of pictures and states; states of the real arms come at 200, of which the page shows 20
_START_S = 60.0  # until the console serves its page; chosen
_SLOTS = 32  # of a ring; chosen: a second
_SWING_RAD = 0.1  # chosen: the arms are seen to move
_MAP_PIXELS = 14  # a side; of the networks' patches of a picture of 224
_EVERY = {
    "safety": 6,
    "chunk": 5,
    "conditions": 30,
    "camera_health": 6,
    "instruction": 6,
    "episode": 6,
    "supervision": 6,
}
"""Of so many steps one sends it: five chunks and one condition a second, and states at their topics' rates."""
_SENDERS = ("arms", "cameras", "system1", "system2", "supervisor")


class StandInRobot:
    """Serves the page at `address` while it is entered. `heard`: operator commands, and when they came (ns)."""

    def __init__(self, *flags: str) -> None:
        self.settings = load_settings(["--no-recorder.enabled", "--console.port", "0", *flags])
        self.mode: messages.Mode = "RUNNING"
        self.reasons: tuple[str, ...] = ()
        self.answer = ""  # to the newest command
        self.verdict = ""  # on every camera
        self.heard: list[tuple[messages.OperatorCommand, int]] = []
        self._since_ns = robot_time_ns()
        self._answered = (-1, -1)
        self._counts = dict.fromkeys((*_EVERY, "joint_state", "arm_target", *(f"frame.{one}" for one in CAMERAS)), 0)
        self._publishers: dict[str, Publisher] = {}
        self._ends = threading.Event()
        self._open = ExitStack()

    def __enter__(self) -> "StandInRobot":
        with ExitStack() as opened:
            self.folder = opened.enter_context(MemoryFolder(BENCH_PREFIX))
            (self.folder / "sessions" / "now").mkdir(parents=True)
            run = RunFile(
                settings=settings_to_json(self.settings), session=self.folder / "sessions" / "now", revision=""
            )
            run.save(self.folder)
            self._connect(opened)
            line = [sys.executable, "-m", "runtime.process.base", "console", str(self.folder), "1"]
            self.console = subprocess.Popen(line, stderr=subprocess.DEVNULL)
            opened.callback(self.console.wait, 10)
            opened.callback(self.console.terminate)
            thread = threading.Thread(target=self._run, name="stand-in robot")
            opened.callback(thread.join)
            opened.callback(self._ends.set)
            thread.start()
            self.address = self._served()
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def stand(self, mode: messages.Mode, *reasons: str) -> None:
        """Change to a mode, since now; the same again changes nothing."""
        if (mode, reasons) != (self.mode, self.reasons):
            self.mode, self.reasons, self._since_ns = mode, reasons, robot_time_ns()

    def _served(self) -> str:
        deadline = time.monotonic() + _START_S
        while not (self.folder / CONSOLE_FILE).exists():
            if self.console.poll() is not None or time.monotonic() > deadline:
                raise RuntimeFault("the console did not start; run ./launch/robot.sh --profile sim to see why")
            time.sleep(0.05)
        return (self.folder / CONSOLE_FILE).read_text()

    def _connect(self, opened: ExitStack) -> None:
        buses = {process: Bus(self.folder, process, PROCESSES) for process in _SENDERS}
        for bus in buses.values():
            opened.callback(bus.close)
        self._commands = buses["arms"].subscriber("operator_command", depth=500)
        senders = {"camera_health": "cameras", "chunk": "system1", "conditions": "system2", "instruction": "supervisor",
                   "episode": "supervisor", "supervision": "supervisor"}  # fmt: skip
        for name in self._counts:
            process = "cameras" if name.startswith("frame.") else senders.get(name, "arms")
            self._publishers[name] = buses[process].publisher(name)
        self._rings: dict[str, FrameRing] = {}
        self._pictures: dict[str, list[tuple[NDArray[np.uint8], bytes]]] = {}
        for camera, settings in self.settings.cameras.by_name().items():
            size = settings.width_px, settings.height_px
            ring = FrameRing.create(self.folder / f"{camera}.ring", *size, _SLOTS)
            opened.callback(ring.close)
            self._rings[camera] = ring
            self._pictures[camera] = [_picture(*size, step / _SLOTS) for step in range(_SLOTS)]

    def _run(self) -> None:
        rate, step = Rate(_HZ), 0
        while not self._ends.is_set():
            self._obey()
            for name in self._publishers:
                if name.startswith("frame."):
                    self._show(name.removeprefix("frame."), step)
                elif step % _EVERY.get(name, 1) == 0:
                    self._send(_MADE[name](self, robot_time_ns()))
            step += 1
            rate.wait()

    def _obey(self) -> None:
        for received in self._commands.take():
            command = received.message
            assert isinstance(command, messages.OperatorCommand)
            if (command.epoch, command.seq) == self._answered:  # repeated until it is answered
                continue
            self._answered = command.epoch, command.seq
            self.heard.append((command, robot_time_ns()))
            if command.command == "hold":
                self.stand("HOLD", HELD)
            elif command.command == "run":
                self.stand("RUNNING")
            self._send(_safety(self, robot_time_ns()))

    def _show(self, camera: str, step: int) -> None:
        now_ns, (pixels, jpeg) = robot_time_ns(), self._pictures[camera][step % _SLOTS]
        self._rings[camera].write(step + 1, now_ns, pixels, jpeg)
        self._send(
            messages.Frame(
                seq=step + 1, epoch=1, stamp_ns=now_ns, camera=camera, capture_ns=now_ns, returned_ns=now_ns,
                device_number=step, exact=True,
            )
        )  # fmt: skip

    def _send(self, message: messages.Message) -> None:
        name = topic_of(message)
        own = message if isinstance(message, messages.Frame) else message.model_copy(update={"seq": self._counts[name]})
        self._counts[name] += 1
        self._publishers[name].send(own)

    def count(self, name: str) -> int:
        """How many messages of a topic were sent."""
        return self._counts[name]

    @property
    def since_ns(self) -> int:
        """Since when the arms are in their mode."""
        return self._since_ns

    @property
    def answered(self) -> tuple[int, int]:
        """Epoch and number of the newest command."""
        return self._answered


def _picture(width_px: int, height_px: int, phase: float) -> tuple[NDArray[np.uint8], bytes]:
    """A picture that is as large as a camera's (bytes of its JPEG, too), and differs from those of other phases."""
    y, x = np.mgrid[0:height_px, 0:width_px] / height_px
    waves = [np.sin(2 * np.pi * (shift * x + y + phase)) for shift in (1, 3, 7)]
    grain = np.random.default_rng(0).normal(0, 6, (height_px, width_px, 3))
    pixels = np.clip(128 + 80 * np.stack(waves, axis=-1) + grain, 0, 255).astype(np.uint8)
    return pixels, simplejpeg.encode_jpeg(pixels, quality=80)


def _safety(robot: StandInRobot, now_ns: int) -> messages.SafetyState:
    return messages.SafetyState(
        seq=0, epoch=1, stamp_ns=now_ns, episode=1, mode=robot.mode, reasons=robot.reasons, since_ns=robot.since_ns,
        chunk_age_ns=100_000_000, condition_age_ns=500_000_000, feedback_age_ns=2_000_000, holds=0, faults=0,
        chunks_dropped=0, chunks_rejected=0, ticks=1, running_ticks=1, answered=robot.answered, answer=robot.answer,
    )  # fmt: skip


def _swing(now_ns: int) -> NDArray[np.float64]:
    return ready_pose() + _SWING_RAD * np.sin(now_ns / 1e9) * np.isin(np.arange(messages.JOINTS), (0, 1, 7, 8))


def _joints(robot: StandInRobot, now_ns: int) -> messages.JointState:
    running, nothing = robot.mode == "RUNNING", np.zeros(messages.JOINTS)
    return messages.JointState(
        seq=0, epoch=1, stamp_ns=now_ns, episode=1, q=_swing(now_ns) if running else ready_pose(),
        dq=nothing + 0.05 * running, effort=nothing, number=(1, 1), measured_ns=(now_ns, now_ns),
        chunk_epoch=1, chunk_seq=robot.count("chunk") - 1, consumed=2, running=running,
    )  # fmt: skip


def _target(robot: StandInRobot, now_ns: int) -> messages.ArmTarget:
    q = _swing(now_ns) if robot.mode == "RUNNING" else ready_pose()
    return messages.ArmTarget(
        seq=0, epoch=1, stamp_ns=now_ns, episode=1, deadline_ns=now_ns, mode=robot.mode, blended=q, q=q, sent=True,
        limited=False, seam_jump_rad_s=-1.0, refused=0,
    )  # fmt: skip


def _chunk(robot: StandInRobot, now_ns: int) -> messages.ActionChunk:
    made = chunk(0)
    ahead_ns = now_ns + made.dt_ns * np.arange(len(made.q))
    return made.model_copy(
        update={
            "stamp_ns": now_ns, "t0_ns": now_ns, "observation_ns": now_ns - 40_000_000,
            "frame_returned_ns": now_ns - 30_000_000, "q": np.stack([_swing(int(at)) for at in ahead_ns]).astype(np.float32),
            "timing": messages.Timing(finished_ns=now_ns, prepare_ns=5_000_000, forward_ns=20_000_000),
        }
    )  # fmt: skip


def _conditions(robot: StandInRobot, now_ns: int) -> messages.Conditions:
    bright = np.linspace(0, 255, _MAP_PIXELS**2).astype(np.uint8).reshape(_MAP_PIXELS, _MAP_PIXELS)
    maps = {"boundaries": Array("uint8", bright), "motion": Array("uint8", bright.T.copy())}
    return conditions(8, 0).model_copy(update={"stamp_ns": now_ns, "capture_ns": now_ns - 200_000_000, "maps": maps})


def _health(robot: StandInRobot, now_ns: int) -> messages.CameraHealth:
    states = tuple(
        messages.CameraState(camera=camera, number=1, capture_ns=now_ns, rate_hz=float(_HZ), verdict=robot.verdict)
        for camera in CAMERAS
    )
    return messages.CameraHealth(seq=0, epoch=1, stamp_ns=now_ns, cameras=states)


def _supervision(robot: StandInRobot, now_ns: int) -> messages.Supervision:
    rows = tuple(
        messages.ProcessState(process=name, state="alive", restarts=0, sent_hz=float(_HZ)) for name in _SENDERS
    )
    return messages.Supervision(seq=0, epoch=1, stamp_ns=now_ns, processes=rows)


def _instruction(robot: StandInRobot, now_ns: int) -> messages.Instruction:
    return messages.Instruction(seq=0, epoch=1, stamp_ns=now_ns, number=1, text="hand the block over")


def _episode(robot: StandInRobot, now_ns: int) -> messages.Episode:
    return messages.Episode(seq=0, epoch=1, stamp_ns=now_ns, number=1, task="block_handover", seed=0, started_ns=0)


_MADE: dict[str, Callable[[StandInRobot, int], Any]] = {
    "safety": _safety, "joint_state": _joints, "arm_target": _target, "chunk": _chunk, "conditions": _conditions,
    "camera_health": _health, "supervision": _supervision, "instruction": _instruction, "episode": _episode,
}  # fmt: skip
