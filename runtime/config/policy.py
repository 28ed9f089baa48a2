"""Which policy the settings name: its configuration and its id, without its weights and without torch.
Called by whoever has to know a policy before or without opening it.
"""

import hashlib

from pydantic import ValidationError

from models import refusal
from models.config.policy import PolicyConfig
from models.config.source import Source
from models.errors import ModelError
from models.families import Config, by_name, needs_of
from models.identity import checkpoint_id, stored_config, stored_needs
from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.config.system_settings import Policy, PublishedWeights
from runtime.errors import RuntimeFault
from runtime.messaging.messages import MOST_TARGETS

_NOT_THE_SERVERS = {"token", "certificate", "reply_s", "silent_s"}  # of the wire: how to reach it, not what it is


def policy_config(settings: Settings) -> Config:
    """The configuration of the policy that `settings.policy` names, of any family. Raises RuntimeFault with one line."""
    return configured(settings.policy)


def video2act_config(settings: Settings) -> PolicyConfig:
    """The same where only Video2Act will do. Raises RuntimeFault, also for a policy of another family."""
    found = policy_config(settings)
    if not isinstance(found, PolicyConfig):
        where = settings.policy.checkpoint or settings.policy.size
        raise RuntimeFault(f"policy {where}: is a Video Policy; this command takes one of Video2Act")
    return found


def configured(policy: Policy) -> Config:
    """The configuration from that part of the settings alone."""
    if policy.server:
        raise RuntimeFault(
            f"--policy.server {policy.server}: its networks are not on this machine; give --policy.checkpoint DIR"
        )
    try:
        chosen = by_name(policy.size) if policy.checkpoint is None else stored_config(policy.checkpoint)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    return _with_sources(chosen, policy.published)


def policy_needs(settings: Settings) -> Requirements:
    """What the policy needs of the robot: as its server says, as stored with its checkpoint, else by its configuration.

    Raises RuntimeFault, also for a server that was not asked yet (runtime/policy/server_metadata.py).
    """
    if settings.policy.server:
        return _needs_of_server(settings.policy)
    chosen, folder = policy_config(settings), settings.policy.checkpoint
    try:
        return needs_of(chosen) if folder is None else stored_needs(folder, chosen)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def _needs_of_server(policy: Policy) -> Requirements:
    """In the robot's own units, whatever the server counts in: runtime/policy/remote_policy.py converts."""
    wire = policy.wire
    cameras = tuple(wire.cameras.by_camera())
    if wire.dt_s is None or not cameras:
        raise RuntimeFault(
            f"--policy.server {policy.server}: was not asked what it needs; start with ./launch/robot.sh"
        )
    return Requirements(
        cameras=cameras,
        targets=wire.targets or MOST_TARGETS,
        dt_s=wire.dt_s,
        instruction="text",
        prefix=bool(wire.prefix),
    )


def _with_sources(chosen: Config, elsewhere: PublishedWeights) -> Config:
    update: dict[str, Source] = {}
    for part, text in elsewhere.model_dump(exclude_none=True).items():
        if part not in type(chosen.published).model_fields:
            known = ", ".join(type(chosen.published).model_fields)
            raise RuntimeFault(f"policy.published.{part}: does not exist in policy {chosen.name}; give {known}")
        try:
            update[part] = Source.parse(text)
        except ValidationError as error:
            said = refusal.line(error, Source, {"repo": text})
            raise RuntimeFault(f"policy.published.{part}: {said}; give a folder, or REPOSITORY@COMMIT") from None
    there = chosen.model_copy(update={"published": chosen.published.model_copy(update=update)})
    values = there.model_dump()
    try:
        return type(chosen).model_validate(values)
    except ValidationError as error:
        raise RuntimeFault(f"policy.{refusal.line(error, type(chosen), values, refusal.place_of)}") from None


def policy_id(settings: Settings) -> str:
    """The id that tells policies apart: the checkpoint's, of size and seed where there is none, or the server's.

    Raises RuntimeFault.
    """
    if server := settings.policy.server:
        says = settings.policy.wire.model_dump_json(exclude=_NOT_THE_SERVERS)
        return hashlib.sha256(f"{server} {says}".encode()).hexdigest()[:16]
    try:
        return checkpoint_id(policy_config(settings), settings.policy.checkpoint, settings.seed)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def encoder_id(settings: Settings) -> str:
    """The id of what encodes instructions: published encoders serve every policy that names them; else the policy's own."""
    chosen = policy_config(settings)
    if chosen.text.kind == "byt5":
        return policy_id(settings)
    if isinstance(chosen, PolicyConfig):
        read_by = (chosen.text, chosen.published.text, chosen.published.video)
    else:
        read_by = (chosen.text, chosen.published.clip_text)
    return hashlib.sha256(repr(read_by).encode()).hexdigest()[:16]
