"""The tasks as gymnasium environments: gymnasium's own checker, the experts' success, and the same pictures as everywhere.
Called by pytest.
"""

from typing import Any

import gymnasium
import numpy as np
import pytest
import simplejpeg
from gymnasium.utils.env_checker import check_env

from drivers.cobot_magic import CAMERAS, ready_pose
from drivers.errors import DriverError
from drivers.sim import experts, gymnasium_env
from drivers.sim.gymnasium_env import TabletopEnv
from drivers.sim.rollout import Rollout
from drivers.sim.tasks import TASKS, make_task, shifted_task

SMALL: dict[str, Any] = {"width_px": 48, "height_px": 36}


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """As the entry point does, which an editable installation may lack."""
    gymnasium_env.register()


def made(task: str = "pick_apple_messy", **chosen: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(f"video2act/{task}-v0", **SMALL | chosen)


@pytest.mark.filterwarnings("error::UserWarning", "ignore:.*symmetric and normalized space:UserWarning")
def test_gymnasiums_checker_passes() -> None:
    """Without a warning, but for its advice on actions: ours are joints, and `wrappers.RescaleAction` brings them to -1..1."""
    env = made(render_mode="rgb_array", disable_env_checker=True)
    check_env(env.unwrapped, skip_close_check=True)
    env.close()


def test_every_task_is_there_with_its_time() -> None:
    for name, task in TASKS.items():
        found = gymnasium.spec(f"video2act/{name}-v0")
        assert found.max_episode_steps == task.step_limit


def test_an_expert_is_rewarded_once_and_ends_the_episode() -> None:
    env = made()
    seen, info = env.reset(seed=7)
    assert info == {"is_success": False, "instruction": make_task("pick_apple_messy").wordings[0]}
    np.testing.assert_allclose(seen["agent_pos"], ready_pose(), atol=0.01)
    tabletop = env.unwrapped
    assert isinstance(tabletop, TabletopEnv)
    rewards, terminated = list[float](), False
    for target in experts.plan(tabletop._rollout.physics):  # pyright: ignore[reportPrivateUsage]
        seen, reward, terminated, truncated, info = env.step(target.astype(np.float32))
        rewards.append(float(reward))
        assert not truncated and seen in env.observation_space
        if terminated:
            break
    env.close()
    assert terminated and info["is_success"]
    assert rewards[-1] == sum(rewards) == 1.0


def test_who_does_nothing_runs_out_of_time() -> None:
    env = gymnasium.make("video2act/pick_apple_messy-v0", max_episode_steps=5, **SMALL)
    env.reset(seed=7)
    ends = [env.step(ready_pose().astype(np.float32))[2:4] for _ in range(5)]
    env.close()
    assert ends == [(False, False)] * 4 + [(False, True)]


def test_pictures_are_those_of_the_other_ways_into_the_simulator() -> None:
    env = made("container_place", shift="all")
    seen, _ = env.reset(seed=1_000_003)
    env.close()
    rollout = Rollout(shifted_task("container_place", "all", 1_000_003), 48, 36)
    rollout.reset(1_000_003)
    jpegs = rollout.pictures([rollout.moment()])
    rollout.close()
    for camera in CAMERAS:
        np.testing.assert_array_equal(seen["pixels"][camera], simplejpeg.decode_jpeg(jpegs[camera][0]))


def test_looks_and_scenes_follow_from_the_seed() -> None:
    several: tuple[dict[str, Any], ...] = ({}, {"randomise": True}, {"shift": "lighting"})
    for chosen in several:
        env = made(**chosen)
        first, again = env.reset(seed=3)[0]["pixels"]["head"], env.reset(seed=3)[0]["pixels"]["head"]
        other = env.reset(seed=4)[0]["pixels"]["head"]
        drawn = [env.reset()[0]["pixels"]["head"] for _ in range(2)]
        env.close()
        np.testing.assert_array_equal(first, again)
        assert np.abs(first.astype(int) - other).mean() > 0.5
        assert np.abs(drawn[0].astype(int) - drawn[1]).mean() > 0.5


def test_nonsense_is_one_line() -> None:
    with pytest.raises(DriverError, match="unknown task 'chess'"):
        TabletopEnv("chess")
    several: tuple[dict[str, Any], ...] = ({"shift": "blackout"}, {"shift": "fog"}, {"shift": "all", "randomise": True})
    for wrong in several:
        with pytest.raises(DriverError, match="must be one of none, objects"):
            gymnasium.make("video2act/container_place-v0", **wrong)
    with pytest.raises(DriverError, match="render_mode 'human'"):
        TabletopEnv("container_place", render_mode="human")
    env = TabletopEnv("container_place", **SMALL)
    env.reset(seed=1)
    for action in (np.zeros(13, np.float32), np.full(14, np.nan, np.float32), np.zeros((1, 14), np.float32)):
        with pytest.raises(DriverError, match="action: must be 14 finite numbers"):
            env.step(action)
    env.close()
