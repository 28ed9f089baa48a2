"""The one command `video2act`: a subcommand for each script in launch/.
Called by the scripts as `python -m runtime.cli`, and as the installed program.

Subcommands are named as strings, so listing them imports none of what they need. What takes long to import is imported within
`main`, where Ctrl-C is caught.
"""

import importlib
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import RuntimeFault, SettingsError

if TYPE_CHECKING:
    from types import FrameType

    from runtime.config.command_line import CommandLine


@dataclass(frozen=True)
class Command:
    """A subcommand: the module whose `main(arguments)` it is, and its line in the list; its room's flags.py has its flags."""

    module: str
    does: str


GROUPS: dict[str, dict[str, Command]] = {
    "run": {
        "robot": Command("runtime.supervisor.robot", "run the robot, real or simulated"),
        "operator": Command("runtime.supervisor.operator", "command a running robot: arm, run, hold, rest ..."),
        "doctor": Command("runtime.doctor.command", "check whether the robot is ready, with remedies"),
        "system2": Command("runtime.remote.gpu_side", "run System 2 alone, on a GPU box"),
    },
    "look back": {
        "replay": Command("runtime.replay.command", "replay a session: bit for bit, paced, what-if, on the robot"),
        "console": Command("runtime.console.alone", "show recorded sessions in a browser"),
        "trace": Command("runtime.session.trace", "convert a session to a trace for ui.perfetto.dev"),
        "explain": Command("runtime.explanation.command", "show which parts of the pictures move the arms"),
    },
    "data and policies": {
        "record": Command("runtime.supervisor.record", "record demonstrations with leader arms"),
        "export": Command("runtime.session.export", "convert sessions to demonstrations (HDF5, LeRobot)"),
        "data": Command("runtime.datasets.command", "check, convert, merge, split or relabel demonstrations"),
        "demos": Command("runtime.training.demos", "create demonstrations with scripted experts"),
        "train": Command("runtime.training.command", "train a policy in two stages"),
        "evaluate": Command("runtime.evaluation.command", "measure success rates in simulation, with the ablations"),
        "serve": Command("runtime.serving.command", "serve a policy to clients of openpi"),
        "influence": Command("runtime.evaluation.influence", "measure what a policy's chunks depend on"),
        "weights": Command("runtime.policy.weights", "fetch published weights and policies"),
        "push": Command("runtime.policy.push", "put a policy on the hub"),
        "instruct": Command("runtime.policy.instruct", "encode instructions before a run"),
    },
    "set up": {
        "bench": Command("runtime.bench.command", "measure this machine"),
        "faults": Command("runtime.faults.command", "put faults into a simulated robot and measure what it does"),
        "keys": Command("runtime.remote.keys", "create the keys of robot and GPU box"),
        "certificate": Command("runtime.console.certificate", "create the certificate of the console page"),
    },
}
COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}


def main() -> int:
    """Run the subcommand that the line names. A refusal is one line: status 2 for bad settings, 1 for what could not be
    done.
    """
    try:
        return _done()
    except SettingsError as error:
        return _refused(str(error), 2)
    except RuntimeFault as error:
        return _refused(str(error), 1)
    except OSError as error:  # of the machine, not of ours: a full disk, a path that is too long, too many open files
        from runtime.host import remedies

        return _refused(remedies.line(error), 1)
    except MemoryError:
        return _refused("out of memory; end other programs, or give less data", 1)
    except KeyboardInterrupt:
        print("video2act: stopped", file=sys.stderr)
        return 128 + signal.SIGINT


def _done() -> int:
    """Run the subcommand, or show all of them. Returns its status, raises what `main` makes a line of."""
    from runtime.host import cache_folder, standard_streams, terminal, text_encoding

    standard_streams.ensure()
    text_encoding.ensure()
    cache_folder.ensure_home()
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _ended)
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        terminal.write_page(overview())
        return 0
    if name not in COMMANDS:
        from models.refusal import nearest, shown

        closest = nearest(name, COMMANDS) or "; video2act --help lists the commands"
        raise SettingsError(f"unknown command {shown(name)}{closest}")
    flags_of(name).read(sys.argv[2:])  # before the command, which may take seconds to load, reads them again
    return importlib.import_module(COMMANDS[name].module).main(sys.argv[2:])


def _refused(text: str, status: int) -> int:
    """Print why nothing was done, on one line. Returns the status."""
    from runtime.host import terminal

    print(f"video2act: {terminal.one_line(text)}", file=sys.stderr)
    return status


def flags_of(name: str) -> "CommandLine[Any]":
    """The flags of a subcommand; loads nothing else of it."""
    room = COMMANDS[name].module.rpartition(".")[0]
    return getattr(importlib.import_module(f"{room}.flags"), name.upper())


def overview() -> str:
    """All subcommands in groups, a line each."""
    width = max(map(len, COMMANDS))
    lines = ["usage: video2act COMMAND [flags]      video2act COMMAND --help lists a command's flags"]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:{width}}  {command.does}" for name, command in commands.items())]
    return "\n".join(lines)


def _ended(number: int, frame: "FrameType | None") -> None:
    """End by an exception, so that everything is closed (the robot ends in its own order)."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
