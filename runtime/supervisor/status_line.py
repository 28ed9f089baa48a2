"""The status line that robot.sh prints once a second, and the events between."""

from typing import TypeVar

from runtime.config import tuning
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.supervisor import supervisor

Message = TypeVar("Message", bound=messages.Message)
_GAP = 1.5  # a step in the video window is a gap beyond this many of its strides


class StatusLine:
    """Reads the small state topics and prints one line: state, rates, ages, what is wrong."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._settings = settings
        self._step_ns = (
            max([window.stride_s or 0.0 for window in policy_needs(settings).windows], default=0.0) * NS_PER_S
        )
        self._subscribers = {
            name: bus.subscriber(name, newest=True)
            for name in ("safety", "camera_health", "recording", "scene", "episode")
        }
        self._counted = {name: bus.subscriber(name, depth=64) for name in ("chunk", "conditions")}
        self._newest: dict[str, messages.Message] = {}
        self._runs = dict.fromkeys(self._counted, 0)
        self._rates = dict.fromkeys(self._counted, 0.0)
        self._shown_ns = robot_time_ns()
        self._shown_scene: messages.Scene | None = None

    @property
    def mode(self) -> str:
        """The safety layer's mode, empty before its first word."""
        state = self._newest.get("safety")
        return state.mode if isinstance(state, messages.SafetyState) else ""

    def newest(self, kind: type[Message]) -> Message | None:
        """The last message of a kind that this line reads."""
        return next((message for message in self._newest.values() if isinstance(message, kind)), None)

    def why(self) -> str:
        """Why it does not run."""
        state = self._newest.get("safety")
        if not isinstance(state, messages.SafetyState):
            return "the arms process says nothing"
        return "; ".join(state.reasons) or state.mode

    def read(self) -> None:
        """Take what came."""
        for name, subscriber in self._subscribers.items():
            for received in subscriber.take():
                self._newest[name] = received.message
        for name, subscriber in self._counted.items():
            for received in subscriber.take():
                self._runs[name] += 1
                self._newest[name] = received.message

    def event(self, text: str) -> None:
        """Print something that happened."""
        say(f"  * {text}")

    def show(self, processes: supervisor.SupervisorState) -> None:
        """Print the line."""
        elapsed_s = (robot_time_ns() - self._shown_ns) / NS_PER_S
        self._shown_ns = robot_time_ns()
        self._rates = {name: count / elapsed_s for name, count in self._runs.items()}
        self._runs = dict.fromkeys(self._runs, 0)
        say(" | ".join(part for part in self.parts(processes) if part))

    def parts(self, processes: supervisor.SupervisorState) -> list[str]:
        """What the line says, in order; empty parts are left out."""
        parts = [self.mode or "starting"]
        state = self._newest.get("safety")
        parts.append(self.systems())
        cameras, real_time, file = self.cameras_and_file()
        parts += [cameras, real_time]
        if isinstance(state, messages.SafetyState) and state.chunk_age_ns >= 0:
            parts.append(
                f"chunk {state.chunk_age_ns / 1e6:.0f} ms, condition {state.condition_age_ns / 1e6:.0f} ms old"
            )
            parts.append(f"holds {state.holds} faults {state.faults}")
        parts.append(self._history_gap())
        parts += [file, self.unwell(processes)]
        if isinstance(state, messages.SafetyState) and state.mode != "RUNNING":
            parts.append("; ".join(state.reasons))
        return parts

    def systems(self) -> str:
        """Who leads the arms."""
        rates = self._rates
        return f"system1 {rates['chunk']:.1f}/s system2 {rates['conditions']:.2f}/s 1:{self._ratio}"

    @property
    def _ratio(self) -> int:
        episode = self._newest.get("episode")
        return tuning.ratio(self._settings, episode) if isinstance(episode, messages.Episode) else self._settings.ratio

    def cameras_and_file(self) -> tuple[str, str, str]:
        """The cameras' rates, the simulation's real-time factor, the file's size or its trouble; empty where unknown."""
        health, recording = self._newest.get("camera_health"), self._newest.get("recording")
        rates = file = ""
        if isinstance(health, messages.CameraHealth):
            rates = "cameras " + " ".join(f"{camera.rate_hz:.0f}" for camera in health.cameras) + "/s"
        if isinstance(recording, messages.Recording):
            file = recording.fault or f"{recording.size_bytes / 1e6:.1f} MB"
        return rates, self._real_time_factor(), file

    def unwell(self, processes: supervisor.SupervisorState) -> str:
        """Processes that are not alive."""
        return ", ".join(
            f"{name} {supervised.state}"
            for name, supervised in processes.supervised.items()
            if supervised.state != "alive"
        )

    def _history_gap(self) -> str:
        """What System 2's newest window lacks; empty while its frames stand as far apart as they should."""
        conditions = self._newest.get("conditions")
        if not isinstance(conditions, messages.Conditions) or conditions.widest_gap_ns <= _GAP * self._step_ns:
            return ""
        return f"frames lacking: a step of {conditions.widest_gap_ns / 1e6:.0f} ms in the video window"

    def _real_time_factor(self) -> str:
        """How fast the simulated time went since the last line; empty without a simulator."""
        scene, last = self._newest.get("scene"), self._shown_scene
        if not isinstance(scene, messages.Scene):
            return ""
        self._shown_scene = scene
        if last is None or scene.epoch != last.epoch or scene.stamp_ns <= last.stamp_ns:
            return ""
        return f"real time x{(scene.simulated_ns - last.simulated_ns) / (scene.stamp_ns - last.stamp_ns):.2f}"
