"""The replay command: `replay.sh SESSION --lockstep | --paced | --what-if FLAGS | --on-robot`.

With --what-if settings of robot.sh follow: --ratio 4, --trajectory.blend none, --policy.checkpoint DIR, --safety... With
--on-robot too: --profile cobot_magic, else it is the session's own robot. With --lockstep --policy.checkpoint DIR tells where
the session's policy lies by now.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

from runtime.config import command_line
from runtime.config.settings import changed, switches
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.run_folder import REPLAY_PREFIX, MemoryFolder
from runtime.host.terminal import say
from runtime.messaging.bus import LONGEST_PATH, socket_path
from runtime.messaging.topics import TOPICS
from runtime.session import reader
from runtime.session.reader import Session

_CHANGEABLE = ("policy", "ratio", "trajectory", "safety")
_OF_A_MODE = {"speed": "paced", "console": "paced", "folder": "paced", "out": "what_if", "episode": "on_robot"}
_MOVED = ("--policy.checkpoint", "--policy.published.video", "--policy.published.head")
_CHOICE = "--ratio N, --policy..., --trajectory... or --safety..."


def main(arguments: list[str]) -> int:
    """Read the session, say what is damaged, replay it. Status 0 only if everything was there and identical."""
    options, flags = _parse(arguments)
    if options.on_robot:
        from runtime.replay import on_robot

        return on_robot.main(options.session, options.episode, flags)
    session = reader.read(options.session)
    for line in session.damage.describe():
        say(f"video2act: {session.path.name}: {line}")
    if options.what_if:
        return _what_if(session, options.out, flags)
    return _paced(session, options) if options.paced else _lockstep(session, flags)


def _lockstep(session: Session, flags: list[str]) -> int:
    from runtime.replay.lockstep import replay

    report = replay(session, lambda settings: changed(settings, flags, "replay.sh"))
    if not report.counts:
        raise RuntimeFault(f"{session.path}: holds no step of a live run to compare (a recording, or a --what-if)")
    say(f"{'message':<14}{'compared':>10}{'differ':>8}{'not comparable':>16}")
    for kind, count in sorted(report.counts.items()):
        say(f"{kind:<14}{count.compared:>10}{count.differing:>8}{count.not_comparable:>16}")
    for count in report.counts.values():
        if count.first_difference:
            say(f"first difference: {count.first_difference}")
    damaged = bool(session.damage.lost_chunks or session.damage.bad_messages)
    same = report.identical and not damaged
    say("identical, byte for byte" if same else "NOT identical" if not damaged else "the session is damaged")
    return 0 if same else 1


def _paced(session: Session, options: argparse.Namespace) -> int:
    from runtime.replay.paced import PacedReplay

    with nullcontext(Path(options.folder)) if options.folder else MemoryFolder(REPLAY_PREFIX) as folder:
        paced = PacedReplay(session, folder)
        say(f"video2act: publishing {session.path} in {folder}")
        try:
            if options.console:
                from runtime.replay.console import show

                show(paced, session, folder, options.speed)
                return 0
            say(f"{paced.run(options.speed)} messages published")
        except KeyboardInterrupt:
            say("stopped")
        finally:
            paced.close()
    return 0


def _what_if(session: Session, out: Path | None, flags: list[str]) -> int:
    from runtime.replay import what_if
    from runtime.replay.lockstep import StoredEmbeddings
    from runtime.systems.virtual_clock import open_policy

    names = [flag.removeprefix("--").partition("=")[0] for flag in flags if flag.startswith("--")]
    for name in names:
        if name.partition(".")[0] not in _CHANGEABLE:
            raise SettingsError(f"--what-if: --{name:.60} cannot be changed afterwards; {_CHOICE}")
    if not names:
        raise SettingsError(f"--what-if: say what is to be different: {_CHOICE}")
    origin = what_if.Origin.of(session)
    settings = changed(origin.settings, flags, "replay.sh")
    out = out or _beside(session.path.parent)
    if out.exists():
        raise SettingsError(f"--out {out}: is there already; give another")
    policy = open_policy(settings)
    with tempfile.TemporaryDirectory(prefix="video2act-replay-") as folder:
        embeddings = origin.embeddings(StoredEmbeddings(session, Path(folder)), policy)
        messages = what_if.WhatIf(origin, settings, policy, embeddings, names).run()
    after = what_if.write(session, settings, messages, out)
    recorded = [(topic, message) for (topic, _, _), message in origin.index.messages.items()]
    before = what_if.tabled(origin.settings, recorded, session.path.parent.name)
    say("\n".join(what_if.compared(before, after)))
    say(what_if.departed(origin.index, messages))
    say(f"video2act: written to {out}; ./launch/console.sh --sessions {out.parent} shows both side by side")
    return 0


def _beside(folder: Path) -> Path:
    """NAME-what-if, or NAME-what-if-2 and so on."""
    folder = folder.resolve()
    path, count = folder.with_name(f"{folder.name}-what-if"), 1
    while path.exists():
        count += 1
        path = folder.with_name(f"{folder.name}-what-if-{count}")
    return path


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the settings that --what-if changes."""
    parser = command_line.parser("replay.sh", __doc__)
    parser.add_argument("session", type=Path, help="a session's folder or its MCAP file")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--lockstep", action="store_true", help="through the real steps; every byte must be the same")
    how.add_argument("--what-if", action="store_true", help="the same inputs under other settings, as a new session")
    how.add_argument(
        "--on-robot", action="store_true", help="lead the arms along it (also a demonstration's .hdf5, or a dataset)"
    )
    how.add_argument("--paced", action="store_true", help="publish on the bus at the recorded times")
    parser.add_argument("--speed", type=float, default=1.0, help="of --paced, 1 is as recorded")
    parser.add_argument("--console", action="store_true", help="of --paced: show it on the console's page as if it ran")
    parser.add_argument("--folder", help="where --paced puts sockets and rings; a new one if not given")
    parser.add_argument(
        "--out", type=Path, help="folder of the session that --what-if makes; default: beside the other"
    )
    parser.add_argument(
        "--episode",
        type=int,
        metavar="N",
        help="of --on-robot; default: the first with a movement (of a session they count from 1, of a dataset from 0)",
    )
    own, flags = command_line.without_settings(parser, arguments, switches())
    options = command_line.parse(parser, own)
    for flag in flags if not (options.what_if or options.on_robot) else ():
        name = flag.partition("=")[0]
        if name.startswith("--") and (options.paced or name not in _MOVED):
            raise SettingsError(f"unknown {name}; --lockstep takes only {', '.join(_MOVED)}")
    for name, mode in _OF_A_MODE.items():
        if getattr(options, name) != parser.get_default(name) and not getattr(options, mode):
            raise SettingsError(f"--{name}: is for --{mode.replace('_', '-')}")
    if not 0.01 <= options.speed <= 100:
        raise SettingsError(f"--speed: must be 0.01 to 100, got {options.speed}")
    if options.folder:
        _check_folder(options.folder)
    return options, flags


def _check_folder(folder: str) -> None:
    if not Path(folder).is_dir():
        raise RuntimeFault(f"--folder {folder:.60}: no such folder")
    longest = max(len(str(socket_path(Path(folder), row, name))) for row in TOPICS.values() for name in row.publishers)
    if longest > LONGEST_PATH:
        raise RuntimeFault(
            f"--folder {folder:.60}...: {longest - LONGEST_PATH} letters too long for sockets; take a shorter"
        )
