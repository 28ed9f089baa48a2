"""What System 2's step remembers, reads and never changes. Used by system2_step.py, trigger.py and whoever calls the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.requirements import VideoWindow
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.policy.fit import span_s
from runtime.policy.protocols import SlowPolicy

_NONE = -1  # before the first condition


@dataclass
class System2State:
    """What a step remembers: how System 1 stood when the last condition was started. Saved in snapshots."""

    run: int = _NONE
    system1_epoch: int = _NONE
    episode: int = _NONE
    instruction: int = _NONE
    capture_ns: int = _NONE
    published: int = 0


@dataclass(frozen=True)
class System2Inputs:
    """The newest of everything System 2 reads."""

    episode: messages.Episode
    instruction: messages.Instruction
    embedding: messages.Embedding
    system1: messages.Message | None  # System 1's newest chunk or skip
    frames: Mapping[str, Sequence[messages.Frame]]  # notices by camera, oldest first


@dataclass(frozen=True)
class System2Config:
    """What `step` needs and never changes; the policy keeps encoded frames, which change no result."""

    settings: Settings
    slow: SlowPolicy
    checkpoint_id: str

    @property
    def windows(self) -> tuple[VideoWindow, ...]:
        """The windows that the policy looks at; empty: it has no slow system."""
        return self.slow.needs.windows

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras of all windows, each once, in the windows' order."""
        return tuple(dict.fromkeys(window.camera for window in self.windows))

    @property
    def longest(self) -> str:
        """The name of the window that looks back farthest, in seconds."""
        cameras = self.settings.cameras.by_name()
        spans_s = {w.name: span_s(self.slow.needs, i, cameras[w.camera].rate_hz) for i, w in enumerate(self.windows)}
        return max(spans_s, key=spans_s.__getitem__)

    def stride(self, window: VideoWindow) -> int | None:
        """Frames between neighbours of a window on a grid of numbers; None: it holds the newest, one after another."""
        if window.stride_s is None:
            return None
        return max(1, round(window.stride_s * self.settings.cameras.by_name()[window.camera].rate_hz))

    def frames_apart(self, window: VideoWindow) -> int:
        """Frames between neighbours of a window; those of one without a grid are as far apart as the policy's targets."""
        stride = self.stride(window)
        if stride is not None or self.settings.system2.windows == "frames":
            return stride or 1
        return max(1, round(self.slow.needs.dt_s * self.settings.cameras.by_name()[window.camera].rate_hz))
