"""What to check about a part: in a simulated robot never a cable, on a real one never the simulator. Called by pytest."""

import pytest

from drivers.camera_kinds import DRIVERS
from models.config.policy import CAMERAS
from runtime.config import what_to_check
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.process.processes import PROCESSES

HARDWARE = ("cable", "power", "USB", "motor", "plug")
REAL = load_settings(["--profile", "cobot_magic", "--instruction", "x"])


def said(settings: Settings) -> list[str]:
    """Of every part."""
    cameras = [what_to_check.of_camera(settings, name) for name in CAMERAS]
    return [
        what_to_check.of_arm(settings),
        what_to_check.of_reading(settings),
        what_to_check.of_cameras(settings),
        *cameras,
    ]


@pytest.mark.parametrize("flags", [[], ["--can"]])
def test_a_simulated_robot_has_no_cables(flags: list[str]) -> None:
    for text in said(load_settings(flags)):
        assert not any(word in text for word in HARDWARE), text
        names = [word.removeprefix("logs/").removesuffix(".log") for word in text.split() if word.startswith("logs/")]
        assert "simulator" in names and set(names) <= set(PROCESSES), text
    assert ("emulator" in what_to_check.of_arm(load_settings(flags))) is bool(flags)


def test_a_real_robot_has_no_simulator() -> None:
    assert all("cable" in text and "simulator" not in text for text in said(REAL))


@pytest.mark.parametrize("kind", ["simulated", *DRIVERS])
def test_every_kind_of_camera_has_a_remedy_that_an_overloaded_machine_takes_back(kind: str) -> None:
    """runtime/host/overload.py finds it by its first word."""
    head = REAL.cameras.head.model_copy(update={"kind": kind})
    settings = REAL.model_copy(update={"cameras": REAL.cameras.model_copy(update={"head": head})})
    assert what_to_check.of_camera(settings, "head").startswith("check ")
