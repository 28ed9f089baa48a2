"""The policy folder that RoboTwin 2 asks for: link it into their checkout and run their benchmark with our policy.

    ln -s VIDEO2ACT/deploy/robotwin ROBOTWIN/policy/video2act
    cd ROBOTWIN; python script/eval_policy.py --config policy/video2act/deploy_policy.yml --overrides --task_name ...

Their Python needs what ours has (`pip install -c requirements.lock -e VIDEO2ACT`). Both systems run on a virtual clock with
declared latencies, behind the same safety layer, as in `evaluate.sh`. Not run inside RoboTwin yet: it needs a GPU to render.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.data.hdf5_layouts import STROKE_M
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.evaluation import robotwin
from runtime.evaluation.latencies import Latencies
from runtime.policy.opening import Policy, open_policy


@dataclass
class Model:
    """What their evaluation hands from call to call."""

    settings: Settings
    policy: Policy
    latencies: Latencies
    stroke_m: float


def get_model(usr_args: dict[str, Any]) -> Model:
    """The policy that deploy_policy.yml names. Raises SettingsError."""
    flags = [str(flag) for flag in usr_args.get("flags") or ()]
    checkpoint = Path(__file__).resolve().parent / usr_args["checkpoint"]
    settings = load_settings(["--policy.checkpoint", str(checkpoint), *flags])
    latencies = Latencies.of(usr_args.get("latencies") or {})
    return Model(settings, open_policy(settings), latencies, float(usr_args.get("gripper_stroke_m", STROKE_M)))


def encode_obs(observation: dict[str, Any]) -> dict[str, Any]:
    """As it is: runtime/evaluation/robotwin.py reads it."""
    return observation


def eval(TASK_ENV: Any, model: Model, observation: dict[str, Any]) -> None:  # noqa: A001  their name
    """The rest of an episode."""
    robotwin.play(TASK_ENV, encode_obs(observation), model.settings, model.policy, model.latencies, model.stroke_m)


def reset_model(model: Model) -> None:
    """Before the next episode."""
    model.policy.fast.clear()
    model.policy.slow.clear()
