"""When pictures are black: 0.8 s in every 3, at moments that differ by seed and are the same again; and System 1 sees it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.systems.blackout import blacked_out
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system1_step import step

STEP_S = 0.01


def black(seed: int, periods: int) -> NDArray[np.bool_]:
    """(periods, samples) whether each hundredth of a second of each three is black."""
    times = np.arange(0, 3 * periods, STEP_S)
    return np.array([blacked_out(seed, seconds(time)) for time in times]).reshape(periods, -1)


def test_every_three_seconds_are_black_once_for_0_8() -> None:
    found = black(1, 40)
    assert np.abs(found.sum(axis=1) * STEP_S - 0.8).max() <= STEP_S + 1e-9
    inside = found[:, 1:].astype(int) - found[:, :-1]
    assert (inside == 1).sum(axis=1).max() == 1, "in one piece"


def test_the_moments_are_drawn_from_the_seed() -> None:
    begins = [int(row.argmax()) for row in black(1, 40)]
    assert np.ptp(begins) * STEP_S > 1.5
    assert np.array_equal(black(1, 20), black(1, 20))
    assert not np.array_equal(black(1, 20), black(2, 20))


class Watching:
    """A policy that only takes its pictures; the run ends there."""

    class Seen(Exception):
        """What it was given."""

    def has_images(self, numbers: tuple[int, ...]) -> bool:
        return False

    def prepare_images(self, pictures: tuple[NDArray[np.uint8], ...]) -> object:
        raise self.Seen(pictures)


def white(camera: str, number: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), 255, np.uint8)


def unheard(key: str) -> Any:
    """No instruction: the run ends before it is read."""


@pytest.mark.parametrize("shift", ["none", "blackout"])
def test_system_1_sees_black_only_then(
    shift: Any, settings: Settings, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.systems.system1_step.refusal", lambda *_: "")
    monkeypatch.setattr("runtime.systems.system1_step._plan", lambda *_: None)
    config: Any = System1Config(settings.model_copy(update={"shift": shift}), Watching(), "")  # pyright: ignore[reportArgumentType]
    for time_s in np.arange(0, 3, 0.1):
        capture_ns = seconds(float(time_s))
        frames = tuple(build(messages.Frame, camera=camera, capture_ns=capture_ns) for camera in CAMERAS)
        episode, instruction = build(messages.Episode, seed=5), build(messages.Instruction)
        inputs = System1Inputs(episode, instruction, None, None, None, (frames,))
        with pytest.raises(Watching.Seen) as seen:
            step(config, System1State(), inputs, white, unheard, 1, 0)
        dark = all(not picture.any() for picture in seen.value.args[0])
        assert dark is (shift == "blackout" and blacked_out(5, capture_ns))
