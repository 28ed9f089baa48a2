"""Compares a dataset as the real lerobot package reads it with the same export as HDF5. Called by real_lerobot.sh."""

import io
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]
from PIL import Image
from torch.utils.data import DataLoader

CHUNK, DEMONSTRATION_HZ = 64, 30
FIELDS = {
    "observation.state": "observations/qpos",
    "observation.velocity": "observations/qvel",
    "observation.effort": "observations/effort",
    "action": "action",
}
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")


def main(folder: Path, files_folder: Path) -> None:
    """Every frame and picture, chunks ahead of some frames, the statistics, and a batch."""
    files: list[Any] = [h5py.File(path) for path in sorted(files_folder.rglob("*.hdf5"))]
    dataset: Any = LeRobotDataset("local/exported", root=folder)
    ahead = {"action": [step / DEMONSTRATION_HZ for step in range(CHUNK)]}  # a chunk of targets, as a policy learns
    chunks: Any = LeRobotDataset("local/exported", root=folder, delta_timestamps=ahead)
    assert dataset.num_episodes == len(files), f"{dataset.num_episodes} episodes, {len(files)} files"
    assert dataset.fps == DEMONSTRATION_HZ and dataset.num_frames == sum(len(file["action"]) for file in files)
    for index, row in enumerate(dataset.meta.episodes):
        first, past = row["dataset_from_index"], row["dataset_to_index"]
        file = same_numbers(dataset, first, past, files)
        for step in range(past - first):
            check_frame(dataset[first + step], index, step, file)
        for step in (0, (past - first) // 2, past - first - CHUNK // 2):  # 5 s each: lerobot decodes all their pictures
            check_chunk(chunks[first + step], step, file)
        name = Path(file.filename).name
        print(f"episode {index}: {past - first} frames and {3 * (past - first)} pictures are those of {name}")
    check_statistics(
        dataset.meta.stats["observation.state"], np.concatenate([f["observations/qpos"][()] for f in files])
    )
    batch = next(iter(DataLoader(chunks, batch_size=2, shuffle=True)))
    print("a batch:", {name: tuple(value.shape) for name, value in batch.items() if hasattr(value, "shape")})


def same_numbers(dataset: Any, first: int, past: int, files: list[Any]) -> Any:
    """The one file whose joints and targets are an episode's, bit for bit."""
    rows = dataset.hf_dataset.select_columns(list(FIELDS))[first:past]
    numbers = {FIELDS[name]: np.stack(values) for name, values in rows.items()}
    (file,) = [file for file in files if all(np.array_equal(file[name][()], n) for name, n in numbers.items())]
    return file


def check_frame(item: Any, index: int, step: int, file: Any) -> None:
    """A frame's place, time, task and pictures."""
    assert item["episode_index"] == index and item["frame_index"] == step
    assert abs(item["timestamp"] - step / DEMONSTRATION_HZ) < 1e-4 and item["task"] in file.attrs["instructions"]
    for name in CAMERAS:
        jpeg = bytes(file[f"observations/images/{name}"][step]).rstrip(b"\0")
        wanted = np.asarray(Image.open(io.BytesIO(jpeg))).transpose(2, 0, 1)
        assert np.array_equal(np.rint(item[f"observation.images.{name}"].numpy() * 255), wanted)


def check_chunk(item: Any, step: int, file: Any) -> None:
    """The targets ahead of a frame, and which of them lie behind the end."""
    wanted = file["action"][step : step + CHUNK]
    assert np.array_equal(item["action"][: len(wanted)], wanted)
    assert item["action_is_pad"].tolist() == [False] * len(wanted) + [True] * (CHUNK - len(wanted))


def check_statistics(found: Any, rows: Any) -> None:
    """The mean, spread and bounds by which lerobot normalises are those of the rows."""
    wanted = {"mean": rows.mean(0), "std": rows.std(0), "min": rows.min(0), "max": rows.max(0)}
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
