"""Another scene's conditions in place of an episode's own: the right one by its time, and the scene stays its own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny_checkpoint
import torch

from drivers.task_names import KEPT_FROM
from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.evaluation import command
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.swap import Conditions, partner_of
from runtime.evaluation.world import World
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.policy.opening import Policy, open_policy

Build = Callable[..., Any]


def condition(build: Build, number: int) -> messages.Conditions:
    return build(
        messages.Conditions, seq=number, arrays={"spatial": Array("float32", np.full((1,), number, np.float32))}
    )


def test_conditions_are_noted_and_heard_as_they_are(build: Build) -> None:
    conditions = Conditions()
    made = [condition(build, number) for number in range(3)]
    assert [conditions.heard(one, 10 * place) for place, one in enumerate(made)] == made
    assert [time for time, _ in conditions.own] == [0, 10, 20]


def test_what_is_put_in_is_the_partners_newest_of_that_time(build: Build) -> None:
    theirs = [(100, condition(build, 7)), (300, condition(build, 8))]
    conditions = Conditions(given=theirs)
    for since_ns, wanted in ((50, 7), (100, 7), (299, 7), (300, 8), (9000, 8)):
        made = condition(build, 1)
        heard = conditions.heard(made, since_ns)
        assert heard.arrays == theirs[wanted - 7][1].arrays
        assert (heard.seq, heard.capture_ns, heard.stamp_ns) == (made.seq, made.capture_ns, made.stamp_ns)


def test_partners_are_other_scenes_of_evaluation_that_are_not_played() -> None:
    scenes = range(KEPT_FROM, KEPT_FROM + 1000)
    partners = {partner_of(seed) for seed in scenes}
    assert len(partners) == len(scenes) and partners.isdisjoint(scenes) and min(partners) >= KEPT_FROM


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return open_policy(load_settings(tiny_checkpoint.flags()))


def test_an_episode_with_swapped_conditions_is_played_on_its_own_scene(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes: list[int] = []
    world = World(load_settings([*tiny_checkpoint.flags(), "--task", "pick_apple_messy"]), policy, Latencies())
    reset = world._physics.reset  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(world._physics, "reset", lambda seed, fixed: (scenes.append(seed), reset(seed, fixed)))  # pyright: ignore[reportPrivateUsage]
    plain = world.run(KEPT_FROM, "pick the apple", limit_s=0.8)
    swapped = world.run(KEPT_FROM, "pick the apple", limit_s=0.8, swap=True)
    world.close()
    assert scenes == [KEPT_FROM, partner_of(KEPT_FROM), KEPT_FROM]
    assert swapped.conditions == plain.conditions > 0


def test_experts_have_no_conditions_to_swap() -> None:
    with pytest.raises(SettingsError, match="--swap system2: does not apply to --expert"):
        command.main(["--expert", "--swap", "system2"])
