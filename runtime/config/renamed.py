"""Settings that were called otherwise before: in a profile or a flag one line names the new one; old sessions still open.
Called when flags, profiles and the settings of a session are read.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from runtime.errors import SettingsError


@dataclass(frozen=True)
class Renamed:
    """The new name, and the new values of old ones where these changed too."""

    to: str
    values: dict[Any, Any] = field(default_factory=dict[Any, Any])

    def said(self, value: Any) -> str:
        """The new setting, with the value that means the same as an old `value`."""
        if self.values.get(value) in (True, False):
            head, _, last = self.to.rpartition(".")
            no = "" if self.values[value] else "no-"
            return f"--{no}{head}{'.' if head else ''}{last}"
        return f"--{self.to} {self.values.get(value, value)}"


SETTINGS: dict[str, Renamed] = {
    "arms.masters": Renamed("arms.leaders"),
    "arms.master_interfaces": Renamed("arms.leader_interfaces"),
    "arms.resume": Renamed("arms.auto_resume", {"itself": True, "order": False}),
    "cameras.late_s": Renamed("cameras.max_frame_age_s"),
    "cameras.behind_s": Renamed("cameras.max_lag_s"),
}
GONE: dict[str, str] = {
    "follow": "no longer a setting; run ./launch/replay.sh SESSION --on-robot",
    "arms.unfit": "no longer a setting; the preflight checks decide it",
}
GONE_VALUES: dict[tuple[str, str], tuple[str, str]] = {
    ("arms.leaders", "shared"): (
        "unplugged",
        "no longer a value; unplug the leaders, which only record.sh expects on the arms' CAN buses",
    ),
}
"""A value that was taken away: what stands in its place in old sessions, and what to do instead."""
LATER: dict[str, str] = {
    "system1.engine": "torch",
    "system2.engine": "torch",
    "system2.windows": "frames",
    "system1.numerics": "plain",
    "system2.numerics": "plain",
    "trajectory.numerics": "lapack",
}
"""Settings that former versions did not have: what stands for them in the settings of their sessions."""
FLAGS: dict[str, str] = {"width": "width-px", "height": "height-px", "profile": "size"}
"""Of single commands."""


def refuse(values: dict[str, Any], where: str) -> None:
    """Raises SettingsError for the first old name in a tree of settings; `where` begins the line."""
    for old, new in SETTINGS.items():
        group, value = _at(values, old)
        if group is not None and (new.to, value) not in GONE_VALUES:
            raise SettingsError(f"{where}{old} = {value}: is now {new.to}; write {_toml(new, value)}")
    for old, remedy in GONE.items():
        if _at(values, old)[0] is not None:
            raise SettingsError(f"{where}{old}: {remedy}")
    for (name, gone), (_, remedy) in GONE_VALUES.items():
        formerly = [old for old, new in SETTINGS.items() if new.to == name]
        if any(_at(values, known)[1] == gone for known in (name, *formerly)):
            raise SettingsError(f"{where}{name} {gone}: {remedy}")


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The tree that a session stored, under today's names; changes it. What is gone is part of its run's role."""
    for old, new in SETTINGS.items():
        group, value = _at(values, old)
        if group is not None:
            del group[old.rpartition(".")[2]]
            group[new.to.rpartition(".")[2]] = new.values.get(value, value) if isinstance(value, str) else value
    for old in GONE:
        group, _ = _at(values, old)
        if group is not None:
            del group[old.rpartition(".")[2]]
    for (name, gone), (instead, _) in GONE_VALUES.items():
        group, value = _at(values, name)
        if group is not None and value == gone:
            group[name.rpartition(".")[2]] = instead
    for name, formerly in LATER.items():
        above, _, last = name.rpartition(".")
        group = _at(values, above)[1]
        if isinstance(group, dict):
            group.setdefault(last, formerly)
    return values


def _at(values: dict[str, Any], name: str) -> tuple[dict[str, Any] | None, Any]:
    """The group that holds a setting of that name, and its value."""
    *groups, last = name.split(".")
    for group in groups:
        below = values.get(group)
        if not isinstance(below, dict):
            return None, None
        values = below
    return (values, values[last]) if last in values else (None, None)


def _toml(new: Renamed, value: Any) -> str:
    return f"{new.to} = {json.dumps(new.values.get(value, value))}"
