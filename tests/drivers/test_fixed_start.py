"""A bottle whose start stays while the rest of the scene varies. Called by pytest; the scenes are real."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.sim.fixed_start import FixedStart
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task, shifted_task
from drivers.task_names import KEPT_FROM

TASK = "dual_bottles_pick_hard"
BOTTLES = ("red_bottle", "green_bottle")


def begun(physics: Physics, seed: int, fixed: FixedStart | None = None) -> dict[str, NDArray[np.float64]]:
    """Where the bottles are in a scene, and how they are turned."""
    physics.reset(seed, fixed)
    return {name: physics.data.joint(name).qpos.copy() for name in BOTTLES}


@pytest.mark.parametrize(("name", "other"), [BOTTLES, BOTTLES[::-1]])
def test_one_bottle_stays_and_the_other_is_where_its_scene_has_it(name: str, other: str) -> None:
    physics = Physics(make_task(TASK))
    chosen = begun(physics, KEPT_FROM + 7)[name]
    seeds = range(KEPT_FROM, KEPT_FROM + 10)
    usual = [begun(physics, seed) for seed in seeds]
    fixed = [begun(physics, seed, FixedStart(name, KEPT_FROM + 7)) for seed in seeds]
    assert all((scene[name] == chosen).all() for scene in fixed)
    assert all((one[other] == two[other]).all() for one, two in zip(fixed, usual, strict=True))
    assert len({scene[other][0] for scene in fixed}) == len(seeds)
    assert FixedStart(name, KEPT_FROM + 7).pose(physics.task, physics.model) == pytest.approx(chosen)


def test_also_a_bottle_of_another_size_stands_on_the_table() -> None:
    """Under a shift bottles have another height in each scene: what stays is x, y and how it is turned."""
    heights: set[float] = set()
    for seed in range(KEPT_FROM + 1, KEPT_FROM + 6):
        physics = Physics(shifted_task(TASK, "objects", seed))
        begin = begun(physics, seed, FixedStart("green_bottle", KEPT_FROM))["green_bottle"]
        physics.advance(300)
        later = physics.data.joint("green_bottle").qpos
        assert later[:3] == pytest.approx(begin[:3], abs=0.002), "it neither falls nor is pushed out of the table"
        heights.add(round(float(begin[2]), 4))
    assert len(heights) > 1
