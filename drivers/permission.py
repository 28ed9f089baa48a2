"""Why this user may not open a device: the group that may, and the command that puts him into it.

Used by drivers/uvc.py and drivers/realsense.py before a library says that there is no such device.
"""

import grp
import os
import pwd
import stat
from pathlib import Path


def refusal(device: Path) -> str:
    """Why the device cannot be opened for lack of permission, with the remedy; empty: it may be opened, or is not there."""
    try:
        state = device.stat()
    except OSError:
        return ""
    if os.access(device, os.R_OK | os.W_OK, effective_ids=True):
        return ""
    user = _user(os.geteuid())
    if not state.st_mode & stat.S_IRGRP or not state.st_mode & stat.S_IWGRP:
        return f"{device}: no permission for {user}, nor for any group; install the udev rules of deploy/"
    group = _group(state.st_gid)
    if user in group.gr_mem:  # since its login
        return f"{device}: no permission for {user}, who was put into group {group.gr_name} later; log out and in again"
    return (
        f"{device}: no permission for {user}, who is not in group {group.gr_name}; "
        f"run sudo usermod -a -G {group.gr_name} {user}, then log out and in again"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container's
        return str(number)


def _group(number: int) -> grp.struct_group:
    try:
        return grp.getgrgid(number)
    except KeyError:
        return grp.struct_group((str(number), "", number, []))
