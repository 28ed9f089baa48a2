"""What a LeRobot policy is for a client of openpi: its cameras by this robot's names, and its metadata.
Called by command.py; runtime/policy/server_metadata.py reads such metadata.
"""

from collections.abc import Mapping
from typing import Any

from runtime.errors import SettingsError
from runtime.lerobot.checkpoint import Checkpoint
from runtime.lerobot.flags import CAMERAS
from runtime.messaging.openpi import ALOHA_CAMERAS

LAYOUTS = {
    "m": "left j1..j6, left gripper, right j1..j6, right gripper; rad, m",
    "share": "left j1..j6, left gripper, right j1..j6, right gripper; rad, share of the opening",
}
"""What `state` says in the metadata, by what grippers are counted in."""


def cameras(checkpoint: Checkpoint, given: Mapping[str, str]) -> dict[str, str]:
    """The checkpoint's key of each camera of this robot that it sees.

    Args:
        checkpoint: Its cameras may be named as this robot's or as ALOHA's.
        given: The robot's camera by the checkpoint's name, of those that are named otherwise.

    Raises:
        SettingsError: A name is neither known nor given, or not the checkpoint's; one line with the flag.
    """
    names = checkpoint.names()
    if unknown := [name for name in given if name not in names]:
        raise SettingsError(f"--cameras {unknown[0]}: is no camera of the checkpoint; expected {', '.join(names)}")
    known = {name: camera for camera, usual in ALOHA_CAMERAS.items() for name in (camera, usual)} | dict(given)
    if missing := [name for name in names if name not in known]:
        flag = ",".join(f"{name}={'|'.join(CAMERAS)}" for name in missing)
        raise SettingsError(
            f"--lerobot {checkpoint.folder}: cameras {', '.join(missing)} are unknown; give --cameras {flag}"
        )
    found: dict[str, str] = {}
    for name, key in names.items():
        if known[name] in found:
            raise SettingsError(
                f"--cameras {name}={known[name]}: {known[name]} is another camera of the checkpoint already"
            )
        found[known[name]] = key
    return {camera: found[camera] for camera in CAMERAS if camera in found}


def metadata(checkpoint: Checkpoint, keys: Mapping[str, str], dt_s: float, grippers: str) -> dict[str, Any]:
    """What a client is sent first.

    Args:
        checkpoint: Whose policy is served.
        keys: The checkpoint's key of each camera.
        dt_s: Between two targets.
        grippers: m or share.
    """
    sizes = set(checkpoint.pictures.values())
    one_size = len(sizes) == 1 and not checkpoint.resizes
    return {
        "policy": f"lerobot {checkpoint.kind}",
        "checkpoint": checkpoint.id(),
        "cameras": list(keys),
        "state": LAYOUTS[grippers],
        "action_horizon": checkpoint.targets,
        "dt_s": dt_s,
        "actions": "absolute",
        "pictures": list(next(iter(sizes))) if one_size else "any",
        "takes": [],
    }
