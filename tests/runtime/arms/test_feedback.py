"""Which readings of an arm are believed: false ones move nothing, true ones always come through. Called by pytest."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from drivers.arm import ArmState
from drivers.cobot_magic import ready_pose
from runtime.arms.feedback import Belief, believe
from runtime.config.loading import load_settings
from runtime.messaging import messages

SAFETY = load_settings([]).safety
READY = ready_pose()[:7]
STEP_NS = 5_000_000


class Arm:
    """Readings of one arm, 5 ms apart, and what is believed of them."""

    def __init__(self, armed: bool = True) -> None:
        self.armed = armed
        self.belief, self.numbers, self.now_ns = Belief(), itertools.count(), 1_000_000_000

    def report(self, q: NDArray[np.float64], warning: str = "") -> ArmState:
        """One reading more."""
        self.now_ns += STEP_NS
        still = np.zeros(7)
        return believe(
            self.belief, ArmState(next(self.numbers), self.now_ns, q, still, still, warning=warning), self.armed
        )

    def stands(self, readings: int = 10) -> "Arm":
        """It is heard, at the ready pose."""
        for _ in range(readings):
            self.report(READY)
        return self


def off(joint: int, by: float) -> NDArray[np.float64]:
    """The ready pose with one joint read wrongly."""
    q = READY.copy()
    q[joint] += by
    return q


FALSE = [(0, 1.5), (1, -1.2), (5, 2 * np.pi), (2, 0.3), (6, -0.06), (3, np.nan), (4, np.inf)]


@pytest.mark.parametrize(("joint", "by"), FALSE)
def test_one_false_reading_is_used_for_nothing_and_is_named(joint: int, by: float) -> None:
    arm = Arm().stands()
    before = arm.report(READY)
    used = arm.report(off(joint, by))
    np.testing.assert_array_equal(used.q, READY)
    assert (used.stamp_ns, used.number, used.warning) == (before.stamp_ns, before.number, "")
    name = "gripper" if joint == 6 else f"j{joint + 1}"
    assert "reading jumped" in (text := arm.belief.report(arm.now_ns)) and name in text
    assert arm.belief.report(arm.now_ns) == "", "once a second at most"
    after = arm.report(READY)
    np.testing.assert_array_equal(after.q, READY)
    assert (after.stamp_ns, after.warning) == (arm.now_ns, "")


def test_after_three_in_a_row_the_arm_is_lost_until_its_readings_come_back() -> None:
    arm = Arm().stands()
    heard_ns = arm.now_ns
    used = [arm.report(off(0, 1.5)) for _ in range(20)]
    assert [bool(state.warning) for state in used[:4]] == [False, False, True, True]
    assert "j1 by 1.50 rad" in used[2].warning
    assert {state.stamp_ns for state in used} == {heard_ns}, "its feedback grows old"
    assert all(np.array_equal(state.q, READY) for state in used)
    assert arm.report(READY).warning == ""


def test_readings_that_agree_for_half_a_second_at_a_new_place_are_believed() -> None:
    """Somebody led it there while nobody listened, or it slipped: whether it may move is judged elsewhere."""
    arm = Arm().stands()
    used = [arm.report(off(0, 1.5)) for _ in range(110)]
    first = next(index for index, state in enumerate(used) if state.q[0] != READY[0])
    assert first == pytest.approx(100, abs=2)
    assert used[first].warning == ""


def test_arms_that_are_told_nothing_are_believed_as_soon_as_three_readings_agree() -> None:
    """One false reading is none of them."""
    arm = Arm(armed=False).stands()
    assert [bool(arm.report(off(0, by)).q[0] == off(0, 1.5)[0]) for by in (-1.5, 1.5, 1.5, 1.5)] == [False] * 3 + [True]


def test_false_readings_that_do_not_agree_are_never_believed() -> None:
    arm, draw = Arm().stands(), np.random.default_rng(0)
    for _ in range(400):
        np.testing.assert_array_equal(arm.report(READY + draw.choice([-1, 1], 7) * draw.uniform(0.5, 2.0, 7)).q, READY)


def test_an_arm_is_heard_once_three_readings_agree() -> None:
    arm = Arm()
    assert [arm.report(q).stamp_ns for q in (off(0, 1.5), READY, READY)] == [messages.NEVER] * 3
    assert arm.report(READY).stamp_ns == arm.now_ns


@given(st.lists(st.floats(-1, 1), min_size=7, max_size=7), st.integers(1, 9))
def test_whatever_an_arm_can_do_comes_through(speeds: list[float], lost: int) -> None:
    """At its greatest speed, and with some readings missed."""
    arm, q = Arm().stands(), READY.copy()
    step = np.array(speeds) * np.array(SAFETY.velocity) * STEP_NS / 1e9
    for index in range(60):
        q = q + step
        if index % (lost + 1):
            arm.now_ns += STEP_NS
            continue
        np.testing.assert_array_equal(arm.report(q).q, q)
    assert arm.belief.jumped == 0


def test_what_is_said_of_the_same_reading_later_comes_through() -> None:
    arm = Arm().stands()
    state = ArmState(99, arm.now_ns, READY, np.zeros(7), np.zeros(7), warning="bus-off")
    assert believe(arm.belief, state, True).warning == "bus-off"


def test_an_arm_that_was_never_heard_stays_unheard() -> None:
    arm, nothing = Arm(), np.zeros(7)
    unheard = ArmState(-1, messages.NEVER, nothing, nothing, nothing, powered=False)
    assert believe(arm.belief, unheard, True) is unheard
    assert arm.belief == Belief()
