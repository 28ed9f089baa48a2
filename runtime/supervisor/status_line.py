"""The status line of robot.sh, and the events above it.
Called by robot.py; record and the replay on the robot have lines of their own made from it.
"""

from collections import deque
from typing import TypeVar

from runtime.config import live_tuning
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.host import terminal
from runtime.host.clock import NS_PER_S, robot_time_ns, seconds
from runtime.host.overload import REMEDY
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.supervisor import supervisor
from runtime.supervisor.overload_monitor import OverloadMonitor
from runtime.supervisor.pace import Pace
from runtime.supervisor.repeated_lines import Repeats
from runtime.supervisor.silences import Silences

Message = TypeVar("Message", bound=messages.Message)
_BETWEEN = " | "
_RATE_S = 5  # rates are those of so many seconds; chosen: a System 2 that runs once a second still shows one digit
_LEAST_S = 2.0  # of a rate that says whether System 1 keeps up; chosen: a dozen runs
_LINE_EVERY_NS = 10 * NS_PER_S  # where there is no terminal
_GAP = 1.5  # a step in the video window is a gap beyond this many of its strides: one frame is missing from 2 on


class StatusLine:
    """Reads the small state topics and tells the operator: state, what is wrong, rates, ages.

    On a terminal one line in place, fitted to its width; elsewhere a line every ten seconds and at each change of the state.
    """

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._settings = settings
        self._step_ns = (
            max([window.stride_s or 0.0 for window in policy_needs(settings).windows], default=0.0) * NS_PER_S
        )
        self._subscribers = {
            name: bus.subscriber(name, newest=True)
            for name in ("safety", "camera_health", "recording", "scene", "episode", "arm_target", "imagined")
        }
        self._counted = {name: bus.subscriber(name, depth=64) for name in ("chunk", "conditions")}
        self._newest: dict[str, messages.Message] = {}
        self._counts = dict.fromkeys(self._counted, 0)
        self._marks = deque([(robot_time_ns(), dict(self._counts))], maxlen=_RATE_S + 1)  # a second apart
        self._rates = dict.fromkeys(self._counted, 0.0)
        self._measured_s = 0.0  # over which System 1's rate is one
        self._repeats, self.overload, self.pace = Repeats(), OverloadMonitor(), Pace(settings)
        self._silences = Silences()
        self._settled = self._overloaded = False  # all processes were alive; the machine does not keep up
        self._headline = ""
        self._said_ns = 0
        self._measured_scene: messages.Scene | None = None
        self._real_time = ""

    @property
    def mode(self) -> str:
        """The safety layer's mode; empty before its first message."""
        state = self._newest.get("safety")
        return state.mode if isinstance(state, messages.SafetyState) else ""

    @property
    def headline(self) -> str:
        """The state whose change is told at once; `starting` before the arms say anything."""
        return self.mode or "starting"

    def newest(self, kind: type[Message]) -> Message | None:
        """The last message of a type that this line reads; None before the first."""
        return next((message for message in self._newest.values() if isinstance(message, kind)), None)

    def why(self) -> str:
        """Why the arms do not run, in their own words."""
        state = self._newest.get("safety")
        if not isinstance(state, messages.SafetyState):
            return "no report from the arms process yet; read logs/arms.log of the session"
        return "; ".join(state.reasons) or state.mode

    def read(self) -> None:
        """Take what came since the last call; does not wait."""
        for name, subscriber in self._subscribers.items():
            for received in subscriber.take():
                self._newest[name] = received.message
                match received.message:
                    case messages.ArmTarget() as target:
                        self.overload.tick(target)
                    case messages.Scene() as scene:
                        self.overload.scene(scene, received.arrival_ns)
                    case _:
                        pass
        for name, subscriber in self._counted.items():
            for received in subscriber.take():
                if name == "chunk" and not self._counts[name]:  # before it System 1 had nothing to run on
                    self._marks.clear()
                    self._marks.append((received.arrival_ns, {**self._counts, name: 1}))
                self._counts[name] += 1
                self._newest[name] = received.message
                if self._settled:
                    self.pace.hear(received.message, received.arrival_ns)

    def event(self, text: str) -> None:
        """Tell something that happened. What happens again and again is told once in ten seconds, with how often it did."""
        text = self.overload.attributed(text)
        if self._repeats.is_new(text, robot_time_ns()):
            say(f"  * {text}")

    def fault(self, fault: messages.Fault) -> None:
        """Tell a fault that a process told; that one fell silent within a second, once the machine is judged."""
        text, process = f"{fault.process}: {fault.name}: {fault.text}", supervisor.silent_process(fault)
        if process is None:
            self.event(text)
        else:
            self._silences.note(process, text)

    def answer(self, text: str) -> None:
        """Tell what an operator asked for, each time, however often it is the same."""
        say(f"  * {text}")

    def check(self, processes: supervisor.SupervisorState) -> None:
        """Tell a change of the state at once. Called in every loop."""
        if self.headline == self._headline:
            return
        self._headline = self.headline
        columns = terminal.width()
        if columns is None:
            self._say(processes)
        else:
            say(self.parts(processes)[0])
            terminal.show(fitted(self.parts(processes), columns - 1))

    def show(self, processes: supervisor.SupervisorState) -> None:
        """Measure rates, judge the machine, and renew the line. Called once a second."""
        self._measure()
        self._judge_machine(processes)
        self._tell_silences(processes)
        for text in self._repeats.summaries(robot_time_ns()):
            say(f"  * {text}")
        columns = terminal.width()
        if columns is not None:
            terminal.show(fitted(self.parts(processes), columns - 1))
        elif robot_time_ns() - self._said_ns >= _LINE_EVERY_NS:
            self._say(processes)

    def _judge_machine(self, processes: supervisor.SupervisorState) -> None:
        """Judge the machine, but only once all processes have loaded, which takes whatever processor there is."""
        if not self._settled and all(process.state == "alive" for process in processes.supervised.values()):
            self._settled = True
            self.overload.forget()
        here = not self._settings.policy.server  # else chunks are late by the server, not by this machine
        if here and self.mode in ("RUNNING", "HOLD") and self._measured_s >= _LEAST_S:
            self.overload.system1(self._rates["chunk"], NS_PER_S / self._period_ns)
        verdict = self.overload.judge(robot_time_ns())
        found = verdict if self._settled else ""
        if bool(found) != self._overloaded:
            self._overloaded = bool(found)
            self.event(f"the machine is overloaded: {found}; {REMEDY}" if found else "the machine keeps up again")

    def _tell_silences(self, processes: supervisor.SupervisorState) -> None:
        now_ns = robot_time_ns()
        silent = {
            name: f"supervisor: {each.state}: {supervisor.silence(self._settings.supervisor, each, now_ns)}"
            for name, each in processes.supervised.items()
            if each.state in ("stopped", "hung")
        }
        for text in self._silences.lines(silent, bool(self.overload.verdict), now_ns):
            self.event(text)

    def _say(self, processes: supervisor.SupervisorState) -> None:
        self._headline, self._said_ns = self.headline, robot_time_ns()
        say(joined(self.parts(processes)))

    def _measure(self) -> None:
        """Rates of both systems over the last five seconds."""
        now_ns = robot_time_ns()
        self._marks.append((now_ns, dict(self._counts)))
        from_ns, before = self._marks[0]
        elapsed_s = max((now_ns - from_ns) / NS_PER_S, _LEAST_S / 2)
        self._measured_s = elapsed_s if self._counts["chunk"] else 0.0
        self._rates = {name: (count - before[name]) / elapsed_s for name, count in self._counts.items()}
        self._real_time = self._real_time_factor()

    def parts(self, processes: supervisor.SupervisorState) -> list[str]:
        """What the line says, the most important first; empty parts are left out."""
        cameras, real_time, file = self.cameras_and_file()
        state = self._newest.get("safety")
        ages = holds = ""
        if isinstance(state, messages.SafetyState):
            holds = f"holds {state.holds}, faults latched {state.faults}"
            if state.chunk_age_ns >= 0:
                ages = self._ages(state)
        recording = self._newest.get("recording")
        if isinstance(recording, messages.Recording) and recording.fault:
            lost, file = file, ""
        else:
            lost = ""
        lead = [self._mode_and_reasons(), self.overloaded(), self.unwell(processes), lost, self._history_gap()]
        return [*lead, self.systems(), ages, self._expectation(), cameras, real_time, file, holds]

    def _expectation(self) -> str:
        """How far what System 2 expected to see was from what it saw; empty where it imagines nothing."""
        imagined = self.newest(messages.Imagined)
        if imagined is None or imagined.error == messages.NEVER_COMPARED:
            return ""
        return f"imagined off by {imagined.error:.1%} (no motion: {imagined.still_error:.1%})"

    def _ages(self, state: messages.SafetyState) -> str:
        chunk = f"chunk {state.chunk_age_ns / 1e6:.0f} ms"
        if self._settings.policy.server:
            return f"{chunk} old"
        return f"{chunk}, conditions {state.condition_age_ns / 1e6:.0f} ms old"

    def _mode_and_reasons(self) -> str:
        state = self._newest.get("safety")
        if not isinstance(state, messages.SafetyState) or state.mode == "RUNNING":
            return self.headline
        return ": ".join(filter(None, (state.mode, self.overload.attributed(*state.reasons, beside=self._overloaded))))

    def systems(self) -> str:
        """What leads the arms: both systems' rates and their ratio, or a server's chunks."""
        rates = self._rates
        if server := self._settings.policy.server:
            return f"remote policy {server} {rates['chunk']:.1f} Hz"
        return f"system1 {rates['chunk']:.1f} Hz, system2 {rates['conditions']:.2f} Hz, 1:{self._ratio}"

    @property
    def _ratio(self) -> int:
        episode = self.newest(messages.Episode)
        return live_tuning.ratio(self._settings, episode) if episode else self._settings.ratio

    @property
    def _period_ns(self) -> int:
        """Wanted from one run of System 1 to the next."""
        episode = self.newest(messages.Episode)
        return (
            live_tuning.period_ns(self._settings, episode)
            if episode
            else seconds(self._settings.system1.first_period_s)
        )

    def overloaded(self) -> str:
        """That the machine does not keep up; empty: it does, or the processes are still loading."""
        return f"overloaded: {self.overload.verdict}" if self._overloaded else ""

    def cameras_and_file(self) -> tuple[str, str, str]:
        """The cameras' rates, the simulation's real-time factor, the file's size or its fault; empty where unknown."""
        health, recording = self._newest.get("camera_health"), self._newest.get("recording")
        rates = file = ""
        if isinstance(health, messages.CameraHealth):
            rates = "cameras " + " ".join(f"{camera.rate_hz:.0f}" for camera in health.cameras) + " Hz"
        if isinstance(recording, messages.Recording):
            file = recording.fault or f"{recording.size_bytes / 1e6:.1f} MB"
        return rates, self._real_time, file

    def unwell(self, processes: supervisor.SupervisorState) -> str:
        """Processes that are not alive, each with its state; empty: all are."""
        return ", ".join(
            f"{name} {supervised.state}"
            for name, supervised in processes.supervised.items()
            if supervised.state != "alive"
        )

    def _history_gap(self) -> str:
        """That frames are missing in System 2's newest window, with the widest step; empty while they stand as they should."""
        conditions = self._newest.get("conditions")
        if not isinstance(conditions, messages.Conditions) or conditions.widest_gap_ns <= _GAP * self._step_ns:
            return ""
        return f"video window: frames {conditions.widest_gap_ns / 1e6:.0f} ms apart (limit {_GAP * self._step_ns / 1e6:.0f} ms)"

    def _real_time_factor(self) -> str:
        """How fast the simulated time went since the last measurement; empty without a simulator."""
        scene, last = self._newest.get("scene"), self._measured_scene
        if not isinstance(scene, messages.Scene):
            return ""
        self._measured_scene = scene
        if last is None or scene.epoch != last.epoch or scene.stamp_ns <= last.stamp_ns:
            return self._real_time
        return f"real time x{(scene.simulated_ns - last.simulated_ns) / (scene.stamp_ns - last.stamp_ns):.2f}"


def joined(parts: list[str]) -> str:
    """The parts that are not empty, as one line."""
    return _BETWEEN.join(part for part in parts if part)


def fitted(parts: list[str], columns: int) -> str:
    """The line in so many columns: the first part, cut if need be, then as many of the others as there is room for, in
    order.
    """
    first, *others = [part for part in parts if part]
    line = first if len(first) <= columns else first[: max(0, columns - 1)] + "…"
    for part in others:
        if len(line) + len(_BETWEEN) + len(part) <= columns:
            line += _BETWEEN + part
    return line
