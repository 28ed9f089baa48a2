"""What a session's chunks were made of, out of its pictures and messages, for the policy that is to be explained.
Called by command.py.

A policy other than the recorded one gets the pictures that it would have asked for at that time; joints, committed targets and
noise stay the recorded ones.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from models.explanation import MadeOf, WindowName
from models.policy import InstructionEmbedding, Pictures
from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.errors import SessionError
from runtime.host.clock import NS_PER_S, seconds
from runtime.messaging import messages
from runtime.policy import units
from runtime.policy.protocols import SlowPolicy
from runtime.replay.index import Index, Missing
from runtime.replay.stretch import consumed
from runtime.session.reader import Session
from runtime.systems.blackout import blacked_out
from runtime.systems.frame_sets import FrameSet, nearest_set
from runtime.systems.system2_state import System2Config, System2Inputs
from runtime.systems.video_windows import windows

Kind = TypeVar("Kind", bound=messages.Message)


@dataclass(frozen=True)
class Frames:
    """Which pictures a chunk was made of."""

    sets: tuple[FrameSet, ...]
    """The set before, then the newest; a notice a camera, in the policy's order."""
    windows: Mapping[WindowName, FrameSet]
    """System 2's, oldest first."""


@dataclass(frozen=True)
class Inputs:
    """The messages that a chunk was made of, by kind."""

    chunk: messages.ActionChunk
    episode: messages.Episode
    instruction: messages.Instruction
    embedding: messages.Embedding
    joints: messages.JointState
    conditions: messages.Conditions | None
    frames: FrameSet


class Recorded:
    """A session whose chunks are to be explained. Raises SessionError where it holds none."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self.session, self.settings = session, settings
        self.index = Index(session)
        found = (message for message in self.index.messages.values() if isinstance(message, messages.ActionChunk))
        self.chunks = sorted(found, key=lambda chunk: chunk.stamp_ns)
        if not self.chunks:
            raise SessionError(f"{session.path}: holds no chunk of a policy; give a session of robot.sh")

    def at_s(self, stamp_ns: int) -> float:
        """A time as seconds since the session began."""
        return (stamp_ns - self.index.began_ns) / NS_PER_S

    def chosen(self, at: Sequence[float], count: int) -> list[messages.ActionChunk]:
        """The chunks of some moments.

        Args:
            at: Seconds since the session began, each for the last chunk before; none: `count` are spread evenly.
            count: How many, at most; of the time in which the arms ran, or if they never did of the whole session.

        Raises:
            SessionError: A moment is before the first chunk, or after the session.
        """
        if at:
            return [self._at(moment_s) for moment_s in at]
        running = [chunk for chunk in self.chunks if self._ran(chunk)] or self.chunks
        places = np.unique(np.linspace(0, len(running) - 1, min(count, len(running))).round().astype(int))
        return [running[place] for place in places]

    def _at(self, moment_s: float) -> messages.ActionChunk:
        first_s, end_s = self.at_s(self.chunks[0].stamp_ns), self.at_s(self._end_ns)
        before = [chunk for chunk in self.chunks if self.at_s(chunk.stamp_ns) <= moment_s]
        if not before or moment_s > end_s:
            # rounded inwards, so that what is proposed is accepted
            low_s, high_s = np.ceil(first_s * 100) / 100, np.floor(end_s * 100) / 100
            raise SessionError(
                f"--at {moment_s:g}: {self.session.path} has chunks from {low_s:.2f} s and ends at {high_s:.2f} s; "
                "give a time between"
            )
        return before[-1]

    @cached_property
    def _end_ns(self) -> int:
        return max(message.stamp_ns for message in self.index.messages.values())

    def _ran(self, chunk: messages.ActionChunk) -> bool:
        joints = next((self.index.messages.get(one) for one in chunk.inputs if one[0] == "joint_state"), None)
        return isinstance(joints, messages.JointState) and joints.running

    def inputs(self, chunk: messages.ActionChunk) -> Inputs:
        """The messages of a chunk. Raises Missing where the session lacks one."""
        made_of = consumed(self.index, chunk)
        return Inputs(
            chunk,
            _one(made_of, messages.Episode),
            _one(made_of, messages.Instruction),
            _one(made_of, messages.Embedding),
            _one(made_of, messages.JointState),
            next((message for message in made_of if isinstance(message, messages.Conditions)), None),
            tuple(message for message in made_of if isinstance(message, messages.Frame)),
        )

    def frames(self, inputs: Inputs, slow: SlowPolicy) -> Frames:
        """The pictures that a policy makes a chunk of then. Raises Missing where the session lacks them."""
        needs, newest = slow.needs, {frame.camera: frame for frame in inputs.frames}
        sets = self._sets(needs, newest, inputs.chunk.observation_ns)
        until_ns = inputs.chunk.observation_ns if inputs.conditions is None else inputs.conditions.capture_ns
        notices = {name: self._until(name, until_ns) for name in {window.camera for window in needs.windows}}
        given = System2Inputs(inputs.episode, inputs.instruction, inputs.embedding, None, notices)
        found = windows(System2Config(self.settings, slow, ""), given)
        if found is None:
            raise Missing("a frame of System 2's windows")
        return Frames(sets, {name: found.frames[name] for name in ("high", "low")})

    def _sets(
        self, needs: Requirements, newest: Mapping[str, messages.Frame], observation_ns: int
    ) -> tuple[FrameSet, ...]:
        """Sets of the ages that a policy needs; `newest` are the notices of the recorded one, by camera."""
        notices = {camera: self._until(camera, observation_ns) for camera in needs.cameras}
        if lacking := next((camera for camera in needs.cameras if not notices[camera]), None):
            raise Missing(f"every frame of {lacking}")
        there = nearest_set(notices, observation_ns)
        newest_set = tuple(newest.get(frame.camera, frame) for frame in there)
        older = (nearest_set(notices, observation_ns - seconds(age_s)) for age_s in needs.history_s[:-1])
        return (*older, newest_set)

    def _until(self, camera: str, capture_ns: int) -> list[messages.Frame]:
        """A camera's notices up to a time, oldest first."""
        return list(itertools.takewhile(lambda frame: frame.capture_ns <= capture_ns, self._notices.get(camera, ())))

    @cached_property
    def _notices(self) -> dict[str, list[messages.Frame]]:
        found: dict[str, list[messages.Frame]] = {}
        for message in self.index.messages.values():
            if isinstance(message, messages.Frame):
                found.setdefault(message.camera, []).append(message)
        for frames in found.values():
            frames.sort(key=lambda frame: frame.capture_ns)
        return found

    @cached_property
    def _by_number(self) -> dict[tuple[str, int], messages.Frame]:
        return {(frame.camera, frame.seq): frame for frames in self._notices.values() for frame in frames}

    def earlier(self, frames: Frames) -> Frames:
        """The camera frame before each; the same one where there is none before."""

        def before(chosen: FrameSet) -> FrameSet:
            return tuple(self._by_number.get((frame.camera, frame.seq - 1), frame) for frame in chosen)

        found: dict[WindowName, FrameSet] = {name: before(window) for name, window in frames.windows.items()}
        return Frames(tuple(before(one) for one in frames.sets), found)

    def made_of(self, inputs: Inputs, frames: Frames, needs: Requirements, instruction: InstructionEmbedding) -> MadeOf:
        """What the networks are given. Raises Missing where a picture is lost."""
        q, chunk = inputs.joints.q, inputs.chunk
        newest_ns = max(window[-1].capture_ns for window in frames.windows.values())
        prefix = chunk.q[: min(chunk.committed, needs.targets - 1)]
        return MadeOf(
            sets=tuple(self._seen(inputs.episode.seed, one) for one in frames.sets),
            windows={name: self._pictures(window) for name, window in frames.windows.items()},
            q=units.state_to_policy(needs, q),
            instruction=instruction,
            age_s=(chunk.stamp_ns - newest_ns) / NS_PER_S,
            prefix=units.targets_to_policy(needs, prefix.astype(np.float64), q),
            noise_seed=chunk.noise_seed,
        )

    def _seen(self, seed: int, frames: FrameSet) -> Pictures:
        """A set's pictures as System 1 was given them: black where the shift said so."""
        blind = self.settings.shift == "blackout" and blacked_out(seed, frames[0].capture_ns)
        return tuple(np.zeros_like(picture) if blind else picture for picture in self._pictures(frames))

    def _pictures(self, frames: FrameSet) -> Pictures:
        return tuple(self.picture(frame) for frame in frames)

    def picture(self, frame: messages.Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """A frame's (H, W, 3) uint8 RGB. Raises Missing."""
        picture = self.session.picture(frame.camera, frame.seq)
        if picture is None:
            raise Missing(f"picture {frame.seq} of {frame.camera}")
        return picture

    def has_pictures(self) -> bool:
        """Whether any picture of its frames can be read."""
        frames = (frame for frames in self._notices.values() for frame in frames)
        return any(self.session.picture(frame.camera, frame.seq) is not None for frame in frames)


def _one(made_of: Sequence[messages.Message], kind: type[Kind]) -> Kind:
    """The message of a kind among those that a chunk was made of. Raises Missing."""
    found = next((message for message in made_of if isinstance(message, kind)), None)
    if found is None:
        raise Missing(kind.__name__.lower())
    return found
