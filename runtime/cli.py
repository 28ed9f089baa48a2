"""The one command line behind launch/*.sh: `python -m runtime.cli SUBCOMMAND ...`."""

import importlib
import signal
import sys
from types import FrameType

from runtime.config.settings import exit_with_settings_error
from runtime.errors import RuntimeFault, SettingsError

COMMANDS = {
    "robot": "runtime.supervisor.robot",
    "order": "runtime.supervisor.operator",
    "record": "runtime.supervisor.record",
    "system2": "runtime.remote.far",
    "keys": "runtime.remote.keys",
    "console": "runtime.console.alone",
    "certificate": "runtime.console.certificate",
    "doctor": "runtime.doctor.command",
    "replay": "runtime.replay.command",
    "bench": "runtime.bench.command",
    "instruct": "runtime.policy.instruct",
    "weights": "runtime.policy.weights",
    "demos": "runtime.training.demos",
    "train": "runtime.training.command",
    "evaluate": "runtime.evaluation.command",
    "export": "runtime.session.export",
    "trace": "runtime.session.trace",
}


def main() -> int:
    """Run a subcommand; every refusal is one line: status 2 for bad settings, 1 for what could not be done."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(f"usage: python -m runtime.cli {{{'|'.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _ended)
    try:
        return importlib.import_module(COMMANDS[sys.argv[1]]).main(sys.argv[2:])
    except SettingsError as error:
        exit_with_settings_error(error)
    except RuntimeFault as error:
        print(f"video2act: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("video2act: stopped", file=sys.stderr)
        return 130
    return 1


def _ended(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that everything is closed (the robot ends in its own order)."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
