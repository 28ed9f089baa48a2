"""What a command line of `train` sets besides its own flags: a policy of either family, the schedule, how stages sample.

Called by flags.py before torch is loaded, and by command.py.
"""

from operator import attrgetter
from pathlib import Path
from typing import Any

from models import families
from models.config.part import Part
from models.config.policy import PolicyConfig
from models.data.reading import AS_IT_COMES, Reading
from models.errors import ModelError
from models.families import Config
from models.identity import stored_config
from models.train.choices import Cloning, Filming, Schedule
from models.train.video_policy.choices import Acting, Imagining
from models.video_policy.config import VideoPolicyConfig
from runtime.config import overrides
from runtime.errors import SettingsError

STEPS = {"video": 20_000, "action": 100_000}  # of each stage where the line gives none; chosen
_OF_STATISTICS = ("action_source", "targets", "horizon")  # a training that resumes keeps those of its checkpoint
_OF_ACTIONS = ("action.targets", "action.frame", "action.joints")  # likewise of Video Policy
_OF_IMAGINATION = ("clip", "autoencoder", "unet", "text", "published")  # what stage 1 of Video Policy leaves
_OF_STAGE_1 = ("video", "text", "cameras", "colour_order", "resize", "published")  # stage 2 takes them as they are


class Tree(Part):
    """What can be set of a training of Video2Act besides."""

    policy: PolicyConfig
    schedule: Schedule
    cloning: Cloning
    filming: Filming
    data: Reading


class VideoPolicyTree(Part):
    """What can be set of a training of Video Policy besides."""

    policy: VideoPolicyConfig
    schedule: Schedule
    acting: Acting
    imagining: Imagining
    data: Reading


def schedule(stage: str, steps: int | None, seed: int, given: dict[str, Any]) -> Schedule:
    """The schedule of the line: how long and how fast. Raises SettingsError."""
    usual = Schedule(steps=steps or STEPS[stage], seed=seed)
    return overrides.over(usual, given.get("schedule", {}), "schedule")


def cloning(given: dict[str, Any]) -> Cloning:
    """How stage 2 samples, by the line. Raises SettingsError."""
    return overrides.over(Cloning(), given.get("cloning", {}), "cloning")


def filming(given: dict[str, Any]) -> Filming:
    """How stage 1 samples, by the line. Raises SettingsError."""
    return overrides.over(Filming(), given.get("filming", {}), "filming")


def acting(given: dict[str, Any]) -> Acting:
    """How stage 2 of Video Policy samples, by the line. Raises SettingsError."""
    return overrides.over(Acting(), given.get("acting", {}), "acting")


def imagining(given: dict[str, Any]) -> Imagining:
    """How stage 1 of Video Policy samples, by the line. Raises SettingsError."""
    return overrides.over(Imagining(), given.get("imagining", {}), "imagining")


def reading(given: dict[str, Any]) -> Reading:
    """How demonstrations are read, by the line. Raises SettingsError."""
    return overrides.over(AS_IT_COMES, given.get("data", {}), "data")


def config(size: str | None, video: Path | None, begin: Path | None, given: dict[str, Any]) -> Config:
    """The policy to train: a size with what flags change, and System 2 as stage 1 left it; or a stored one.

    Args:
        size: `--size`.
        video: `--video`.
        begin: `--from`.
        given: what the line sets of the tree.

    Returns:
        Of either family.

    Raises:
        SettingsError: a folder or a value is wrong, or they do not fit together.
    """
    try:
        found = _of_size(size, video) if begin is None else stored_config(begin)
    except ModelError as error:
        wrong = "--from" if begin else "--video" if video else "--size"
        raise SettingsError(f"{wrong}: {error}") from None
    made = overrides.over(found, given.get("policy", {}), "policy")
    kept = _OF_STATISTICS if isinstance(found, PolicyConfig) else _OF_ACTIONS
    for name in kept if begin is not None else ():
        before, after = (attrgetter(name)(one) for one in (found, made))
        if before != after:
            raise SettingsError(
                f"--policy.{name} {after}: must be {before}, as in {begin}; leave it out, or leave out --from"
            )
    return made


def _of_size(size: str | None, video: Path | None) -> Config:
    """The size that the line names, with the parts of the stage 1 that it names. Raises ModelError."""
    stored = None if video is None else stored_config(video)
    if size is None and isinstance(stored, VideoPolicyConfig):
        return stored
    found = families.by_name(size or "small")
    if stored is None:
        return found
    if type(stored) is not type(found):
        theirs, ours = (families.name_of(one) for one in (stored, found))
        raise ModelError(f"checkpoint {video}: is of family {theirs}, --size {size} of {ours}; change one")
    names = _OF_STAGE_1 if isinstance(found, PolicyConfig) else _OF_IMAGINATION
    return found.model_copy(update={name: getattr(stored, name) for name in names})
