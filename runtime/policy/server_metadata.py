"""What a policy server says of itself before it is asked for anything, and what settings add where it says nothing.
Called by the commands that run a policy, before anything moves, and by remote_policy.py at each connection.

Keys are those of `video2act serve` (runtime/serving/command.py). Servers of openpi say none of them: nothing is guessed then.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from models.config.policy import JOINT_LAYOUT
from runtime.config.settings import Settings
from runtime.config.wire_settings import LONGEST_ID, Wire, WireCameras
from runtime.errors import RuntimeFault
from runtime.messaging.messages import MOST_TARGETS
from runtime.messaging.openpi import ALOHA_CAMERAS

SHARES_LAYOUT = JOINT_LAYOUT.removesuffix("m") + "share of the opening"
"""What `state` says where grippers are shares of their opening."""
_LAYOUTS = {JOINT_LAYOUT: "m", SHARES_LAYOUT: "share"}
_NAMES = ("policy",)  # what it is, besides what `read` takes
_LETTERS = 120  # of a value that are compared and shown; chosen: a line's worth
_SIDES_PX = (16, 4096)  # of a picture, as a camera's settings have it
_ASKED = {
    "cameras": "--policy.wire.cameras.head KEY (and left_wrist, right_wrist)",
    "dt_s": "--policy.wire.dt_s SECONDS",
    "targets": "--policy.wire.targets N",
    "grippers": "--policy.wire.grippers m|share",
    "frame": "--policy.wire.frame absolute|relative",
    "pictures": "--policy.wire.pictures camera|WxH",
}
"""The flag for each setting that must be known; `targets` only where a prefix is sent."""


def completed(settings: Settings, metadata: Any) -> Settings:
    """Settings that say all of a server's policy, so that neither a run nor its replay needs the metadata again.

    Args:
        settings: With `policy.server`.
        metadata: As it was unpacked.

    Raises:
        RuntimeFault: Something is missing, contradicts a flag, or is not what it must be; one line with the flags to give.
    """
    policy = settings.policy
    try:
        known = read(metadata)
        wrong = disagreement(policy.wire, known)
    except RuntimeFault as error:
        wrong, known = str(error), {}
    if wrong:
        raise RuntimeFault(f"--policy.server {policy.server}: {wrong}")
    wire = policy.wire.model_copy(update=known)
    if wire.prefix is None:
        wire = wire.model_copy(update={"prefix": False})
    wanted = [name for name in _ASKED if name != "targets" or wire.prefix]
    if missing := [name for name in wanted if not _given(wire, name)]:
        flags = ", ".join(_ASKED[name] for name in missing)
        raise RuntimeFault(f"--policy.server {policy.server}: does not say {', '.join(missing)}; give {flags}")
    return settings.model_copy(update={"policy": policy.model_copy(update={"wire": wire})})


def read(metadata: Any) -> dict[str, Any]:
    """What a server says, by the names of the settings in `policy.wire`.

    Raises:
        RuntimeFault: A value is not what it must be, or is what this robot cannot do.
    """
    if not isinstance(metadata, dict):
        raise RuntimeFault(f"its metadata must be a map, got {type(metadata).__name__}; give a policy server's address")
    given = cast(dict[Any, Any], metadata)
    found = {name: reader(given[key]) for key, (name, reader) in _READERS.items() if key in given}
    return {name: value for name, value in found.items() if value is not None}


def identity(metadata: Any) -> dict[str, str]:
    """What tells a server's policy from others, as far as it says it: all that `read` takes, and which policy it is.

    Args:
        metadata: As it was unpacked.

    Returns:
        The value of each key, as text.
    """
    given = cast(dict[Any, Any], metadata) if isinstance(metadata, dict) else {}
    return {key: repr(given[key])[:_LETTERS] for key in (*_READERS, *_NAMES) if key in given}


def change(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """By what a server is another one than before; empty: by nothing. Both of `identity`."""
    if missing := ", ".join(sorted(before.keys() - now)):
        return f"no longer says {missing}, as it did at first: another policy? restart"
    differs = sorted(key for key in before if before[key] != now[key])
    texts = [f"{key} {now[key]}, at first {before[key]}" for key in differs]
    return f"says {'; '.join(texts)}: another policy? restart" if texts else ""


def disagreement(wire: Wire, known: Mapping[str, Any]) -> str:
    """In what a server contradicts the settings; empty: in nothing.

    Args:
        wire: As flags give it, or as it was completed at the start.
        known: Of `read`.
    """
    for name, value in known.items():
        if _given(wire, name) and getattr(wire, name) != value:
            mine, theirs = _shown(getattr(wire, name)), _shown(value)
            return f"says {theirs} for {name}, but --policy.wire.{name} is {mine}; leave the flag out, and restart"
    return ""


def _given(wire: Wire, name: str) -> bool:
    return getattr(wire, name) not in (None, WireCameras())


def _shown(value: Any) -> str:
    keys = value.by_camera() if isinstance(value, WireCameras) else None
    return str(value) if keys is None else " ".join(f"{name}={key}" for name, key in keys.items())


def _cameras(value: Any) -> WireCameras | None:
    """The keys of the cameras; None where it wants one that is none of this robot's by name."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in cast(list[Any], value)):
        raise RuntimeFault(f"its cameras must be a list of names, got {value!r:.60}; fix the server")
    keys = {key: camera for camera, usual in ALOHA_CAMERAS.items() for key in (camera, usual)}
    wanted = cast(list[str], value)
    if len({keys.get(key, key) for key in wanted}) != len(wanted):
        raise RuntimeFault(f"its cameras must each be named once, got {value!r:.90}; fix the server")
    return WireCameras(**{keys[key]: key for key in wanted}) if wanted and set(wanted) <= set(keys) else None


def _number(name: str, least: float, most: float) -> Callable[[Any], float]:
    def reader(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise RuntimeFault(f"its {name} must be {least:g} to {most:g}, got {value!r:.60}; fix the server")
        return float(value)

    return reader


def _targets(value: Any) -> int:
    number = _number("action_horizon", 1, MOST_TARGETS)(value)
    if not number.is_integer():
        raise RuntimeFault(f"its action_horizon must be a whole number, got {value!r:.60}; fix the server")
    return int(number)


def _one_of(name: str, words: Mapping[str, str]) -> Callable[[Any], str]:
    def reader(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise RuntimeFault(f"its {name} must be {' or '.join(map(repr, words))}, got {value!r:.90}; fix the server")
        return words[value]

    return reader


def _pictures(value: Any) -> str:
    if value == "any":
        return "camera"
    sides = cast(list[Any], value) if isinstance(value, list | tuple) else []
    least, most = _SIDES_PX
    if len(sides) != 2 or not all(type(side) is int and least <= side <= most for side in sides):
        raise RuntimeFault(f"its pictures must be 'any' or [width, height] in px, got {value!r:.60}; fix the server")
    return f"{sides[0]}x{sides[1]}"


def _checkpoint(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise RuntimeFault(
            f"its checkpoint must be a text of 1 to {LONGEST_ID} letters, got {value!r:.60}; fix the server"
        )
    return value


def _prefix(value: Any) -> bool:
    return isinstance(value, list | tuple) and "prefix" in value


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "cameras": ("cameras", _cameras),
    "dt_s": ("dt_s", _number("dt_s", 0.001, 1.0)),
    "action_horizon": ("targets", _targets),
    "state": ("grippers", _one_of("state", _LAYOUTS)),
    "actions": ("frame", _one_of("actions", {"absolute": "absolute", "relative": "relative"})),
    "pictures": ("pictures", _pictures),
    "takes": ("prefix", _prefix),
    "checkpoint": ("checkpoint", _checkpoint),
}
"""By the metadata's key: the setting that it stands for, and how it is read."""
