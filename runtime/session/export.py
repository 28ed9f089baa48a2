"""Turns recorded sessions into demonstrations: `export.sh SESSION... --to hdf5|lerobot --out DIR`.
Called by runtime/cli.py.

runtime/session/episodes.py says what an episode of a session is. Pictures are the logged JPEGs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.data import hdf5, lerobot_writer
from models.data.episode import Episode
from models.errors import ModelError
from runtime.config.output_paths import check_folder
from runtime.errors import RuntimeFault
from runtime.host.next_step import say_next
from runtime.host.progress import waiting
from runtime.host.terminal import say
from runtime.session import reader
from runtime.session.episodes import episodes
from runtime.session.flags import EXPORT


def main(arguments: list[str]) -> int:
    """Write all episodes of the sessions of the line. Called by runtime/cli.py; returns 0."""
    options, _ = EXPORT.read(arguments)
    check_folder(options.out, "--out")
    try:
        with waiting(f"export to {options.out}"):
            if options.to == "lerobot":
                count = lerobot_writer.write(options.out, _all(options.sessions, options.failures))
            else:
                count = _write_hdf5(options.out, options.sessions, options.failures)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    say(f"{options.out}: {count} episodes")
    if count:
        say_next("train the video model on them", "train", "video", "--data", options.out, "--out", "DIR")
    return 0


def _write_hdf5(out: Path, sessions: Sequence[Path], failures: bool) -> int:
    count = 0
    for path in sessions:  # before the first one is written: another one's fault leaves nothing half-done
        for _ in episodes(reader.opened(path), failures):
            pass
    for path in sessions:
        session = reader.read(path)
        for number, episode in enumerate(episodes(session, failures, verbose=False)):
            file = out / episode.task / f"{session.path.resolve().parent.name}_{number}.hdf5"
            if file.exists():
                raise ModelError(f"{file}: already exists; give another --out, or delete it")
            file.parent.mkdir(parents=True, exist_ok=True)
            hdf5.write(file, episode)
            count += 1
    return count


def _all(sessions: Sequence[Path], failures: bool) -> Iterator[Episode]:
    for path in sessions:
        yield from episodes(reader.opened(path), failures)
