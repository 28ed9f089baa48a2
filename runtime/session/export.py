"""Turns recorded sessions into demonstrations: `export.sh SESSION... --to hdf5|lerobot|... --out DIR`.
Called by runtime/cli.py.

runtime/session/episodes.py says what an episode of a session is. Pictures are the logged JPEGs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.data import folder_writers, hdf5
from models.data.episode import Episode
from models.errors import ModelError
from runtime.errors import RuntimeFault, SessionError
from runtime.host.next_step import say_next
from runtime.host.progress import waiting
from runtime.host.terminal import counted, say
from runtime.session import reader
from runtime.session.episodes import episodes
from runtime.session.flags import EXPORT


def main(arguments: list[str]) -> int:
    """Write all episodes of the sessions of the line. Called by runtime/cli.py; returns 1 where a session was left out."""
    options, _ = EXPORT.read(arguments)
    sessions = Sessions(options.sessions, options.failures)
    try:
        with waiting(f"export to {options.out}"):
            if options.to == "hdf5":
                count = _write_hdf5(options.out, sessions)
            else:
                every = (episode for _, some in sessions for episode in some)
                count = folder_writers.write(options.out, every, options.to)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    marked = (
        f", {sessions.failed} of them marked as failures, which train.sh action leaves out" if sessions.failed else ""
    )
    say(f"{options.out}: {counted(count, 'episode')}{marked}")
    if count:
        rdt = ["--data.layout", "rdt"] if options.to == "rdt" else []
        say_next("train the video model on them", "train", "video", "--data", options.out, *rdt, "--out", "DIR")
    return int(sessions.left_out > 0)


class Sessions:
    """The episodes of some sessions. One that cannot be read, or holds nothing, costs none of the others: it is said, once."""

    def __init__(self, paths: Sequence[Path], failures: bool) -> None:
        self._paths, self._failures = list(paths), failures
        self.left_out = 0
        self.failed = 0  # episodes in which the task was not done, of the newest reading of all sessions
        self._said = False

    def __iter__(self) -> Iterator[tuple[reader.Session, list[Episode]]]:
        """Each session with its episodes, read again each time. Raises what is wrong where only one is left."""
        self.failed = 0
        for path in tuple(self._paths):
            try:
                session = reader.read(path) if self._said else reader.opened(path)
                some = episodes(session, self._failures, verbose=not self._said)
            except (SessionError, ModelError) as error:
                if len(self._paths) == 1:
                    raise
                self._paths.remove(path)
                self.left_out += 1
                say(f"video2act: skipped: {error}")
                continue
            self.failed += sum(episode.success is False for episode in some)
            yield session, some
        self._said = True


def _write_hdf5(out: Path, sessions: Sessions) -> int:
    count = 0
    for _ in sessions:  # before the first one is written: a fault leaves nothing half-done
        pass
    for session, some in sessions:
        for number, episode in enumerate(some):
            file = out / episode.task / f"{session.path.resolve().parent.name}_{number}.hdf5"
            if file.exists():
                raise ModelError(f"{file}: already exists; give another --out, or delete it")
            file.parent.mkdir(parents=True, exist_ok=True)
            hdf5.write(file, episode)
            count += 1
    return count
