"""A policy that answers observations one after another: both systems at once, without a robot, its clock or its bus.

Called by server.py. System 2 runs before each n-th chunk, on the frames that came until then: where a client sends fewer than
the cameras of a robot would, its windows hold what there was, as they do after lost frames (video_windows.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.config.settings import Settings
from runtime.errors import WireError
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.messaging.openpi_observation import Seen
from runtime.messaging.topics import topic_of
from runtime.policy import units
from runtime.policy.fit import KEPT_FRAMES
from runtime.policy.opening import Policy
from runtime.policy.protocols import Observation, Picture
from runtime.systems import system2_step
from runtime.systems.frame_sets import FrameSet, History, nearest_set
from runtime.systems.system2_state import System2Config, System2State
from runtime.systems.virtual_clock import EPOCH

_SEED_STEP = 1_000_003  # a prime, as System 1's: seeds and numbers of chunks seldom meet in the same noise


@dataclass
class _Understood:
    """What System 2 gave last, and which frame it saw last."""

    arrays: Mapping[str, Array] | None = None
    capture_ns: int = 0


@dataclass
class _Instruction:
    """What the robot is told to do."""

    number: int = 0
    text: str = ""
    encoded: Any = None
    said: tuple[messages.Message, ...] = ()  # as the bus would carry it


class ServedPolicy:
    """The policy and what it remembers of one client; `begin` forgets that."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        """`settings.ratio` chunks for each run of System 2; `settings.seed` of the noise."""
        free = settings.model_copy(update={"pacing": "free"})  # when System 2 runs is decided here
        self._settings, self._policy, self.needs = settings, policy, policy.fast.needs
        self._config = System2Config(free, policy.slow, policy.checkpoint_id)
        self.cameras = tuple(dict.fromkeys((*self.needs.cameras, *self._config.cameras)))
        """Whose pictures every observation must have."""
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Forget what was seen: another client, or another episode."""
        self._policy.fast.clear()
        self._policy.slow.clear()
        self._begun_ns, self._number = now_ns, 0
        self._history = History(self.cameras)
        self._pictures: dict[int, Mapping[str, Picture]] = {}
        self._instruction, self._understood, self._state = _Instruction(), _Understood(), System2State()

    def chunk(self, seen: Seen, now_ns: int) -> NDArray[np.float32]:
        """The chunk for an observation.

        Args:
            seen: What a client sent.
            now_ns: When it came; the pictures count as taken then.

        Returns:
            (H, J) targets, rad, grippers m, `needs.dt_s` apart, the first one of these after the pictures.

        Raises:
            WireError: It has no instruction, and none came before.
        """
        self._instruct(seen.prompt, now_ns)
        newest = self._note(seen.pictures, now_ns)
        if self._config.windows and self._number % self._settings.ratio == 0:
            self._understand(now_ns)
        sets = [nearest_set(self._seen_by_chunks(), now_ns - seconds(age_s)) for age_s in self.needs.history_s[:-1]]
        found = self._predicted([*sets, newest], seen, now_ns)
        self._number += 1
        return found

    def _instruct(self, prompt: str, now_ns: int) -> None:
        if not prompt and not self._instruction.text:
            raise WireError("prompt: is missing; send what the robot is to do")
        if not prompt or prompt == self._instruction.text:
            return
        number = self._instruction.number + 1
        stamp: dict[str, Any] = {"seq": number, "epoch": EPOCH, "stamp_ns": now_ns}
        made = _Instruction(number, prompt, self._policy.instruct(prompt))
        task = self._settings.task
        made.said = (
            messages.Episode(**stamp, number=1, task=task, seed=self._settings.seed, started_ns=self._begun_ns),
            messages.Instruction(**stamp, number=number, text=prompt),
            messages.Embedding(**stamp, instruction=number, key=""),
        )
        self._policy.fast.instruct(made.encoded)
        self._instruction = made

    def _note(self, pictures: Mapping[str, Picture], now_ns: int) -> FrameSet:
        """Number the pictures and keep them as long as a window may look back. Returns the policy's newest set."""
        stamp: dict[str, Any] = {"seq": self._number, "epoch": EPOCH, "stamp_ns": now_ns, "device_number": self._number}
        for camera in self._history.notices:
            self._history.add(messages.Frame(**stamp, camera=camera, capture_ns=now_ns, returned_ns=now_ns, exact=True))
        self._pictures[self._number] = pictures
        self._pictures.pop(self._number - KEPT_FRAMES, None)
        return tuple(notices[-1] for notices in self._seen_by_chunks().values())

    def _seen_by_chunks(self) -> dict[str, tuple[messages.Frame, ...]]:
        """Notices of the cameras that System 1 is given, in its order."""
        return {camera: tuple(self._history.notices[camera]) for camera in self.needs.cameras}

    def _picture(self, camera: str, number: int) -> Picture | None:
        return self._pictures.get(number, {}).get(camera)

    def _understand(self, now_ns: int) -> None:
        """Let System 2 run on what was seen so far."""
        inputs = system2_step.gather({topic_of(one): one for one in self._instruction.said}, self._history.frames())
        assert inputs is not None
        encoded = self._instruction.encoded
        made = system2_step.step(self._config, self._state, inputs, self._picture, lambda _: encoded, EPOCH, now_ns)
        if made is not None:
            self._understood = _Understood(made.arrays, made.capture_ns)

    def _predicted(self, sets: list[FrameSet], seen: Seen, now_ns: int) -> NDArray[np.float32]:
        fast, needs = self._policy.fast, self.needs
        keys = [tuple(frame.seq for frame in frames) for frames in sets]
        for key, frames in zip(keys, sets, strict=True):
            if not fast.has_images(key):
                pictures = tuple(self._pictures[frame.seq][frame.camera] for frame in frames)
                fast.encode_images(key, fast.prepare_images(pictures))
        understood = self._understood
        chunk = fast.predict_chunk(
            Observation(
                sets=tuple(keys),
                q=units.state_to_policy(needs, seen.q),
                instruction=self._instruction.encoded,
                conditions=understood.arrays,
                conditions_age_s=(now_ns - understood.capture_ns) / 1e9 if understood.arrays is not None else 0.0,
                prefix=units.targets_to_policy(needs, seen.prefix, seen.q),
                noise_seed=(self._settings.seed * _SEED_STEP + self._number) % (1 << 31),
            )
        )
        return units.targets_of_policy(needs, chunk, seen.q)
