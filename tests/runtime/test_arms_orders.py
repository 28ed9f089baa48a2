"""Orders and what the arms themselves report, through the arms' step: power, rest, release, stop, faults. Called by pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_arms import Rig

from drivers.cobot_magic import rest_pose
from runtime.orders import STOPPED

Build = Callable[..., Any]


@pytest.fixture
def running(build: Build) -> Rig:
    """One that has been running for half a second."""
    rig = Rig(build)
    rig.run(0.5)
    assert rig.mode == "RUNNING"
    return rig


def test_motors_are_switched_on_before_anything_is_sent(build: Build) -> None:
    rig = Rig(build)
    rig.arms = {"powered": (True, False)}
    assert rig.tick().drives == ("enable",)
    for _ in range(100):
        made = rig.tick()
        assert (made.drives, made.target.sent, made.target.mode) == ((), False, "DISARMED")
    assert "the motors are not on yet" in rig.reasons
    rig.measured[0] += 0.1  # as somebody may have moved them meanwhile
    rig.arms = {}
    made = rig.tick()
    assert made.target.mode == "HOLD" and made.target.sent
    np.testing.assert_array_equal(made.target.q, rig.measured)


def test_nothing_is_switched_on_without_an_order(build: Build) -> None:
    rig = Rig(build, "--arms.start", "disarmed")
    rig.arms = {"powered": (False, False)}
    assert all(rig.tick().drives == () for _ in range(50))
    assert rig.tick(rig.order("arm")).drives == ("enable",)


def test_an_arm_is_asked_once_it_is_heard(build: Build) -> None:
    rig = Rig(build)
    rig.arms, rig.frozen_side = {"powered": (False, False)}, 0
    rig.now += 10**9
    assert rig.tick().drives == ()
    rig.frozen_side = None
    assert rig.tick().drives == ("enable",)


def test_power_that_went_disarms_both_and_comes_back_by_order(running: Rig) -> None:
    running.arms = {"powered": (True, False)}
    made = running.tick()
    assert (made.target.mode, made.target.sent, made.drives) == ("DISARMED", False, ())
    running.arms = {}
    assert running.run(0.2).target.mode == "DISARMED"
    running.tick(running.order("arm"), running.order("run"))
    assert running.run(0.2).target.mode == "RUNNING"


@pytest.mark.parametrize("side", [0, 1])
def test_what_an_arm_reports_is_a_latched_fault_and_both_hold(side: int, running: Rig) -> None:
    told = ("motor 3 is hot", "") if side == 0 else ("", "motor 3 is hot")
    running.arms = {"trouble": told, "fault": told}
    made = running.tick()
    assert made.target.mode == "FAULT"
    assert made.faults == (("safety", f"{('left', 'right')[side]} arm: motor 3 is hot"),)
    before = running.measured.copy()
    running.run(0.5)
    assert np.abs(running.measured - before).max() < 0.2, "both brake"
    running.tick(running.order("clear"))
    assert running.mode == "FAULT", "the cause is still there"
    running.arms = {}
    running.tick()
    assert running.mode == "FAULT", "latched"
    running.tick(running.order("clear"))
    assert running.mode == "HOLD"


def test_trouble_before_arming_is_a_reason_and_no_fault(build: Build) -> None:
    rig = Rig(build)
    rig.arms = {"trouble": ("is being taught", ""), "fault": ("", "somebody else commands it")}
    assert rig.run(0.1).target.mode == "DISARMED"
    assert "left arm: is being taught" in rig.reasons and "right arm: somebody else commands it" in rig.reasons
    rig.arms = {}
    assert rig.run(0.1).target.mode != "DISARMED"


def test_an_order_to_arm_asks_arms_that_report_a_fault_again(running: Rig) -> None:
    """A status about a target ends with the next good one, which the driver sends when it is asked to enable."""
    running.arms = {"trouble": ("status 4", ""), "fault": ("status 4", "")}
    running.tick()
    assert running.tick(running.order("arm")).drives == ("enable",)


def test_rest_moves_slowly_to_the_rest_pose_and_stays(running: Rig) -> None:
    assert np.abs(running.measured - rest_pose()).max() > 0.1
    running.tick(running.order("rest"))
    way = [running.measured.copy()]
    for _ in range(round(6 / 0.005)):
        running.tick(*(() if len(way) % 20 else (running.chunk(),)))
        way.append(running.measured.copy())
    assert (running.mode, running.memory.machine.wants_rest) == ("HOLD", False)
    np.testing.assert_allclose(running.measured, rest_pose(), atol=1e-3)
    braked = round(0.5 / 0.005)
    assert np.abs(np.diff(way, axis=0))[braked:].max() / 0.005 < 0.51


@pytest.mark.parametrize("order", ["hold", "run", "stop"])
def test_the_way_to_rest_ends_by_another_order(order: str, running: Rig) -> None:
    running.tick(running.order("rest"))
    running.run(0.3)
    assert running.reasons == "moves to the rest pose"
    running.tick(running.order(order, confirmed=True))
    assert not running.memory.machine.wants_rest
    running.run(3.0)
    assert np.abs(running.measured - rest_pose()).max() > 0.05


def test_release_needs_rest_and_a_confirmation(running: Rig) -> None:
    assert running.tick(running.order("release", confirmed=True)).drives == ()
    running.tick(running.order("hold"))
    assert running.tick(running.order("release", confirmed=True)).drives == ()
    assert "order rest first" in running.memory.answer
    running.tick(running.order("rest"))
    running.run(6.0)
    assert running.tick(running.order("release")).drives == ()
    made = running.tick(running.order("release", confirmed=True))
    assert (made.drives, made.target.mode, made.target.sent) == (("release",), "DISARMED", False)
    running.arms = {"powered": (False, False)}
    assert running.run(0.2).drives == (), "not switched on by itself"


def test_a_stop_sends_nothing_more_until_it_is_cleared_and_armed(running: Rig) -> None:
    made = running.tick(running.order("stop", confirmed=True))
    assert (made.drives, made.target.mode, made.target.sent) == (("stop",), "FAULT", False)
    status = "status 1: emergency stop"
    running.arms = {"trouble": (status, status), "fault": (status, status)}
    running.measured[1] += 1.0  # it sinks
    assert not running.run(0.5).target.sent
    assert running.reasons == STOPPED
    assert running.tick(running.order("arm")).drives == ()
    assert running.tick(running.order("clear", confirmed=True)).drives == ("reset",)
    assert running.mode == "DISARMED"
    running.arms = {"powered": (False, False)}
    assert running.run(0.2).drives == ()
    assert running.tick(running.order("arm")).drives == ("enable",)
    running.arms = {}
    made = running.tick()
    assert made.target.mode == "HOLD"
    np.testing.assert_array_equal(made.target.q, running.measured)


def test_an_order_is_answered_at_once_and_obeyed_once(running: Rig) -> None:
    order = running.order("release")
    made = running.tick(order)
    assert made.state is not None
    assert made.state.answered == (order.epoch, order.seq)
    assert "only arms that hold can be released" in made.state.answer
    stop = running.order("stop", confirmed=True)
    assert running.tick(stop, stop).drives == ("stop",)
    assert running.tick(stop).drives == ()


def test_what_the_checks_found_forbids_to_arm(build: Build) -> None:
    rig = Rig(build, "--arms.unfit", "bus left: can_left is down")
    assert rig.run(0.2).target.mode == "DISARMED"
    made = rig.tick(rig.order("arm"), rig.order("run"))
    assert made.state is not None and made.drives == ()
    assert rig.reasons.startswith("not fit to be armed: bus left: can_left is down")
    made = rig.tick(rig.order("arm"))
    assert made.state is not None and "mend it and start again" in made.state.answer
    assert rig.run(0.2).target.mode == "DISARMED"
