"""Writes demonstrations as a folder of any format that we write, whole or not at all. Called by the command `data`.

hdf5: our own, of ALOHA's layout, `TASK/episode_N.hdf5`. act: the same with plain pictures, as ACT's loader takes them. rdt: as
RDT-1B is fine-tuned: grippers in its scale, red and blue swapped, wordings in a JSON file beside. robotwin: RoboTwin 2's own.
lerobot: a LeRobot dataset, version 3 (lerobot_writer.py).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data import hdf5, lerobot_writer, new_folder, stored_pictures
from models.data.episode import DEMONSTRATION_HZ, EXPERT, GRIPPERS, Episode
from models.data.hdf5_layouts import RECORDERS, STROKE_M
from models.data.instructions import of_rdt
from models.errors import ModelError

Format = Literal["hdf5", "lerobot", "act", "rdt", "robotwin"]
Array = NDArray[np.float32]


def write(folder: Path, episodes: Iterable[Episode], to: Format) -> int:
    """Write a folder of demonstrations.

    Args:
        folder: Is not there yet.
        episodes: Checked; taken one after the other.
        to: The format.

    Returns:
        The number of episodes.

    Raises:
        ModelError: The folder is there, no episode is, or one has what the format cannot hold.
    """
    if to == "lerobot":
        return lerobot_writer.write(folder, (_whole(episode, to) for episode in episodes))
    counts = Counter[str]()
    with new_folder.whole(folder) as beside:
        for episode in episodes:
            (beside / episode.task).mkdir(exist_ok=True)
            _WRITERS[to](beside / episode.task, counts[episode.task], episode if to == "hdf5" else _whole(episode, to))
            counts[episode.task] += 1
        if not counts:
            raise ModelError("no episodes to write")
    return counts.total()


def _whole(episode: Episode, to: Format) -> Episode:
    """The episode, unchanged. Raises ModelError for what the format has no place for, and would pass for a demonstration."""
    what = "a film" if episode.kind != EXPERT else "cut, with targets after its end" if len(episode.ahead) else ""
    if episode.success is False and to != "lerobot":
        what = "a failure"
    if what:
        raise ModelError(f"an episode of {episode.task} is {what}, which {to} cannot hold; write hdf5, or leave it out")
    return episode


def _hdf5(folder: Path, number: int, episode: Episode) -> None:
    hdf5.write(folder / f"episode_{number}.hdf5", episode)


def _plain(folder: Path, number: int, episode: Episode) -> None:
    """`/action`, `/observations/{qpos,qvel,effort}`, pictures (T, H, W, 3) uint8 in `/observations/images`, attribute `sim`."""
    with h5py.File(folder / f"episode_{number}.hdf5", "w") as file:
        _joints(file, episode, episode.q, episode.leader)
        file.attrs["instructions"] = json.dumps(list(episode.instructions))  # ACT reads none
        for camera, name in hdf5.NAMES.items():
            shown = [_decoded(jpeg, camera) for jpeg in episode.jpegs[camera]]
            place = f"observations/images/{name}"
            file.create_dataset(place, data=np.stack(shown), chunks=(1, *shown[0].shape))


def _rdt(folder: Path, number: int, episode: Episode) -> None:
    scale = RECORDERS["rdt"].gripper_scale
    q, leader = (_scaled(values, scale[place : place + 2]) for place, values in ((0, episode.q), (2, episode.leader)))
    path = folder / f"episode_{number}" / f"episode_{number}.hdf5"  # a folder each: its wordings are those of a folder
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        _joints(file, episode, q, leader)
        file["instruction"] = episode.instructions[0]
        for camera, name in hdf5.NAMES.items():
            jpegs = [stored_pictures.of_bytes(jpeg, swapped=True) for jpeg in episode.jpegs[camera]]
            file.create_dataset(f"observations/images/{name}", data=jpegs, dtype=f"S{max(map(len, jpegs))}")
    first, *others = episode.instructions
    texts = {"instruction": first, "simplified_instruction": [first], "expanded_instruction": others or [first]}
    of_rdt(path).write_text(json.dumps(texts))


def _robotwin(folder: Path, number: int, episode: Episode) -> None:
    """TASK/video2act/{data,instructions}: RoboTwin's converters take the next measured joints for the target."""
    setting = folder / "video2act"
    for name in ("data", "instructions"):
        (setting / name).mkdir(parents=True, exist_ok=True)
    shares = _scaled(episode.q, (STROKE_M, STROKE_M))
    with h5py.File(setting / "data" / f"episode{number}.hdf5", "w") as file:
        for side, first in (("left", 0), ("right", 7)):
            file[f"joint_action/{side}_arm"] = shares[:, first : first + 6]
            file[f"joint_action/{side}_gripper"] = shares[:, first + 6]
        file["joint_action/vector"], file.attrs["fps"] = shares, DEMONSTRATION_HZ
        for camera, name in zip(CAMERAS, ("head_camera", "left_camera", "right_camera"), strict=True):
            jpegs = [stored_pictures.of_bytes(jpeg, swapped=True) for jpeg in episode.jpegs[camera]]
            file.create_dataset(f"observation/{name}/rgb", data=jpegs, dtype=f"S{max(map(len, jpegs))}")
    texts = {"seen": list(episode.instructions), "unseen": []}
    (setting / "instructions" / f"episode{number}.json").write_text(json.dumps(texts))


_WRITERS: dict[str, Callable[[Path, int, Episode], None]] = {
    "hdf5": _hdf5, "act": _plain, "rdt": _rdt, "robotwin": _robotwin,
}  # fmt: skip


def _joints(file: h5py.File, episode: Episode, q: Array, leader: Array) -> None:
    file.attrs["sim"], file.attrs["compress"], file.attrs["fps"] = episode.seed >= 0, False, DEMONSTRATION_HZ
    file["observations/qpos"], file["action"] = q, leader
    file["observations/qvel"], file["observations/effort"] = episode.dq, episode.effort


def _scaled(values: Array, scale: tuple[float, ...]) -> Array:
    """Joints whose grippers, m, are told in another unit: `scale` m each, of the left and the right one."""
    scaled = values.copy()
    scaled[:, list(GRIPPERS)] /= np.array(scale, np.float32)
    return scaled


def _decoded(jpeg: bytes, camera: str) -> NDArray[np.uint8]:
    try:
        return simplejpeg.decode_jpeg(jpeg)
    except ValueError as error:
        raise ModelError(f"an image of {camera} is damaged ({error}); leave its episode out") from None
