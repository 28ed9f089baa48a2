"""The arrays of an HDF5 file, as far as they lie in the file itself and are of a possible size. Called by hdf5.py.

HDF5 can name another file for an array, in four ways; a file that came from elsewhere would read any of this machine's.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from models.data.foreign_files import LONGEST_STEPS, REMOVE, most_bytes
from models.errors import ModelError

_MIB = 1 << 20  # by definition
_HARD_LINK = 0  # H5L_TYPE_HARD of HDF5's H5Lpublic.h


def find(file: h5py.File, name: str, path: Path) -> h5py.Dataset | None:
    """The dataset of a name; None where there is none.

    Args:
        file: Open.
        name: Its groups and its own name, with slashes between.
        path: Of the file, for messages.

    Raises:
        ModelError: It lies elsewhere, or claims a size that nothing in the file stands for.
    """
    place: Any = file
    for part in name.split("/"):
        links = place.id.links if isinstance(place, h5py.Group) else None
        if links is None or not links.exists(part.encode()):
            return None
        if links.get_info(part.encode()).type != _HARD_LINK:
            raise ModelError(f"{path}: /{name} is a link; copy what it leads to into the file")
        place = place[part]
    if not isinstance(place, h5py.Dataset):
        return None
    if place.external or place.is_virtual:
        raise ModelError(f"{path}: /{name} lies in another file; copy it into this one")
    _check_size(place, name, path)
    return place


def _check_size(stored: h5py.Dataset, name: str, path: Path) -> None:
    shape = stored.shape
    if shape and shape[0] > LONGEST_STEPS:
        raise ModelError(f"{path}: /{name} has {shape[0]} steps (limit {LONGEST_STEPS}); split it")
    claimed, held = int(stored.nbytes), int(stored.id.get_storage_size())
    if claimed > most_bytes(held):
        raise ModelError(
            f"{path}: /{name} claims {claimed / _MIB:.0f} MiB where {held / _MIB:.1f} MiB are stored; {REMOVE}"
        )


def rows(stored: h5py.Dataset, path: Path) -> list[NDArray[Any] | bytes]:
    """The rows of a dataset; those of a length of their own one by one, since each may name the same megabytes.

    Raises ModelError where they are more than the file can hold.
    """
    if stored.dtype.kind != "O":
        return list(stored[()])
    remaining, found = most_bytes(0) + 2 * path.stat().st_size, list[NDArray[Any] | bytes]()
    for place in range(len(stored)):
        row: Any = stored[place]
        remaining -= row.nbytes if isinstance(row, np.ndarray) else len(row)
        if remaining < 0:
            raise ModelError(f"{path}: {stored.name} unpacks to more than the file can hold; {REMOVE}")
        found.append(row)
    return found
