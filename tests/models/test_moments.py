"""A step of a demonstration as both systems get it: the right pictures, joints and windows. The networks are real, tiny."""

from collections.abc import Callable

import numpy as np
import pytest
import simplejpeg
import torch

from models.checkpoint import Checkpoint
from models.config.policy import CAMERAS
from models.errors import ModelError
from models.moments import Scene, moment

_STEPS = 40


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Pictures by chance: no two are alike."""
    random = np.random.default_rng(0)
    jpegs = {
        camera: [simplejpeg.encode_jpeg(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(_STEPS)]
        for camera in CAMERAS
    }
    return Scene("one", "wait", jpegs, random.normal(size=(_STEPS, 14)), random.normal(size=(_STEPS, 14)))


@pytest.mark.parametrize(("step", "before", "last"), [(30, 28, 20), (5, 3, 0), (0, 0, 0)])
def test_a_moment_holds_what_was_there(
    untrained: Callable[[int], Checkpoint], scene: Scene, step: int, before: int, last: int
) -> None:
    """Two steps lie between System 1's sets; System 2's newest frame is 10 steps older, or the first."""
    checkpoint = untrained(1)
    fast, slow = checkpoint.fast(), checkpoint.slow()
    instruction = checkpoint.instructor().encode([scene.text])[0]
    found = moment(fast, slow, instruction, scene, step, 10)
    for got, at in zip(found.sets, (before, step), strict=True):
        shown = tuple(simplejpeg.decode_jpeg(scene.jpegs[camera][at]) for camera in CAMERAS)
        assert torch.equal(got, fast.encode_images((at,), fast.prepare(shown)))
    assert np.array_equal(found.q, scene.q[step]) and np.array_equal(found.targets, scene.targets[step:])
    assert found.age_s == pytest.approx((step - last) / 30 + 0.035)
    high = [max(0, last - 1), last]
    low = [max(0, last // 3 * 3 - 3 * back) for back in (3, 2, 1, 0)]
    for ring, numbers in ((slow.high, high), (slow.low, low)):
        for number in numbers:
            slow.encode(ring, number, simplejpeg.decode_jpeg(scene.jpegs["head"][number]))
    made = slow.encode_video(high, low, instruction)
    assert found.conditions is not None
    for got, wanted in ((found.conditions.spatial, made.spatial), (found.conditions.motion, made.motion)):
        assert torch.equal(got, wanted.to(torch.bfloat16).float()), "as they travel"


def test_a_policy_without_video_gets_no_conditions(untrained: Callable[[int], Checkpoint], scene: Scene) -> None:
    checkpoint = untrained(1)
    instruction = checkpoint.instructor().encode([scene.text])[0]
    assert moment(checkpoint.fast(), None, instruction, scene, 3, 0).conditions is None


def test_a_damaged_picture_is_refused(untrained: Callable[[int], Checkpoint], scene: Scene) -> None:
    checkpoint = untrained(1)
    instruction = checkpoint.instructor().encode([scene.text])[0]
    damaged = Scene("two", "wait", {camera: [b"no picture"] * 3 for camera in CAMERAS}, scene.q, scene.targets)
    with pytest.raises(ModelError, match="damaged image"):
        moment(checkpoint.fast(), None, instruction, damaged, 2, 0)
