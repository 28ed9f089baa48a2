"""The families of policies that run here: Video2Act and Video Policy. What each asks of a robot, and its sizes. No torch.

Called by models/identity.py, runtime/config and runtime/training.
"""

from typing import Literal

from models import requirements, sizes
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.requirements import Requirements
from models.video_policy import needs
from models.video_policy import sizes as video_policy_sizes
from models.video_policy.config import VideoPolicyConfig

Config = PolicyConfig | VideoPolicyConfig
CONFIGS: dict[str, type[Config]] = {"video2act": PolicyConfig, "video-policy": VideoPolicyConfig}
"""The configuration of each family, by the name that a checkpoint has it under."""
SIZES = {**sizes.SIZES, **video_policy_sizes.SIZES}
SizeName = Literal["small", "full", "full-wan", "video-policy-small", "video-policy-full"]
"""The names of SIZES, for flags."""


def name_of(config: Config) -> str:
    """The family of a configuration."""
    return next(name for name, kind in CONFIGS.items() if isinstance(config, kind))


def needs_of(config: Config) -> Requirements:
    """What a policy needs of the robot. Raises ModelError for one that no runtime could serve."""
    if isinstance(config, VideoPolicyConfig):
        return needs.needs_of(config)
    return requirements.needs_of(config)


def by_name(size: str) -> Config:
    """The configuration of a size of any family. Raises ModelError for another name."""
    if size not in SIZES:
        raise ModelError(f"unknown policy size {size!r}; choose one of {', '.join(SIZES)}")
    return SIZES[size]()
