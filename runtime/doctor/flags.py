"""The command line of `doctor`. Read by runtime/cli.py before the command is loaded."""

from typing import Any

from runtime.config.command_line import CommandLine, Flags
from runtime.config.loading import profile_values, settings_of
from runtime.config.output_paths import check_json
from runtime.config.settings import Settings


class DoctorFlags(Flags):
    """Check machine, buses, arms, cameras and policy, and print a remedy for whatever blocks arming.

    Nothing moves. With --can the emulated arms are checked through the same driver.
    """


def _check(_flags: DoctorFlags, given: dict[str, Any]) -> None:
    check_json(settings_of(given).json_file)


DOCTOR = CommandLine(
    "doctor",
    DoctorFlags,
    Settings,
    (
        "profile", "json", "sessions", "can", "arms.kind", "arms.interfaces", "arms.leaders", "arms.leader_interfaces",
        "arms.usb_places", "cameras.head.device", "cameras.left_wrist.device", "cameras.right_wrist.device",
        "policy.checkpoint", "policy.size",
    ),
    values=profile_values,
    check=_check,
)  # fmt: skip
