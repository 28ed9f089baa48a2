"""A Video Policy behind the seam: opened by its checkpoint, played on the virtual clock, refused where it does not fit.
Called by pytest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_video_policy
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.config.loading import load_settings
from runtime.config.policy import policy_id, policy_needs
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.policy import push
from runtime.policy.networks import open_checkpoint, open_video2act, slow_system
from runtime.policy.opening import Policy, open_policy
from runtime.policy.protocols import Observation

Chunk = NDArray[np.float32]
FRAMES: dict[str, Sequence[int]] = dict.fromkeys(CAMERAS, (3,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("policy") / "tiny"
    tiny_video_policy.store(made)
    return made


@pytest.fixture
def settings(folder: Path) -> Settings:
    return load_settings(["--policy.checkpoint", str(folder)])


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def chunk(policy: Policy, text: str = "put it down", seen: int = 0, **changes: object) -> Chunk:
    """A chunk after one condition; `seen` draws System 2's pictures."""
    policy.slow.clear()
    for place, camera in enumerate(CAMERAS):
        policy.slow.encode_frame(camera, 3, picture(seen + place))
    instruction = policy.instruct(text)
    understood = policy.slow.encode_video(FRAMES, instruction)
    policy.fast.encode_images((4, 4, 4), policy.fast.prepare_images(tuple(picture(9) for _ in CAMERAS)))
    values = {
        "sets": ((4, 4, 4),), "q": ready_pose(), "instruction": instruction, "conditions": understood.arrays,
        "conditions_age_s": 0.1, "prefix": np.zeros((0, 14)), "noise_seed": 2,
    } | changes  # fmt: skip
    return policy.fast.predict_chunk(Observation(**values))  # pyright: ignore[reportArgumentType]


def test_its_conditions_are_those_that_it_announces(settings: Settings) -> None:
    policy = open_policy(settings)
    needs = policy_needs(settings)
    assert policy.slow.needs == policy.fast.needs == needs and policy.checkpoint_id == policy_id(settings)
    assert [(window.camera, window.frames) for window in needs.windows] == [(camera, 1) for camera in CAMERAS]
    for camera in CAMERAS:
        policy.slow.encode_frame(camera, 3, picture(1))
        assert policy.slow.has_frame(camera, 3)
    found = policy.slow.encode_video(FRAMES, policy.instruct("put it down")).arrays
    assert {name: (array.dtype, array.shape) for name, array in found.items()} == {
        one.name: (one.dtype, one.shape) for one in needs.conditions
    }


def test_chunks_follow_what_system_2_saw_and_was_told(settings: Settings) -> None:
    policy = open_policy(settings)
    first = chunk(policy)
    assert first.shape == (48, 14) and np.array_equal(first, chunk(policy))
    assert np.abs(first - chunk(policy, seen=20)).max() > 1e-5
    assert np.abs(first - chunk(policy, text="push it")).max() > 1e-5
    assert np.abs(first - chunk(policy, conditions_age_s=1.0)).max() > 1e-5
    prefix = np.tile(ready_pose() + 0.01, (4, 1))
    assert np.array_equal(chunk(policy, prefix=prefix)[:4], prefix.astype(np.float32))


def test_what_it_expects_is_drawn_when_it_is_asked_for(settings: Settings) -> None:
    policy = open_policy(settings)
    assert policy.slow.expected() is None, "before its first condition"
    chunk(policy)
    draw = policy.slow.expected()
    chunk(policy, seen=40)
    assert draw is not None
    before, again = draw(), policy.slow.expected()
    assert again is not None
    after = again()
    assert (before.camera, len(before.pictures), before.apart_s) == ("head", 2, 0.2)
    assert not np.array_equal(before.seen, after.seen), "each is drawn of its own conditions"


def test_sizes_are_opened_by_name() -> None:
    needs = policy_needs(load_settings(["--policy.size", "video-policy-small"]))
    assert (needs.targets, needs.conditions[0].shape) == (48, (8, 2, 256))
    full = policy_needs(load_settings(["--policy.size", "video-policy-full"]))
    assert full.conditions[0].shape == (30, 2, 6720)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--system2.engine", "onnx"), "engine onnx: does not run a Video Policy; leave it out"),
        (("--system2.storage", "float8"), "storage float8: does not run a Video Policy; leave it out"),
        (
            ("--policy.published.head", "/x"),
            "policy.published.head: does not exist in policy tiny; give video_unet, clip_text",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(flags: tuple[str, str], said: str, folder: Path) -> None:
    chosen = load_settings(["--policy.checkpoint", str(folder), *flags])
    with pytest.raises(RuntimeFault, match=said):
        slow_system(chosen, open_checkpoint(chosen))


def test_commands_for_video2act_say_so(settings: Settings, folder: Path) -> None:
    with pytest.raises(RuntimeFault, match=f"policy {folder}: is a Video Policy; this command takes one of Video2Act"):
        open_video2act(settings)


def test_it_is_checked_before_it_is_put_on_the_hub(folder: Path) -> None:
    assert push._checked(folder).conditions[0].name == "features"  # pyright: ignore[reportPrivateUsage]
