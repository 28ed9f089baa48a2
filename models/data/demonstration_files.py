"""Which files below a folder are demonstrations, by their names alone: HDF5 files and LeRobot datasets.

Called by demonstrations.py, which reads them, and by the command lines of those that do, before anything is loaded for it.
"""

from pathlib import Path

from models.data import foreign_files

INFO = "meta/info.json"
"""What describes a LeRobot dataset, below its folder."""
NONE = "holds no demonstrations (*.hdf5, *.h5 or a LeRobot dataset); create some with ./launch/demos.sh"
_INFO_PARTS = Path(INFO).parts


def hdf5_files(folder: Path) -> list[Path]:
    """All HDF5 files below a folder, by path."""
    return foreign_files.under(folder, _is_hdf5)


def datasets(folder: Path) -> list[Path]:
    """The folders of all LeRobot datasets below a folder, by path."""
    return [info.parent.parent for info in foreign_files.under(folder, _is_info)]


def there_are(folder: Path) -> bool:
    """Whether a folder holds any; ends at the first, so that a folder of ten thousand takes no longer."""
    return foreign_files.holds(folder, lambda path: _is_hdf5(path) or _is_info(path))


def _is_hdf5(path: Path) -> bool:
    return path.suffix in (".hdf5", ".h5")


def _is_info(path: Path) -> bool:
    return path.parts[-2:] == _INFO_PARTS
