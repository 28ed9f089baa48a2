"""The policy folder for RoboTwin 2, on an environment that keeps to their interface. Called by pytest; real systems."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from drivers.cobot_magic import ready_pose
from models.checkpoint import save
from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.evaluation.robotwin import Over, RoboTwinScene
from runtime.policy.networks import open_video2act

FOLDER = Path(__file__).parents[3] / "deploy" / "robotwin"
STROKE_M = 0.08


def folder() -> Any:
    """deploy_policy.py, as their program loads it."""
    spec = importlib.util.spec_from_file_location("deploy_policy", FOLDER / "deploy_policy.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Environment:
    """Arms that are where they were told to be; after `succeeds_at` actions the task is done."""

    def __init__(self, step_lim: int = 60, succeeds_at: int = 10_000) -> None:
        self.step_lim, self._succeeds_at = step_lim, succeeds_at
        self.take_action_cnt, self.eval_success = 0, False
        self.actions: list[np.ndarray] = []
        self.vector = ready_pose()
        self.vector[[6, 13]] = 1.0

    def get_instruction(self) -> str:
        """What is to be done."""
        return "hand the block over"

    def get_obs(self) -> dict[str, Any]:
        """As theirs."""
        grey = np.full((240, 320, 3), 50 + self.take_action_cnt, np.uint8)
        views = {name: {"rgb": grey} for name in ("head_camera", "left_camera", "right_camera", "front_camera")}
        return {"observation": views, "joint_action": {"vector": self.vector.copy()}}

    def take_action(self, action: np.ndarray) -> None:
        """One step."""
        self.actions.append(np.array(action))
        self.vector = np.array(action)
        self.take_action_cnt += 1
        self.eval_success = self.take_action_cnt >= self._succeeds_at


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A policy of random weights in a folder, opened as they do."""
    checkpoint = open_video2act(load_settings(["--policy.size", "small", "--seed", "3"]))
    parts = {"slow": checkpoint.slow(), "fast": checkpoint.fast(), "text": checkpoint.instructor()}
    stored = tmp_path_factory.mktemp("policy") / "checkpoint"
    save(stored, checkpoint.config, checkpoint.statistics, parts)
    made = folder().get_model(
        {"checkpoint": str(stored), "latencies": {"system2_s": 0.2}, "gripper_stroke_m": STROKE_M}
    )
    assert made.settings.policy.checkpoint == stored and made.latencies.system2_s == 0.2
    return made


def test_an_episode_is_played_to_its_last_step(model: Any) -> None:
    environment, module = Environment(), folder()
    module.eval(environment, model, environment.get_obs())
    assert environment.take_action_cnt == environment.step_lim
    actions = np.array(environment.actions)
    assert actions.shape == (60, 14) and np.isfinite(actions).all()
    assert ((actions[:, [6, 13]] >= 0) & (actions[:, [6, 13]] <= 1)).all(), "grippers in their units"
    assert np.abs(np.diff(np.delete(actions, [6, 13], axis=1), axis=0)).max() < 0.11, "3 rad/s at 30 Hz"
    assert np.abs(actions[-1] - actions[0]).max() > 1e-3, "the policy moves them"


def test_success_ends_it(model: Any) -> None:
    environment, module = Environment(succeeds_at=40), folder()
    module.reset_model(model)
    module.eval(environment, model, environment.get_obs())
    assert environment.take_action_cnt == 40


def test_units_and_pictures() -> None:
    environment = Environment()
    scene = RoboTwinScene(environment, environment.get_obs(), load_settings([]), STROKE_M)
    q = scene.arms()[:, 0].ravel()
    assert q[6] == pytest.approx(STROKE_M) and q[0] == environment.vector[0]
    np.testing.assert_allclose(scene.vector(q), environment.vector)
    assert scene.picture(0, "head").shape == (192, 256, 3)
    assert scene.eyes["left_wrist"].jpeg(scene.qpos())[:2] == b"\xff\xd8"


def test_time_passes_by_a_thirtieth_of_a_second() -> None:
    environment = Environment(step_lim=2)
    scene = RoboTwinScene(environment, environment.get_obs(), load_settings([]), STROKE_M)
    scene.command(1, np.full(7, 0.05))
    for _ in range(6):
        scene.advance(3)  # a tick of the arms
    assert environment.take_action_cnt == 0
    scene.advance(3)
    assert environment.take_action_cnt == 1
    np.testing.assert_allclose(environment.actions[0][7:13], 0.05)
    with pytest.raises(Over):
        scene.advance(60)


def test_the_file_that_they_read_names_what_get_model_takes() -> None:
    values = yaml.safe_load((FOLDER / "deploy_policy.yml").read_text())
    assert values["policy_name"] == "video2act" and values["gripper_stroke_m"] == STROKE_M
    load_settings([str(flag) for flag in values["flags"]])
    assert (FOLDER / values["checkpoint"]).resolve() == FOLDER.parents[1] / "models" / "shipped" / "small"


def test_a_bad_flag_is_one_line() -> None:
    with pytest.raises(SettingsError, match="surprise"):
        folder().get_model({"checkpoint": "/nowhere", "flags": ["--surprise", "1"]})
