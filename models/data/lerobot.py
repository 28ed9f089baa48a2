"""Demonstrations as a LeRobot dataset, version 3: one table of all frames in some files, one row an episode, one a task.

Called by models/data/demonstrations.py; models/data/lerobot_writer.py writes the same.
Written with the cameras' very JPEGs in the table (LeRobot's `image` features): nothing is lost; `video` is read too.
Names are those that LeRobot uses for ALOHA robots.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from av.error import FFmpegError
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import foreign_files, lerobot_names, lerobot_places, parquet_rows, rates, stored_pictures, videos
from models.data.conventions import ASSUMED, Conventions, Said, given
from models.data.demonstration_files import INFO
from models.data.episode import EXPERT, JOINTS, Episode, check, judged, task_name
from models.data.hdf5 import NAMES, About
from models.data.lerobot_names import Named
from models.data.reading import AS_IT_COMES, NEXT, Reading
from models.errors import ModelError

VERSION = "v3.0"
NUMBERS = {"observation.state": "q", "observation.velocity": "dq", "observation.effort": "effort", "action": "leader"}
_STATE, _ACTION, _IMAGES = "observation.state", "action", "observation.images."
_CAMERA_NAMES = (tuple(NAMES.values()), ("front", "left", "right"), CAMERAS)
"""Those of ALOHA robots, of the export of Agilex's data_tools, and our own; in the order of CAMERAS."""
_UNREADABLE = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, MemoryError, AttributeError,
    pa.ArrowException, FFmpegError,
)  # fmt: skip
"""What pyarrow, av and Pillow raise for a file that is damaged or of another kind (RecursionError is a RuntimeError)."""


class Dataset:
    """An open dataset; `rows` are its episodes by their index. Raises ModelError that names the folder and what is wrong."""

    def __init__(self, folder: Path, reading: Reading = AS_IT_COMES) -> None:
        self.folder, self._reading = folder, reading
        try:
            info: Any = json.loads(foreign_files.text(folder / INFO))
            tables = foreign_files.under(folder / "meta" / "episodes", lambda path: path.suffix == ".parquet")
            listed = [_checked(row, folder) for path in tables for row in parquet_rows.rows(path, "stats/")]
        except _UNREADABLE as error:
            raise ModelError(
                f"{folder}: cannot be read as a LeRobot dataset ({str(error)[:100]!r}); convert it again"
            ) from None
        if not isinstance(info, dict) or not isinstance(cast(Any, info).get("features", {}), dict):
            raise ModelError(f"{folder}: its {INFO} is not that of a LeRobot dataset; convert it again")
        self._info = cast(dict[str, Any], info)
        self.rows = {int(row.get("episode_index", place)): row for place, row in enumerate(listed)}
        if len(self.rows) < len(listed):
            raise ModelError(f"{folder}: two of its episodes have the same episode_index; convert it again")
        version = str(self._info.get("codebase_version"))
        if not version.startswith("v3."):
            raise ModelError(
                f"{folder}: expected LeRobot {VERSION}, got {version}; convert it with LeRobot's own script"
            )
        self._fps = self._info.get("fps")
        if not isinstance(self._fps, int | float) or not self._fps > 0:
            raise ModelError(
                f"{folder}: fps in {INFO} must be a number above 0, got {self._fps!r:.40}; convert it again"
            )
        if reading.rate_hz is None:
            rates.checked(float(self._fps), f"{folder}: fps in {INFO}")
        self._check_features()
        self.conventions = self._conventions()

    def about(self, index: int) -> About:
        """What is known of an episode without its pictures. Raises ModelError for a task that is no name."""
        row, source = self.rows[index], f"{self.folder} episode {index}"
        task = task_name(str(row.get("task_name") or self.folder.name), source)
        texts = tuple(row["tasks"]) if row.get("tasks") else self._task_texts(index, row)
        if self._reading.instruction and not any(text.strip() for text in texts):
            texts = (self._reading.instruction,)
        steps = rates.steps_at_ours(row["length"], self.conventions.hz)
        return About(task, texts, steps, EXPERT, judged(row.get("success"), source), self.conventions)

    def read(self, index: int) -> Episode:
        """Read and check an episode. Raises ModelError that names it and what makes it unfit."""
        row = self.rows[index]
        path = self._place("data_path", row, "data")
        try:
            table = parquet_rows.episode(path, index, row["length"])
            numbers = self._numbers(table)
            keys: tuple[str, ...] = self.conventions.cameras.value
            with ThreadPoolExecutor(len(keys)) as threads:  # decoding and encoding hold no lock of Python's
                found = threads.map(lambda key: self._jpegs(table, row, index, key), keys)
                jpegs: dict[str, list[bytes]] = dict(zip(CAMERAS, found, strict=True))
        except _UNREADABLE as error:
            raise ModelError(
                f"{path}: episode {index} cannot be read ({str(error)[:100]!r}); convert the dataset again"
            ) from None
        about = self.about(index)
        q = numbers["q"]
        if q is None or numbers["leader"] is None:
            raise ModelError(f"{path}: {_STATE} or {_ACTION} is missing; convert the dataset again")
        filled = {field: np.zeros_like(q) if values is None else values for field, values in numbers.items()}
        episode = Episode(
            **filled, jpegs=jpegs, instructions=about.texts, task=about.task, seed=int(row.get("seed", -1)),
            world="", kind=about.kind, success=about.success,
        )  # fmt: skip
        source = f"{self.folder} episode {index}"
        return check(rates.at_ours(episode, self.conventions.hz, source), source)

    def _numbers(self, table: pa.Table) -> dict[str, NDArray[np.float32] | None]:
        """Joints by the fields of an episode, in our order and units; None where the dataset does not have them."""
        said, action = self.conventions, self._reading.actions or _ACTION
        convert: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
            "q": said.measured, "dq": said.measured, "effort": said.in_place, "leader": said.commanded,
        }  # fmt: skip
        found: dict[str, NDArray[np.float32] | None] = {}
        for feature, field in NUMBERS.items():
            name = action if field == "leader" else feature
            stored = None if name == NEXT else _joints(table, name)
            if stored is not None:
                places = self._named(name).places or self._named(_STATE).places
                stored = convert[field](stored if places is None or self._reading.sides else stored[:, places])
            found[field] = stored
        q = found["q"]
        if action == NEXT and q is not None:
            found["leader"] = np.concatenate([q[1:], q[-1:]])
        return found

    def _conventions(self) -> Conventions:
        flags, named = given(self._reading), self._named(_STATE)
        sides = Said(("left", "right"), ASSUMED if named.places is None else "names")
        return Conventions(
            rate_hz=flags.get("rate_hz") or Said(float(cast(float, self._fps)), "fps"),
            unit=flags.get("unit") or (Said(named.unit, "names") if named.unit else Said("rad", ASSUMED)),
            gripper_scale=flags.get("gripper_scale") or Said((1.0, 1.0), ASSUMED),
            sides=flags.get("sides") or sides,
            colours=flags.get("colours") or Said("rgb", "LeRobot"),
            cameras=Said(self._cameras(), "--data.cameras" if self._reading.cameras else "features"),
            actions=flags.get("actions") or Said(_ACTION, "features"),
        )

    def _named(self, feature: str) -> Named:
        about = self._info["features"].get(feature)
        return lerobot_names.of_feature(about.get("names")) if isinstance(about, dict) else Named()

    def _cameras(self) -> tuple[str, ...]:
        """The features of our cameras. Raises ModelError that names the flag, where they cannot be known."""
        there = [name for name in self._info["features"] if name.startswith(_IMAGES)]
        usual = next((names for names in _CAMERA_NAMES if all(f"{_IMAGES}{name}" in there for name in names)), None)
        found: list[str] = []
        for place, ours in enumerate(CAMERAS):
            theirs = self._reading.camera(ours) or (usual[place] if usual else None)
            key = theirs if theirs is not None and theirs in there else f"{_IMAGES}{theirs}"
            if key not in there:
                names = ", ".join(sorted(name.removeprefix(_IMAGES) for name in there)) or "none"
                missing = f"feature {_IMAGES}{theirs or _CAMERA_NAMES[0][place]} is missing"
                flag = ",".join(f"THEIRS={camera}" for camera in CAMERAS)
                raise ModelError(f"{self.folder}: {missing} (its cameras are {names}); give --data.cameras {flag}")
            found.append(key)
        return tuple(found)

    def _check_features(self) -> None:
        features, action = self._info.get("features", {}), self._reading.actions or _ACTION
        self._info["features"] = features
        for name in (_STATE,) if action == NEXT else (_STATE, action):
            if name not in features:
                remedy = (
                    f"give --data.actions FIELD, or --data.actions {NEXT}" if name == action else "convert it again"
                )
                raise ModelError(
                    f"{self.folder}: feature {name} is missing (it has {', '.join(sorted(features)) or 'none'}); {remedy}"
                )
            shape = features[name].get("shape") if isinstance(features[name], dict) else None
            if shape != [JOINTS]:
                raise ModelError(f"{self.folder}: {name}: expected shape [{JOINTS}], got {shape}; convert it again")
        if not isinstance(self._info.get("data_path"), str):
            raise ModelError(f"{self.folder}: data_path is missing in {INFO}; convert it again")

    def _place(self, name: str, row: dict[str, Any], prefix: str, **others: object) -> Path:
        """A file of the dataset by its pattern in the description, for an episode's row."""
        numbers = {field: row[f"{prefix}/{field}"] for field in ("chunk_index", "file_index")}
        return lerobot_places.place(self.folder, name, self._info.get(name), numbers | others)

    def _jpegs(self, table: pa.Table, row: dict[str, Any], index: int, key: str) -> list[bytes]:
        swapped = self.conventions.red_and_blue_swapped
        if self._info["features"][key]["dtype"] == "image":
            values = table[key].to_pylist()
            return [self._jpeg(value, f"episode {index}: {key} at step {step}") for step, value in enumerate(values)]
        path = self._place("video_path", row, f"videos/{key}", video_key=key)
        rate_hz, begin_s = float(cast(float, self._fps)), float(row[f"videos/{key}/from_timestamp"])
        end_s = row.get(f"videos/{key}/to_timestamp")
        if end_s is not None and abs((float(end_s) - begin_s) * rate_hz - row["length"]) >= 1:
            raise ModelError(
                f"{self.folder}: episode {index} has {row['length']} rows, but {key} lasts "
                f"{float(end_s) - begin_s:.2f} s; convert the dataset again"
            )
        return videos.jpegs(path, begin_s, row["length"], rate_hz, swapped)

    def _jpeg(self, value: object, source: str) -> bytes:
        """An `image` as JPEG: its bytes, or the file of the dataset that it names."""
        about = cast(dict[str, Any], value) if isinstance(value, dict) else {}
        stored, name = about.get("bytes"), about.get("path")
        if stored is None and name:
            path = lerobot_places.within(self.folder, str(name))
            stored = None if path is None else path.read_bytes()
        if stored is None:
            raise ModelError(
                f"{self.folder}: {source} has neither bytes nor a file of the dataset; "
                "convert it again with its images embedded"
            )
        return stored_pictures.of_bytes(stored, self.conventions.red_and_blue_swapped)

    def _task_texts(self, index: int, row: dict[str, Any]) -> tuple[str, ...]:
        """Instructions by the numbers in an episode's rows; none where the dataset does not tell them."""
        try:
            numbers = parquet_rows.values(self._place("data_path", row, "data"), index, "task_index")
            known = parquet_rows.tasks(self.folder / "meta" / "tasks.parquet") if numbers else {}
        except _UNREADABLE as error:
            raise ModelError(
                f"{self.folder}: the task of episode {index} cannot be read ({str(error)[:100]!r}); convert it again"
            ) from None
        return tuple(known[number] for number in numbers if number in known)


def _checked(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An episode's row, unchanged. Raises ModelError where a number of it is none."""
    texts = row.get("tasks") or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast(list[Any], texts)):
        raise ModelError(f"{folder}: tasks of an episode must be a list of texts, got {texts!r:.40}; convert it again")
    most = foreign_files.LONGEST_STEPS
    for name in ("length", "data/chunk_index", "data/file_index"):
        value = row.get(name)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise ModelError(f"{folder}: {name} of an episode must be 0 to {most}, got {value!r:.40}; convert it again")
    if not isinstance(row.get("episode_index", 0), int):
        raise ModelError(f"{folder}: episode_index of an episode must be a whole number; convert it again")
    if not isinstance(row.get("seed", -1), int):
        raise ModelError(
            f"{folder}: seed of an episode must be a whole number, got {row['seed']!r:.40}; convert it again"
        )
    return row


def _joints(table: pa.Table, name: str) -> NDArray[np.float32] | None:
    """A column of joints, (T, J); None where the dataset does not have it."""
    if name not in table.column_names:
        return None
    return np.asarray(table[name].to_pylist(), np.float32)
