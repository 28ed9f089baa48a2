"""One demonstration, whatever file it came from, and what makes one unfit to learn from. Legend: T steps, J = 14 joints.

Made by the readers beside it and by `demos.sh`; used by training, export and replay.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data.foreign_files import REMOVE
from models.errors import ModelError

Array = NDArray[np.float32]
JOINTS = 14  # two arms of six joints and a gripper: the ALOHA layout that the Cobot Magic's recorder writes
GRIPPERS = (6, 13)  # places of the grippers in it
DATASET_JPEG_QUALITY = 95
"""Of pictures that a dataset keeps otherwise. Chosen above the cameras' own 90, to lose little once more."""
DEMONSTRATION_HZ = 30  # the cameras' rate (Video2Act, table 3), at which the Cobot Magic's recorder writes
SHORTEST_STEPS = 32
"""Chosen: half a chunk, about a second; what is shorter was broken off. (RDT-1B leaves out what is shorter than 128.)"""
_LONGEST_TASK = 100  # letters; chosen: our longest has 23, and a file's name may have 255 bytes
_JUDGED = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_JPEG_END = b"\xff\xd9"  # marker EOI of ISO/IEC 10918-1; never within compressed data, where 0 follows each 255
_TRAILER_BYTES = 64  # in which it is looked for; chosen: some cameras write a little after it
LARGEST_PICTURE_PX = 1 << 24
"""Chosen: eight times the pixels of 1920x1080; a JPEG of a few bytes may claim four billion, and decoding believes it."""
_FASTEST_RAD = 0.5
"""Between two steps: 15 rad/s, five times what a Piper accepts (3 rad/s). More is a lost packet or a glitch."""
_MOST_RAD = 6.3  # a whole turn; a Piper's widest joint has less than half of one to either side
_NARROWEST_M, _WIDEST_M = -0.02, 0.15
"""Of a gripper. Chosen: a Piper's opens 0.07 to 0.1 m, by its version, and may read below 0; an open one told as a share of its
stroke, 1, lies far above."""


EXPERT = "expert"
"""The kind of an episode that shows how a task is done. Any other is film: the video model may learn from it, a policy not."""


@dataclass(frozen=True)
class Episode:
    """Joints in the order left j1..j6, gripper, right the same; rad, rad/s, N m, grippers m, m/s, N; 30 steps a second."""

    q: Array  # (T, J) measured
    dq: Array  # (T, J)
    effort: Array  # (T, J)
    leader: Array  # (T, J) what the teacher commanded at each step
    jpegs: dict[str, list[bytes]]  # by camera, T each
    instructions: tuple[str, ...]
    task: str
    seed: int = -1  # of the simulated scene; -1: none
    world: str = ""  # JSON of how that scene looked, where it was drawn
    kind: str = EXPERT
    success: bool | None = None  # whether the task was done; None: nobody judged
    ahead: Array = field(default_factory=lambda: np.zeros((0, JOINTS), np.float32))
    """(A, J) what the teacher commanded after the last step, where an episode was cut: its chunks have no end there."""

    def __len__(self) -> int:
        return len(self.q)


def task_name(text: str, source: str) -> str:
    """A task's name, unchanged. Raises ModelError where it is none: files are named after it, so it must lead nowhere else."""
    if text.isprintable() and 0 < len(text) <= _LONGEST_TASK and "/" not in text and not text.startswith("."):
        return text
    raise ModelError(f"{source}: its task {text[:40]!r} is not a name of 1 to {_LONGEST_TASK} letters; rename it")


def judged(success: Any, source: str) -> bool | None:
    """Whether a file says that its task was done: true or false, 1 or 0, or these as a text; None where it says nothing.

    What is of several steps is not of the task. Raises ModelError for anything else: a failure must not pass for a success.
    """
    if success is None or np.size(success) != 1:
        return None
    word = str(np.ravel(success)[0]).lower()
    if word not in _JUDGED:
        raise ModelError(f"{source}: its success must be true or false, got {word!r:.40}; correct or delete it")
    return _JUDGED[word]


def is_jpeg(picture: bytes) -> bool:
    """Whether bytes begin as a JPEG of a possible size and end as one; HDF5 fills them up with zeros."""
    try:
        height_px, width_px, *_ = simplejpeg.decode_jpeg_header(picture)
    except ValueError:
        return False
    return int(height_px) * int(width_px) <= LARGEST_PICTURE_PX and _JPEG_END in picture.rstrip(b"\0")[-_TRAILER_BYTES:]


def check(episode: Episode, source: str, gripper_remedy: str = "give --data.gripper_scale METRES_PER_UNIT") -> Episode:
    """The episode, unchanged, if training can learn from it.

    Raises ModelError with `source` and the first thing that makes it unfit: length, shapes, NaN, a camera or picture that is
    missing, no instruction, grippers that are not in m (the remedy is `gripper_remedy`), joints in degrees, one that jumps.
    """
    task_name(episode.task, source)
    steps = len(episode) + len(episode.ahead)
    if not len(episode) or steps < SHORTEST_STEPS:
        raise ModelError(f"{source}: must have at least {SHORTEST_STEPS} steps, got {steps}; {REMOVE}")
    _check_series(episode, source)
    _check_pictures(episode, source)
    if not any(text.strip() for text in episode.instructions):
        raise ModelError(
            f'{source}: its instruction is missing; give --data.instruction "TEXT", or write instructions.json beside it, '
            "a list of texts"
        )
    _check_motion(episode, source, gripper_remedy)
    return episode


def _check_series(episode: Episode, source: str) -> None:
    """Every number of every joint must be there and finite."""
    for name in ("q", "dq", "effort", "leader", "ahead"):
        values: Array = getattr(episode, name)
        wanted = (len(values) if name == "ahead" else len(episode), JOINTS)
        if values.shape != wanted:
            raise ModelError(f"{source}: {name}: expected shape {wanted}, got {values.shape}; {REMOVE}")
        if not np.isfinite(values).all():
            step, joint = np.argwhere(~np.isfinite(values))[0]
            raise ModelError(f"{source}: {name} of joint {joint + 1} is {values[step, joint]} at step {step}; {REMOVE}")


def _check_pictures(episode: Episode, source: str) -> None:
    """Every camera that such an episode has must have an image at each step."""
    steps = len(episode)
    for camera in CAMERAS if episode.kind == EXPERT else CAMERAS[:1]:
        if camera not in episode.jpegs:
            raise ModelError(
                f"{source}: camera {camera} is missing (it has {', '.join(episode.jpegs) or 'none'}); "
                f"give --data.cameras THEIRS={camera},... or {REMOVE}"
            )
        if len(episode.jpegs[camera]) != steps:
            raise ModelError(
                f"{source}: camera {camera}: expected {steps} images, got {len(episode.jpegs[camera])}; {REMOVE}"
            )
        for step, jpeg in enumerate(episode.jpegs[camera]):
            if not is_jpeg(jpeg):
                raise ModelError(f"{source}: camera {camera} has no image at step {step} ({len(jpeg)} bytes); {REMOVE}")


def _check_motion(episode: Episode, source: str, gripper_remedy: str) -> None:
    """Grippers must be in m, joints in rad, and none may jump."""
    commanded = np.concatenate([episode.leader, episode.ahead])
    for (name, values), joint in itertools.product((("q", episode.q), ("leader", commanded)), GRIPPERS):
        low, high = float(values[:, joint].min()), float(values[:, joint].max())
        if not _NARROWEST_M < low <= high < _WIDEST_M:
            raise ModelError(
                f"{source}: {name} of joint {joint + 1}, a gripper, must be in m, "
                f"{_NARROWEST_M} to {_WIDEST_M}, got {low:.3f} to {high:.3f}; {gripper_remedy}"
            )
    for name, values in (("q", episode.q), ("leader", commanded)):
        arms = np.abs(np.delete(values, GRIPPERS, axis=1))
        if (most := float(arms.max(initial=0))) > _MOST_RAD:
            raise ModelError(
                f"{source}: {name} reaches {most:.1f} rad, more than a turn, which no joint makes; "
                f"give --data.unit deg if it is in degrees, else {REMOVE}"
            )
    jumps = np.abs(np.diff(np.delete(episode.q, GRIPPERS, axis=1), axis=0))
    if jumps.max(initial=0) > _FASTEST_RAD:
        step = int(jumps.max(axis=1).argmax())
        raise ModelError(
            f"{source}: a joint jumps by {jumps.max():.2f} rad after step {step} (limit {_FASTEST_RAD} rad); {REMOVE}"
        )
