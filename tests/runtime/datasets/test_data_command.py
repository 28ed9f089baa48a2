"""`data.sh` as it is called: the table, the sheet of colours, and every folder that is made of another. Called by pytest."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from public_layouts import COLOURS, STEPS, Q, aloha_50_hz, cobot_magic, degrees, robotwin_2, with_grippers

from models.config.policy import CAMERAS
from models.data import hdf5
from models.data.demonstrations import find
from runtime.datasets import command
from runtime.datasets.flags import numbers
from runtime.errors import RuntimeFault, SettingsError

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Five demonstrations of two tasks, in our own files; scenes are told apart by their seeds."""
    folder = tmp_path / "ours"
    aloha_50_hz(tmp_path / "first")
    one = find(tmp_path / "first")[0].read()
    for number in range(5):
        task = "a_task" if number < 3 else "b_task"
        (folder / task).mkdir(parents=True, exist_ok=True)
        made = replace(one, task=task, seed=number, instructions=(f"do {number}",))
        hdf5.write(folder / task / f"episode_{number}.hdf5", made)
    return folder


def run(*words: str | Path) -> int:
    return command.main([str(word) for word in words])


def seeds(folder: Path) -> list[int]:
    return [one.read().seed for one in find(folder)]


def test_the_table_says_what_each_is_and_what_is_wrong(tmp_path: Path, capsys: Printed) -> None:
    data = tmp_path / "data"
    aloha_50_hz(data / "1")
    robotwin_2(data / "2")
    bad = cobot_magic(data / "3")
    (data / "broken.h5").write_bytes(b"nothing")
    assert run("check", data, "--json", tmp_path / "table.json", "--picture", tmp_path / "sheet.png") == 1
    said = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in said[1:4]]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert "50" in rows[0] and rows[0][-2:] == ["do", "it"] and f"{int((STEPS - 1) * 30 / 50) + 1}" in rows[0]
    assert "bgr" in rows[1] and "0.010..0.070" in rows[1]
    assert rows[2][-1] == "WRONG"
    wrong = [line for line in said if line.startswith("video2act: wrong: ")]
    assert [str(path) in line for path, line in zip((data / "broken.h5", bad), wrong, strict=True)] == [True, True]
    assert f"{data}: 4 demonstrations, 2 with something wrong" in said
    assert f"./launch/train.sh video --data {data} --skip-bad --out DIR" in said[-1]
    table = json.loads((tmp_path / "table.json").read_text())
    assert [row["rate_hz"] for row in table["episodes"]] == ["50", "30 ?", "30 ?"] and len(table["unreadable"]) == 1
    with Image.open(tmp_path / "sheet.png") as sheet:
        shown = np.asarray(sheet).astype(int)
    for row in range(2):
        for place, camera in enumerate(CAMERAS):
            assert np.abs(shown[row * 138 + 90, place * 164 + 80] - COLOURS[camera]).max() < 14


def test_nothing_wrong_is_said_so(tmp_path: Path, capsys: Printed) -> None:
    degrees(tmp_path / "data")
    assert run("check", tmp_path / "data", "--data.unit", "deg") == 0
    said = capsys.readouterr().out
    assert "1 demonstration, 0 with something wrong" in said
    assert "--data.unit deg --out DIR" in said, "the next line reads them in the same way"


@pytest.mark.parametrize("to", ["hdf5", "lerobot", "robotwin"])
def test_formats_are_converted_into_each_other(to: str, ours: Path, tmp_path: Path) -> None:
    assert run("convert", ours, "--to", to, "--out", tmp_path / "there") == 0
    assert run("convert", tmp_path / "there", "--to", "hdf5", "--out", tmp_path / "back") == 0
    before, after = [one.read() for one in find(ours)], [one.read() for one in find(tmp_path / "back")]
    for one, again in zip(before, after, strict=True):
        assert (again.task, again.instructions) == (one.task, one.instructions)
        np.testing.assert_allclose(again.q, one.q, atol=1e-6)
        if to != "robotwin":
            np.testing.assert_array_equal(again.leader, one.leader)
            assert again.jpegs == one.jpegs, "nothing is lost"


def test_the_format_stays_where_none_is_given(ours: Path, tmp_path: Path) -> None:
    run("convert", ours, "--to", "lerobot", "--out", tmp_path / "set")
    run("relabel", tmp_path / "set", "--instruction", "other", "--out", tmp_path / "other")
    assert (tmp_path / "other" / "meta" / "info.json").is_file()
    run("merge", ours, tmp_path / "other", "--out", tmp_path / "both")
    assert len(list((tmp_path / "both").rglob("episode_*.hdf5"))) == 10
    assert len(find(tmp_path / "both")) == 10


def test_some_are_left_out_or_taken_alone(ours: Path, tmp_path: Path) -> None:
    run("delete", ours, "--episodes", "1,3-4", "--out", tmp_path / "rest")
    assert seeds(tmp_path / "rest") == [0, 2] and seeds(ours) == [0, 1, 2, 3, 4]
    run("convert", ours, "--episodes", "1,3-4", "--out", tmp_path / "taken")
    assert seeds(tmp_path / "taken") == [1, 3, 4]
    with pytest.raises(SettingsError, match=r"episode 5 does not exist \(0 to 4\); data\.sh check lists them"):
        run("delete", ours, "--episodes", "4-5", "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_parts_hold_every_episode_once(ours: Path, tmp_path: Path) -> None:
    run("split", ours, "--share", "0.6", "--out", tmp_path / "parts")
    train, rest = seeds(tmp_path / "parts" / "train"), seeds(tmp_path / "parts" / "rest")
    assert len(train) == 3 and sorted(train + rest) == [0, 1, 2, 3, 4]
    run("split", ours, "--share", "0.6", "--out", tmp_path / "again")
    assert seeds(tmp_path / "again" / "train") == train, "drawn by the seed"
    with pytest.raises(SettingsError, match=r"--share 0\.01: leaves a part of 5 episodes empty"):
        run("split", ours, "--share", "0.01", "--out", tmp_path / "none")


def test_relabelled_ones_have_another_task_and_instruction(ours: Path, tmp_path: Path) -> None:
    run("relabel", ours, "--episodes", "3,4", "--instruction", "other", "--task", "c_task", "--out", tmp_path / "new")
    found = find(tmp_path / "new")
    assert [(one.task, one.texts) for one in found] == [("c_task", ("other",))] * 2
    run("relabel", ours, "--task", "c_task", "--out", tmp_path / "named")
    assert [one.texts for one in find(tmp_path / "named")] == [(f"do {number}",) for number in range(5)]


def test_bad_ones_are_named_and_left_out(ours: Path, tmp_path: Path, capsys: Printed) -> None:
    (ours / "broken.hdf5").write_bytes(b"nothing")
    with h5py.File(ours / "a_task" / "episode_1.hdf5", "a") as file:
        del file["observations/qpos"]
        file["observations/qpos"] = with_grippers(Q[:36], 30)
    with pytest.raises(RuntimeFault, match=r"broken\.hdf5: cannot be read"):
        run("convert", ours, "--out", tmp_path / "new")
    (ours / "broken.hdf5").rename(ours / "z_broken.hdf5")
    assert run("convert", ours, "--out", tmp_path / "new", "--skip-bad") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("video2act: skipped: ")]
    assert len(said) == 2 and "z_broken.hdf5" in said[0] and "a gripper, must be in m" in said[1]
    assert seeds(tmp_path / "new") == [0, 2, 3, 4]
    (ours / "z_broken.hdf5").unlink()
    with pytest.raises(RuntimeFault, match=r"must be in m.* \(--skip-bad leaves it out\)"):
        run("convert", ours, "--out", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "new", "ours"], "nothing half-done is left"


def test_nothing_is_written_over_or_into_its_source(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(SettingsError, match="already exists; give another folder"):
        run("convert", ours, "--out", tmp_path / "there")
    with pytest.raises(SettingsError, match="which would hold them twice"):
        run("convert", ours, "--out", ours / "new")
    (tmp_path / "link").symlink_to(ours)
    with pytest.raises(SettingsError, match="which would hold them twice"):
        run("convert", ours, "--out", tmp_path / "link" / "new")


@pytest.mark.parametrize("words", [("convert", "--to", "hdf5"), ("convert", "--to", "lerobot"), ("split",)])
def test_a_folder_of_such_a_name_beside_is_nobodys_to_remove(
    words: tuple[str, ...], ours: Path, tmp_path: Path
) -> None:
    """Its own source least of all."""
    source = ours.rename(tmp_path / "new.part")
    run(words[0], source, "--out", tmp_path / "new", *words[1:])
    assert len(find(source)) == len(find(tmp_path / "new")) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"first", "new", "new.part"}


def test_what_is_converted_is_in_our_units(tmp_path: Path) -> None:
    degrees(tmp_path / "data")
    run("convert", tmp_path / "data", "--out", tmp_path / "new", "--data.unit", "deg")
    (found,) = find(tmp_path / "new")
    assert not found.conventions.assumed()
    np.testing.assert_allclose(found.read().q, Q, atol=1e-5)


def test_numbers_are_read() -> None:
    assert numbers("0,3, 5-7") == {0, 3, 5, 6, 7}
    for text in ("", "x", "1-", "-1", "1,,2", "99999999"):
        with pytest.raises(ValueError, match="must be numbers of episodes"):
            numbers(text)
    with pytest.raises(ValueError, match="9-7 must have the smaller number first"):
        numbers("1,9-7")
    with pytest.raises(ValueError, match="must be numbers of episodes"):
        numbers("9" * 5000)
