"""An arm's CAN bus: targets and commands in, stamped readings out. One process a bus, the only one with the vendor's SDK.
Started by the supervisor (runtime/process/base.py), once an arm.

Which command or target goes out is in can_bus_step.py; here are the vendor's SDK, the clock, and what is told of the bus.
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drivers.arm import ArmState
from drivers.arm_link import ReadingSlot, TargetSlot
from drivers.can_hub import INTERFACE
from drivers.cobot_magic import SIDES
from drivers.emulated_bus import socket_of
from drivers.errors import DriverError
from drivers.piper import PiperArm
from drivers.piper_bus import elsewhere
from runtime.arms.limits import Array
from runtime.arms.target_stream import FRESH_S, TargetStream
from runtime.config.settings import Settings
from runtime.devices import motor_commands
from runtime.devices.can_bus_step import REJOIN_RAD, Arm, CanBusState, apart_rad, step, stream_of
from runtime.host import realtime
from runtime.host.clock import NS_PER_S, robot_time_ns, seconds
from runtime.host.overload import Stall
from runtime.process.base import OnChange, Process, log

_POLL_S = 0.0005  # between two looks at the slot where no target is expected; chosen: a tenth of a tick
_LONGEST_PAUSE_S = 0.004  # until a target is due; each look takes time from the reading thread; chosen: most of a tick
_SWITCH_S = 0.0002
"""Between the SDK's parsing thread and this loop: 4 to 9 % of the targets are overtaken, at 5 ms 5 to 17 %."""
_AGAIN_S = 1.0  # between two tries to open the bus; chosen
_QUIET_S = 0.055  # without a reading its cause is looked for; just after `arms` holds, which is at 50 ms
_SILENT_S = 2.0
"""After it the bus is opened again; chosen: the SDK is blind for about 1 s after each opening (measured)."""
_LAST_S = 0.9  # longest braking at the end: 0.7 s (runtime/arms/process.py) and a reserve of 0.2 s
_WHAT_NOW = "send `clear`, then `run`"


def main(process: Process) -> None:
    """Serve one arm until asked to end; it stays powered and holds."""
    side = process.name.removeprefix("can_")
    readings, targets = ReadingSlot(process.folder, side), TargetSlot(process.folder, "can", side)
    process.settle()
    if process.settings.arms.realtime:  # its reading thread, started later, inherits it
        realtime.run_at_once(realtime.BUS_PRIORITY)
    sys.setswitchinterval(_SWITCH_S)
    stall = Stall()

    def tell(state: ArmState) -> None:
        readings.write(replace(state, warning=stall.blamed(state.warning, time.monotonic_ns())))

    # One for good: so is the SDK's object.
    arm = make_arm(side, process.settings, process.folder, tell, process.role.recording)
    fault = OnChange(lambda text: process.fault("bus", f"{text}; plug the adapters in as before"))
    silent = OnChange(lambda text: process.fault("arm", text))
    state = OnChange(lambda text: log.info("%s: %s", process.name, text))
    bus_state = _begin(process, targets)
    while process.running:
        exchanged = _exchanged(process.settings, side)
        fault(exchanged)  # as after they were plugged in again
        # What was commanded while the bus was not heard is not done later, when nobody expects it or supports the arm; what
        # comes from here on may answer the first reading already.
        before, bus_state = bus_state, _begin(process, targets)
        motor_commands.keep_undone(bus_state, before)
        closed = exchanged or _connect(arm)
        if closed:
            state(closed)
            process.stepped()
            process.pause(_AGAIN_S)
            continue
        _serve(process, arm, targets, bus_state, stall)
        if arm.read() is not None:
            state("")  # it was heard: whatever comes now is news
        if process.running:
            why = arm.why_silent() or _never_heard(arm, process.settings)
            silent(f"{side} arm: no feedback: {why}" if why else "")
            state(f"silent for {_SILENT_S:.0f} s; reopening the bus")
        arm.close()
    targets.close()


def make_arm(side: str, settings: Settings, folder: Path, tell: Callable[[ArmState], None], led: bool) -> PiperArm:
    """The arm of one side, on its real bus or on the emulated one; `led`: by a leader on the same bus."""
    channel, interface = settings.arms.interfaces[SIDES.index(side)], "socketcan"
    if settings.can:
        channel, interface = str(socket_of(folder, side)), INTERFACE
    return PiperArm(side, channel, interface, settings.safety.gripper_nm, settings.safety.high[-1], tell, led)


def _begin(process: Process, targets: TargetSlot) -> CanBusState:
    """The state at the beginning of a connection: what was commanded before is done already."""
    return CanBusState(targets.read().number, stream=stream_of(process.settings, process.name.removeprefix("can_")))


def _serve(process: Process, arm: PiperArm, targets: TargetSlot, bus_state: CanBusState, stall: Stall) -> None:
    """Serve until asked to end, or until the bus has been silent for 2 s and is better opened again."""
    since_ns, lacks, asked_ns = robot_time_ns(), "", 0
    undone = OnChange(lambda text: process.fault("arm", f"{arm.name} arm: {text}"))
    pause_s = _POLL_S
    examined_ns = 0  # the reading after which the cause of a silence was looked for
    while process.running or _brakes(bus_state.stream, asked_ns):
        asked_ns = asked_ns or (0 if process.running else robot_time_ns())
        stall.sleep(pause_s)
        process.stepped()
        command, reading, now_ns = targets.read(), arm.read(), robot_time_ns()
        if now_ns - (reading.stamp_ns if reading is not None else since_ns) > seconds(_SILENT_S):
            return
        if reading is not None and now_ns - reading.stamp_ns > seconds(_QUIET_S) and examined_ns != reading.stamp_ns:
            examined_ns = reading.stamp_ns  # beside this loop, which still forwards how the arm brakes
            threading.Thread(target=_examine, args=(arm, examined_ns), daemon=True).start()
        action = step(bus_state, command, _arm(arm, reading, bus_state, now_ns), now_ns)
        arm.report_undone(why := motor_commands.not_carried_out(bus_state, now_ns))
        undone(why)
        left_s = (bus_state.stream.next_ns(now_ns) - robot_time_ns()) / NS_PER_S
        pause_s = min(max(left_s, _POLL_S), _LONGEST_PAUSE_S)
        match action:
            case "enable":
                lacks = arm.switch_on(lambda: targets.read().number > bus_state.obeyed)  # a stop does not wait
            case "give up":
                process.fault("arm", f"{arm.name} arm: {lacks}; not enabled within {motor_commands.ENABLE_S} s")
            case "send":
                arm.command(bus_state.stream.q, command.stamp_ns)
            case "too far":
                arm.refuse(
                    f"its target is {apart_rad(_newest(arm), command):.2f} rad away (limit {REJOIN_RAD} rad); {_WHAT_NOW}"
                )
            case "stop":
                arm.stop()
            case "release":
                arm.release()
            case "reset":
                arm.reset()
            case _:
                pass


def _never_heard(arm: PiperArm, settings: Settings) -> str:
    """What a real bus tells of an arm that was never heard on it; an emulated one may only not have begun."""
    return "" if settings.can or arm.read() is not None else str(arm.silence())


def _examine(arm: PiperArm, after_ns: int) -> None:
    """Tell why nothing came after a reading, if that is known. Runs in a thread of its own."""
    if why := arm.why_silent():
        arm.report_warning(why, after_ns)


def _brakes(stream: TargetStream, asked_ns: int) -> bool:
    """Whether the arm is still sent something, though all have been asked to end: braked, it is reached by this way alone."""
    now_ns = robot_time_ns()
    asked_lately = not asked_ns or now_ns - asked_ns < seconds(_LAST_S)
    return asked_lately and stream.begun and (stream.moves or stream.silent_ns(now_ns) < seconds(FRESH_S))


def _arm(arm: PiperArm, reading: ArmState | None, bus_state: CanBusState, now_ns: int) -> Arm:
    done = motor_commands.due(bus_state, now_ns) and _shows(arm, bus_state)
    if reading is None:
        return Arm(arm.powered, newest=(), done=done, error=arm.send_error)
    return Arm(arm.powered, reading.fault, _newest(arm), reading.q, done, arm.send_error)


def _shows(arm: PiperArm, bus_state: CanBusState) -> bool:
    """Whether an arm shows the pending command; one that was told to stop in vain need not, once somebody cut its power."""
    pending = bus_state.pending
    if pending == "stop" and bus_state.over and arm.shows("release"):
        return True
    return pending is not None and arm.shows(pending)


def _newest(arm: PiperArm) -> tuple[Array, ...]:
    """Where its last few readings have it."""
    return tuple(state.q for state in arm.newest)


def _exchanged(settings: Settings, side: str) -> str:
    """Why a real arm's bus must not be opened; empty: it may."""
    arms, index = settings.arms, SIDES.index(side)
    return elsewhere(arms.interfaces[index], arms.usb_places[index]) if arms.kind == "piper" else ""


def _connect(arm: PiperArm) -> str:
    """Open its bus. Returns why it could not be; empty: it is open."""
    try:
        arm.connect()
    except DriverError as error:
        return str(error)
    return ""
