"""Profiles and flags before they are settings: read, laid over each other, and what is wrong with them in one line.
Called by settings.py and overrides.py, and by commands that lay a session's settings below flags.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast

from models import hub_policy
from models.refusal import nearest
from runtime.config import renamed
from runtime.errors import SettingsError
from runtime.host import plain_file

PROFILES = Path(__file__).parent / "profiles"
_LARGEST_BYTES = 1 << 20  # of a profile; chosen: a hundred times one with every setting


def merge(below: dict[str, Any], above: dict[str, Any], kinds: bool = False) -> dict[str, Any]:
    """Lay `above` over `below`, group by group, into a new tree.

    `kinds`: where both have a group of another `kind`, the one below is dropped, since its values mean nothing there.
    """
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            over, old = cast(dict[str, Any], value), cast(dict[str, Any], under)
            another = kinds and "kind" in over and over["kind"] != old.get("kind")
            merged[key] = over if another else merge(old, over, kinds)
        else:
            merged[key] = value
    return merged


def profile_of(arguments: Sequence[str]) -> str:
    """The profile that a command line names, `sim` where it names none; the line itself may be wrong elsewhere."""
    for index, argument in enumerate(arguments):
        if argument.startswith("--profile="):
            return argument.partition("=")[2]
        if argument == "--profile" and index + 1 < len(arguments):
            return arguments[index + 1]
    return "sim"


def read_profile(profile: str) -> tuple[dict[str, Any], Path]:
    """What a profile holds, by its name or as a TOML file, and where it lies. Raises SettingsError."""
    path = Path(profile) if profile.endswith(".toml") else PROFILES / f"{profile}.toml"
    flag = f"--profile {profile or '(empty)'}"
    try:
        values = tomllib.loads(plain_file.read(path, _LARGEST_BYTES, links=True).decode())
    except FileNotFoundError:
        known = sorted(file.stem for file in PROFILES.glob("*.toml"))
        remedy = f"choose one of {', '.join(known)}, or give a TOML file{nearest(profile, known)}"
        raise SettingsError(f"{flag:.200}: does not exist; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError):
            raise SettingsError(f"{flag:.200}: {path}: cannot be read ({error.strerror}); give a TOML file") from None
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise SettingsError(f"{flag:.200}: {path} is not TOML ({reason}); fix it there") from None
    renamed.refuse(values, f"{path}: ")
    policy = values.get("policy")
    if (
        isinstance(policy, dict)
        and _is_path(checkpoint := policy.get("checkpoint"))
        and not hub_policy.parts(checkpoint)
    ):
        policy["checkpoint"] = str((path.parent / checkpoint).resolve())  # relative to the profile's own file
    return values, path


def _is_path(value: object) -> TypeGuard[str]:
    """Whether a value can be joined to a folder; what is no path is refused with the other settings."""
    return isinstance(value, str) and value != "" and "\0" not in value
