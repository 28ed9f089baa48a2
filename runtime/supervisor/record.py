"""The command `record.sh --task NAME`: demonstrations by leader and follower arms, into a session that export.sh converts.
Called by runtime/cli.py.

With the stock wiring each leader leads its follower over their common bus: nothing is sent to the arms, the safety layer only
watches. A simulated robot has emulated leaders, which the scripted expert leads.
"""

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from drivers.cobot_magic import CAMERAS, WITHOUT_GRIPPERS, joint_name
from drivers.sim.shift_suites import instruction
from runtime.config import what_to_check
from runtime.config.loading import settings_of
from runtime.config.settings import Settings
from runtime.config.system_settings import Policy
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.process.fork_server import ForkServer
from runtime.process.role import Role
from runtime.supervisor import end_table, recording_state, supervisor
from runtime.supervisor.flags import RECORD
from runtime.supervisor.recording_state import Takes
from runtime.supervisor.robot import Robot, examined
from runtime.supervisor.status_line import StatusLine

_APART_RAD = 0.3  # chosen: more than a follower lags behind a hand, less than any two useful poses differ
_WATCHES = "the leaders lead the arms; the safety layer only monitors"
_NEVER_ARMS = "record.sh never arms the robot: the leaders lead it and the safety layer only monitors; use robot.sh"
_NO_RECORDER = "the recorder is starting; wait a second, then press s again"


class RecordingStatus(StatusLine):
    """The line of a recording: which demonstration, cameras, and the file; events: what the leaders exceed."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        super().__init__(bus, settings)
        self.takes = Takes()
        self.heard = False  # the recorder heard how the first demonstration stands
        self._subscribers["joint_state"] = bus.subscriber("joint_state", newest=True)
        self._leaders = bus.subscriber("leader_state", depth=512)
        self._leader: messages.LeaderState | None = None

    def read(self) -> None:
        """Take what came, and tell each limit that the leaders exceed."""
        super().read()
        for received in self._leaders.take():
            if isinstance(received.message, messages.LeaderState):
                self._leader = received.message
                for exceeded in self._leader.exceeds:
                    self.event(f"limit exceeded: {exceeded}")

    def unfit(self) -> str:
        """What a demonstration that began now would be missing; empty: nothing."""
        since_ns = robot_time_ns() - NS_PER_S // 2
        if not self.heard:
            return _NO_RECORDER
        if self._leader is None or self._leader.stamp_ns < since_ns:
            return "no leader feedback; switch on both leaders"
        joints = self.newest(messages.JointState)
        apart = np.abs(joints.q - self._leader.q)[WITHOUT_GRIPPERS] if joints is not None else np.full(1, np.inf)
        if apart.max() > _APART_RAD:
            joint = joint_name(WITHOUT_GRIPPERS[int(apart.argmax())])
            return f"{joint} is {apart.max():.2f} rad from its leader (limit {_APART_RAD} rad); check that the follower is free"
        health = self.newest(messages.CameraHealth)
        if health is None or health.stamp_ns < since_ns or len(health.cameras) < len(CAMERAS):
            return f"no camera frames yet; wait, or {what_to_check.of_cameras(self._settings)}"
        verdicts = [f"camera {state.camera}: {state.verdict}" for state in health.cameras if state.verdict]
        recording = self.newest(messages.Recording)
        return "; ".join([*verdicts, recording.fault if recording else _NO_RECORDER]).strip("; ")

    @property
    def headline(self) -> str:
        """Which demonstration, its state, and whether it could begin now."""
        return f"{self.takes.state} {self.takes.number}, {'cannot start' if self.unfit() else 'can start'}"

    def parts(self, processes: supervisor.SupervisorState) -> list[str]:
        """The line: the demonstration, how many were kept, what is lacking, cameras, file, processes that are not alive."""
        now_ns, state, unfit = robot_time_ns(), self.takes, self.unfit()
        since_s = ((state.ended_ns or now_ns) - state.began_ns) / NS_PER_S if state.began_ns else 0.0
        return [
            f"{state.state} {state.number}" + (f" ({since_s:.1f} s)" if since_s else ""),
            f"kept {state.kept} discarded {state.discarded}",
            self.overload.attributed(unfit) or _WATCHES,
            self.overloaded(),
            *self.cameras_and_file(),
            self.unwell(processes),
        ]


class Recording(Robot):
    """One session of demonstrations: the robot command with other keys, and with leaders in place of a policy."""

    keys = recording_state.KEYS
    status: RecordingStatus
    _could_record_ns: int | None = None

    def make_status(self, bus: Bus) -> StatusLine:
        return RecordingStatus(bus, self.settings)

    def obey(self, key: str) -> None:
        """Start, stop, keep, discard; each change is told at once. Nothing is begun while something would be lacking."""
        if key not in recording_state.MEANINGS:
            self.obey_always(key)
            return
        before, after = self.status.takes, recording_state.press(self.status.takes, key, robot_time_ns())
        if after == before:
            self.status.answer(f"{key}: {recording_state.no_effect(before, key)}")
            return
        if after.state == "recording" and before.state == "ready" and (unfit := self.status.unfit()):
            self.status.answer(f"cannot start: {unfit}")
            return
        self._take(after)
        if self.status.takes.state in ("kept", "discarded"):
            self._take(recording_state.following(self.status.takes))

    def repeat_states(self) -> None:
        """Also repeat how the demonstration stands."""
        super().repeat_states()
        self._tell()
        self.status.heard = self.announcements.heard

    @property
    def began_ns(self) -> int | None:
        """Since demonstrations could be recorded; nothing ever runs here."""
        if self._could_record_ns is None and self.status.heard:
            self._could_record_ns = robot_time_ns()
        return self._could_record_ns

    def before_end(self) -> None:
        """Keep what was recorded and not decided about, while the recorder still listens."""
        self._take(recording_state.ended(self.status.takes, robot_time_ns()))

    def print_end(self) -> None:
        """Print how many were kept, and the command that makes training data of them."""
        counts = {name: getattr(self.status.takes, name) for name in ("kept", "discarded")}
        if self.settings.json_file is not None:
            end_table.write(self.settings.json_file, counts)
        say(f"video2act: {counts['kept']} demonstrations kept, {counts['discarded']} discarded")
        if counts["kept"]:
            say_next("export training data", "export", self.session, "--to", "hdf5", "--out", "DIR")

    def _take(self, after: Takes) -> None:
        if after == self.status.takes:
            return
        self.status.takes = after
        self.plan = replace(self.plan, episode=after.number)
        self.status.answer(f"demonstration {after.number}: {after.state}")
        self._tell()

    def _tell(self) -> None:
        state = self.status.takes
        self.announcements.publish(
            "demonstration",
            messages.Demonstration,
            number=state.number,
            state=state.state,
            began_ns=state.began_ns,
            ended_ns=state.ended_ns,
        )


def main(arguments: list[str]) -> int:
    """Record with the settings of the robot, its leaders plugged in. Called by runtime/cli.py; returns the exit status."""
    settings = settings_of(RECORD.read(arguments)[1])
    simulated = settings.arms.kind == "simulated"
    role = Role(recording=True, unfit=_NEVER_ARMS)
    changed: dict[str, Any] = {
        "arms": settings.arms.model_copy(update={"leaders": "unplugged", "start": "disarmed"}),
        "can": simulated,
        "instruction": settings.instruction or instruction(settings.task, settings.shift, settings.seed),
    }
    if settings.policy.server:  # which nobody asks here, nor what it needs
        changed["policy"] = Policy()
    settings = settings.model_copy(update=changed)
    with closing(ForkServer()) as server:
        return Recording(settings, examined(settings, role), server).run()
