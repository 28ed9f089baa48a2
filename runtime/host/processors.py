"""How many processors this process may use, by its affinity and by the limits of its control groups.
Called wherever work is spread over them, and where an overloaded machine is told.

A container with two processors of a machine of 64 sees 64: as many workers would share two, each with its own memory.
"""

import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_processors(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """Processors that this process may use all the time, at least 1.

    Args:
        groups: Where control groups are mounted (cgroups(7)): version 2's `cpu.max`, version 1's `cpu.cfs_quota_us`.
        own: The file that names this process's groups.
    """
    return max(1, min([len(os.sched_getaffinity(0)), *(int(share) for share in _shares(groups, own))]))


def _shares(groups: Path, own: Path) -> Iterator[float]:
    """What each control group above this process allows, in processors; nothing where there is no limit."""
    for folder in _folders(groups, own):
        words = _text(folder / "cpu.max").split()
        if len(words) != 2:
            words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        quota, period = words
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            yield int(quota) / int(period)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """The folder of each group that this process is in, and all above it."""
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in (groups / controllers, groups / "cpu") if controllers else (groups,):
            inner = mount / name.strip("/")
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(mount))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # this version has no such file, or nothing is mounted there
        return ""
