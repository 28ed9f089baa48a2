"""What a file does not say is overridden by a flag, what it says is read, what nothing says is told. Called by pytest."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import simplejpeg
from public_layouts import COLOURS, RATE_HZ, STEPS, TARGETS, Q, aloha, arrays, rows, words

from models.data import hdf5
from models.data.conventions import Conventions, assumptions, summary
from models.data.demonstrations import find
from models.data.reading import Reading, written
from models.errors import ModelError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An ALOHA file that says nothing but its joints and pictures."""
    words(tmp_path, "instructions.json", ["do it"])
    return aloha(tmp_path / "episode_0.hdf5", Q, TARGETS, arrays, np.zeros_like(Q))


def say(path: Path, **attributes: Any) -> Path:
    with h5py.File(path, "a") as file:
        for name, value in attributes.items():
            file.attrs[name] = value
    return path


def conventions(path: Path, **flags: Any) -> Conventions:
    return hdf5.about(path, Reading.model_validate(flags)).conventions


def test_what_nothing_says_is_assumed_and_told(path: Path) -> None:
    found = conventions(path)
    assert found.assumed() == ("rate_hz 30", "unit rad", "gripper_scale 1", "sides left,right", "colours rgb")
    assert found.changes() == ()
    assert assumptions([found, conventions(path, rate_hz=50, colours="bgr", sides=("right", "left"), unit="deg")]) == (
        "colours rgb (1 of 2), gripper_scale 1, rate_hz 30 (1 of 2), sides left,right (1 of 2), unit rad (1 of 2)"
    )
    kept = {(row["what"], row["value"], row["by"]): row["demonstrations"] for row in summary([found, found])}
    assert kept["rate_hz", "30", "assumed"] == 2


@pytest.mark.parametrize(
    ("attributes", "rate_hz", "by"),
    [
        ({"fps": 50}, 50, "attribute fps"),
        ({"frame_rate": np.float32(25)}, 25, "attribute frame_rate"),
        ({"dt": 0.02}, 50, "attribute dt"),
        ({"fps": "50"}, 50, "attribute fps"),
        ({"fps": np.array([50.0])}, 50, "attribute fps"),
        ({"hz": np.bytes_("25")}, 25, "attribute hz"),
    ],
)
def test_a_rate_is_read_from_an_attribute(attributes: dict[str, Any], rate_hz: float, by: str, path: Path) -> None:
    said = conventions(say(path, **attributes)).rate_hz
    assert (said.value, said.by) == (pytest.approx(rate_hz), by)


@pytest.mark.parametrize("value", ["fast", 0, -30, np.nan, np.inf, [30, 50], ""])
def test_an_attribute_that_says_no_rate_is_refused_and_a_flag_is_above_it(value: Any, path: Path) -> None:
    with pytest.raises(ModelError, match=r"attribute fps: must be a number above 0, got .*; give --data.rate_hz HZ"):
        conventions(say(path, fps=value))
    assert conventions(path, rate_hz=25).rate_hz.value == 25


@pytest.mark.parametrize(
    ("said", "got"), [({"dt": 20}, "0.05"), ({"fps": 1e-6}, "1e-06"), ({"hz": 5000}, "5000"), ("times", "0.03")]
)
def test_a_rate_that_no_recorder_has_is_refused(said: Any, got: str, path: Path) -> None:
    """A period in ms, a rate in mHz, times in ms."""
    if said == "times":
        with h5py.File(path, "a") as file:
            file["timestamp"] = np.arange(STEPS) * 1000 / RATE_HZ
    else:
        say(path, **said)
    with pytest.raises(ModelError, match=rf"{got} steps a second must be 1 to 1000; give --data.rate_hz HZ"):
        conventions(path)
    assert conventions(path, rate_hz=RATE_HZ).hz == RATE_HZ


@pytest.mark.parametrize("longer", ["action", "observations/images/cam_left_wrist", "observations/qvel"])
def test_another_rate_hides_no_wrong_length(longer: str, path: Path) -> None:
    with h5py.File(path, "a") as file:
        stored = file[longer]
        assert isinstance(stored, h5py.Dataset)
        values = np.concatenate([stored[()], stored[:10]])
        del file[longer]
        file[longer] = values
    for rate_hz in (30, 50):
        with pytest.raises(ModelError, match=rf"{STEPS + 10}"):
            hdf5.read(path, Reading(rate_hz=rate_hz))


def test_a_rate_is_read_from_times_and_from_velocities(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["observations/qvel"]
        file["observations/qvel"] = np.gradient(Q, axis=0) * 25.4
    said = conventions(path).rate_hz
    assert (said.value, said.by) == (25, "velocities")
    with h5py.File(path, "a") as file:
        file["timestamp"] = 1000 + np.arange(STEPS) / 20 + np.random.default_rng(0).normal(0, 1e-3, STEPS)
    said = conventions(path).rate_hz
    assert (said.value, said.by) == (20, "times")
    assert conventions(path, rate_hz=60).rate_hz.by == "--data.rate_hz", "a flag is above what the file says"


def test_velocities_that_are_none_tell_no_rate(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["observations/qvel"]
        file["observations/qvel"] = np.random.default_rng(0).normal(size=Q.shape)
    assert conventions(path).rate_hz.by == "assumed"


@pytest.mark.parametrize("name", ["unit", "angle_unit"])
def test_a_unit_is_read_from_an_attribute(name: str, path: Path) -> None:
    with h5py.File(path, "a") as file:
        for place in ("observations/qpos", "action"):
            stored: Any = file[place]
            stored[...] = np.where(np.isin(np.arange(14), (6, 13)), stored[()], np.degrees(stored[()]))
    np.testing.assert_allclose(hdf5.read(say(path, **{name: "Degrees"})).q, Q, atol=1e-6)


def test_sides_are_turned_round_in_everything(path: Path) -> None:
    with h5py.File(path, "a") as file:
        stored: Any = file["observations/qvel"]
        stored[:, 0] = 7
    found = hdf5.read(path, Reading(sides=("right", "left")))
    for values, wanted in ((found.q, Q), (found.leader, TARGETS)):
        np.testing.assert_array_equal(values, np.concatenate([wanted[:, 7:], wanted[:, :7]], axis=1))
    assert found.dq[:, 7].min() == 7 and not found.dq[:, :7].any()


@pytest.mark.parametrize(
    ("scale", "measured", "commanded"), [((0.5,), (0.5, 0.5), (0.5, 0.5)), ((0.5, 2.0), (0.5, 0.5), (2.0, 2.0)),
    ((0.5, 0.6, 0.7, 0.8), (0.5, 0.6), (0.7, 0.8))],
)  # fmt: skip
def test_grippers_have_a_scale(
    scale: tuple[float, ...], measured: tuple[float, float], commanded: tuple[float, float], path: Path
) -> None:
    found = hdf5.read(path, Reading(gripper_scale=scale))
    np.testing.assert_allclose(found.q[:, [6, 13]], Q[:, [6, 13]] * np.array(measured, np.float32), rtol=1e-6)
    np.testing.assert_allclose(
        found.leader[:, [6, 13]], TARGETS[:, [6, 13]] * np.array(commanded, np.float32), rtol=1e-6
    )
    np.testing.assert_array_equal(found.q[:, :6], Q[:, :6])


@pytest.mark.parametrize("pictures", [arrays, rows])
def test_colours_are_turned_round(pictures: Any, tmp_path: Path) -> None:
    words(tmp_path, "instructions.json", ["do it"])
    path = aloha(tmp_path / "episode_0.hdf5", Q, TARGETS, pictures)
    for stored, reading in ((path, Reading(colours="bgr")), (say(path, pixel_format="BGR8"), Reading())):
        shown = simplejpeg.decode_jpeg(hdf5.read(stored, reading).jpegs["head"][3])[12, 16].astype(int)
        assert np.abs(shown - COLOURS["head"][::-1]).max() < 14
    shown = simplejpeg.decode_jpeg(hdf5.read(path, Reading(colours="rgb")).jpegs["head"][3])[12, 16].astype(int)
    assert np.abs(shown - COLOURS["head"]).max() < 14, "a flag is above what the file says"


def test_cameras_are_named(path: Path) -> None:
    with h5py.File(path, "a") as file:
        images: Any = file["observations/images"]
        images.move("cam_high", "front")
    with pytest.raises(ModelError) as refused:
        hdf5.read(path)
    assert "camera head is missing (its cameras are cam_left_wrist, cam_right_wrist, front)" in str(refused.value)
    assert "give --data.cameras THEIRS=head,THEIRS=left_wrist,THEIRS=right_wrist" in str(refused.value)
    assert len(hdf5.read(path, Reading(cameras=("front=head",))).jpegs["head"]) == STEPS


def test_actions_come_from_a_field_or_the_next_step(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.move("action", "leader/joints")
    with pytest.raises(ModelError, match=r"/action is missing; give --data\.actions FIELD, or --data\.actions next"):
        hdf5.read(path)
    np.testing.assert_array_equal(hdf5.read(path, Reading(actions="leader/joints")).leader, TARGETS)
    np.testing.assert_array_equal(hdf5.read(path, Reading(actions="next")).leader, TARGETS)


def test_an_instruction_is_given_only_to_those_without(path: Path, tmp_path: Path) -> None:
    assert find(tmp_path, Reading(instruction="other"))[0].texts == ("do it",)
    (tmp_path / "instructions.json").unlink()
    assert find(tmp_path, Reading(instruction="other"))[0].texts == ("other",)
    assert hdf5.read(path, Reading(instruction="other")).instructions == ("other",)


@pytest.mark.parametrize(
    "stored", ['["put it there", "place it"]', np.array(["put it there", "place it"], h5py.string_dtype())]
)
def test_an_attribute_holds_wordings_as_json_or_as_an_array(stored: Any, path: Path, tmp_path: Path) -> None:
    say(path, instructions=stored)
    assert find(tmp_path)[0].texts == ("put it there", "place it")
    with pytest.raises(ModelError, match="its instructions must be a JSON list of texts"):
        hdf5.read(say(path, instructions=np.array([1, 2])))


@pytest.mark.parametrize("left_bytes", [-2, 400])
def test_a_picture_that_is_cut_off_is_found_before_training(left_bytes: int, path: Path) -> None:
    """Without its end marker, or in the middle; the others of the file are whole."""
    with h5py.File(path, "a") as file:
        for name in ("cam_high", "cam_left_wrist", "cam_right_wrist"):
            place = f"observations/images/{name}"
            stored = file[place]
            assert isinstance(stored, h5py.Dataset)
            whole = [simplejpeg.encode_jpeg(np.ascontiguousarray(one), 95) for one in stored[()]]
            del file[place]
            if name == "cam_left_wrist":
                whole[5] = whole[5][:left_bytes]
            file[place] = _padded(whole)
    with pytest.raises(ModelError, match="camera left_wrist has no image at step 5"):
        hdf5.read(path)


def _padded(jpegs: list[bytes]) -> Any:
    """Rows of bytes as our own files have them."""
    longest = max(map(len, jpegs))
    return np.array([np.frombuffer(one.ljust(longest, b"\0"), np.uint8) for one in jpegs])


@pytest.mark.parametrize("rate_hz", [10, 50])
def test_another_rate_takes_as_long(rate_hz: float, path: Path) -> None:
    with h5py.File(path, "a") as file:
        numbered = [np.full((24, 32, 3), 4 * step, np.uint8) for step in range(STEPS)]
        del file["observations/images/cam_high"]
        file["observations/images/cam_high"] = numbered
    found = hdf5.read(path, Reading(rate_hz=rate_hz))
    assert len(found) == hdf5.about(path, Reading(rate_hz=rate_hz)).steps
    for step in range(len(found)):
        stored = step * rate_hz / RATE_HZ
        shown = simplejpeg.decode_jpeg(found.jpegs["head"][step]).mean() / 4
        assert shown == pytest.approx(np.floor(stored + 1e-9), abs=0.5), "the picture that was there"
        np.testing.assert_allclose(found.q[step], (Q[int(stored)] + Q[int(np.ceil(stored))]) / 2, atol=0.04)


def test_our_own_files_say_everything(path: Path, tmp_path: Path) -> None:
    hdf5.write(tmp_path / "ours.hdf5", hdf5.read(path))
    found = conventions(tmp_path / "ours.hdf5")
    assert found.assumed() == () and found.changes() == ()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"cameras": ("front",)}, "must be THEIRS=OURS with one of head, left_wrist, right_wrist"),
        ({"cameras": ("a=head", "b=head")}, "names a camera of ours twice"),
        ({"cameras": ("a=head", "a=left_wrist")}, "gives one of their cameras to two of ours"),
        ({"sides": ("left", "left")}, "must be left,right or right,left"),
        ({"gripper_scale": (1, 1, 1)}, "must be 1, 2 or 4 numbers, got 3"),
    ],
)
def test_a_flag_that_means_nothing_is_refused(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Reading.model_validate(flags)


def test_values_are_written_as_their_flags_take_them() -> None:
    assert [written(one) for one in ((0.08, 0.08), (0.5, 2.0), ("right", "left"), 50.0, "bgr")] == [
        "0.08", "0.5,2", "right,left", "50", "bgr",
    ]  # fmt: skip
