"""The simulated arm's shapes, and whether the limits' capsules cover them. Called by pytest; `bench.sh --shapes` does it with
100,000 poses."""

import numpy as np
import pytest

from drivers.cobot_magic import HIGH, TABLE_TOP_M, bases, ready_pose
from drivers.kinematics import link_poses
from runtime.arms import bodies
from runtime.bench import shapes


def test_the_capsules_cover_the_simulated_arm() -> None:
    result = shapes.run(400, 3)
    assert result["kept"] and result["missed"] == 0
    assert result["touch"] > 50, "many poses must touch"
    assert result["refused_though_clear"] < 0.15 * result["arms"]


@pytest.mark.parametrize("capsule", ["base", "palm"])
def test_a_capsule_that_is_too_small_is_found(capsule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = [one.name for one in bodies.CAPSULES].index(capsule)
    radii_m = bodies.RADII_M.copy()
    radii_m[index] -= 0.03
    monkeypatch.setattr(bodies, "RADII_M", radii_m)
    assert not shapes.run(400, 3)["kept"]


def test_the_height_of_a_link_is_that_of_its_lowest_body() -> None:
    """Stretched forwards and down, the palm is lowest: a box of 60 x 104 x 60 mm, 55 mm beyond the flange."""
    q = ready_pose()
    q[[1, 2]] = 2.2, -0.8
    flange = bases()[0] @ link_poses(q[:6])[5]
    corners = np.array(np.meshgrid((-0.03, 0.03), (-0.052, 0.052), (0.025, 0.085), (1.0,))).reshape(4, -1)
    lowest_m = float((flange @ corners)[2].min()) - TABLE_TOP_M
    assert shapes.SimulatedShapes().measure(q)[0, 0] == pytest.approx(lowest_m, abs=1e-9)


def test_an_arm_that_reaches_into_its_base_touches_itself() -> None:
    q = np.tile([0.0, HIGH[1], -0.01, 0.0, 0.0, 0.0, 0.0], 2)
    own_m = shapes.SimulatedShapes().measure(np.concatenate([q[:7], ready_pose()[7:]]))[:, 1]
    assert own_m[0] < 0 < own_m[1]
