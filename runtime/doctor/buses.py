"""The CAN buses: up, mapped to the right adapter, an arm at the other end that is well, and nobody else commanding it.
Called by command.py on a real robot or an emulated bus; the command `faults` checks corrupt limits by it.
"""

import time

from drivers import piper_bus, piper_identity, plausible
from drivers.errors import DriverError
from drivers.piper import PiperArm
from drivers.piper_frames import Array
from drivers.piper_leader import PiperLeader
from drivers.piper_traffic import Finding
from runtime.config.settings import Settings
from runtime.doctor.table import Row

_BITRATE = 1_000_000  # of every Piper's bus, by its maker
_LISTEN_S = 1.0  # chosen: 200 readings
_ANSWER_S = 0.5  # longest wait for an arm's answer to a question; chosen
_LEAST_HZ = 150.0  # of 200 readings a second; chosen
_RANGE_TOLERANCE_RAD = 0.01  # chosen: an arm stores its ranges in 0.1 degrees, 0.0017 rad
_ACCELERATION_TOLERANCE = 0.02  # rad/s2; chosen: an arm stores it in steps of 0.01


def check_interface(side: str, interface: str, usb: str) -> Row:
    """Whether the kernel has the interface, up at 1 Mbit/s, on the adapter at the USB place `usb` (empty: any)."""
    name, place = f"bus {side}", piper_bus.NETWORK / interface
    # Down first: of an interface that is up, or off after too many errors, the kernel changes no bit rate.
    up = (
        f"sudo ip link set {interface} down; sudo ip link set {interface} up type can bitrate {_BITRATE} restart-ms 100"
    )
    if not place.exists():
        remedy = "plug in its USB-CAN adapter and install deploy/can-names.rules"
        return Row(name, "fail", f"interface {interface} does not exist", remedy)
    device = (place / "device").resolve().name
    if exchanged := piper_bus.elsewhere(interface, usb):
        names = "/etc/udev/rules.d/70-video2act-can.rules"
        remedy = f"plug the adapters in as before, or set arms.usb_places to the new ports (and {names})"
        return Row(name, "fail", exchanged, remedy)
    if (place / "operstate").read_text().strip() == "down":
        return Row(name, "fail", f"{interface} is down", up)
    link = piper_bus.read_link(interface)
    if off := piper_bus.why_off(link):
        return Row(name, "fail", f"{interface}: {off}", up)
    if link.bitrate != _BITRATE:
        return Row(name, "fail", f"{interface} runs at {link.bitrate} bit/s, expected {_BITRATE}", up)
    if link.state not in ("", "ERROR-ACTIVE"):
        found = f"{interface} is in {link.state}: many frames have errors"
        return Row(name, "warning", found, f"check its cable and terminating resistor; then {up}")
    found = f"{interface} is up at 1 Mbit/s, USB {device}"
    if not usb:
        return Row(
            name, "warning", f"{found}, which arms.usb_places does not confirm: left and right may be swapped",
            f"find out which arm it is, then write {device} into arms.usb_places of the profile",
        )  # fmt: skip
    return Row(name, "pass", found)


def check_arm(arm: PiperArm, settings: Settings, led: bool = False) -> list[Row]:
    """Listen to an arm, `led` by a leader or not, and ask it. It is not moved, and its motors are left as they are."""
    name = f"arm {arm.name}"
    try:
        arm.connect()
    except DriverError as error:
        return [Row(name, "fail", str(error))]
    try:
        heard, identity = [_listen(arm, name, settings), _leaders(arm, name, led)], _identity(arm, name, settings)
        if arm.unsent:  # it was not even asked
            identity = [Row(f"{name}, sending", "fail", arm.unsent, piper_bus.REPLUG)]
        return [*heard, *identity]
    finally:
        arm.close()


def check_leader(side: str, channel: str, interface: str = "socketcan") -> Row:
    """Listen to a leader on a bus of its own; without it the robot runs, but nobody can take over."""
    name, heard = f"leader {side}", list[int]()

    def note(q: Array, stamp_ns: int) -> None:
        del q
        heard.append(stamp_ns)

    leader = PiperLeader(side, channel, interface, note)
    try:
        leader.connect()
        time.sleep(_LISTEN_S)
    except DriverError as error:
        return Row(name, "fail", str(error))
    finally:
        leader.close()
    if not heard:
        nothing = Finding("nothing is on its bus", "switch it on, and set it to lead (CAN id 0x470)")
        silence = leader.silence() or nothing
        return Row(name, "warning", f"no targets: `takeover` is not possible; {silence.found}", silence.remedy)
    return Row(name, "pass", f"{len(heard) / _LISTEN_S:.0f} targets/s on its own bus")


def _listen(arm: PiperArm, name: str, settings: Settings) -> Row:
    time.sleep(_LISTEN_S / 2)
    first = arm.read()
    time.sleep(_LISTEN_S)
    last = arm.read()
    if first is None or last is None or last.number == first.number:
        silence = arm.silence()
        return Row(name, "fail", f"no feedback: {silence.found}", silence.remedy)
    rate_hz = (last.number - first.number) / ((last.stamp_ns - first.stamp_ns) / 1e9)
    found = f"{rate_hz:.0f} readings/s, motors {'on' if arm.switched_on else 'off'}"
    if out := plausible.outside(last.q, settings.safety.low, settings.safety.high):
        remedy = "move the arm back by hand, or set the joint's zero with the vendor's tool"
        return Row(name, "fail", f"{found}; {out}", remedy)
    if last.warning:
        return Row(name, "fail", f"{found}; {last.warning}", "fix it, then run the doctor again")
    if rate_hz < _LEAST_HZ:
        return Row(name, "warning", f"{found} (200 expected)", "check the CAN cable, and end other programs")
    return Row(name, "pass", found)


def _leaders(arm: PiperArm, name: str, led: bool) -> Row:
    """Whether the leader is unplugged, or there where it is to lead the arm (record.sh)."""
    if led:
        state = arm.read()
        if state is None or state.leader is None:
            return Row(
                f"{name}, leaders", "warning", "no feedback from its leader", "switch on its leader, on the same bus"
            )
        return Row(f"{name}, leaders", "pass", "its leader leads it; it cannot be armed")
    if arm.commanded_by_others:
        found = "another sender commands it (CAN id 0x150 to 0x15f or 0x47x): its leader, or another program"
        return Row(f"{name}, leaders", "fail", found, "unplug the leader arm and end other programs on its bus")
    return Row(f"{name}, leaders", "pass", "unplugged")


def _identity(arm: PiperArm, name: str, settings: Settings) -> list[Row]:
    try:
        version = Row(f"{name}, firmware", "pass", piper_identity.firmware(arm.sdk, name, _ANSWER_S))
    except DriverError as error:
        version = Row(f"{name}, firmware", "warning", str(error), "power-cycle the arm")
    try:
        ranges = piper_identity.ranges(arm.sdk, name, _ANSWER_S)
        accelerations = piper_identity.accelerations(arm.sdk, name, _ANSWER_S)
    except DriverError as error:
        return [version, Row(f"{name}, ranges", "fail", str(error), "power-cycle the arm")]
    return [version, _ranges(ranges, name, settings), _accelerations(accelerations, name, settings)]


def _accelerations(found: tuple[float, ...], name: str, settings: Settings) -> Row:
    """Whether the arm allows the accelerations that the safety layer will ask for."""
    row = f"{name}, acceleration"
    for motor, reported in enumerate(found, 1):
        asked = settings.safety.acceleration[motor - 1]
        if reported < asked - _ACCELERATION_TOLERANCE:
            found_text = f"motor {motor} allows {reported:.2f} rad/s² (--safety.acceleration asks for {asked:.2f})"
            return Row(row, "fail", found_text, f"lower joint {motor} of --safety.acceleration to {reported:.2f}")
    return Row(row, "pass", f"{min(found):.1f} rad/s², at least --safety.acceleration")


def _ranges(found: tuple[piper_identity.MotorRange, ...], name: str, settings: Settings) -> Row:
    """Whether the arm's stored ranges and speeds are sane, and not narrower than what the safety layer will allow."""
    row = f"{name}, ranges"
    for motor, reported in enumerate(found, 1):
        low, high = settings.safety.low[motor - 1], settings.safety.high[motor - 1]
        span = f"motor {motor} reports {reported.low_rad:.3f} to {reported.high_rad:.3f} rad, {reported.speed_rad_s:.2f} rad/s"
        if not reported.sane:
            return Row(row, "fail", f"{span}: its stored limits are corrupt", "set them again with the vendor's tool")
        if reported.low_rad > low + _RANGE_TOLERANCE_RAD or reported.high_rad < high - _RANGE_TOLERANCE_RAD:
            return Row(
                row,
                "fail",
                f"{span} (--safety.low to --safety.high: {low} to {high} rad)",
                f"narrow joint {motor} of --safety.low and --safety.high to this range",
            )
        if reported.speed_rad_s < settings.safety.velocity[motor - 1] - _RANGE_TOLERANCE_RAD:
            return Row(
                row,
                "fail",
                f"{span} (--safety.velocity asks for {settings.safety.velocity[motor - 1]:.2f})",
                f"lower joint {motor} of --safety.velocity to {reported.speed_rad_s:.2f}",
            )
    return Row(row, "pass", "at least as wide and fast as --safety.low, --safety.high and --safety.velocity")
