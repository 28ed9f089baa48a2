"""A policy server's reply: believed as a whole, or refused by one line. Called by pytest."""

from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import ready_pose
from models.requirements import Requirements
from runtime.config.loading import load_settings
from runtime.policy import server_reply
from runtime.policy.server_reply import WrongReply

SETTINGS = load_settings([])
ABSOLUTE = Requirements()
READY = np.tile(ready_pose(), (10, 1))


def given(actions: Any, wire: Requirements = ABSOLUTE) -> Any:
    return server_reply.read({"actions": actions}, wire, ready_pose(), SETTINGS)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("targets", [1, 50, 128])
def test_any_length_and_float_is_taken(targets: int, dtype: str) -> None:
    found = given(np.tile(ready_pose(), (targets, 1)).astype(dtype))
    assert found.shape == (targets, 14) and found.dtype == np.float32
    np.testing.assert_allclose(found[-1], ready_pose(), atol=1e-3)


def test_its_units_become_the_robots() -> None:
    actions = np.zeros((3, 14))
    actions[:, 0], actions[:, 6] = 0.1, -0.25
    found = given(actions, Requirements(target_frame="relative", gripper_open_m=0.08))
    assert found[2, 0] == pytest.approx(ready_pose()[0] + 0.1) and found[2, 6] == pytest.approx(ready_pose()[6] - 0.02)


def with_joint(joint: int, value: float) -> Any:
    actions = READY.copy()
    actions[4, joint] = value
    return actions


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (None, "must be an array, got NoneType"),
        ([[0.0] * 14], "must be an array, got list"),
        (np.zeros(14), "must be numbers (targets, 14), got float64 (14,)"),
        (np.zeros((10, 7)), "got float64 (10, 7)"),
        (np.zeros((1, 10, 14)), "got float64 (1, 10, 14)"),
        (np.ones((10, 14), bool), "got bool"),
        (np.zeros((0, 14)), "1 to 128 targets, got 0"),
        (np.zeros((129, 14)), "1 to 128 targets, got 129"),
        (with_joint(3, np.nan), "must be finite"),
        (with_joint(3, -np.inf), "must be finite"),
        (with_joint(9, 1e300), "right j3 is inf rad outside its range (limit 0.5 rad)"),
        (with_joint(1, 60.0), "left j2 is"),
        (with_joint(13, 1.0), "right gripper is"),
        (with_joint(6, -0.5), "left gripper is"),
    ],
)
def test_a_wrong_one_is_refused_as_a_whole(actions: Any, said: str) -> None:
    with pytest.raises(WrongReply) as caught:
        given(actions)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("count", "taken"), [(50, True), (49, False), (51, False), (1, False)])
def test_a_length_that_was_announced_is_held_to(count: int, taken: bool) -> None:
    """A chunk that is shorter than its committed targets would be none."""
    settings = load_settings(["--policy.server", "ws://127.0.0.1:8000", "--policy.wire.targets", "50"])
    reply = {"actions": np.tile(ready_pose(), (count, 1))}
    if taken:
        assert len(server_reply.read(reply, ABSOLUTE, ready_pose(), settings)) == count
        return
    with pytest.raises(
        WrongReply, match=rf"must be 50 targets, as --policy.wire.targets or the server said, got {count}"
    ):
        server_reply.read(reply, ABSOLUTE, ready_pose(), settings)


@pytest.mark.parametrize("reply", [None, [], "actions", 3, {"action": np.zeros((10, 14))}])
def test_what_holds_no_actions_is_refused(reply: Any) -> None:
    with pytest.raises(WrongReply, match="`actions` must be an array"):
        server_reply.read(reply, ABSOLUTE, ready_pose(), SETTINGS)


def test_what_the_safety_layer_may_still_clip_passes() -> None:
    assert given(with_joint(1, SETTINGS.safety.high[1] + 0.4)).shape == (10, 14)
    assert given(with_joint(6, SETTINGS.safety.high[6] + 0.01)).shape == (10, 14)
