"""The table of `data.sh check`: a row an episode, with what is wrong with it. Called by command.py."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from models.data.conventions import ASSUMED, Said
from models.data.demonstrations import Demonstration
from models.data.episode import DEMONSTRATION_HZ, GRIPPERS, Episode
from models.data.reading import written
from models.errors import ModelError
from runtime.datasets.fitness import check_range
from runtime.datasets.sheet import Sheet

MOST_SHOWN = 100  # episodes on a sheet; chosen: ten thousand pixels high
_LONGEST_NAME, _LONGEST_TEXT = 34, 40  # letters; chosen: a row fits 150 columns


@dataclass(frozen=True)
class Row:
    """One episode. Ranges are of measured and commanded joints, of both arms; None where it cannot be read."""

    number: int
    name: str
    steps: int
    rate_hz: str
    colours: str
    instruction: str
    joints_rad: tuple[float, float] | None
    grippers_m: tuple[float, float] | None
    wrong: str


def rows(found: Sequence[Demonstration], folder: Path, picture: Path | None, done: Callable[[], object]) -> list[Row]:
    """Read and check every episode.

    Args:
        found: In their sequence, which numbers them.
        folder: That they lie in; their names are relative to it.
        picture: A sheet of first images to write.
        done: Called after each.

    Returns:
        A row each.
    """
    sheet, made = Sheet(), list[Row]()
    for number, one in enumerate(found):
        episode, wrong = _read(one)
        made.append(_row(number, one, folder, episode, wrong))
        if episode is not None and picture is not None and number < MOST_SHOWN:
            sheet.add(f"{number} {made[-1].name}", {camera: jpegs[0] for camera, jpegs in episode.jpegs.items()})
        done()
    if picture is not None:
        sheet.save(picture)
    return made


def lines(made: Sequence[Row]) -> list[str]:
    """The table as text."""
    head = f"{'':>4} {'demonstration':{_LONGEST_NAME}}{'steps':>7}{'s':>7}{'rate Hz':>12}{'joints rad':>15}"
    text = [f"{head}{'grippers m':>16}{'colours':>14}  instruction"]
    for row in made:
        name = row.name if len(row.name) <= _LONGEST_NAME else f"...{row.name[3 - _LONGEST_NAME :]}"
        text.append(
            f"{row.number:4} {name:{_LONGEST_NAME}}{row.steps:7}{row.steps / DEMONSTRATION_HZ:7.1f}{row.rate_hz:>12}"
            f"{_range(row.joints_rad, 2):>15}{_range(row.grippers_m, 3):>16}{row.colours:>14}  "
            f"{row.instruction[:_LONGEST_TEXT]}{'  WRONG' if row.wrong else ''}"
        )
    return text


def as_json(made: Sequence[Row], unreadable: Sequence[str]) -> str:
    """The table for a program."""
    return json.dumps({"episodes": [asdict(row) for row in made], "unreadable": list(unreadable)}, indent=1)


def _read(one: Demonstration) -> tuple[Episode | None, str]:
    try:
        episode = one.read()
    except ModelError as error:
        return None, str(error)
    try:
        check_range(episode, one.name)
    except ModelError as error:
        return episode, str(error)
    return episode, ""


def _row(number: int, one: Demonstration, folder: Path, episode: Episode | None, wrong: str) -> Row:
    name = str(one.path.relative_to(folder)) if one.path != folder else folder.name
    name = name if one.index is None else f"{name} {one.index}"
    said, text = one.conventions, next((text for text in one.texts if text.strip()), "")
    joints_rad = grippers_m = None
    if episode is not None:
        both = np.concatenate([episode.q, episode.leader])
        joints_rad, grippers_m = (_ends(both[:, list(places)]) for places in (WITHOUT_GRIPPERS, GRIPPERS))
    return Row(number, name, one.steps, _mark(said.rate_hz), _mark(said.colours), text, joints_rad, grippers_m, wrong)


def _ends(values: np.ndarray) -> tuple[float, float]:
    return round(float(values.min()), 4), round(float(values.max()), 4)


def _mark(said: Said) -> str:
    """A value, with `?` where it is assumed."""
    return f"{written(said.value)}{' ?' if said.by == ASSUMED else ''}"


def _range(ends: tuple[float, float] | None, digits: int) -> str:
    return "-" if ends is None else f"{ends[0]:.{digits}f}..{ends[1]:.{digits}f}"
