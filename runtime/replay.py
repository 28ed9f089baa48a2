"""The replay command: `replay.sh SESSION --lockstep | --paced`."""

import argparse
import shutil
import tempfile
from pathlib import Path

from runtime import command_line
from runtime.bus import LONGEST_PATH, socket_path
from runtime.errors import RuntimeFault, SettingsError
from runtime.session import reader
from runtime.session.reader import Session
from runtime.terminal import say
from runtime.topics import TOPICS


def main(arguments: list[str]) -> int:
    """Read the session, say what is damaged, replay it. Status 0 only if everything was there and identical."""
    options = _parse(arguments)
    session = reader.read(options.session)
    for line in session.damage.describe():
        say(f"video2act: {session.path.name}: {line}")
    return _paced(session, options) if options.paced else _lockstep(session)


def _lockstep(session: Session) -> int:
    from runtime.session.lockstep import replay

    report = replay(session)
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
    from runtime.session.paced import PacedReplay

    folder = Path(options.folder or tempfile.mkdtemp(prefix="video2act-replay-", dir="/dev/shm"))
    paced = PacedReplay(session, folder)
    say(f"video2act: publishing {session.path} in {folder}")
    try:
        say(f"{paced.run(options.speed)} messages published")
    except KeyboardInterrupt:
        say("stopped")
    finally:
        paced.close()
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = command_line.parser("replay.sh", __doc__)
    parser.add_argument("session", type=Path, help="a session's folder or its MCAP file")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--lockstep", action="store_true", help="through the real steps; every byte must be the same")
    how.add_argument("--paced", action="store_true", help="publish on the bus at the recorded times")
    parser.add_argument("--speed", type=float, default=1.0, help="of --paced, 1 is as recorded")
    parser.add_argument("--folder", help="where --paced puts sockets and rings; a new one if not given")
    options = command_line.parse(parser, arguments)
    if not 0.01 <= options.speed <= 100:
        raise SettingsError(f"--speed: must be 0.01 to 100, got {options.speed}")
    if options.folder:
        _check_folder(options.folder)
    return options


def _check_folder(folder: str) -> None:
    if not Path(folder).is_dir():
        raise RuntimeFault(f"--folder {folder:.60}: no such folder")
    longest = max(len(str(socket_path(Path(folder), row, name))) for row in TOPICS.values() for name in row.publishers)
    if longest > LONGEST_PATH:
        raise RuntimeFault(
            f"--folder {folder:.60}...: {longest - LONGEST_PATH} letters too long for sockets; take a shorter"
        )
