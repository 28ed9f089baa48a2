"""A leader arm's own CAN bus: where it is led comes in, nothing goes out. One process a bus, as for the followers.
Started by the supervisor (runtime/process/base.py).

A bus that was silent for 2 s is opened again; `arms` judges by the age of what it heard last.
"""

from drivers.arm_link import LED, ArmCommand, TargetSlot
from drivers.can_hub import INTERFACE
from drivers.cobot_magic import SIDES
from drivers.emulated_bus import leader_socket_of
from drivers.errors import DriverError
from drivers.piper_leader import PiperLeader
from runtime.host import realtime
from runtime.host.clock import robot_time_ns, seconds
from runtime.process.base import OnChange, Process, log

_POLL_S = 0.05  # between two looks at the age; chosen, as readings themselves come by callback
_AGAIN_S = 1.0  # between two tries to open the bus; chosen, as can_bus.py
_SILENT_S = 2.0  # after it the bus is opened again; as can_bus.py


def main(process: Process) -> None:
    """Listen to one leader until asked to end."""
    side = process.name.removeprefix("leader_")
    slot = TargetSlot(process.folder, LED, side)
    channel, interface = process.settings.arms.leader_interfaces[SIDES.index(side)], "socketcan"
    if process.settings.can:
        channel, interface = str(leader_socket_of(process.folder, side)), INTERFACE
    process.settle()
    if process.settings.arms.realtime and not process.settings.can:  # its reading thread, started later, inherits it
        realtime.run_at_once(realtime.BUS_PRIORITY)
    leader = PiperLeader(side, channel, interface, lambda q, stamp_ns: slot.write(ArmCommand(q, stamp_ns)))
    state = OnChange(lambda text: log.info("%s: %s", process.name, text))
    while process.running:
        opened_ns = robot_time_ns()
        try:
            leader.connect()
        except DriverError as error:
            state(str(error))
        else:
            _listen(process, slot)
            if slot.read().stamp_ns > opened_ns:
                state("")  # it was heard: whatever comes now is news
            state(f"silent for {_SILENT_S:.0f} s; reopening the bus")
            leader.close()
        process.stepped()
        process.pause(_AGAIN_S)
    slot.close()


def _listen(process: Process, slot: TargetSlot) -> None:
    """Serve until asked to end, or until the bus has been silent for 2 s and is better opened again."""
    since_ns = robot_time_ns()
    while process.running:
        process.pause(_POLL_S)
        process.stepped()
        if robot_time_ns() - max(since_ns, slot.read().stamp_ns) > seconds(_SILENT_S):
            return
