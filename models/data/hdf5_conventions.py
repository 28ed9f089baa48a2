"""What the numbers and pictures of an HDF5 file are: by flags, by what the file says, by who wrote it; else assumed.

Called by hdf5.py. A rate is read from an attribute, from times or from velocities; a unit and colours from attributes. Of
ALOHA's layout a file of RoboTwin's converter is known by what no other writes together: JPEGs as byte strings, no velocities,
grippers as shares of their stroke.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from models.data import hdf5_arrays, hdf5_layouts, instructions, rates
from models.data.conventions import ASSUMED, Conventions, Said, given
from models.data.episode import GRIPPERS, JOINTS
from models.data.hdf5_layouts import RECORDERS, Layout, Units
from models.data.reading import Reading
from models.errors import ModelError

OURS = "video2act"
"""The value of the attribute `recorder` in our own files, which say everything."""
_RATE_NAMES = ("rate_hz", "fps", "frame_rate", "hz", "frequency", "control_freq", "control_frequency", "sample_rate")
_PERIOD_NAMES = ("dt", "DT")
_UNITS = {"rad": "rad", "radian": "rad", "radians": "rad", "deg": "deg", "degree": "deg", "degrees": "deg"}
_WIDEST_M = 0.15  # no gripper opens so far: what is above is a share (as in episode.py)
_SHARES = 1.05  # the largest share; chosen: a gripper may read a little beyond open


def of_file(file: h5py.File, layout: Layout, path: Path, reading: Reading) -> Conventions:
    """What one file's episode is.

    Args:
        file: Open.
        layout: Its own.
        path: Its own, for messages.
        reading: The flags.

    Raises:
        ModelError: Its joints are missing, or of another shape.
    """
    flags = given(reading)
    units, whose = _units(file, layout, path, reading)
    colours = Said("rgb", ASSUMED) if _are_arrays(file, layout, path) else Said(units.colours, whose)
    cameras = tuple(reading.camera(ours) or theirs for ours, theirs in hdf5_layouts.cameras(layout))
    ordinary = Said(("left", "right"), ASSUMED if layout is hdf5_layouts.ALOHA and whose != OURS else whose)
    return Conventions(
        rate_hz=flags.get("rate_hz") or _rate(file, path, layout, units, whose),
        unit=flags.get("unit") or _attribute(file, ("unit", "units", "angle_unit"), _UNITS) or Said("rad", whose),
        gripper_scale=flags.get("gripper_scale") or Said(units.gripper_scale, whose),
        sides=flags.get("sides") or ordinary,
        colours=flags.get("colours") or _colours(file) or colours,
        cameras=Said(cameras, "--data.cameras" if reading.cameras else layout.name),
        actions=flags.get("actions") or Said(" + ".join(layout.leader) or "next", layout.name),
    )


def gripper_remedy(path: Path, most: float) -> str:
    """The flag that a file with grippers in another unit needs: `most` is the largest of its numbers."""
    if instructions.of_rdt(path).is_file() and most > _SHARES:
        return "give --data.layout rdt, or --data.gripper_scale METRES_PER_UNIT"
    if most <= _SHARES:
        return f"give --data.layout aloha, or --data.gripper_scale {hdf5_layouts.STROKE_M}, where 1 is open"
    return "give --data.gripper_scale METRES_PER_UNIT"


def _units(file: h5py.File, layout: Layout, path: Path, reading: Reading) -> tuple[Units, str]:
    """The units of whoever wrote the file, and by what they are known."""
    if layout.recorder is not None:
        return RECORDERS[layout.recorder], layout.name
    if is_ours(file):
        return RECORDERS["cobot_magic"], OURS
    if reading.layout is not None:
        return RECORDERS[reading.layout], f"--data.layout {reading.layout}"
    if _is_converted(file, layout, path):
        return RECORDERS["robotwin"], "RoboTwin's converter"
    return RECORDERS["cobot_magic"], ASSUMED


def is_ours(file: h5py.File) -> bool:
    """Whether we wrote a file. Older ones are known by their attributes, which nobody else writes together."""
    return file.attrs.get("recorder") == OURS or {"task", "seed", "instructions", "compress"} <= set(file.attrs)


def _are_arrays(file: h5py.File, layout: Layout, path: Path) -> bool:
    """Whether pictures are numbers, not JPEGs: a recorder's swapped colours are those of what OpenCV encoded."""
    places = [layout.picture.format(name) for name in layout.cameras]
    stored = [found for place in places if (found := hdf5_arrays.find(file, place, path)) is not None]
    return bool(stored) and stored[0].ndim > 2


def _is_converted(file: h5py.File, layout: Layout, path: Path) -> bool:
    """Whether RoboTwin's converter for pi0 and RDT wrote it."""
    places = [layout.picture.format(name) for name in layout.cameras]
    stored = [found for place in places if (found := hdf5_arrays.find(file, place, path)) is not None]
    if (
        not any(one.dtype.kind == "S" for one in stored)
        or hdf5_arrays.find(file, "observations/qvel", path) is not None
    ):
        return False
    q = hdf5_layouts.joints(file, layout.q, path)[:, GRIPPERS]
    return _WIDEST_M < q.max(initial=0) <= _SHARES


def _rate(file: h5py.File, path: Path, layout: Layout, units: Units, whose: str) -> Said:
    for name in (*_RATE_NAMES, *_PERIOD_NAMES):
        value = _number(file.attrs.get(name), f"{path}: attribute {name}")
        if value is not None:
            said = 1 / value if name in _PERIOD_NAMES else value
            return Said(rates.checked(said, f"{path}: attribute {name}"), f"attribute {name}")
    times = hdf5_arrays.find(file, "timestamp", path)
    if times is not None and times.ndim == 1 and (measured := rates.of_times(np.asarray(times[()], np.float64))):
        return Said(rates.checked(measured, f"{path}: times"), "times")
    if whose.startswith("--") or whose == OURS:
        return Said(units.rate_hz, whose)
    stored = [hdf5_arrays.find(file, name, path) for name in ("observations/qpos", "observations/qvel")]
    q, dq = (None if one is None else np.asarray(one[()], np.float32) for one in stored)
    if q is not None and dq is not None and q.shape == dq.shape == (len(q), JOINTS):
        said = rates.of_velocities(_arms(q), _arms(dq))
        if said is not None:
            return Said(said, "velocities")
    return Said(units.rate_hz, ASSUMED)


def _arms(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.delete(values, GRIPPERS, axis=1)


def _colours(file: h5py.File) -> Said | None:
    names = ("colours", "colour_order", "color_order", "channel_order", "image_format", "pixel_format")
    return _attribute(file, names, {"rgb": "rgb", "rgb8": "rgb", "bgr": "bgr", "bgr8": "bgr"})


def _attribute(file: h5py.File, names: tuple[str, ...], known: dict[str, str]) -> Said | None:
    """What an attribute of these names says, of the words that are known."""
    for name in names:
        value = file.attrs.get(name)
        word = known.get((value.decode(errors="replace") if isinstance(value, bytes) else str(value)).lower())
        if word is not None:
            return Said(word, f"attribute {name}")
    return None


def _number(value: Any, source: str) -> float | None:
    """An attribute as a number above 0, also where it is a text or an array of one; None where there is none.

    Raises ModelError for anything else: it says a rate, and no other may be assumed then.
    """
    if value is None:
        return None
    one = np.ravel(value)[0] if np.size(value) == 1 else value
    try:
        number = float(one.decode() if isinstance(one, bytes) else one)
    except (TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        raise ModelError(
            f"{source}: must be a number above 0, got {value!r:.40}; give --data.rate_hz HZ, or correct it"
        )
    return number
