"""Reads settings: from flags over a profile, from the JSON of a run or a session, former versions included.
Called by every command and, with their run file, by every process.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from models import field, refusal
from runtime.config import profile, renamed
from runtime.config.command_line import CommandLine, Flags
from runtime.config.settings import Console, Settings
from runtime.errors import SettingsError


def profile_values(arguments: Sequence[str]) -> dict[str, Any]:
    """All settings under the profile that a command line names, as plain values, for its --help. Raises SettingsError."""
    settings = settings_of({"profile": profile.profile_of(arguments)})
    return settings.model_dump(exclude={"json_file"}) | {"json": settings.json_file}


LINE = CommandLine("robot", Flags, Settings)
"""A line of settings alone."""


def load_settings(arguments: Sequence[str]) -> Settings:
    """Settings from a profile and flags. Raises SettingsError with one line."""
    return settings_of(LINE.read_tree(arguments))


def settings_of(given: dict[str, Any]) -> Settings:
    """Settings from what flags give, over the profile that they name. Raises SettingsError with one line."""
    renamed.refuse(given, "--")
    name = given.get("profile", "sim")
    values, file = profile.read_profile(name)
    values.pop("profile", None)
    _check_kinds(values, file)
    _check_policy(given)
    if isinstance(policy := values.get("policy"), dict):  # else it is refused with the other settings
        for name in _given_up(given):
            policy.pop(name, None)
    return _checked(profile.merge(values, given | {"profile": name}), given, f"{file}: ")


def changed(settings: Settings, given: dict[str, Any]) -> Settings:
    """Other settings with what flags change. Raises SettingsError with one line."""
    _check_policy(given)
    values = settings.model_dump()
    for name in _given_up(given):
        del values["policy"][name]
    if "json" in given:
        del values["json_file"]
    return _checked(profile.merge(values, given), given, "")


def _checked(values: dict[str, Any], given: dict[str, Any], elsewhere: str) -> Settings:
    """Raises SettingsError with one line: of a flag where it was `given`, else of what lies `elsewhere`."""

    def named(setting: field.Field) -> str:
        below: Any = given
        for name in setting.path:
            below = below.get(name) if isinstance(below, dict) else None
        return refusal.flag_of(setting) if below is not None else f"{elsewhere}{setting.name}"

    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(refusal.line(error, Settings, values, named)) from None


def settings_to_json(settings: Settings) -> str:
    """All settings, for the run file that every process reads (runtime/process/base.py); `settings_from_json` undoes it."""
    return settings.model_dump_json()


def public_settings_json(settings: Settings) -> str:
    """Settings for sessions, which are passed on: without what lets people in, and without where this machine serves."""
    console = Console(enabled=settings.console.enabled)
    wire = settings.policy.wire.model_copy(update={"token": "", "certificate": None})
    policy = settings.policy.model_copy(update={"wire": wire})
    return settings.model_copy(update={"console": console, "policy": policy}).model_dump_json()


def settings_from_json(text: str) -> Settings:
    """Settings from the JSON of this version or a former one. Raises SettingsError."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise SettingsError(f"settings {refusal.shown(values)}: must be a table")
    return _checked(renamed.upgraded(values), {}, "")


def _check_kinds(values: dict[str, Any], file: Path) -> None:
    """A file has numbers where numbers belong: `true` would be 1, and "3" is a text. Raises SettingsError."""
    for setting in field.leaves(Settings):
        if not isinstance(refusal.given(values, setting.path[:-1]), dict):
            continue  # the group itself is wrong
        value = refusal.given(values, setting.path)
        items = cast(list[object], value) if isinstance(value, list) else [value]
        if setting.is_number and any(isinstance(item, bool | str) for item in items):
            raise SettingsError(refusal.refused(setting, value, lambda setting: f"{file}: {setting.name}"))


def _given_up(flags: dict[str, Any]) -> tuple[str, ...]:
    """Which settings of the policy below the flags mean nothing, since these name another one: by size, folder or server."""
    policy = flags.get("policy", {})
    if policy.get("server"):
        return ("checkpoint", "wire")
    if "size" in policy:
        return ("checkpoint", "server", "wire")
    return ("server", "wire") if policy.get("checkpoint") else ()


def _check_policy(flags: dict[str, Any]) -> None:
    policy = flags.get("policy", {})
    if policy.get("checkpoint") and "size" in policy:
        size = policy["size"]
        raise SettingsError(
            f"--policy.size {size}: the checkpoint {policy['checkpoint']} has its own size; leave one out"
        )
    for name in ("checkpoint", "size"):
        if policy.get("server") and policy.get(name):
            raise SettingsError(f"--policy.{name}: --policy.server {policy['server']} has the policy; leave one out")
