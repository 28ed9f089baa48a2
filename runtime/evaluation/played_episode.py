"""One episode on the virtual clock, event after event in the order of time: ticks, pictures, and what both systems made.
Made by world.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from drivers.arm import ArmState
from drivers.cobot_magic import CAMERAS, SIDES
from drivers.sim.rates import DEMONSTRATION_HZ
from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.arms.process import joint_state
from runtime.config.settings import Settings
from runtime.devices.simulator import STEPS_PER_CYCLE
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.swap import Conditions
from runtime.host.clock import NS_PER_S, seconds
from runtime.messaging import messages
from runtime.policy.opening import Policy
from runtime.systems.virtual_clock import EPOCH, Chunk, VirtualClock, VirtualSystem1, VirtualSystem2

_BEGIN_NS = 1_000 * NS_PER_S  # any time but zero, which stands for "never"
_EPISODE, _INSTRUCTION = 1, 1  # numbers: there is one of each
_START_S = 3.0
"""Longest wait for the first chunk, beyond a task's own time; chosen: many runs of both systems at the usual latencies, and two
at any."""
_KEPT_FRAMES = 400  # states that can still be drawn; chosen: more than both systems look back at (fit.KEPT_FRAMES)


class Body(Protocol):
    """What the arms move; drivers.sim.physics.Physics is one. Time passes in steps of the simulator's cycle."""

    def command(self, side: int, q: NDArray[np.float64]) -> None:
        """A target (7,) of one arm: rad, gripper m."""
        ...

    def advance(self, steps: int) -> None:
        """Let time pass: STEPS_PER_CYCLE steps are one tick of the arms."""
        ...

    def arms(self) -> NDArray[np.float64]:
        """(2, 3, 7): of each arm q, dq and effort."""
        ...

    def qpos(self) -> NDArray[np.float64]:
        """The state that an eye draws."""
        ...

    def success(self) -> bool:
        """Whether the task is done."""
        ...


class Sight(Protocol):
    """A camera of the scene; drivers.sim.camera_renderer.Eye is one."""

    def jpeg(self, qpos: NDArray[np.float64]) -> bytes:
        """The picture of a state `qpos`, as JPEG."""
        ...


@dataclass
class Outcome:
    """How an episode went, in the robot's own time."""

    success: bool = False
    seconds: float = 0.0  # until success, or the task's time limit
    runs: int = 0
    actions: int = 0  # targets of all chunks together
    conditions: int = 0
    condition_ages_s: list[float] = field(default_factory=list)  # at each chunk
    holds: int = 0
    fault: str = ""
    failure: str = ""  # its class (drivers/sim/failures.py); empty: none, or nothing was recorded
    limited_share: float = 0.0  # of the ticks while running
    film: list[bytes] = field(default_factory=list)  # head pictures as JPEG, if asked for
    hands_m: NDArray[np.float64] | None = field(default=None, compare=False)
    """(T, 2, 3) grasp points of the left and the right hand in the world, DEMONSTRATION_HZ; None: not asked for."""


class PlayedEpisode:
    """The scene, the cameras and the arms while an episode is played."""

    def __init__(
        self, settings: Settings, policy: Policy, latencies: Latencies, body: Body, eyes: Mapping[str, Sight], text: str,
        seed: int, conditions: Conditions, note: Callable[[], None],
    ) -> None:  # fmt: skip
        self._conditions, self._note = conditions, note
        self._settings, self._latencies, self._body, self._eyes = settings, latencies, body, eyes
        self._film_every, self._limit_s = 0, 0.0
        self._clock = VirtualClock(_BEGIN_NS)
        self._outcome = Outcome()
        self._config = arms_state.ArmsConfig.of(settings)
        self._arms: arms_state.ArmsState | None = None
        stamp: dict[str, Any] = {"seq": 0, "epoch": EPOCH, "stamp_ns": _BEGIN_NS}
        episode = messages.Episode(**stamp, number=_EPISODE, task=settings.task, seed=seed, started_ns=_BEGIN_NS)
        instruction = messages.Instruction(**stamp, number=_INSTRUCTION, text=text)
        embedding = messages.Embedding(**stamp, instruction=_INSTRUCTION, key="")
        self._inbox: list[messages.Message] = [episode, instruction]
        self._scenes: dict[int, NDArray[np.float64]] = {}
        self._filmed: list[NDArray[np.float64]] = []
        self._pictures: dict[tuple[str, int], NDArray[np.uint8]] = {}
        encoded = policy.instruct(text)
        common = (settings, policy, lambda _: encoded, self._clock, self._picture)
        self._system1 = VirtualSystem1(*common, self._taken, self._acted)
        self._system2 = VirtualSystem2(*common, lambda _: seconds(latencies.system2_s), self._conditions_made)
        for system in (self._system1, self._system2):
            system.hear(episode, instruction, embedding)
        self._ticks = self._frames = self._limited = 0
        self._running_since_ns: int | None = None
        self._over = False

    def play(self, limit_s: float, film_every: int) -> Outcome:
        """Run event after event until success, a fault or the end of the time, which begins with the first chunk."""
        self._limit_s, self._film_every = limit_s, film_every
        self._clock.at(_BEGIN_NS, self._tick)
        self._clock.at(_BEGIN_NS, self._capture)
        while not self._over and self._clock.next():
            pass
        self._note()
        outcome, state, now_ns = self._outcome, self._arms, self._clock.now_ns
        assert state is not None
        outcome.holds, outcome.fault = state.machine.status.holds, state.machine.latched.fault
        outcome.limited_share = self._limited / max(1, state.running_ticks)
        outcome.seconds = (now_ns - (self._running_since_ns or now_ns)) / NS_PER_S
        # Drawn at the end only: each picture draws noise, and those of the policy must not depend on being filmed.
        outcome.film = [self._eyes["head"].jpeg(scene) for scene in self._filmed]
        self._pictures.clear()  # 60 MB; what waits on the clock still holds this episode until the garbage collector comes by
        return outcome

    def _tick(self) -> None:
        """Run one tick of the arms, and the physics until the next."""
        now_ns = self._clock.now_ns
        states = [ArmState(self._ticks, now_ns, *reading) for reading in self._body.arms()]
        feedback = joint_state(states, self._arms, self._ticks, EPOCH, now_ns)
        self._system1.hear(feedback)
        self._arms = self._arms or arms_state.start(self._config, feedback, now_ns)
        inputs = arms_state.ArmsInputs(feedback, tuple(self._inbox), 0, now_ns)
        self._inbox = []
        target = arms_step.step(self._config, self._arms, inputs, EPOCH, now_ns).target
        if target.mode == "RUNNING" and self._running_since_ns is None:
            self._running_since_ns = now_ns
        self._limited += target.mode == "RUNNING" and target.limited
        for side in range(len(SIDES)):
            self._body.command(side, target.q[7 * side : 7 * side + 7])
        self._body.advance(STEPS_PER_CYCLE)
        self._ticks += 1
        self._judge(target.mode)
        self._clock.at(_BEGIN_NS + round(self._ticks * NS_PER_S / self._settings.arms.rate_hz), self._tick)

    def _judge(self, mode: messages.Mode) -> None:
        """Note success, and whether the episode is over: by success, a fault, or its time."""
        now_ns, begun_ns = self._clock.now_ns, self._running_since_ns
        start_s = max(_START_S, 2 * (self._latencies.system1_s + self._latencies.system2_s))
        late = now_ns - _BEGIN_NS > seconds(self._limit_s + start_s)
        late = late or (begun_ns is not None and now_ns - begun_ns > seconds(self._limit_s))
        self._outcome.success = begun_ns is not None and self._body.success()
        self._over = self._outcome.success or late or mode == "FAULT"

    def _capture(self) -> None:
        """All cameras take a picture at once; what they saw is drawn when somebody asks for it."""
        self._note()
        number, now_ns = self._frames, self._clock.now_ns
        self._scenes[number] = self._body.qpos()
        self._scenes.pop(number - _KEPT_FRAMES, None)
        if self._film_every and number % self._film_every == 0:
            self._filmed.append(self._scenes[number])
        states = tuple(
            messages.CameraState(
                camera=name, number=number, capture_ns=now_ns, rate_hz=float(DEMONSTRATION_HZ), verdict=""
            )
            for name in CAMERAS
        )
        self._inbox.append(messages.CameraHealth(seq=number, epoch=EPOCH, stamp_ns=now_ns, cameras=states))
        returned_ns = now_ns + seconds(self._latencies.camera_s)
        notices = tuple(
            messages.Frame(
                seq=number, epoch=EPOCH, stamp_ns=returned_ns, camera=camera, capture_ns=now_ns, returned_ns=returned_ns,
                device_number=number, exact=True,
            )
            for camera in CAMERAS
        )  # fmt: skip
        self._clock.at(returned_ns, lambda: self._noticed(notices))
        self._frames += 1
        self._clock.at(_BEGIN_NS + self._frames * NS_PER_S // DEMONSTRATION_HZ, self._capture)

    def _taken(self, made: Chunk) -> int:
        """How long System 1 took; a run that only finds that it cannot takes no time."""
        return seconds(self._latencies.system1_s) if isinstance(made, messages.ActionChunk) else 0

    def _noticed(self, notices: tuple[messages.Frame, ...]) -> None:
        """Notices of new pictures reach both systems."""
        self._system1.hear(*notices)
        self._system2.hear(*notices)
        self._system1.advance()
        self._system2.advance()

    def _acted(self, made: Chunk) -> None:
        """A chunk reaches the arms and System 2."""
        if isinstance(made, messages.ActionChunk):
            self._inbox.append(made)
            self._outcome.runs += 1
            self._outcome.actions += len(made.q)
            self._outcome.condition_ages_s.append((made.stamp_ns - made.conditions_capture_ns) / NS_PER_S)
        self._system2.hear(made)
        self._system2.advance()

    def _conditions_made(self, made: messages.Conditions) -> None:
        """A condition reaches System 1."""
        self._outcome.conditions += 1
        self._system1.hear(self._conditions.heard(made, self._clock.now_ns - _BEGIN_NS))
        self._system1.advance()

    def _picture(self, camera: str, number: int) -> NDArray[np.uint8] | None:
        """The picture as the live camera gives it: noise and JPEG included; drawn once."""
        key = (camera, number)
        if key not in self._pictures:
            if number not in self._scenes:
                return None
            self._pictures[key] = simplejpeg.decode_jpeg(self._eyes[camera].jpeg(self._scenes[number]))
            while len(self._pictures) > _KEPT_FRAMES:
                self._pictures.pop(next(iter(self._pictures)))
        return self._pictures[key]
