"""Which policy the settings name: its configuration and its id, without its weights and without torch.
Called by whoever has to know a policy before or without opening it.
"""

import hashlib

from pydantic import ValidationError

from models import refusal
from models.config.policy import PolicyConfig
from models.config.source import Source
from models.errors import ModelError
from models.identity import checkpoint_id, stored_config, stored_needs
from models.requirements import Requirements, needs_of
from models.sizes import by_name
from runtime.config.settings import Settings
from runtime.config.system_settings import Policy, PublishedWeights
from runtime.errors import RuntimeFault


def policy_config(settings: Settings) -> PolicyConfig:
    """The configuration of the policy that `settings.policy` names. Raises RuntimeFault with one line."""
    return configured(settings.policy)


def configured(policy: Policy) -> PolicyConfig:
    """The same from that part of the settings alone."""
    try:
        chosen = by_name(policy.size) if policy.checkpoint is None else stored_config(policy.checkpoint)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    return _with_sources(chosen, policy.published)


def policy_needs(settings: Settings) -> Requirements:
    """What the policy needs of the robot: as stored with its checkpoint, else by its configuration. Raises RuntimeFault."""
    chosen, folder = policy_config(settings), settings.policy.checkpoint
    try:
        return needs_of(chosen) if folder is None else stored_needs(folder, chosen)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def _with_sources(chosen: PolicyConfig, elsewhere: PublishedWeights) -> PolicyConfig:
    update: dict[str, Source] = {}
    for part, text in elsewhere.model_dump(exclude_none=True).items():
        try:
            update[part] = Source.parse(text)
        except ValidationError as error:
            said = refusal.line(error, Source, {"repo": text})
            raise RuntimeFault(f"policy.published.{part}: {said}; give a folder, or REPOSITORY@COMMIT") from None
    there = chosen.model_copy(update={"published": chosen.published.model_copy(update=update)})
    values = there.model_dump()
    try:
        return PolicyConfig.model_validate(values)
    except ValidationError as error:
        raise RuntimeFault(f"policy.{refusal.line(error, PolicyConfig, values, refusal.place_of)}") from None


def policy_id(settings: Settings) -> str:
    """The id that tells policies apart: the checkpoint's, or one of size and seed where there is none. Raises RuntimeFault."""
    try:
        return checkpoint_id(policy_config(settings), settings.policy.checkpoint, settings.seed)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def encoder_id(settings: Settings) -> str:
    """The id of what encodes instructions: published encoders serve every policy that names them; else the policy's own."""
    chosen = policy_config(settings)
    if chosen.text.kind == "byt5":
        return policy_id(settings)
    read_by = (chosen.text, chosen.published.text, chosen.published.video)
    return hashlib.sha256(repr(read_by).encode()).hexdigest()[:16]
