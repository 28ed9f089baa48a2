"""What operators change in mid-run: the supervisor's plan, and what both systems and the arms make of it. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest
from arms_rig import Rig

from runtime.config import live_tuning
from runtime.config.loading import load_settings
from runtime.messaging import messages
from runtime.supervisor import operator_changes
from runtime.supervisor.operator_changes import Plan

Build = Callable[..., Any]
PLAN = Plan("hand the block over", 5)
NOTHING = {"instruction": None, "ratio": None, "blend": None, "result": None, "note": "", "next_episode": False}


@pytest.fixture
def wish(build: Build) -> Callable[..., messages.Steering]:
    return lambda **fields: build(messages.Steering, **(NOTHING | fields))


@pytest.mark.parametrize(
    ("fields", "after", "said"),
    [
        ({}, PLAN, []),
        ({"instruction": "stop it"}, Plan("stop it", 5, 2), ["instruction: stop it"]),
        ({"instruction": PLAN.instruction}, PLAN, ["instruction: hand the block over"]),
        ({"ratio": 4}, Plan(PLAN.instruction, 5, ratio=4), ["ratio: 1:4"]),
        ({"blend": "none"}, Plan(PLAN.instruction, 5, blend="none"), ["blend: none"]),
        ({"result": "failure", "note": "it slipped"}, PLAN, ["episode 1: failure: it slipped"]),
        ({"result": "ended"}, PLAN, ["episode 1: ended"]),
        ({"next_episode": True}, Plan(PLAN.instruction, 9, episode=2), ["episode 2 begins"]),
    ],
)
def test_a_wish_changes_what_it_names(
    fields: dict[str, Any], after: Plan, said: list[str], wish: Callable[..., messages.Steering]
) -> None:
    assert operator_changes.step(PLAN, wish(**fields), 9) == after
    assert operator_changes.describe(PLAN, wish(**fields)) == said


def test_what_is_not_told_is_that_of_the_settings(build: Build) -> None:
    settings = load_settings(["--ratio", "6", "--trajectory.blend", "prefix"])
    reported, unset = build(messages.Episode, ratio=3, blend="none"), build(messages.Episode, ratio=0, blend=None)
    assert (live_tuning.ratio(settings, reported), live_tuning.blend(settings, reported)) == (3, "none")
    assert (live_tuning.ratio(settings, unset), live_tuning.blend(settings, unset)) == (6, "prefix")


def test_the_arms_join_chunks_as_the_episode_says(build: Build) -> None:
    """Without a blend the trajectory steps where a chunk comes in that begins elsewhere."""
    jumps: dict[str, float] = {}
    for blend in ("fade", "none"):
        rig = Rig(build)
        rig.waiting[0] = build(messages.Episode, started_ns=0, blend=blend)
        rig.run(0.5)
        before = rig.state.commanded.q
        made = rig.tick(rig.chunk(rig.chunk().q + 0.05))
        jumps[blend] = abs(made.target.blended - before).max()
    assert jumps["none"] > 0.04 > 0.01 > jumps["fade"]


@pytest.fixture
def driven(build: Build) -> Rig:
    """Running, by an operator whose page is heard."""
    rig = Rig(build)
    rig.run(0.5)
    rig.tick(beat(rig))
    assert rig.mode == "RUNNING"
    return rig


def beat(rig: Rig, age_ns: int = 0, wanted: bool = True) -> messages.Deadman:
    """The console tells of the page."""
    return rig.build(messages.Deadman, wanted=wanted, beat_ns=rig.now_ns - age_ns, holder="anna")


def test_a_page_that_is_heard_lets_the_robot_run(driven: Rig) -> None:
    for _ in range(20):
        driven.run(0.05)
        driven.tick(beat(driven))
    assert driven.mode == "RUNNING"


def test_a_page_that_is_lost_holds_until_run_is_ordered_again(driven: Rig) -> None:
    driven.run(0.29)
    assert driven.mode == "RUNNING"
    driven.run(0.03)
    assert driven.mode == "HOLD"
    assert "console page of anna silent for" in driven.reasons and "limit 300 ms" in driven.reasons
    driven.tick(beat(driven))
    assert driven.run(0.2).target.mode == "HOLD", "its coming back does not move the arms"
    driven.tick(beat(driven), driven.command("run"))
    assert (
        driven.run(0.1).target.mode == "HOLD" and driven.state.answer == "held by the operator; send `arm`, then `run`"
    )
    driven.tick(beat(driven), driven.command("arm"), driven.command("run"))
    assert driven.run(0.1).target.mode == "RUNNING"


def test_a_console_that_is_gone_holds_too(driven: Rig) -> None:
    """It does not even repeat that the page is silent."""
    assert driven.run(1.0).target.mode == "HOLD"


def test_the_way_to_rest_ends_with_the_page(driven: Rig) -> None:
    driven.tick(driven.command("rest"), beat(driven))
    driven.run(0.2)
    assert driven.state.machine.wanted.pose == "rest"
    driven.run(0.2)
    assert driven.state.machine.wanted.pose == ""


def test_whoever_does_not_want_it_is_not_held(driven: Rig) -> None:
    driven.tick(beat(driven, wanted=False))
    assert driven.run(1.0).target.mode == "RUNNING"
