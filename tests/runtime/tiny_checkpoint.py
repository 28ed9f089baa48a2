"""A checkpoint of the tiny policy, made once, for whatever a policy has to run in but need not be able to do anything."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import tiny_policy

from drivers.cobot_magic import CAMERAS
from drivers.sim.tasks import TASKS, make_task
from runtime.config.loading import load_settings
from runtime.policy import instruct
from runtime.policy.embedding_cache import EmbeddingCache

PICTURES = {
    f"--cameras.{camera}.{name}": value
    for camera in CAMERAS
    for name, value in (("width_px", "64"), ("height_px", "48"))
}
"""Flags for as small pictures."""


@cache
def _made() -> Path:
    """The folder of these tests' process."""
    folder = Path(tempfile.mkdtemp(prefix="video2act-tests-"))
    atexit.register(shutil.rmtree, folder)
    tiny_policy.store(folder / "policy")
    return folder


def policy() -> Path:
    """The folder of the checkpoint, made at the first call."""
    return _made() / "policy"


@cache
def caches() -> Path:
    """A folder for XDG_CACHE_HOME, in which the tasks' instructions are encoded: no run waits for a child that does it."""
    cache = EmbeddingCache(_made() / "cache" / "video2act" / "instructions")
    texts = [make_task(task).instructions[0] for task in TASKS]
    instruct.encode(load_settings(["--policy.checkpoint", str(policy())]), texts, cache)
    return _made() / "cache"


def flags() -> list[str]:
    """Settings of a run with it."""
    return ["--policy.checkpoint", str(policy()), *(word for flag in PICTURES.items() for word in flag)]
