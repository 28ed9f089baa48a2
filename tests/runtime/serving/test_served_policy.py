"""The shipped policy as clients get it: both systems, a history, prefixes, nothing of the client before. Called by pytest."""

from dataclasses import replace

import numpy as np
import pytest

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.config.loading import load_settings
from runtime.errors import WireError
from runtime.messaging.openpi_observation import Seen
from runtime.policy.opening import Policy, open_policy
from runtime.policy.protocols import Observation
from runtime.serving.served_policy import ServedPolicy

PERIOD_NS = 200_000_000
SETTINGS = load_settings(["--system1.device", "cpu", "--system2.device", "cpu"])


@pytest.fixture(scope="module")
def policy() -> Policy:
    return open_policy(SETTINGS)


def seen(number: int, prompt: str = "put the container on the plate") -> Seen:
    """Noise drawn from a number."""
    random = np.random.default_rng(number)
    pictures = {camera: random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for camera in CAMERAS}
    return Seen(pictures, ready_pose(), prompt, np.zeros((0, 14)))


def chunks(served: ServedPolicy, numbers: range) -> list[np.ndarray]:
    """Of a client that has just come."""
    served.begin(0)
    return [served.chunk(seen(number), place * PERIOD_NS) for place, number in enumerate(numbers)]


@pytest.fixture(scope="module")
def served(policy: Policy) -> ServedPolicy:
    return ServedPolicy(SETTINGS.model_copy(update={"ratio": 1}), policy)


def test_the_same_observations_give_the_same_chunks_and_nothing_of_others_stays(served: ServedPolicy) -> None:
    first = chunks(served, range(3))
    chunks(served, range(5, 8))
    again = chunks(served, range(3))
    assert all(one.shape == (64, 14) and one.dtype == np.float32 for one in first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(first[0] - first[1]).max() > 1e-3


def test_it_is_what_both_systems_make_of_the_pictures(served: ServedPolicy, policy: Policy) -> None:
    """The first observation, through the seam: before it the scene looked like it."""
    found = chunks(served, range(1))[0]
    shown, encoded = seen(0), policy.instruct(seen(0).prompt)
    policy.fast.clear()
    policy.slow.clear()
    for window in policy.slow.needs.windows:
        policy.slow.encode_frame(window.name, 0, shown.pictures["head"])
    understood = policy.slow.encode_video({w.name: [0] * w.frames for w in policy.slow.needs.windows}, encoded)
    policy.fast.encode_images((0, 0, 0), policy.fast.prepare_images(tuple(shown.pictures[name] for name in CAMERAS)))
    expected = policy.fast.predict_chunk(
        Observation(((0, 0, 0),) * 2, shown.q, encoded, understood.arrays, 0.0, shown.prefix, 0)
    )
    np.testing.assert_array_equal(found, expected)


def test_what_was_seen_before_is_part_of_a_chunk(served: ServedPolicy) -> None:
    """By the history of System 1 and the windows of System 2."""
    served.begin(0)
    other = [served.chunk(seen(number), place * PERIOD_NS) for place, number in enumerate((7, 8, 2))]
    assert np.abs(other[2] - chunks(served, range(3))[2]).max() > 1e-3


def test_system_2_runs_before_every_nth_chunk(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    real = policy.slow.encode_video
    monkeypatch.setattr(
        policy.slow, "encode_video", lambda windows, text: (runs.append(len(runs)), real(windows, text))[1]
    )
    chunks(ServedPolicy(SETTINGS.model_copy(update={"ratio": 3}), policy), range(7))
    assert len(runs) == 3


def test_committed_targets_are_kept_and_continued(served: ServedPolicy) -> None:
    served.begin(0)
    prefix = np.tile(ready_pose(), (8, 1)) + 0.01
    found = served.chunk(replace(seen(0), prefix=prefix), 0)
    np.testing.assert_allclose(found[:8], prefix, atol=1e-5)
    assert np.abs(found[8] - prefix[-1]).max() < 0.2


def test_an_instruction_holds_until_another_comes(served: ServedPolicy) -> None:
    served.begin(0)
    with pytest.raises(WireError, match="prompt: is missing"):
        served.chunk(seen(0, ""), 0)
    served.begin(0)
    first, then = served.chunk(seen(0), 0), served.chunk(seen(1, ""), PERIOD_NS)
    same = chunks(served, range(2))
    np.testing.assert_array_equal(first, same[0])
    np.testing.assert_array_equal(then, same[1])
    served.begin(0)
    served.chunk(seen(0), 0)
    assert np.abs(served.chunk(seen(1, "pick the apple up"), PERIOD_NS) - then).max() > 1e-4
