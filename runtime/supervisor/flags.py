"""The command lines of `robot`, `record` and `operator`. Read by runtime/cli.py before these commands are loaded."""

from typing import Any

from pydantic import Field
from pydantic_settings import CliPositionalArg

from drivers.task_names import TASK_NAMES
from models.refusal import nearest
from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_settings
from runtime.config.loading import profile_values, settings_of
from runtime.config.output_paths import check_folder, check_json
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.messaging.messages import CommandName

_LARGEST_PROCESS = 1 << 22  # number that Linux gives one (proc(5), pid_max)


class RobotFlags(Flags):
    """Run the robot, real or simulated, in the foreground. Keys command it; q quits."""


class RecordFlags(Flags):
    """Record demonstrations: leader arms lead the robot, and each demonstration is kept or discarded by a key.

    Nothing is sent to the arms; the safety layer only monitors. In simulation the scripted expert leads.
    """


class OperatorFlags(Flags):
    """Send a command to a running robot from another terminal, and print its result.

    `stop`, `release`, and `clear` after a stop cut the power of arms that may fall. They ask for a confirmation.
    """

    command: CliPositionalArg[CommandName]
    """arm: switch the motors on; run: let the policy move them; takeover: let the leaders move them; hold: brake and stay;
    ready, rest: go to that pose; stop: emergency stop; clear: reset a latched fault; release: cut the motors' power."""
    confirm: bool = False
    """Confirm that somebody supports the arms."""
    run: int | None = Field(default=None, ge=1, le=_LARGEST_PROCESS)
    """Process id of robot.sh, if several are running."""


def check_task(settings: Settings) -> None:
    """Raises SettingsError for a simulated task that is not there."""
    if settings.arms.kind == "simulated" and settings.task not in TASK_NAMES:
        closest = nearest(settings.task, TASK_NAMES)
        raise SettingsError(f"--task {settings.task:.60}: must be one of {', '.join(TASK_NAMES)}{closest}")


def _check_robot(_flags: RobotFlags, given: dict[str, Any]) -> None:
    settings = settings_of(given)
    check_settings(given)
    check_json(settings.json_file)
    check_folder(settings.sessions, "--sessions")
    check_task(settings)
    if settings.arms.kind != "simulated" and settings.instruction is None:
        raise SettingsError('--instruction is missing; give --instruction "TEXT"')


def _check_record(_flags: RecordFlags, given: dict[str, Any]) -> None:
    settings = settings_of(given)
    check_settings(given)
    check_json(settings.json_file)
    check_folder(settings.sessions, "--sessions")
    if settings.arms.leaders == "own":
        raise SettingsError(
            "--arms.leaders own: record.sh needs leaders on the followers' CAN buses; run robot.sh and send `takeover`"
        )
    if settings.arms.kind == "simulated":
        check_task(settings)
    elif settings.instruction is None and "task" not in given:
        raise SettingsError("--task is missing; give --task NAME or --instruction TEXT")
    elif settings.instruction is None and settings.task not in TASK_NAMES:
        known = ", ".join(TASK_NAMES)
        raise SettingsError(
            f"--task {settings.task:.60}: must be one of {known}; add --instruction TEXT for a task of your own"
        )


ROBOT = CommandLine(
    "robot",
    RobotFlags,
    Settings,
    (
        "profile", "task", "instruction", "seconds", "sessions", "json", "seed", "ratio", "pacing", "can", "shift",
        "policy.checkpoint", "policy.server", "policy.size", "system1.period_s", "system2.remote", "recorder.enabled",
        "console.enabled", "console.port", "arms.start",
    ),
    values=profile_values,
    check=_check_robot,
)  # fmt: skip
RECORD = CommandLine(
    "record",
    RecordFlags,
    Settings,
    (
        "profile", "task", "instruction", "seconds", "sessions", "json", "seed", "arms.interfaces", "console.enabled",
        "console.port",
    ),
    values=profile_values,
    check=_check_record,
)  # fmt: skip
OPERATOR = CommandLine("operator", OperatorFlags)
