"""The robot command: one run from start-up to the table, in the foreground. The shell around supervisor.step.
Called by runtime/cli.py; record and the replay on the robot run it with other keys and another leader.

Owns the run's folder in shared memory, its children, the operator's keys and the commands that come from them.
"""

import signal
import time
from contextlib import closing
from dataclasses import replace
from types import FrameType
from typing import Any

from drivers.sim.shift_suites import instruction
from runtime.config import output_paths
from runtime.config.loading import settings_of, settings_to_json
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.console import access
from runtime.host import terminal
from runtime.host.clock import NS_PER_S, Rate, robot_time_ns, seconds
from runtime.host.processors import usable_processors
from runtime.host.realtime import AwakeProcessors
from runtime.host.revision import revision
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.policy import fit
from runtime.process.base import CONSOLE_FILE, RunFile
from runtime.process.fork_server import ForkServer
from runtime.process.processes import TABLE, running
from runtime.process.role import POLICY, Role
from runtime.remote import keys
from runtime.session import table_file
from runtime.session.summary import EXIT_SOURCE
from runtime.supervisor import end_table, operator_changes, run_folders, supervisor
from runtime.supervisor.announcements import EPOCH, Announcements
from runtime.supervisor.children import Children
from runtime.supervisor.flags import ROBOT
from runtime.supervisor.status_line import StatusLine
from runtime.supervisor.typed_commands import TypedCommands

_LOOP_HZ = 20  # of the loop that reads keys, heartbeats and exits; chosen: a key is obeyed within 50 ms
_REPEAT_EVERY = 4  # loops: states are repeated at 5 Hz
_STATUS_EVERY = 20  # loops: the status line is renewed once a second
_HOLD_WAIT_S = 0.4  # for the arms to say that they hold; chosen: they say so within a tick
_STOP_WAIT_S = 1.0  # for all processes but the recorder: the arms brake meanwhile, over their buses, for 0.7 s at most
_RECORDER_WAIT_S = 1.5  # for the recorder to finish the file; chosen, so that a run ends within 3 s in all
_SOURCE = "terminal"


class Robot:
    """One run of a policy. Commands that use the same processes otherwise (record.py, on_robot.py) override a few methods."""

    keys = terminal.KEYS

    def __init__(self, settings: Settings, role: Role, server: ForkServer) -> None:
        """`server` starts its processes; it is closed by whoever made it."""
        fit.check(policy_needs(settings), settings)  # what cannot be used is said before anything is made
        if settings.console.enabled:
            access.check(settings.console)
        if settings.system2.keys is not None:
            keys.load(settings.system2.keys, keys.ROBOT, keys.BOX)
        output_paths.check_json(settings.json_file)
        self.settings = settings
        self._memory_folder, self.session = run_folders.made(settings)
        self.folder = self._memory_folder.path
        self._table: dict[str, Any] = {}  # of the run, as the recorder left it
        reported = RunFile(settings=settings_to_json(settings), session=self.session, revision=revision(), role=role)
        reported.save(self.folder)
        self._bus = Bus(self.folder, "supervisor", running(settings, role))
        self.announcements = Announcements(self._bus, settings)
        self._beats = self._bus.subscriber("heartbeat", depth=512)
        self._faults = self._bus.subscriber("fault", depth=256)
        self._steering = self._bus.subscriber("steering", depth=64)
        self._safety = self._bus.subscriber("safety", depth=64)
        self.status = self.make_status(self._bus)
        self._typed = TypedCommands(self.command, self.status.answer, EPOCH)
        self._children = Children(self.folder, self.session / "logs", self._no_log, server)
        rows = [row for row in TABLE if row.runs(settings, role)]
        self._state = supervisor.beginning(rows, usable_processors(), robot_time_ns())
        self.plan = operator_changes.Plan(
            settings.instruction or instruction(settings.task, settings.shift, settings.seed), robot_time_ns()
        )
        self._ending = False
        self._console = ""
        self._running_since_ns: int | None = None
        self._awake = AwakeProcessors() if settings.arms.awake else None

    def run(self) -> int:
        """Run until the time is up, q, Ctrl-C or SIGTERM. Returns the exit status: 0, or 1 when the robot never came to run."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.end)
        started_ns = robot_time_ns()
        try:
            with terminal.single_keys() as has_keys, terminal.written_beside():
                say(f"video2act: session {self.session}")
                say(f"video2act: starting {', '.join(self._state.supervised)}{'; ' + self.keys if has_keys else ''}")
                if self._awake is not None and not self._awake.granted:
                    say("video2act: no permission to keep processors awake; install deploy/cpu-latency.rules")
                try:
                    failed = self._loop(has_keys, started_ns)
                finally:  # also when something went wrong here: the arms brake before anybody is killed
                    self._shut_down()
        finally:
            self._children.kill_all()
            self._bus.close()
            if self._awake is not None:
                self._awake.release()
            self._table = table_file.read(self.folder)
            self._memory_folder.remove()
        self.print_end()
        return 1 if failed else 0

    def make_status(self, bus: Bus) -> StatusLine:
        """The status line of this kind of run."""
        return StatusLine(bus, self.settings)

    def _loop(self, has_keys: bool, started_ns: int) -> bool:
        """Supervise, serve keys and repeat states. Returns whether the robot never came to run."""
        rate, count = Rate(_LOOP_HZ), 0
        while not self._ending:
            self._supervise()
            self._steer()
            if has_keys:
                for key in terminal.keys(terminal.pressed()):
                    self.obey(key)
            if count % _REPEAT_EVERY == 0 and self.announcements.recorder_listens():
                self.repeat_states()
            self._hear_answers()
            self.status.read()
            self.status.check(self._state)
            self._adapt()
            self._note_running()
            self._note_console()
            if count % _STATUS_EVERY == 0:
                self.status.show(self._state)
            if self.is_over():
                break
            if self._running_since_ns is None and self._waited_too_long(started_ns):
                say(
                    f"video2act: not running after {self.settings.supervisor.start_timeout_s:.0f} s: {self.status.why()}"
                )
                say(f"video2act: the processes' logs are in {self.session / 'logs'}")
                return True
            count += 1
            self._supervise_until(rate.deadline_ns)
            due_ns = rate.wait()
            self.status.overload.own(robot_time_ns() - due_ns, robot_time_ns())
        return False

    def _supervise_until(self, until_ns: int) -> None:
        """Supervise where a process falls silent until then, not a loop later: so the figure holds without a quicker loop."""
        while (silent_ns := supervisor.silent_at_ns(self._state)) is not None and silent_ns < until_ns:
            time.sleep(max(0, silent_ns - robot_time_ns()) / NS_PER_S)
            self._supervise()

    def _supervise(self) -> None:
        """Take one supervisor step and carry it out: start, kill, tell."""
        exits = self._children.take_exits()
        beats = tuple(r.message for r in self._beats.take() if isinstance(r.message, messages.Heartbeat))
        faults = tuple(r.message for r in self._faults.take() if isinstance(r.message, messages.Fault))
        for beat in beats:
            self.status.overload.beat(beat)
        inputs = supervisor.SupervisorInputs(exits, beats, faults)
        outputs = supervisor.step(self.settings.supervisor, self._state, inputs, robot_time_ns())
        if outputs.changed:
            self.announcements.tell_supervision(self._state)
        for name in outputs.kill:
            self._children.kill(name)
        for name in outputs.start:
            self._children.start(name, self._state.supervised[name].epoch)
        for name, text in outputs.faults:
            self.announcements.publish("fault", messages.Fault, process="supervisor", name=name, text=text)
        for fault in faults:
            self.status.fault(fault)

    def _steer(self) -> None:
        """Carry out what operators want; each change is told at once."""
        for received in self._steering.take():
            wish = received.message
            assert isinstance(wish, messages.Steering)
            for line in operator_changes.describe(self.plan, wish):
                self.status.event(f"{line} ({wish.source})")
            if wish.result is not None:
                result = {"number": self.plan.episode, "result": wish.result, "note": wish.note}
                self.announcements.publish("outcome", messages.Outcome, source=wish.source, **result)
            if wish.result == "ended" or wish.next_episode:
                self.command("hold", wish.source)
            self.plan = operator_changes.step(self.plan, wish, robot_time_ns())
            self.repeat_states()

    def _adapt(self) -> None:
        """Tell, once, how long runs take on this machine, and keep to a period that fits where it is `auto`."""
        found = self.status.pace.found(robot_time_ns())
        if found is None:
            return
        for line in found.lines:
            self.status.event(line)
        if found.period_ns:
            self.plan = replace(self.plan, period_ns=found.period_ns)
            self.repeat_states()

    def _no_log(self, text: str) -> None:
        self.announcements.publish("fault", messages.Fault, process="supervisor", name="log", text=text)

    def obey(self, key: str) -> None:
        """Do what a key means. Every key is answered, one that does nothing too."""
        if key == " ":
            self._typed.give(("hold",), robot_time_ns())
        elif key == "r":  # a robot's fault is cleared by a command of its own, once a person has seen it
            real = self.settings.arms.kind != "simulated"
            self._typed.give(("arm", "run") if real else ("clear", "arm", "run"), robot_time_ns())
        elif key == "t":
            self._typed.give(("takeover",), robot_time_ns())
        else:
            self.obey_always(key)

    def obey_always(self, key: str) -> None:
        """Do what the keys of every command mean: q and ?. Any other key is said to do nothing."""
        if key == "q":
            self.status.answer("q: quitting")
            self.end()
        elif key == "?":
            self.status.answer(self.keys)
        else:
            self.status.answer(f"{terminal.key_name(key)} has no function here; {self.keys}")

    def _hear_answers(self) -> None:
        for received in self._safety.take():
            if isinstance(received.message, messages.SafetyState):
                self._typed.hear(received.message, robot_time_ns())
        self._typed.check(robot_time_ns())

    def command(self, command: str, source: str = _SOURCE) -> int:
        """Send a command to the arms. Returns its seq."""
        seq = self.announcements.publish("operator_command", messages.OperatorCommand, command=command, source=source)
        if source not in (_SOURCE, EXIT_SOURCE):  # whoever typed it hears the answer
            self.status.answer(f"command: {command} ({source})")
        return seq

    def repeat_states(self) -> None:
        """Repeat, at 5 Hz, whatever a process that starts late has to know."""
        self.announcements.repeat(self.plan)
        self.announcements.tell_supervision(self._state)

    def _note_running(self) -> None:
        state = self.status.newest(messages.SafetyState)
        if self._running_since_ns is None and state is not None and state.mode == "RUNNING":
            self._running_since_ns = state.since_ns  # as the table at the end counts
            self.status.overload.count_from_now()

    def _note_console(self) -> None:
        """Tell the address of the page, once there is one."""
        file = self.folder / CONSOLE_FILE
        if self._console == "" and file.exists():
            self._console = file.read_text()
            say(f"video2act: console {access.printed(self.settings.console, self._console)}")

    def is_over(self) -> bool:
        """Whether the run ends by itself now: --seconds after it began, pauses included."""
        wanted, began_ns = self.settings.seconds, self.began_ns
        return wanted is not None and began_ns is not None and robot_time_ns() - began_ns >= seconds(wanted)

    @property
    def began_ns(self) -> int | None:
        """From when --seconds counts: the first RUNNING; None before."""
        return self._running_since_ns

    def _waited_too_long(self, started_ns: int) -> bool:
        automatic = self.settings.arms.start == "run"
        return automatic and robot_time_ns() - started_ns > seconds(self.settings.supervisor.start_timeout_s)

    def end(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Let the run end in order; also the handler of signals, whose arguments are not read."""
        self._ending = True

    def before_end(self) -> None:
        """Called once at the end, while all processes still listen; a policy's run has nothing to add."""

    def _shut_down(self) -> None:
        """Hold the arms, then end everybody but the recorder, then the recorder, which finishes the file."""
        self.before_end()
        self.command("hold", EXIT_SOURCE)
        deadline_ns = robot_time_ns() + seconds(_HOLD_WAIT_S)
        while robot_time_ns() < deadline_ns and self.status.mode in ("RUNNING", "TAKEOVER"):
            time.sleep(0.01)
            self.status.read()
        others = [name for name in self._children.names if name != "recorder"]
        self._children.end(others, _STOP_WAIT_S)
        self._children.end(["recorder"], _RECORDER_WAIT_S)

    def print_end(self) -> None:
        """Print the table of the run, and write it."""
        end_table.close(self._table, self.status.overload, self.session, self.settings.json_file)


def main(arguments: list[str]) -> int:
    """Run the robot with the settings of the line, after what can be checked at once. Called by runtime/cli.py."""
    settings = settings_of(ROBOT.read(arguments)[1])
    if settings.policy.server:
        from runtime.policy.server_door import asked  # a policy that runs here starts without it

        settings = asked(settings)
    with closing(ForkServer()) as server:
        return Robot(settings, examined(settings, POLICY), server).run()


def examined(settings: Settings, role: Role) -> Role:
    """Check a real robot before it starts; what fails forbids to arm it. Returns the role with the reasons added."""
    if settings.arms.kind == "simulated":
        return role
    from runtime.doctor.rows import examine  # a simulated robot's start does without
    from runtime.doctor.table import failures, table

    say("video2act: checking the robot")
    rows = examine(settings, role=role)
    say("\n".join(table(rows)))
    found, remedy = failures(rows), "fix it, check it with ./launch/doctor.sh, then restart"
    failed = f"preflight failed: {found}; {remedy}" if found else ""
    return role.model_copy(update={"unfit": "; ".join(filter(None, (role.unfit, failed)))})
