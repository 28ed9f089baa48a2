"""A LeRobot checkpoint by its files alone: what is read, and one line for each that cannot lead this robot. Called by pytest.

The files are written as lerobot 0.4.4 writes them; tests/real_lerobot_server.sh has them from lerobot itself.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_checkpoint import NAMES, config_of, write
from safetensors.numpy import save_file

from runtime.errors import RuntimeFault
from runtime.lerobot.checkpoint import Checkpoint, camera_name, rate_hz, read

Change = Callable[[dict[str, Any]], object]


def refused(folder: Path, grippers: str = "m") -> str:
    with pytest.raises(RuntimeFault) as caught:
        read(folder, grippers)
    said = str(caught.value)
    assert "\n" not in said and str(folder) in said
    return said


@pytest.mark.parametrize(
    ("kind", "targets", "observations"), [("act", 100, 1), ("diffusion", 8, 2), ("smolvla", 50, 1)]
)
def test_kind_cameras_and_length_are_read(tmp_path: Path, kind: str, targets: int, observations: int) -> None:
    found = read(write(tmp_path, kind), "m")
    assert isinstance(found, Checkpoint)
    assert (found.kind, found.targets, found.observations) == (kind, targets, observations)
    assert found.names() == {name: f"observation.images.{name}" for name in NAMES}
    assert set(found.pictures.values()) == {(640, 480)} and found.resizes == (kind == "smolvla")


def test_a_chunk_is_no_longer_than_a_robot_takes(tmp_path: Path) -> None:
    assert read(write(tmp_path, "act", lambda config: config.update(chunk_size=200)), "m").targets == 128


def test_pictures_that_a_policy_fills_in_itself_are_not_asked_for(tmp_path: Path) -> None:
    empty: Change = lambda config: config["input_features"].update(  # noqa: E731
        {"observation.images.empty_camera_0": {"type": "VISUAL", "shape": [3, 480, 640]}}
    )
    assert set(read(write(tmp_path, "pi0", empty), "m").names()) == set(NAMES)


def test_its_id_is_that_of_what_decides_what_it_does(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path / name, "act") for name in ("one", "same", "other"))
    (other / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes() + b"x")
    (same / "README.md").write_text("a card")
    assert read(one, "m").id() == read(same, "m").id() != read(other, "m").id()


def test_a_data_set_with_one_picture_names_it_image() -> None:
    assert camera_name("observation.image") == "image" and camera_name("observation.images.top") == "top"


REFUSED: list[tuple[str, Change, str]] = [
    ("act", lambda c: c.pop("chunk_size"), "config.json says None for chunk_size; save the policy with lerobot again"),
    ("diffusion", lambda c: c.update(n_action_steps="8"), "config.json says '8' for n_action_steps"),
    ("diffusion", lambda c: c.update(n_obs_steps=0), "config.json says 0 for n_obs_steps"),
    (
        "act",
        lambda c: c["input_features"].update({f"observation.{NAMES[0]}": {"type": "VISUAL", "shape": [3, 480, 640]}}),
        "two of its cameras have one name",
    ),
    ("act", lambda c: c.update(type="vqbet"), "is a policy of type 'vqbet'; expected act, diffusion, smolvla, pi0"),
    ("act", lambda c: c["input_features"]["observation.state"].update(shape=[6]), "observation.state has 6 numbers"),
    ("act", lambda c: c["output_features"]["action"].update(shape=[7]), "action has 7 numbers; expected 14 joints"),
    ("act", lambda c: c["input_features"].pop("observation.state"), "has no observation.state; expected 14 joints"),
    (
        "act",
        lambda c: c["input_features"].update({"observation.environment_state": {"type": "ENV", "shape": [4]}}),
        "also wants observation.environment_state",
    ),
    ("act", lambda c: [c["input_features"].pop(f"observation.images.{name}") for name in NAMES], "takes no camera"),
    ("act", lambda c: c.update(input_features=None), "config.json names no input_features"),
    ("act", lambda c: c["input_features"]["observation.images.cam_high"].update(shape=[3]), "names no input_features"),
    ("smolvla", lambda c: c.update(adapt_to_pi_aloha=True), "turns joints into those of ALOHA's arms"),
]


@pytest.mark.parametrize(("kind", "change", "line"), REFUSED)
def test_what_is_not_this_robots_is_refused(tmp_path: Path, kind: str, change: Change, line: str) -> None:
    assert line in refused(write(tmp_path, kind, change))


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("config.json", "has no config.json that can be read; give the folder pretrained_model"),
        ("model.safetensors", "model.safetensors is missing"),
        ("policy_preprocessor.json", "lerobot.processor.migrate_policy_normalization --pretrained-path"),
    ],
)
def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path, file: str, line: str) -> None:
    (write(tmp_path, "act") / file).unlink()
    assert line in refused(tmp_path)


def test_the_folder_above_is_refused_by_naming_the_one_below(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "last" / "pretrained_model", "act")
    assert f"give {tmp_path}/checkpoints/last/pretrained_model" in refused(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "line"), [(3, 57.3, "reaches 57.3 (limit 4 rad)"), (13, 1.0, "--grippers share")]
)
def test_degrees_and_shares_are_seen_by_the_statistics(tmp_path: Path, place: int, value: float, line: str) -> None:
    high = np.full(14, 0.05, np.float32)
    high[place] = value
    write(tmp_path, "act")
    save_file(
        {"observation.state.max": high, "action.mean": np.zeros(14, np.float32)}, tmp_path / "statistics.safetensors"
    )
    assert line in refused(tmp_path)
    if place == 13:
        assert read(tmp_path, "share").targets == 100


def test_a_policy_without_statistics_to_normalise_by_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "act")
    save_file({"observation.state.mean": np.zeros(14, np.float32)}, tmp_path / "statistics.safetensors")
    assert "has no statistics of action to normalise by" in refused(tmp_path)


def test_statistics_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (write(tmp_path, "act") / "statistics.safetensors").write_bytes(b"no tensors")
    assert "cannot be read" in refused(tmp_path)


def test_the_rate_is_that_of_the_data_set_where_it_is_on_this_machine(tmp_path: Path) -> None:
    write(tmp_path / "policy", "act")
    assert rate_hz(tmp_path / "policy") is None
    trained = {"dataset": {"repo_id": "somebody/cups", "root": str(tmp_path / "cups")}}
    (tmp_path / "policy" / "train_config.json").write_text(json.dumps(trained))
    assert rate_hz(tmp_path / "policy") is None
    (tmp_path / "cups" / "meta").mkdir(parents=True)
    (tmp_path / "cups" / "meta" / "info.json").write_text(json.dumps({"fps": 25}))
    assert rate_hz(tmp_path / "policy") == 25.0


def test_the_configuration_that_is_changed_is_one_that_is_read(tmp_path: Path) -> None:
    """Each refusal above is of its change alone."""
    assert json.loads((write(tmp_path, "smolvla") / "config.json").read_text()) == config_of("smolvla")
