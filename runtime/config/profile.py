"""Profiles and flags before they are settings: read, laid over each other, and what is wrong with them in one line."""

import re
import tomllib
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_settings.exceptions import SettingsError as CliError

from runtime.errors import SettingsError

PROFILES = Path(__file__).parent / "profiles"


def not_read(error: CliError, arguments: list[str]) -> str:
    """What is wrong with flags that could not even be read; of a value in a list the library names only the group."""
    if found := re.search(r'error parsing value for field "(\w+)"', str(error)):
        flags = [word for word in arguments if word.startswith(f"--{found.group(1)}.")]
        return f"{', '.join(flags)}: a value cannot be read; a list is written 1,2,3, and of finite numbers"
    return f"{error}; --help lists all flags"


def merge(below: dict[str, Any], above: dict[str, Any], kinds: bool = False) -> dict[str, Any]:
    """`above` over `below`, group by group. `kinds`: values of a group of another `kind` mean nothing to the one above."""
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


def profile_of(arguments: list[str]) -> str:
    """The profile that a command line names, `sim` where it names none."""
    for index, argument in enumerate(arguments):
        if argument.startswith("--profile="):
            return argument.partition("=")[2]
        if argument == "--profile" and index + 1 < len(arguments):
            return arguments[index + 1]
    return "sim"


def read_profile(profile: str) -> dict[str, Any]:
    """What a profile holds, by its name or as a TOML file. Raises SettingsError."""
    path = Path(profile) if profile.endswith(".toml") else PROFILES / f"{profile}.toml"
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.toml")))
        raise SettingsError(
            f"--profile {profile}: no such profile; choose one of {known} or give a TOML file"
        ) from None
    except OSError as error:
        raise SettingsError(f"--profile {profile}: {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"--profile {profile}: {path} is not TOML: {error}") from None
    policy = values.get("policy")
    if isinstance(policy, dict) and isinstance(checkpoint := policy.get("checkpoint"), str):
        policy["checkpoint"] = str((path.parent / checkpoint).resolve())  # relative to the profile's own file
    return values


def one_line(error: ValidationError) -> str:
    """What is wrong with a value, and which."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # what does not fit together
        return str(first["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    value = f" (got {first['input']!r:.80})" if first["type"] != "extra_forbidden" else ""
    remedy = "unknown key; --help lists all" if first["type"] == "extra_forbidden" else first["msg"]
    return f"--{where}: {remedy}{value}"
