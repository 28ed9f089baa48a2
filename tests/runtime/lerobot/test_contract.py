"""Cameras of a LeRobot policy by name or by flag, never guessed; and metadata that our own client reads. Called by pytest."""

from pathlib import Path

import pytest
from lerobot_checkpoint import NAMES, write

from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.lerobot.checkpoint import Checkpoint, read
from runtime.lerobot.contract import cameras, metadata
from runtime.policy.server_metadata import completed

OTHERS = ("top", "cam_left_wrist", "wrist_r")


def checkpoint(tmp_path: Path, names: tuple[str, ...] = NAMES, kind: str = "act") -> Checkpoint:
    return read(write(tmp_path, kind, cameras=names), "m")


@pytest.mark.parametrize("names", [NAMES, ("head", "left_wrist", "right_wrist"), ("cam_right_wrist", "head")])
def test_cameras_are_found_by_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = cameras(checkpoint(tmp_path, names), {})
    assert set(found.values()) == {f"observation.images.{name}" for name in names}
    assert found["right_wrist"].endswith("right_wrist") and found["head"].endswith(("cam_high", "head"))


def test_others_are_given_and_come_to_their_place(tmp_path: Path) -> None:
    found = cameras(checkpoint(tmp_path, OTHERS), {"top": "head", "wrist_r": "right_wrist"})
    assert found == {
        "head": "observation.images.top",
        "left_wrist": "observation.images.cam_left_wrist",
        "right_wrist": "observation.images.wrist_r",
    }


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "cameras top, wrist_r are unknown; give --cameras top=head|left_wrist|right_wrist,wrist_r="),
        ({"top": "head"}, "cameras wrist_r are unknown; give --cameras wrist_r="),
        ({"nose": "head"}, "--cameras nose: is no camera of the checkpoint; expected top, cam_left_wrist, wrist_r"),
        ({"top": "head", "wrist_r": "left_wrist"}, "left_wrist is another camera of the checkpoint already"),
    ],
)
def test_no_camera_is_guessed(tmp_path: Path, given: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        cameras(checkpoint(tmp_path, OTHERS), given)
    assert line in str(caught.value)


@pytest.mark.parametrize(("kind", "pictures"), [("act", "640x480"), ("smolvla", "camera"), ("pi0", "camera")])
def test_our_client_needs_no_flag(tmp_path: Path, kind: str, pictures: str) -> None:
    found = checkpoint(tmp_path, ("cam_high", "cam_left_wrist"), kind)
    said = metadata(found, cameras(found, {}), 1 / 30, "share")
    wire = completed(load_settings(["--policy.server", "ws://127.0.0.1:1"]), said).policy.wire
    assert wire.cameras.by_camera() == {"head": "head", "left_wrist": "left_wrist"}
    assert (wire.dt_s, wire.targets, wire.grippers, wire.frame) == (1 / 30, found.targets, "share", "absolute")
    assert (wire.pictures, wire.prefix) == (pictures, False)


def test_grippers_in_m_are_what_our_client_calls_m(tmp_path: Path) -> None:
    found = checkpoint(tmp_path)
    said = metadata(found, cameras(found, {}), 0.02, "m")
    assert completed(load_settings(["--policy.server", "ws://127.0.0.1:1"]), said).policy.wire.grippers == "m"
