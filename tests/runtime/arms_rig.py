"""One `arms` process without the process: the step on a fake clock, for the tests that need running arms.

The rig feeds back what was commanded, as an ideal arm would.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import ready_pose
from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.config.loading import load_settings
from runtime.messaging import messages

TICK_NS = 5_000_000
DT_NS = 33_333_333
START_NS = 1_000_000_000_000
CAMERAS = ("head", "left_wrist", "right_wrist")
Build = Callable[..., Any]


class Rig:
    """One `arms` process without the process: messages in, targets out, 5 ms at a time."""

    def __init__(self, build: Build, *flags: str, unfit: str = "") -> None:
        self.build = build
        self.config = arms_state.ArmsConfig.of(load_settings([*flags]), unfit)
        self.now_ns = START_NS
        self.measured = ready_pose()
        self.measured[[4, 11]] -= 0.2
        self.state = arms_state.start(self.config, self._feedback(0), self.now_ns)
        self.ticks = 0
        self.late_ns = 0  # by which the next tick begins after its deadline; those that it misses are passed over
        self.chunks = self.commands = 0
        self.health_ok = True
        self.frozen_side: int | None = None
        self.arms: dict[str, Any] = {}  # what the feedback tells besides
        self.outputs: list[arms_state.ArmsOutputs] = []
        self.waiting: list[messages.Message] = [
            build(messages.Episode, started_ns=0),
            build(messages.Instruction),
        ]

    def _feedback(self, seq: int) -> messages.JointState:
        stamps = [self.now_ns, self.now_ns]
        if getattr(self, "frozen_side", None) is not None:
            stamps[self.frozen_side or 0] = START_NS
        return self.build(
            messages.JointState, seq=seq, stamp_ns=self.now_ns, q=self.measured.copy(),
            **{"measured_ns": (stamps[0], stamps[1]), **getattr(self, "arms", {})},
        )  # fmt: skip

    def restart(self) -> None:
        """As after a crash of the process."""
        self.state = arms_state.start(self.config, self._feedback(self.ticks), self.now_ns, restarted=True)

    def tick(self, *arrived: messages.Message, refused: int = 0) -> arms_state.ArmsOutputs:
        """One tick with these messages; a fresh camera report comes by itself."""
        report = (self.health(),) if self.health_ok and self.ticks % 6 == 0 else ()
        inputs = arms_state.ArmsInputs(
            self._feedback(self.ticks), (*self.waiting, *report, *arrived), refused, self.now_ns
        )
        self.waiting = []
        made = arms_step.step(self.config, self.state, inputs, 1, self.now_ns + self.late_ns)
        if made.target.sent:
            self.measured = made.target.q.copy()
        self.outputs.append(made)
        self.ticks += 1
        self.now_ns += TICK_NS * (1 + self.late_ns // TICK_NS)
        self.late_ns = 0
        return made

    def run(self, duration_s: float, chunk_every_s: float | None = 0.1) -> arms_state.ArmsOutputs:
        """Tick for a while; with a fresh chunk now and then."""
        made = self.outputs[-1] if self.outputs else None
        every = None if chunk_every_s is None else round(chunk_every_s * 1e9 / TICK_NS)
        for index in range(round(duration_s * 1e9 / TICK_NS)):
            made = self.tick(*(() if every is None or index % every else (self.chunk(),)))
        assert made is not None
        return made

    def chunk(self, q: NDArray[Any] | None = None, **changes: Any) -> messages.ActionChunk:
        """A chunk from here, 0.2 rad up and back in two seconds on every joint but the grippers."""
        if q is None:
            swing = 0.2 * (1 - np.cos(np.arange(1, 64 + 1) / 30 * np.pi))[:, None] / 2
            q = np.asarray(self.measured + swing * ~np.isin(np.arange(messages.JOINTS), (6, 13)), np.float32)
        seq = self.chunks
        self.chunks += 1
        fields: dict[str, Any] = {
            "seq": seq, "stamp_ns": self.now_ns, "q": q, "t0_ns": self.now_ns, "dt_ns": DT_NS, "observation_ns": self.now_ns,
            "conditions_capture_ns": self.now_ns - 200_000_000, "conditions_limit_ns": 1_500_000_000,
        }  # fmt: skip
        return self.build(messages.ActionChunk, **(fields | changes))

    def health(self, camera: str = "", verdict: str = "") -> messages.CameraHealth:
        """All cameras well, but for one."""
        states = tuple(
            messages.CameraState(
                camera=name, number=1, capture_ns=self.now_ns, rate_hz=30.0, verdict=verdict if name == camera else ""
            )
            for name in CAMERAS
        )
        return self.build(messages.CameraHealth, stamp_ns=self.now_ns, cameras=states)

    def command(self, command: str, confirmed: bool = False) -> messages.OperatorCommand:
        """The next command of one operator, as `arms` receives it."""
        self.commands += 1
        return self.build(messages.OperatorCommand, seq=self.commands, command=command, confirmed=confirmed)

    @property
    def mode(self) -> str:
        """The mode of the newest tick."""
        return self.outputs[-1].target.mode

    @property
    def reasons(self) -> str:
        """Why it does not run."""
        return "; ".join(self.state.machine.status.reasons)
