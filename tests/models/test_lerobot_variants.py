"""LeRobot datasets as others make them: other rates, names, cameras, places of episodes, tasks and pictures. Called by pytest.

The files are our own writer's, changed; tests/real_lerobot_data.sh reads those of the real package.
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
from lerobot_folders import STEPS, Change, change_info, episode

from models.data.demonstrations import find
from models.data.lerobot import INFO, Dataset
from models.data.lerobot_writer import write
from models.data.reading import Reading
from models.errors import ModelError

DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "dataset", [episode(1), episode(2, "another")])
    return tmp_path / "dataset"


def change_rows(folder: Path, name: str, change: Change) -> None:
    rows = pq.read_table(folder / name).to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows), folder / name)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_rate_is_resampled(folder: Path) -> None:
    change_info(folder, lambda info: info.update(fps=15))
    (first, _) = find(folder)
    found = first.read()
    assert (len(found), first.steps) == (2 * STEPS - 1, 2 * STEPS - 1)
    np.testing.assert_allclose(found.q[::2], episode(1).q, atol=1e-6)
    np.testing.assert_allclose(found.q[1::2], (episode(1).q[1:] + episode(1).q[:-1]) / 2, atol=1e-6)
    assert found.jpegs["head"][::2] == episode(1).jpegs["head"]
    assert found.jpegs["head"][1::2] == episode(1).jpegs["head"][:-1], "what was there last"
    assert (first.conventions.rate_hz.value, first.conventions.rate_hz.by) == (15, "fps")
    assert len(find(folder, Reading(rate_hz=30))[0].read()) == STEPS, "a flag is above what the file says"


def test_joints_are_placed_by_their_names(folder: Path) -> None:
    turned = {"right": [f"joint_{n}" for n in range(1, 7)] + ["gripper"]}
    turned |= {"left": turned["right"]}

    def rename(info: dict[str, Any]) -> None:
        for name in ("observation.state", "action", "observation.velocity", "observation.effort"):
            info["features"][name] = {**info["features"][name], "names": turned}

    change_info(folder, rename)
    found, wanted = Dataset(folder).read(0), episode(1)
    for name in ("q", "dq", "effort", "leader"):
        values = getattr(wanted, name)
        np.testing.assert_array_equal(getattr(found, name), np.concatenate([values[:, 7:], values[:, :7]], axis=1))
    assert not any(text.startswith("sides") for text in Dataset(folder).conventions.assumed())
    kept = Dataset(folder, Reading(sides=("left", "right"))).read(0)
    np.testing.assert_array_equal(kept.q, wanted.q, "a flag is above the names")


def test_cameras_of_other_names(folder: Path) -> None:
    names = {"cam_high": "front", "cam_left_wrist": "left", "cam_right_wrist": "top"}

    def rename(info: dict[str, Any]) -> None:
        for ours, theirs in names.items():
            info["features"][f"observation.images.{theirs}"] = info["features"].pop(f"observation.images.{ours}")

    change_info(folder, rename)
    table, columns = pq.read_table(folder / DATA), list[str]()
    for column in table.column_names:
        above, dot, name = column.rpartition(".")
        columns.append(f"{above}{dot}{names.get(name, name)}")
    pq.write_table(table.rename_columns(columns), folder / DATA)
    said = refused(lambda: Dataset(folder))
    assert "(its cameras are front, left, top); give --data.cameras THEIRS=head,THEIRS=left_wrist" in said
    flags = Reading(cameras=("front=head", "left=left_wrist", "observation.images.top=right_wrist"))
    assert Dataset(folder, flags).read(0).jpegs == episode(1).jpegs


def test_actions_of_another_field(folder: Path) -> None:
    change_info(folder, lambda info: info["features"].update(leader=info["features"].pop("action")))
    table = pq.read_table(folder / DATA)
    pq.write_table(table.rename_columns([n if n != "action" else "leader" for n in table.column_names]), folder / DATA)
    assert "feature action is missing" in (said := refused(lambda: Dataset(folder)))
    assert "give --data.actions FIELD, or --data.actions next" in said
    np.testing.assert_array_equal(Dataset(folder, Reading(actions="leader")).read(0).leader, episode(1).leader)
    q = episode(1).q
    following = np.concatenate([q[1:], q[-1:]])
    np.testing.assert_array_equal(Dataset(folder, Reading(actions="next")).read(0).leader, following)


def test_episodes_are_found_by_their_index(folder: Path) -> None:
    """As where somebody took out the first ones."""
    change_rows(folder, EPISODES, lambda row: row.update(episode_index=row["episode_index"] + 7))
    change_rows(folder, DATA, lambda row: row.update(episode_index=row["episode_index"] + 7))
    found = find(folder)
    assert [one.index for one in found] == [7, 8]
    np.testing.assert_array_equal(found[1].read().q, episode(2).q)
    change_rows(folder, EPISODES, lambda row: row.update(episode_index=7))
    assert "two of its episodes have the same episode_index" in refused(lambda: Dataset(folder))


def test_rows_out_of_sequence_are_put_in_it(folder: Path) -> None:
    table = pq.read_table(folder / DATA)
    pq.write_table(table.take(pa.array(np.random.default_rng(0).permutation(len(table)))), folder / DATA)
    found = Dataset(folder).read(1)
    np.testing.assert_array_equal(found.q, episode(2).q)
    assert found.jpegs == episode(2).jpegs


def test_lengths_are_compared(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / DATA).slice(0, 2 * STEPS - 3), folder / DATA)
    assert f"episode 1 has {STEPS - 3} rows, it is said to have {STEPS}" in refused(lambda: Dataset(folder).read(1))
    assert len(Dataset(folder).read(0)) == STEPS


def test_rows_without_tasks_are_told_by_their_numbers(folder: Path) -> None:
    change_rows(folder, EPISODES, lambda row: row.pop("tasks"))
    assert [one.texts for one in find(folder)] == [("do a_task",), ("do another",)]
    (folder / "meta" / "tasks.parquet").unlink()
    assert 'its instruction is missing; give --data.instruction "TEXT"' in refused(lambda: Dataset(folder).read(0))
    assert find(folder, Reading(instruction="do so"))[0].texts == ("do so",)


def test_images_may_be_files_of_the_dataset_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    key = "observation.images.cam_high"
    (folder / "images").mkdir()
    for step, jpeg in enumerate(episode(1).jpegs["head"]):
        (folder / "images" / f"{step}.jpg").write_bytes(jpeg)

    def named(row: dict[str, Any]) -> None:
        row[key] = {"bytes": None, "path": f"images/{row['frame_index']}.jpg"}

    change_rows(folder, DATA, named)
    assert Dataset(folder).read(0).jpegs["head"] == episode(1).jpegs["head"]
    (tmp_path / "outside.jpg").write_bytes(b"\xff\xd8")
    for place in ("../outside.jpg", str(tmp_path / "outside.jpg"), "images/none.jpg"):
        change_rows(folder, DATA, lambda row, place=place: row.update({key: {"bytes": None, "path": place}}))
        said = refused(lambda: Dataset(folder).read(0))
        assert f"episode 0: {key} at step 0 has neither bytes nor a file of the dataset; convert it again" in said


def as_one_video(folder: Path, pictures: int) -> None:
    """Both episodes' head pictures in one video that holds more before them; key pictures are rare."""
    info, table = json.loads((folder / INFO).read_text()), pq.read_table(folder / DATA)
    key = "observation.images.cam_high"
    info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    info["features"][key]["dtype"] = "video"
    path = folder / "videos" / key / "chunk-000" / "file-000.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("h264", rate=Fraction(30), options={"g": "50"})
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        earlier = [np.full((16, 32, 3), 250, np.uint8)] * pictures
        for shown in [*earlier, *(simplejpeg.decode_jpeg(value["bytes"]) for value in table[key].to_pylist())]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode(None))
    pq.write_table(table.drop_columns([key]), folder / DATA)
    (folder / INFO).write_text(json.dumps(info))

    def placed(row: dict[str, Any]) -> None:
        begin = (row["dataset_from_index"] + pictures) / 30
        names = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        row |= dict(zip((f"videos/{key}/{n}" for n in names), (0, 0, begin, begin + STEPS / 30), strict=True))

    change_rows(folder, EPISODES, placed)


@pytest.mark.parametrize("pictures", [0, 1, 49, 50, 333])
def test_a_video_is_sought(pictures: int, folder: Path) -> None:
    as_one_video(folder, pictures)
    for index in (0, 1):
        jpegs = Dataset(folder).read(index).jpegs["head"]
        shown = [simplejpeg.decode_jpeg(jpeg).mean() for jpeg in jpegs]
        np.testing.assert_allclose(shown, 5 * np.arange(STEPS), atol=2.4)


def test_a_video_of_another_length_is_named(folder: Path) -> None:
    as_one_video(folder, 3)
    key = "videos/observation.images.cam_high/to_timestamp"
    change_rows(folder, EPISODES, lambda row: row.update({key: row[key] + 0.1}))
    assert "episode 0 has 40 rows, but observation.images.cam_high lasts 1.43 s" in refused(
        lambda: Dataset(folder).read(0)
    )
    change_rows(folder, EPISODES, lambda row: row.update({key: None}))
    path = folder / "videos" / "observation.images.cam_high" / "chunk-000" / "file-000.mp4"
    change_rows(folder, EPISODES, lambda row: row.update({key.replace("to_", "from_"): 2.0}))
    assert path.is_file() and "camera head: expected 40 images, got" in refused(lambda: Dataset(folder).read(1))
