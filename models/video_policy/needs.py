"""What a Video Policy needs of the robot that runs it. No torch. Called by models/families.py."""

from pydantic import ValidationError

from models import refusal
from models.errors import ModelError
from models.requirements import Requirements
from models.video_policy.config import VideoPolicyConfig

FEATURES = "features"
"""The name of its only condition: (steps, sets, numbers), of every denoising step."""


def needs_of(config: VideoPolicyConfig) -> Requirements:
    """The requirements of a Video Policy.

    Args:
        config: its configuration.

    Returns:
        System 2 looks at the newest frame of each camera. System 1 is anchored at the newest frames; without eyes it looks at
        none of them.

    Raises:
        ModelError: no runtime could serve it.
    """
    shape = (config.diffusion.steps, config.feature_sets, config.feature_width)
    values = {
        "cameras": config.clip.cameras,
        "windows": tuple({"name": name, "camera": name, "frames": 1} for name in config.clip.cameras),
        "conditions": ({"name": FEATURES, "dtype": "bfloat16", "shape": shape},),
        "state_layout": config.joint_layout,
        "targets": config.action.targets,
        "dt_s": config.action.dt_s,
    }
    try:
        return Requirements.model_validate(values)
    except ValidationError as error:
        said = refusal.line(error, Requirements, values, refusal.place_of, in_json=True)
        raise ModelError(
            f"policy {config.name}: {said}; train it with other settings, or give another policy"
        ) from None
