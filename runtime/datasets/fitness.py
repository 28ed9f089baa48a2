"""Whether a demonstration can be learnt from, by what only this robot knows. Called by training, and by the command `data`.

Models' own checks (models/data/episode.py) are about any robot; here are the ranges of this one's joints, as before a replay.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.data.demonstrations import Demonstration, find
from models.data.episode import Episode
from models.data.foreign_files import REMOVE
from models.data.reading import Reading
from models.errors import ModelError
from runtime.arms.ranges import outside
from runtime.config.safety_settings import Safety


def check_range(episode: Episode, source: str) -> None:
    """Raises ModelError where an arm is outside its range, or led there, by more than a chunk may be (--safety.outside_rad)."""
    safety = Safety()
    for name, values in (("it is", episode.q), ("its leader is", np.concatenate([episode.leader, episode.ahead]))):
        wrong = outside(values.astype(np.float64), safety)
        if wrong:
            raise ModelError(
                f"{source}: {name} outside the arm's range: {wrong}; "
                f"give --data.unit or --data.sides if these differ from rad and left,right, else {REMOVE}"
            )


def fit_ones(folder: Path, reading: Reading, say: Callable[[str], None]) -> list[Demonstration]:
    """The demonstrations under a folder that can be learnt from; each is read once.

    Args:
        folder: That holds them.
        reading: What flags say of them.
        say: Takes a line for each that is left out.

    Raises:
        ModelError: None is left.
    """
    bad: list[str] = []
    kept = [one for one in find(folder, reading, bad) if not _refused(one, bad)]
    for line in bad:
        say(f"video2act: skipped: {line}")
    if not kept:
        raise ModelError(
            f"{folder}: none of its {len(bad)} demonstrations can be learnt from; check them with data.sh check"
        )
    return kept


def _refused(demonstration: Demonstration, bad: list[str]) -> bool:
    try:
        check_range(demonstration.read(), demonstration.name)
    except ModelError as error:
        bad.append(str(error))
        return True
    return False
