"""A Piper arm through the real piper_sdk: what it reports, checked and stamped as it comes, and what it is sent.

Called by an arm's CAN process (runtime/devices/can_bus.py) and by the doctor. The SDK's known defects are kept out here: its
getters give live objects that three frames are written into one after the other, it calls a dead bus connected, and it keeps
one instance a name for ever. So every frame is stamped on arrival before the SDK parses it, joints are taken only from a whole
set of frames, and health is judged by the age of what was heard. Nothing here resets, disables or zeroes an arm by itself.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import can
import numpy as np

from drivers import piper_identity, plausible
from drivers.arm import ArmState, MotorCommand
from drivers.cobot_magic import HIGH, LOW
from drivers.errors import DriverError
from drivers.piper_bus import REPLUG, Link, PiperBus, read_link, why_off
from drivers.piper_frames import COMMAND_IDS, JOINT_COMMAND_IDS, JOINT_IDS, Array, Id, to_wire
from drivers.piper_leader import led_to
from drivers.piper_reports import MOTOR_STATES, Reports, measured
from drivers.piper_traffic import Finding, of_silence
from drivers.piper_triple import Triple
from drivers.piper_warnings import BY_CAN, ENDED_BY_A_TARGET, MOTORS, shown_as, taken_away, warning_of

_ANSWER_S = 0.6
"""How long a motor may take to answer. Chosen: it is asked three times meanwhile, since a frame may be lost."""
_STEADY_SETS = 5  # readings, over 20 ms, that agree before the arm is sent to stay there; chosen: a false one shows
_UNSENT, _UNSENT_OF = 2, 20
"""So many of the newest targets that could not be sent are a fault. Chosen: one alone is made up for by the next one; two show
within 5 ms at 200 targets a second, within 50 ms at 20, the fewest that can be set."""
_REMEMBERED_NS = 500_000_000
"""How long a fault is reported after its cause: a foreign target, a lost arm, a refused or unsent target. Chosen: `arms` looks
200 times a second, so it cannot be missed; a person can still see it."""
_SETTLED_NS = 20_000_000
"""After an arm's last whole set of joints what comes is no remainder of it. Chosen: four periods."""
_LED_TEXT = "a leader arm leads it; unplug the leader and restart robot.sh"
_FOREIGN_TEXT = "another sender commands it (CAN id 0x{:03x}); unplug the leader arm and end other programs on its bus"
ENABLE_EVERY_S = 0.05  # between attempts; chosen: two states of the motors (25 ms each) come meanwhile
_MOVE_JOINTS, _FULL_SPEED = 1, 100  # in frame 0x151: MOVE J, and percent of the speed that the motors allow


class PiperArm:
    """One arm on one bus. `interface`: python-can's, socketcan on a robot; `hub` and `virtual` for emulated arms.

    `tell` is called with every reading as it comes, in the bus's reading thread. `led`: a leader arm on the same bus commands
    it, as with the stock wiring while demonstrations are recorded; then it is only listened to, and `command` raises.
    """

    def __init__(
        self, side: str, channel: str, interface: str = "socketcan", gripper_nm: float = 1.0, stroke_m: float = 0.07,
        tell: Callable[[ArmState], None] | None = None, led: bool = False,
    ) -> None:  # fmt: skip
        self.name, self._led = side, led
        self._channel, self._interface = channel, interface
        self._gripper_nm, self._stroke_m, self._tell = gripper_nm, stroke_m, tell
        self._bus = PiperBus(self._who, channel, interface, self._heard, lambda why: self._reports.note_no_frame(why))
        self._lock = threading.Lock()
        self._state: ArmState | None = None
        self._newest: deque[ArmState] = deque(maxlen=_STEADY_SETS)
        self._reports, self._leaders = Reports(), Triple(JOINT_COMMAND_IDS)
        self._leader: tuple[Array | None, int] = (None, 0)  # what a leader on this bus told it last, and when
        self._foreign: tuple[int, int] | None = None  # when somebody else commanded the arm last, and the frame's id
        self.powered = False  # switched on by us, and still ours
        self._fit = False  # what it has stored of its motors was looked at since it was off
        self._lost: tuple[int, str] = (0, "")  # when it was ours no more, and why
        self._refused: tuple[int, str] = (0, "")  # when a target was, and why
        self._sent: deque[bool] = deque(maxlen=_UNSENT_OF)  # whether each of the newest targets was
        self._unsent: tuple[int, str] = (0, "")  # when the newest of too many was not, and why
        self.send_error = ""
        """Why the newest command to stop, release or reset it could not be sent; empty: it was."""
        self._undone = ""  # which command to its motors it does not show, and what to do about that
        self._last: Array | None = None

    def connect(self) -> None:
        """Open the bus; readings come by themselves, nothing is moved or powered. Raises DriverError."""
        self._state, self._fit = None, False
        self._newest.clear()
        self._sent.clear()
        self._unsent = (0, "")
        self._reports, self._leaders = Reports(), Triple(JOINT_COMMAND_IDS)
        self._bus.open()
        self._sdk.PiperInit()  # asks what it is; the answers come by themselves

    def enable(self, timeout_s: float) -> None:
        """Switch the motors on where they are, and take control by CAN. The first target is where the arm is.

        Raises DriverError, with the arm's own reason, when it does not follow within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while lacks := self.switch_on():
            if time.monotonic() > deadline:
                raise DriverError(f"{self._who}: {lacks}; not enabled within {timeout_s} s")
            time.sleep(ENABLE_EVERY_S)

    def switch_on(self, over: Callable[[], bool] = lambda: False) -> str:
        """One attempt at `enable`, to be repeated every ENABLE_EVERY_S: what still lacks, empty when the arm follows.

        The first one asks the motors, which may take a second; `over` is asked meanwhile whether to give up.
        """
        unsent, powered = self._bus.unsent, self.powered
        lacks = self._try_to_switch_on(over)
        if self._bus.unsent == unsent:
            return lacks
        self.powered = powered  # it was not told where to stay, or not asked whether it is fit
        return f"{self.unsent}; {REPLUG}"

    def _try_to_switch_on(self, over: Callable[[], bool]) -> str:
        if self._led:
            return _LED_TEXT
        if self.read() is None:
            real = self._interface == "socketcan"
            return f"no feedback yet; check {'its power and CAN cable' if real else 'the process that emulates it'}"
        if self.commanded_by_others:
            return self._foreign_text
        if lacking := self._reports.lacking:
            return f"{lacking} is not reported yet; check the CAN cable"
        if warning := self._reported(but=ENDED_BY_A_TARGET) or self._reports.torn() or self._doubtful():
            return warning
        if not self._fit and (unfit := piper_identity.unfit(self._sdk, self._who, _ANSWER_S, over)):
            return unfit
        self._fit, state = True, self.read()  # it may have sunk, or been led, while its motors were asked
        if doubtful := self._doubtful():
            return doubtful
        assert state is not None
        # Whatever commanded it before may have left another mode, and a target to which it would go at once.
        status = self._sdk.GetArmStatus().arm_status
        controlled = (int(status.ctrl_mode), int(status.mode_feed)) == (BY_CAN, _MOVE_JOINTS)
        self._sdk.MotionCtrl_2(BY_CAN, _MOVE_JOINTS, _FULL_SPEED, 0)
        self._send(state.q)
        if not all(on := self._sdk.GetArmEnableStatus()):
            self._sdk.EnableArm(7)
            off = [number for number, is_on in zip(MOTORS, on, strict=True) if not is_on]
            return f"motors {off} did not switch on; power-cycle the arm"
        if not controlled:
            return "not in CAN joint control; leave teach mode or power-cycle the arm"
        if warning := self._reported():
            return warning
        self.powered = True
        return ""

    def why_silent(self) -> str:
        """What is known of the cause while nothing is heard; empty: nothing. Asks the kernel, for some milliseconds."""
        if self._bus.ended_by:
            return f"its CAN reading thread ended ({self._bus.ended_by}); reopening the bus"
        off = why_off(read_link(self._channel)) if self._interface == "socketcan" else ""
        state = self.read()
        carried = self._bus.traffic.of_an_arm(0 if state is None else state.stamp_ns + _SETTLED_NS)
        return off or (str(carried) if carried else "")

    def silence(self) -> Finding:
        """What its bus carries instead of feedback, or what it tells that it carries nothing. Asks the kernel."""
        link = read_link(self._channel) if self._interface == "socketcan" else Link()
        return self._bus.traffic.of_an_arm() or of_silence(link.state)

    def report_warning(self, why: str, after_ns: int) -> None:
        """Report the last reading again with a warning, unless one newer than that of `after_ns` has come."""
        with self._lock:
            if self._state is not None and self._state.stamp_ns == after_ns:
                self._pass_on(replace(self._state, warning=_joined(self._undone, why)))

    def read(self) -> ArmState | None:
        """The newest reading of a whole set of joints, without waiting; None before the first since `connect`."""
        with self._lock:
            return self._state

    def command(self, q: Array, now_ns: int) -> None:
        """Send a target: q (7,), rad and m, within every limit already. Raises DriverError where a leader commands the arm."""
        del now_ns
        if self._led:
            raise DriverError(f"{self._who}: {_LED_TEXT}")
        before = self._bus.unsent
        self._send(q)
        self._sent.append(self._bus.unsent == before)
        if not self._sent[-1] and self._sent.count(False) >= _UNSENT:
            self._unsent = time.monotonic_ns(), f"targets cannot be sent: {self._bus.send_error}; {REPLUG}"

    def hold(self, now_ns: int) -> None:
        """Send the last target again; does nothing before the first one."""
        if self._last is not None:
            self.command(self._last, now_ns)

    def refuse(self, why: str) -> None:
        """Report for half a second, as a fault, why a target was not taken. Called by the CAN process, which refuses it."""
        self._refused = time.monotonic_ns(), why

    def stop(self) -> None:
        """The damped stop: the arm sinks slowly. Only by an operator's command."""
        self._tell_motors(lambda: self._sdk.EmergencyStop(1))

    def release(self) -> None:
        """Take the power from the motors: the arm falls if nothing carries it. Only by an operator's command, at rest."""
        self.powered = self._fit = False
        self._tell_motors(lambda: self._sdk.DisableArm(7))

    def reset(self) -> None:
        """Take a stop back, and the power with it (0x150 = 2): the arm falls. Only by an operator's command."""
        self.powered = self._fit = False
        self._tell_motors(lambda: self._sdk.EmergencyStop(2))

    def shows(self, motor_command: MotorCommand) -> bool:
        """Whether what it reports, on this connection, is what that command makes of an arm."""
        reports = MOTOR_STATES.keys() if motor_command in ("enable", "release") else {Id.STATUS}
        return self._reports.include(reports) and shown_as(self._sdk, motor_command)

    @property
    def unsent(self) -> str:
        """That frames could not be sent since it was connected, and why; empty: all could."""
        return f"frames cannot be sent: {self._bus.send_error}" if self._bus.unsent else ""

    def report_undone(self, why: str) -> None:
        """Report with every reading, as a warning, which command it does not show; empty: none."""
        self._undone = why

    def close(self) -> None:
        """Let go of the bus. The arm stays powered and holds."""
        self._bus.close()

    @property
    def sdk(self) -> Any:
        """The vendor's object, for questions to the motors (drivers/piper_identity.py); None while not connected."""
        return self._sdk if self._bus.is_open else None

    @property
    def newest(self) -> tuple[ArmState, ...]:
        """The last readings, at most five, the newest last, for whoever must not trust a single one."""
        with self._lock:
            return tuple(self._newest)

    @property
    def _sdk(self) -> Any:
        return self._bus.sdk

    @property
    def switched_on(self) -> bool:
        """Whether all motors are on, whoever switched them on."""
        return all(self._sdk.GetArmEnableStatus())

    @property
    def _who(self) -> str:
        return f"{self.name} arm on {self._channel}"

    def _send(self, q: Array) -> None:
        self._last = np.array(q)
        self._sdk.JointCtrl(*to_wire(q[:6]))
        opening = round(float(np.clip(q[6], 0.0, self._stroke_m)) * 1e6)
        self._sdk.GripperCtrl(opening, round(self._gripper_nm * 1e3), 1, 0)

    def _tell_motors(self, tell: Callable[[], None]) -> None:
        unsent = self._bus.unsent
        tell()
        self.send_error = self._bus.send_error if self._bus.unsent > unsent else ""

    def _heard(self, message: can.Message) -> None:
        """Note a frame that the SDK has parsed; a whole set of joints makes a reading. Called by the bus's reading thread."""
        now_ns, number = time.monotonic_ns(), message.arbitration_id
        if self._reports.note(number):
            return
        if number in COMMAND_IDS:
            self._foreign = now_ns, number  # a bus does not give us our own frames back
            if self._led and number in JOINT_COMMAND_IDS and self._leaders.whole(number, message.timestamp, now_ns):
                self._note_leader()
        elif number in JOINT_IDS and self._reports.joints.whole(number, message.timestamp, now_ns):
            self._note()

    def _note_leader(self) -> None:
        self._leader = (led_to(self._sdk), self._leaders.began_ns)

    def _note(self) -> None:
        began_ns = self._reports.joints.began_ns
        q, dq, effort = measured(self._sdk)
        before = self._state
        if before is not None:
            passed_s = (began_ns - before.stamp_ns) / 1e9
            dq[6] = (q[6] - before.q[6]) / passed_s if passed_s > 0 else 0.0
        if self.powered and (lost := taken_away(self._sdk)):
            self.powered, self._fit, self._lost = False, False, (time.monotonic_ns(), lost)
        number, reported = 0 if before is None else before.number + 1, self._reported()
        # What comes late or torn may be well again by itself, so it is no fault.
        warning = reported or self._reports.overdue() or self._reports.torn()
        fault = self._fault(reported)
        warning = _joined(self._undone, warning)
        state = ArmState(number, began_ns, q, dq, effort, self.powered, warning, fault, *self._leader)
        for array in (q, dq, effort):
            array.flags.writeable = False
        with self._lock:
            self._pass_on(state)

    def _pass_on(self, state: ArmState) -> None:
        if self._state is None or state.number != self._state.number:
            self._newest.append(state)
        self._state = state
        if self._tell is not None:
            self._tell(state)

    def _fault(self, reported: str) -> str:
        """What a person has to look at before the arm may go on; empty: nothing."""
        if self.commanded_by_others:
            return self._foreign_text
        for since_ns, why in (self._lost, self._refused, self._unsent):
            if why and time.monotonic_ns() - since_ns < _REMEMBERED_NS:
                return why
        return reported if self.powered else ""

    @property
    def commanded_by_others(self) -> bool:
        """Whether somebody else's commands were on the bus within the last half second; a leader's are expected where `led`."""
        if self._led or self._foreign is None:
            return False
        return time.monotonic_ns() - self._foreign[0] < _REMEMBERED_NS

    @property
    def _foreign_text(self) -> str:
        return _FOREIGN_TEXT.format(self._foreign[1] if self._foreign else 0)

    def _reported(self, but: tuple[int, ...] = ()) -> str:
        """The warning that the arm itself reports, once all its states were heard on this connection; empty: none."""
        return "" if self._reports.lacking else warning_of(self._sdk, but)

    def _doubtful(self) -> str:
        """Why it must not be sent to stay where it was read last, since that reading may be false; empty: it may."""
        readings = [state.q for state in self.newest]
        if len(readings) < _STEADY_SETS:
            return f"{len(readings)} of {_STEADY_SETS} readings received"
        if out := plausible.outside(readings[-1], LOW, (*HIGH[:6], self._stroke_m)):
            return f"{out}; move the arm back by hand, or set the joint's zero with the vendor's tool"
        return plausible.unsteady(readings)


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)
