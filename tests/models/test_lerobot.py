"""LeRobot datasets: what is written comes back, videos are read, others' or broken ones are named. Called by pytest.

That the real lerobot package reads them is shown by tests/real_lerobot.sh: it needs an older torch than ours.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
from lerobot_folders import STEPS, change_info, episode

from models.config.policy import CAMERAS
from models.data import hdf5
from models.data.demonstrations import find
from models.data.lerobot import INFO, Dataset
from models.data.lerobot_writer import write
from models.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write(tmp_path / "dataset", [episode(1), episode(2, "another")]) == 2
    return tmp_path / "dataset"


def test_a_dataset_comes_back_bit_for_bit(folder: Path) -> None:
    found = Dataset(folder)
    for index, wanted in enumerate((episode(1), episode(2, "another"))):
        again = found.read(index)
        for name in ("q", "dq", "effort", "leader"):
            assert np.array_equal(getattr(again, name), getattr(wanted, name))
        assert (again.jpegs, again.instructions, again.task, again.seed) == (
            wanted.jpegs, wanted.instructions, wanted.task, wanted.seed,
        )  # fmt: skip
        about = found.about(index)
        assert (about.task, about.texts, about.steps, about.kind) == (wanted.task, wanted.instructions, STEPS, "expert")
        assert about.success is None and not about.conventions.changes()


def test_statistics_are_those_of_the_frames(folder: Path) -> None:
    stats = json.loads((folder / "meta" / "stats.json").read_text())
    everything = np.concatenate([episode(1).q, episode(2).q])
    np.testing.assert_allclose(stats["observation.state"]["mean"], everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(stats["observation.state"]["std"], everything.std(0), atol=1e-5)
    assert np.shape(stats["observation.images.cam_high"]["mean"]) == (3, 1, 1)
    for name, share in (("q01", 0.01), ("q50", 0.5), ("q99", 0.99)):
        np.testing.assert_allclose(stats["observation.state"][name], np.quantile(everything, share, 0), atol=1e-6)
        assert np.shape(stats["observation.images.cam_high"][name]) == (3, 1, 1)


def test_frames_are_numbered_through(folder: Path) -> None:
    table = pq.read_table(folder / "data" / "chunk-000" / "file-000.parquet")
    assert table["index"].to_pylist() == list(range(2 * STEPS))
    assert table["episode_index"].to_pylist() == [0] * STEPS + [1] * STEPS
    tasks = pq.read_table(folder / "meta" / "tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]


def test_a_dataset_is_not_written_over(folder: Path) -> None:
    with pytest.raises(ModelError, match="already exists"):
        write(folder, [episode(1)])


def test_no_episode_or_a_damaged_one_leaves_nothing(tmp_path: Path) -> None:
    damaged = episode(2)
    damaged.jpegs["head"][0] = damaged.jpegs["head"][0][:-200]
    for episodes, said in (([], "no episodes"), ([episode(1), damaged], "image of head is damaged")):
        with pytest.raises(ModelError, match=said):
            write(tmp_path / "dataset", episodes)
        assert not list(tmp_path.iterdir())


def test_files_of_every_format_are_found(folder: Path) -> None:
    (folder.parent / "files").mkdir()
    hdf5.write(folder.parent / "files" / "episode_000003.hdf5", episode(3))
    found = find(folder.parent)
    assert [(one.index, one.task, one.steps) for one in found] == [
        (None, "a_task", STEPS), (0, "a_task", STEPS), (1, "another", STEPS),
    ]  # fmt: skip
    assert [one.read().seed for one in found] == [3, 1, 2]


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"demos\.sh"):
        find(tmp_path)


def as_videos(folder: Path) -> None:
    """Turn a written dataset's pictures into videos, both episodes in one file, as LeRobot writes them."""
    info = json.loads((folder / INFO).read_text())
    rows = pq.read_table(folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    table_path = folder / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(table_path)
    info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    for key in [name for name in info["features"] if ".images." in name]:
        info["features"][key]["dtype"] = "video"
        path = folder / info["video_path"].format(video_key=key, chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("h264", rate=Fraction(30))
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
            for value in table[key].to_pylist():
                frame = av.VideoFrame.from_ndarray(simplejpeg.decode_jpeg(value["bytes"]), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        table = table.drop_columns([key])
        for row in rows:
            begin = row["dataset_from_index"] / 30
            row |= {
                f"videos/{key}/chunk_index": 0,
                f"videos/{key}/file_index": 0,
                f"videos/{key}/from_timestamp": begin,
            }
    pq.write_table(table, table_path)
    pq.write_table(pa.Table.from_pylist(rows), folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    (folder / INFO).write_text(json.dumps(info))


def test_videos_are_read(folder: Path) -> None:
    as_videos(folder)
    found = Dataset(folder).read(1)
    for place, camera in enumerate(CAMERAS):
        assert len(found.jpegs[camera]) == STEPS
        for step in (0, 17, STEPS - 1):
            assert abs(simplejpeg.decode_jpeg(found.jpegs[camera][step]).mean() - (5 * step + place)) < 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda info: info.update(codebase_version="v2.1"), "expected LeRobot v3.0, got v2.1"),
        (lambda info: info.update(fps="fast"), "fps in meta/info.json must be a number above 0, got 'fast'"),
        (lambda info: info.update(fps=0), "must be a number above 0, got 0"),
        (lambda info: info["features"].pop("action"), "feature action is missing"),
        (
            lambda info: info["features"].pop("observation.images.cam_high"),
            "feature observation.images.cam_high is missing",
        ),
        (lambda info: info["features"]["action"].update(shape=[7]), r"action: expected shape \[14\], got \[7\]"),
        (lambda info: info["features"]["action"].pop("shape"), r"action: expected shape \[14\], got None"),
        (lambda info: info["features"].update(action=3), r"action: expected shape \[14\], got None"),
        (lambda info: info.update(features=[]), "is not that of a LeRobot dataset"),
        (lambda info: info.pop("data_path"), "data_path is missing"),
    ],
)
def test_others_datasets_are_refused_in_one_line(
    folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    change_info(folder, change)
    with pytest.raises(ModelError, match=said) as error:
        Dataset(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_list_is_no_dataset(folder: Path) -> None:
    (folder / INFO).write_text("[]")
    with pytest.raises(ModelError, match="is not that of a LeRobot dataset"):
        Dataset(folder)


def test_broken_files_are_named(folder: Path) -> None:
    (folder / "data" / "chunk-000" / "file-000.parquet").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="episode 1 cannot be read"):
        Dataset(folder).read(1)
    (folder / INFO).write_text("{")
    with pytest.raises(ModelError, match="cannot be read as a LeRobot dataset"):
        Dataset(folder)


def test_nan_joints_are_named_with_dataset_and_episode(tmp_path: Path) -> None:
    bad = episode(1)
    bad.q[4, 2] = np.nan
    write(tmp_path / "dataset", [bad])
    with pytest.raises(ModelError, match=r"dataset episode 0: q of joint 3 is nan at step 4"):
        Dataset(tmp_path / "dataset").read(0)
