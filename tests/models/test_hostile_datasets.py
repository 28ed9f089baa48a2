"""Datasets made to harm whoever trains on them: each is one line, in bounded memory and time. Called by pytest.

Files are real; memory is measured by the size of what is claimed: believing it would be gigabytes.
"""

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg

from models.config.policy import CAMERAS
from models.data import hdf5
from models.data.demonstrations import find
from models.data.episode import GRIPPERS, Episode, check, is_jpeg
from models.data.lerobot import INFO, Dataset
from models.data.lerobot_writer import write
from models.errors import ModelError

STEPS = 40
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
HEAD = "observations/images/cam_high"


def episode() -> Episode:
    way = np.linspace(0, 0.05, STEPS * 14, dtype=np.float32).reshape(STEPS, 14)
    way[:, GRIPPERS] = 0.02
    jpeg = simplejpeg.encode_jpeg(np.zeros((16, 24, 3), np.uint8), 90)
    return Episode(way, way * 2, way * 3, way, {camera: [jpeg] * STEPS for camera in CAMERAS}, ("do it",), "a_task", 7)


@pytest.fixture(autouse=True)
def little_room() -> Generator[None]:
    """Whoever believes a file fails here, not by taking the machine's memory."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def one_line(call: Callable[[], object]) -> str:
    begun = time.monotonic()
    with pytest.raises(ModelError) as error:
        call()
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert time.monotonic() - begun < 20
    return str(error.value)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file that others must not reach."""
    hdf5.write(tmp_path / "other.hdf5", episode())
    return tmp_path / "other.hdf5"


def external(name: str) -> Callable[[h5py.File, Path], None]:
    """An array or a group that is a link to the one of that name in another file."""

    def edit(file: h5py.File, other: Path) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(str(other), f"/{name}")

    edit.__name__ = f"external {name}"
    return edit


def soft(file: h5py.File, other: Path) -> None:
    del file["action"]
    file["far"] = h5py.ExternalLink(str(other), "/")
    file["action"] = h5py.SoftLink("/far/action")


def bytes_of_another_file(file: h5py.File, other: Path) -> None:
    del file["action"]
    file.create_dataset("action", (STEPS, 14), "f4", external=[(str(other), 0, STEPS * 14 * 4)])


def virtual(file: h5py.File, other: Path) -> None:
    del file["action"]
    layout = h5py.VirtualLayout((STEPS, 14), "f4")
    layout[:] = h5py.VirtualSource(str(other), "action", (STEPS, 14))
    file.create_virtual_dataset("action", layout)


@pytest.mark.parametrize(
    "edit",
    [
        external("action"),
        external("observations"),
        external("observations/qvel"),
        external("observations/images"),
        external(HEAD),
        soft,
        bytes_of_another_file,
        virtual,
    ],
    ids=lambda edit: edit.__name__,
)
def test_a_file_reaches_no_other(edit: Callable[[h5py.File, Path], None], other: Path, tmp_path: Path) -> None:
    path = tmp_path / "episode.hdf5"
    hdf5.write(path, episode())
    with h5py.File(path, "r+") as file:
        edit(file, other)
    said = one_line(lambda: hdf5.read(path))
    assert "is a link; copy what it leads to" in said or "lies in another file; copy it" in said


def pictures(file: h5py.File) -> None:
    del file[HEAD]
    file.create_dataset(HEAD, (STEPS, 15000, 15000, 3), "u1", chunks=(1, 1024, 1024, 3), compression="gzip")


def steps(file: h5py.File) -> None:
    del file["observations/qpos"]
    file.create_dataset("observations/qpos", (1 << 31, 14), "f4", chunks=(1024, 14), compression="gzip")


def columns(file: h5py.File) -> None:
    del file["action"]
    file.create_dataset("action", (STEPS, 1 << 28), "f4", chunks=(1, 1 << 20), compression="gzip")


@pytest.mark.parametrize(
    ("edit", "said"),
    [(pictures, "claims 25749 MiB where"), (steps, "has 2147483648 steps (limit"), (columns, "claims 40960 MiB")],
)
def test_a_claimed_size_is_not_believed(edit: Callable[[h5py.File], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "episode.hdf5"
    hdf5.write(path, episode())
    with h5py.File(path, "r+") as file:
        edit(file)
    assert said in one_line(lambda: hdf5.read(path))


def test_rows_that_are_one_and_the_same_are_counted_each(tmp_path: Path) -> None:
    path = tmp_path / "episode.hdf5"
    hdf5.write(path, episode())
    with h5py.File(path, "r+") as file:
        del file[HEAD]
        rows = file.create_dataset(HEAD, (STEPS,), h5py.vlen_dtype(np.uint8))
        for step in range(STEPS):
            rows[step] = np.frombuffer(b"x" * 10, np.uint8)
        rows[0] = np.zeros(5 << 20, np.uint8)
    data = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        stored: Any = file[HEAD]
        begin = stored.id.get_offset()
    for step in range(1, STEPS):  # every row is the reference of the first
        data[begin + 16 * step : begin + 16 * step + 16] = data[begin : begin + 16]
    path.write_bytes(data)
    assert "unpacks to more than the file can hold" in one_line(lambda: hdf5.read(path))


def nested(file: h5py.File) -> None:
    file.attrs["instructions"] = "[" * 60_000


def no_name(file: h5py.File) -> None:
    file.attrs["task"] = "../../evil"


@pytest.mark.parametrize(
    ("edit", "said"), [(nested, "its instructions are not JSON"), (no_name, "is not a name of 1 to")]
)
def test_an_attribute_is_one_line(edit: Callable[[h5py.File], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "episode.hdf5"
    hdf5.write(path, episode())
    with h5py.File(path, "r+") as file:
        edit(file)
    assert said in one_line(lambda: hdf5.read(path)) and said in one_line(lambda: find(tmp_path))


@pytest.mark.parametrize("task", ["../../evil", "/tmp/evil", "", ".hidden", "a\x1b[2J", "x" * 300])
def test_a_task_that_is_no_name_goes_into_no_path(task: str) -> None:
    said = one_line(lambda: check(replace(episode(), task=task), "a session"))
    assert "is not a name of 1 to 100 letters" in said and "\x1b" not in said


def test_a_picture_of_four_billion_pixels_is_none() -> None:
    jpeg = bytearray(episode().jpegs["head"][0])
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = (65500).to_bytes(2, "big") * 2
    assert is_jpeg(episode().jpegs["head"][0]) and not is_jpeg(bytes(jpeg))


def test_links_in_circles_and_pipes_end(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "a").mkdir(parents=True)
    hdf5.write(folder / "a" / "episode.hdf5", episode())
    for name in ("x", "y", "z"):
        (folder / "a" / name).symlink_to("..")
    begun = time.monotonic()
    assert [found.path for found in find(folder)] == [folder / "a" / "episode.hdf5"]
    assert time.monotonic() - begun < 5
    (folder / "loop.hdf5").symlink_to("loop.hdf5")
    assert "loop.hdf5: cannot be read" in one_line(lambda: find(folder))
    (folder / "loop.hdf5").unlink()
    os.mkfifo(folder / "pipe.hdf5")
    assert "pipe.hdf5: is not a file" in one_line(lambda: find(folder))


def test_folders_below_each_other_end(tmp_path: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(2500):
            os.mkdir("a")  # noqa: PTH102 (its whole path is too long for pathlib)
            os.chdir("a")
        assert "holds no demonstrations" in one_line(lambda: find(tmp_path))
    finally:
        os.chdir(before)
        subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True)  # shutil's way is as deep as Python may recurse


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write(tmp_path / "dataset", [episode(), episode()])
    return tmp_path / "dataset"


def change(dataset: Path, **values: object) -> None:
    info = json.loads((dataset / INFO).read_text())
    (dataset / INFO).write_text(json.dumps(info | values))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("/etc/passwd", "leads out of the dataset"),
        ("../other-{chunk_index:03d}.parquet", "leads out of the dataset"),
        ("data/../../other.parquet", "leads out of the dataset"),
        ("linked/file.parquet", "leads out of the dataset"),
        ("{chunk_index.__class__.__mro__}", "expected fields chunk_index, file_index"),
        ("{chunk_index:>3000000000}", "expected fields"),
        ("{chunk_index!r}", "expected fields"),
        ("{other}", "expected fields"),
        ("{0}", "expected fields"),
        ("{", "expected fields"),
        ("data", "is no file"),
        (None, "data_path is missing"),
        (3, "data_path is missing"),
    ],
)
def test_a_data_path_leads_nowhere_else(pattern: object, said: str, dataset: Path, tmp_path: Path) -> None:
    (dataset / "linked").symlink_to(tmp_path)
    (tmp_path / "file.parquet").write_bytes((dataset / DATA).read_bytes())
    change(dataset, data_path=pattern)
    assert said in one_line(lambda: Dataset(dataset).read(0))


def test_a_video_path_leads_nowhere_else(dataset: Path) -> None:
    info = json.loads((dataset / INFO).read_text())
    for feature in info["features"].values():
        feature["dtype"] = feature["dtype"].replace("image", "video")
    rows = pq.read_table(dataset / EPISODES).to_pylist()
    keys = [name for name in info["features"] if ".images." in name]
    places = {f"videos/{key}/{name}": 0 for key in keys for name in ("chunk_index", "file_index", "from_timestamp")}
    pq.write_table(pa.Table.from_pylist([row | places for row in rows]), dataset / EPISODES)
    for pattern in ("/etc/{video_key}.mp4", "../{video_key}.mp4", "{video_key.__class__}"):
        change(dataset, features=info["features"], video_path=pattern)
        said = one_line(lambda: Dataset(dataset).read(0))
        assert "leads out of the dataset" in said or "expected fields" in said


def test_a_snapshot_of_the_hub_is_read_through_its_links(dataset: Path, tmp_path: Path) -> None:
    """Its files are links into the cache's folder beside."""
    snapshot, blobs = tmp_path / "hub" / "snapshots" / "abc", tmp_path / "hub" / "blobs"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in dataset.rglob("*") if path.is_file())):
        (blobs / str(number)).write_bytes(path.read_bytes())
        (snapshot / path.relative_to(dataset)).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / path.relative_to(dataset)).symlink_to(blobs / str(number))
    assert len(Dataset(snapshot).read(1)) == STEPS


@pytest.mark.parametrize("text", ["[" * 200_000, "{" * 200_000, "[]", "3", " " * (17 << 20), "\x00"])
def test_a_description_that_is_none_is_one_line(text: str, dataset: Path) -> None:
    (dataset / INFO).write_text(text)
    assert "LeRobot dataset" in one_line(lambda: Dataset(dataset))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("length", 1 << 60),
        ("length", -1),
        ("tasks", "do it"),
        ("tasks", [3]),
        ("episode_index", "first"),
        ("seed", "first"),
        ("tasks", "pick it up"),
        ("data/file_index", 1 << 40),
        ("task_name", "../x"),
    ],
)
def test_an_episodes_row_is_checked(name: str, value: object, dataset: Path) -> None:
    rows = pq.read_table(dataset / EPISODES).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {name: value} for row in rows]), dataset / EPISODES)
    assert str(dataset) in one_line(lambda: Dataset(dataset).about(0))


def test_rows_that_are_claimed_by_the_million_are_not_unpacked(dataset: Path) -> None:
    count = 2_000_000
    joints = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(count * 14, np.float32)), 14)
    table = pa.table({"episode_index": pa.array(np.zeros(count, np.int64)), "observation.state": joints})
    pq.write_table(table, dataset / DATA, compression="zstd")
    assert (dataset / DATA).stat().st_size < 200_000
    assert "has more than the 40 rows it is said to have" in one_line(lambda: Dataset(dataset).read(0))


def test_one_large_value_in_every_row_is_counted_each_time(dataset: Path) -> None:
    table = pq.read_table(dataset / DATA)
    key = "observation.images.cam_high"
    large = pa.array([{"bytes": b"\xff\xd8" + bytes(2 << 20), "path": None}] * STEPS * 2, table.schema.field(key).type)
    table = table.set_column(table.schema.get_field_index(key), table.schema.field(key), large)
    pq.write_table(table, dataset / DATA, compression="zstd", use_dictionary=True)
    assert (dataset / DATA).stat().st_size < 300_000
    assert "unpacks to more than a file of its size can hold" in one_line(lambda: Dataset(dataset).read(0))


def test_a_table_without_joints_is_one_line(dataset: Path) -> None:
    pq.write_table(pq.read_table(dataset / DATA).drop_columns(["observation.state"]), dataset / DATA)
    assert "observation.state or action is missing" in one_line(lambda: Dataset(dataset).read(0))
