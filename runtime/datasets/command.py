"""The command `data.sh check|convert|merge|split|delete|relabel DIR`: what lies in folders of demonstrations, and others of it.
Called by runtime/cli.py.

Episodes are read with every check of training, one after the other, and written into a new folder beside, which is renamed
when it is whole. Their numbers are those that `check` lists.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from models.data import folder_writers, new_folder
from models.data.conventions import assumptions
from models.data.demonstrations import Demonstration, find
from models.data.episode import Episode, task_name
from models.data.folder_writers import Format
from models.data.reading import Reading
from models.errors import ModelError
from runtime.datasets import check
from runtime.datasets.fitness import check_range
from runtime.datasets.flags import DATA, DataFlags, reading
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.next_step import say_next
from runtime.host.progress import bar
from runtime.host.terminal import counted, say


def main(arguments: list[str]) -> int:
    """Do what the line says. Called by runtime/cli.py; returns 1 where `check` finds something wrong."""
    options, given = DATA.read(arguments)
    try:
        if options.action == "check":
            return _check(options, reading(given), DATA.tree_words(arguments))
        _write(options, reading(given))
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    return 0


def _check(options: DataFlags, said: Reading, words: Sequence[str]) -> int:
    (folder,) = options.folders
    bad: list[str] = []
    found = find(folder, said, bad)
    with bar(len(found), "check", "episode") as progress:
        rows = check.rows(found, folder, options.picture, progress.update)
    say("\n".join(check.lines(rows)))
    if assumed := assumptions(one.conventions for one in found):
        say(f"video2act: assumed, since no file says it: {assumed}; each has a flag --data.NAME")
    wrong = [*bad, *(row.wrong for row in rows if row.wrong)]
    for line in wrong:
        say(f"video2act: wrong: {line}")
    if options.picture is not None:
        say(f"video2act: {options.picture}: the first images of {counted(min(len(rows), check.MOST_SHOWN), 'episode')}")
    if options.json_file is not None:
        options.json_file.write_text(check.as_json(rows, bad))
    say(f"{folder}: {counted(len(found) + len(bad), 'demonstration')}, {len(wrong)} with something wrong")
    if len(wrong) < len(found) + len(bad):
        skip = ["--skip-bad"] if wrong else []
        say_next("train the video model on them", "train", "video", "--data", folder, *words, *skip, "--out", "DIR")
    else:
        say_next("look again", "data", "check", folder, *words, "--data.NAME", "VALUE")
    return int(bool(wrong))


def _write(options: DataFlags, said: Reading) -> None:
    assert options.out is not None
    bad: list[str] | None = [] if options.skip_bad else None
    found = [one for folder in options.folders for one in find(folder, said, bad)]
    for line in bad or ():
        say(f"video2act: skipped: {line}")
    chosen = _chosen(found, options)
    to: Format = options.to or ("hdf5" if not found or found[0].index is None else "lerobot")
    write = _split if options.action == "split" else _written
    count = write(options.out, chosen, options, to)
    say(f"{options.out}: {counted(count, 'episode')}, {to}")
    say_next("check them", "data", "check", options.out)


def _chosen(found: Sequence[Demonstration], options: DataFlags) -> list[Demonstration]:
    """Those that --episodes names, or, of delete, all others. Raises SettingsError for a number that there is not."""
    numbers = options.chosen
    if numbers is None:
        return list(found)
    if surplus := sorted(numbers - set(range(len(found)))):
        raise SettingsError(
            f"--episodes {options.episodes}: episode {surplus[0]} does not exist (0 to {len(found) - 1}); "
            "data.sh check lists them"
        )
    return [one for number, one in enumerate(found) if (number in numbers) != (options.action == "delete")]


def _split(out: Path, chosen: Sequence[Demonstration], options: DataFlags, to: Format) -> int:
    """Write OUT/train and OUT/rest, both or none. Raises SettingsError where one would be empty."""
    count = round(len(chosen) * options.share)
    if not 0 < count < len(chosen):
        raise SettingsError(f"--share {options.share:g}: leaves a part of {len(chosen)} episodes empty; give another")
    drawn = set(random.Random(options.seed).sample(range(len(chosen)), count))
    parts = {
        name: [one for place, one in enumerate(chosen) if (place in drawn) == (name == "train")]
        for name in ("train", "rest")
    }
    with new_folder.whole(out) as beside:
        return sum(_written(beside / name, some, options, to) for name, some in parts.items())


def _written(out: Path, chosen: Sequence[Demonstration], options: DataFlags, to: Format) -> int:
    with bar(len(chosen), options.action, "episode") as progress:

        def episodes() -> Iterator[Episode]:
            for one in chosen:
                with suppress(_Skipped):
                    yield _episode(one, options)
                progress.update()

        return folder_writers.write(out, episodes(), to)


class _Skipped(Exception):
    """An episode is left out, and named."""


def _episode(one: Demonstration, options: DataFlags) -> Episode:
    """An episode as it is to be written. Raises _Skipped where it is bad and may be left out, else ModelError."""
    try:
        episode = one.read()
        check_range(episode, one.name)
    except ModelError as error:
        if not options.skip_bad:
            raise ModelError(f"{error} (--skip-bad leaves it out)") from None
        say(f"video2act: skipped: {error}")
        raise _Skipped from None
    if options.instruction is not None:
        episode = replace(episode, instructions=(options.instruction,))
    return episode if options.task is None else replace(episode, task=task_name(options.task, "--task"))
