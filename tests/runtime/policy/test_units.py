"""Joints and targets between robot and policy: there and back, in every unit; untouched where both count alike."""

import numpy as np
import pytest

from models.requirements import Requirements
from runtime.messaging import messages
from runtime.policy.units import state_to_policy, targets_of_policy, targets_to_policy

Q = np.linspace(-0.6, 0.7, messages.JOINTS)
GRIPPERS = [6, 13]
TARGETS = np.random.default_rng(0).normal(0, 0.3, (5, messages.JOINTS))


@pytest.mark.parametrize("frame", ["absolute", "relative"])
@pytest.mark.parametrize("open_m", [None, 0.08])
def test_targets_come_back_as_they_were(frame: str, open_m: float | None) -> None:
    needs = Requirements.model_validate({"target_frame": frame, "gripper_open_m": open_m})
    theirs = targets_to_policy(needs, TARGETS, Q)
    np.testing.assert_allclose(targets_of_policy(needs, theirs.astype(np.float32), Q), TARGETS, atol=1e-6)


def test_what_counts_as_the_robot_does_is_not_touched() -> None:
    needs, chunk = Requirements(), TARGETS.astype(np.float32)
    assert state_to_policy(needs, Q) is Q and targets_to_policy(needs, TARGETS, Q) is TARGETS
    assert targets_of_policy(needs, chunk, Q) is chunk


def test_a_gripper_is_a_share_of_its_opening_and_a_target_counts_from_the_joints() -> None:
    needs = Requirements(gripper_open_m=0.08, target_frame="relative")
    state = state_to_policy(needs, Q)
    np.testing.assert_allclose(state[GRIPPERS], Q[GRIPPERS] / 0.08)
    np.testing.assert_array_equal(np.delete(state, GRIPPERS), np.delete(Q, GRIPPERS))
    made = targets_of_policy(needs, np.full((1, messages.JOINTS), 0.5, np.float32), Q)
    np.testing.assert_allclose(made[0, GRIPPERS], Q[GRIPPERS] + 0.04, atol=1e-6)
    np.testing.assert_allclose(np.delete(made[0], GRIPPERS), np.delete(Q, GRIPPERS) + 0.5, atol=1e-6)
