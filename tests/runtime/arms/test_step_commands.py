"""Orders and what the arms themselves report, through the arms' step: power, rest, release, stop, faults. Called by pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arms_rig import TICK_NS, Rig
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS, ready_pose
from runtime.arms import safety
from runtime.arms.commands import STOPPED
from runtime.arms.trajectory import Motion
from runtime.messaging import messages

Build = Callable[..., Any]
STATUS = "status 1: emergency stop"


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
    assert rig.tick().motor_commands == ("enable",)
    for _ in range(100):
        made = rig.tick()
        assert (made.motor_commands, made.target.sent, made.target.mode) == ((), False, "DISARMED")
    assert "motors are not on yet" in rig.reasons
    rig.measured[0] += 0.1  # as somebody may have moved them meanwhile
    rig.arms = {}
    made = rig.tick()
    assert made.target.mode == "HOLD" and made.target.sent
    np.testing.assert_array_equal(made.target.q, rig.measured)


def test_nothing_is_switched_on_without_an_order(build: Build) -> None:
    rig = Rig(build, "--arms.start", "disarmed")
    rig.arms = {"powered": (False, False)}
    assert all(rig.tick().motor_commands == () for _ in range(50))
    assert rig.tick(rig.command("arm")).motor_commands == ("enable",)


def test_an_arm_is_asked_once_it_is_heard(build: Build) -> None:
    rig = Rig(build)
    rig.arms, rig.frozen_side = {"powered": (False, False)}, 0
    rig.now_ns += 10**9
    assert rig.tick().motor_commands == ()
    rig.frozen_side = None
    assert rig.tick().motor_commands == ("enable",)


def test_power_that_went_disarms_both_and_comes_back_by_order(running: Rig) -> None:
    running.arms = {"powered": (True, False)}
    made = running.tick()
    assert (made.target.mode, made.target.sent, made.motor_commands) == ("DISARMED", False, ())
    running.arms = {}
    assert running.run(0.2).target.mode == "DISARMED"
    running.tick(running.command("arm"), running.command("run"))
    assert running.run(0.2).target.mode == "RUNNING"


@pytest.mark.parametrize("side", [0, 1])
def test_what_an_arm_reports_is_a_latched_fault_and_both_hold(side: int, running: Rig) -> None:
    reported = ("motor 3 is hot", "") if side == 0 else ("", "motor 3 is hot")
    running.arms = {"warning": reported, "fault": reported}
    made = running.tick()
    assert made.target.mode == "FAULT"
    assert made.faults == (("safety", f"{('left', 'right')[side]} arm: motor 3 is hot"),)
    before = running.measured.copy()
    running.run(0.5)
    assert np.abs(running.measured - before).max() < 0.2, "both brake"
    running.tick(running.command("clear"))
    assert running.mode == "FAULT", "the cause is still there"
    running.arms = {}
    running.tick()
    assert running.mode == "FAULT", "latched"
    running.tick(running.command("clear"))
    assert running.mode == "HOLD"


@pytest.mark.parametrize("side", [0, 1])
def test_an_arm_that_was_led_away_during_a_fault_does_not_jump_back(side: int, running: Rig) -> None:
    reported = ("in teach mode", "") if side == 0 else ("", "in teach mode")
    other = slice(7 * (1 - side), 7 * (1 - side) + 7)
    led = slice(7 * side, 7 * side + 7)
    running.arms = {"warning": reported, "fault": reported}
    running.tick()
    way = running.measured.copy()
    for _ in range(100):  # somebody leads it while nothing is forwarded; the other arm brakes within its limits
        way[led] = running.measured[led] = way[led] + 0.006 * (np.arange(7) < 6)
        before = running.measured[other].copy()
        made = running.tick()
        np.testing.assert_array_equal(made.target.q[led], way[led])
        assert np.abs(made.target.q[other] - before).max() <= 3.0 * 0.005 + 1e-9
        running.measured[led] = way[led]
    assert running.mode == "FAULT" and "in teach mode" in running.reasons
    running.arms = {}
    for command in ((), (running.command("clear"),), (running.command("arm"),)):
        made = running.tick(*command)
        np.testing.assert_allclose(made.target.q[led], way[led], atol=1e-12)
    assert running.mode == "HOLD"


def test_an_arm_without_power_does_not_jump_when_it_is_armed_in_a_fault(running: Rig) -> None:
    """Its driver tells the reason for half a second only; until it is switched on it may be led, or sink."""
    gone = "not in CAN control (mode 0); send `arm`"
    running.arms = {"fault": (gone, ""), "powered": (False, True)}
    assert running.tick().target.mode == "FAULT"
    running.arms = {"powered": (False, True)}
    running.run(0.6)
    running.measured[1] += 0.15
    running.tick()
    made = running.tick(running.command("arm"))
    assert (made.motor_commands, made.target.mode, running.state.answer) == (("enable",), "FAULT", "")
    np.testing.assert_array_equal(made.target.q[:7], running.measured[:7])


def test_an_arm_that_is_blocked_is_not_pushed_on(running: Rig) -> None:
    """Its command goes back to where it was when that was noticed, within the limits; the grippers keep what they hold."""
    blocked = running.measured.copy()
    limit = running.config.settings.safety.following_rad
    running.state.commanded = Motion(blocked + np.eye(14)[1] * (limit + 0.01), np.zeros(14), np.zeros(14))
    last = running.state.commanded.q
    for _ in range(400):
        made = running.tick(*([] if made_fault(running) else [running.chunk()]))
        assert np.abs(made.target.q - last).max() <= 3.0 * 0.005 + 1e-9
        last = made.target.q
        running.measured = blocked.copy()  # nothing moves it
    assert (
        running.mode == "FAULT"
        and "left j2 is" in running.reasons
        and "check whether the arm is blocked" in running.reasons
    )
    np.testing.assert_allclose(last[WITHOUT_GRIPPERS], blocked[WITHOUT_GRIPPERS], atol=1e-3)
    running.tick(running.command("clear"))
    assert running.run(0.1, chunk_every_s=None).target.mode == "HOLD"


@pytest.mark.parametrize(("joint", "by"), [(0, 1.5), (1, -1.2), (5, 2 * np.pi), (8, 0.9), (12, -2.0)])
@pytest.mark.parametrize("readings", [1, 2, 200])
def test_false_readings_move_no_arm_that_holds(running: Rig, joint: int, by: float, readings: int) -> None:
    """One or two change nothing; where they persist the arms are in FAULT, and stay: they never went there."""
    running.tick(running.command("hold"))
    stands = running.run(1.0, chunk_every_s=None).target.q.copy()
    for index in range(400):
        made = running.tick()
        np.testing.assert_allclose(made.target.q, stands, atol=1e-9)
        running.measured = stands.copy()
        if index < readings:
            running.measured[joint] += by
    assert running.mode == ("HOLD" if readings < 3 else "FAULT")
    if readings >= 3:
        assert "its reading jumped there" in running.reasons


def test_one_reading_that_is_seen_by_many_ticks_counts_once(running: Rig) -> None:
    """An arm that is late is judged by its age, not as one that is blocked."""
    running.tick(running.command("hold"))
    stands = running.run(1.0, chunk_every_s=None).target.q.copy()
    running.arms = {"measured_ns": (running.now_ns, running.now_ns)}
    for _ in range(8):
        running.measured = stands + np.eye(14)[1] * 1.5
        assert running.tick().target.mode == "HOLD"
    assert running.state.following.beyond == (1, 0)


def test_false_readings_while_the_arms_run_brake_them_at_most(running: Rig) -> None:
    """In FAULT they come to rest on the way that they were on."""
    sent = [running.measured.copy()]
    for _ in range(400):
        running.measured = sent[-1] + np.eye(14)[1] * 1.5
        sent.append(running.tick().target.q)
    speeds = np.abs(np.diff(sent, axis=0)) / 0.005
    assert running.mode == "FAULT"
    assert speeds.max() <= speeds[:4].max() + 0.1, "none became faster, but for what it was about to"
    assert np.abs(running.state.commanded.dq).max() < 1e-6
    assert running.state.yields_to is None


def test_an_arm_that_is_read_outside_its_range_is_not_armed(build: Build) -> None:
    rig = Rig(build)
    rig.measured[1] = -1.2
    made = rig.run(0.5, chunk_every_s=None)
    assert made.target.mode == "DISARMED" and made.motor_commands == ()
    assert "left arm: j2 is at -1.20 rad, outside its range 0.00 to 3.14 rad" in rig.reasons
    rig.tick(rig.command("arm"))
    assert "outside its range" in rig.state.answer
    rig.measured[1] = 0.5
    assert rig.run(0.5).target.mode == "RUNNING"


def made_fault(rig: Rig) -> bool:
    return rig.mode == "FAULT"


STOP_RAD = 0.02
"""From 0.2 rad/s by 100 rad/s3 a stop takes 0.09 s: 9 mrad."""


def test_arms_go_on_from_where_they_stand_after_a_gap(running: Rig) -> None:
    """Without targets for 300 ms they have come to a stand, a braking way behind the last one."""
    speed = running.state.commanded.dq.copy()
    assert np.abs(speed).max() > 0.05
    last = running.state.commanded.q.copy()
    running.now_ns += 300_000_000
    made = running.tick()
    assert 1e-4 < np.abs(made.target.q - last).max() < STOP_RAD
    assert np.abs(running.state.commanded.dq).max() < 1e-6


@pytest.mark.parametrize("gap_ns", [51_000_000, 300_000_000, 8_000_000_000])
@pytest.mark.parametrize("resumes", [True, False])
def test_after_a_gap_the_arms_hold_and_run_again_by_the_profiles_rule(build: Build, gap_ns: int, resumes: bool) -> None:
    """In simulation on a chunk that is made after the gap, on a robot by an operator's command alone."""
    rig = Rig(build, "--arms.auto_resume" if resumes else "--no-arms.auto_resume")
    rig.run(0.3)
    if not resumes:
        rig.tick(rig.command("run"))
    assert rig.run(0.5).target.mode == "RUNNING"
    made_before = rig.chunk()
    stood = rig.state.commanded.q.copy()
    rig.now_ns += gap_ns - TICK_NS
    made = rig.tick(made_before)
    assert made.target.mode == "HOLD" and rig.state.machine.status.holds == 1
    assert f"no targets sent for {gap_ns / 1e6:.0f} ms (limit 50 ms)" in rig.reasons
    for _ in range(30):
        assert np.abs(rig.tick().target.q - stood).max() < STOP_RAD, "they brake, or stand where that has led"
    assert np.abs(rig.state.commanded.dq).max() < 1e-6
    assert rig.mode == "HOLD"
    assert rig.run(0.3).target.mode == ("RUNNING" if resumes else "HOLD")
    rig.tick(rig.command("arm"), rig.command("run"))
    assert rig.run(0.3).target.mode == "RUNNING"


def test_a_gap_of_fifty_milliseconds_or_ten_slow_ticks_is_none(build: Build) -> None:
    rig = Rig(build)
    assert rig.run(0.5).target.mode == "RUNNING"
    rig.now_ns += 50_000_000 - TICK_NS
    assert rig.tick().target.mode == "RUNNING"
    assert safety.stalled(0.05, 10**12, 10**12 + 120_000_000) == ()
    assert safety.stalled(0.05, 10**12, 10**12 + 130_000_000) != ()


def test_a_clock_that_goes_back_counts_as_a_gap(running: Rig) -> None:
    """It counts as one tick: the arms brake from the speed that they have."""
    before = running.state.commanded
    running.now_ns -= 60_000_000
    made = running.tick()
    assert made.target.mode == "HOLD" and "no targets sent for 55 ms" in running.reasons
    assert np.abs(running.state.commanded.ddq - before.ddq).max() <= 100.0 * TICK_NS / 1e9 * (1 + 1e-9)
    assert np.abs(made.target.q - before.q).max() < STOP_RAD


def test_a_gap_in_a_fault_moves_nothing_and_clears_nothing(running: Rig) -> None:
    running.arms = {"fault": ("motor 3 is hot", "")}
    running.run(0.5)
    assert running.mode == "FAULT"
    stood = running.state.commanded.q.copy()
    running.now_ns += 400_000_000
    running.run(0.3)
    assert running.mode == "FAULT" and "motor 3 is hot" in running.reasons
    assert np.abs(running.state.commanded.q - stood)[7:].max() < 1e-6


def test_a_gap_ends_the_way_to_a_pose(build: Build) -> None:
    rig = Rig(build, "--arms.start", "hold")
    rig.run(0.3)
    rig.tick(rig.command("ready"))
    rig.run(0.2)
    assert "moving to the ready pose" in rig.reasons and np.abs(rig.state.commanded.dq).max() > 0.01
    rig.now_ns += 200_000_000
    rig.tick()
    assert "move to the ready pose ended: no targets sent for 205 ms" in rig.reasons
    stood = rig.state.commanded.q.copy()
    rig.run(0.5)
    assert np.abs(rig.state.commanded.q - stood).max() < 1e-6


def test_an_order_that_comes_again_after_anothers_is_not_obeyed_again(running: Rig) -> None:
    """A page repeats its order until it has read the answer, which somebody else's hold may have hidden."""
    run = running.build(messages.OperatorCommand, epoch=7, seq=3, command="run")
    running.tick(run)
    held = running.tick(running.command("hold"), running.command("arm"))
    assert held.target.mode == "HOLD"
    made = running.tick(run)
    assert made.state is not None and made.state.answered == (7, 3) and made.state.answer == ""
    assert running.run(0.2).target.mode == "HOLD"
    older = running.build(messages.OperatorCommand, epoch=7, seq=2, command="run")
    running.tick(older)
    assert running.run(0.2).target.mode == "HOLD"


def test_trouble_before_arming_is_a_reason_and_no_fault(build: Build) -> None:
    rig = Rig(build)
    rig.arms = {"warning": ("in teach mode", ""), "fault": ("", "another sender commands it")}
    assert rig.run(0.1).target.mode == "DISARMED"
    assert "left arm: in teach mode" in rig.reasons and "right arm: another sender commands it" in rig.reasons
    rig.arms = {}
    assert rig.run(0.1).target.mode != "DISARMED"


def test_an_order_to_arm_asks_arms_that_report_a_fault_again(running: Rig) -> None:
    """A status about a target ends with the next good one, which the driver sends when it is asked to enable."""
    running.arms = {"warning": ("status 4", ""), "fault": ("status 4", "")}
    running.tick()
    assert running.tick(running.command("arm")).motor_commands == ("enable",)


def sent_to(rig: Rig, pose: str, duration_s: float) -> NDArray[np.float64]:
    """What the arms were told, tick by tick, after an order to move to a pose."""
    rig.tick(rig.command(pose))
    way = [rig.measured.copy()]
    for _ in range(round(duration_s / 0.005)):
        rig.tick(*(() if len(way) % 20 else (rig.chunk(),)))
        way.append(rig.measured.copy())
    assert (rig.mode, rig.state.machine.wanted.pose) == ("HOLD", "")
    braked = round(0.5 / 0.005)
    assert np.abs(np.diff(way, axis=0))[braked:].max() / 0.005 < 0.51
    return np.array(way)


def test_arms_move_slowly_to_the_ready_pose_and_stay(running: Rig) -> None:
    assert np.abs(running.measured - ready_pose()).max() > 0.1
    sent_to(running, "ready", 6)
    np.testing.assert_allclose(running.measured, ready_pose(), atol=1e-3)


def test_the_way_to_rest_leads_over_the_ready_pose(running: Rig) -> None:
    """Straight ahead, folding arms could meet the table."""
    way = sent_to(running, "rest", 12)
    np.testing.assert_allclose(running.measured, running.config.rest_pose, atol=1e-3)
    assert np.abs(way - ready_pose())[:, WITHOUT_GRIPPERS].max(1).min() < 0.05
    again = sent_to(running, "rest", 2)
    np.testing.assert_allclose(again, again[:1].repeat(len(again), 0), atol=1e-4, err_msg="there it stays")
    sent_to(running, "ready", 8)
    np.testing.assert_allclose(running.measured, ready_pose(), atol=1e-3)


@pytest.mark.parametrize("command", ["hold", "run", "stop", "ready"])
def test_the_way_to_rest_ends_by_another_order(command: str, running: Rig) -> None:
    running.tick(running.command("rest"))
    running.run(0.3)
    assert running.reasons == "moving to the rest pose"
    running.tick(running.command(command, confirmed=True))
    assert running.state.machine.wanted.pose == ("ready" if command == "ready" else "")
    running.run(3.0)
    assert np.abs(running.measured - running.config.rest_pose).max() > 0.05


def test_release_needs_rest_and_a_confirmation(running: Rig) -> None:
    assert running.tick(running.command("release", confirmed=True)).motor_commands == ()
    running.tick(running.command("hold"))
    assert running.tick(running.command("release", confirmed=True)).motor_commands == ()
    assert "send `rest` first" in running.state.answer
    running.tick(running.command("ready"))
    running.run(6.0)
    running.tick(running.command("release", confirmed=True))
    assert "send `rest` first" in running.state.answer, "from the ready pose they would fall"
    running.tick(running.command("rest"))
    running.run(8.0)
    assert running.tick(running.command("release")).motor_commands == ()
    made = running.tick(running.command("release", confirmed=True))
    assert (made.motor_commands, made.target.mode, made.target.sent) == (("release",), "DISARMED", False)
    running.arms = {"powered": (False, False)}
    assert running.run(0.2).motor_commands == (), "not switched on by itself"


def test_a_stop_sends_nothing_more_until_it_is_cleared_and_armed(running: Rig) -> None:
    made = running.tick(running.command("stop", confirmed=True))
    assert (made.motor_commands, made.target.mode, made.target.sent) == (("stop",), "FAULT", False)
    running.arms = {"warning": (STATUS, STATUS), "fault": (STATUS, STATUS)}
    running.measured[1] += 1.0  # it sinks
    assert not running.run(0.5).target.sent
    assert running.reasons == STOPPED
    assert running.tick(running.command("arm")).motor_commands == ()
    assert running.tick(running.command("clear", confirmed=True)).motor_commands == ("reset",)
    assert running.mode == "DISARMED"
    running.arms = {"powered": (False, False)}
    assert running.run(0.2).motor_commands == ()
    assert running.tick(running.command("arm")).motor_commands == ("enable",)
    running.arms = {}
    made = running.tick()
    assert made.target.mode == "HOLD"
    np.testing.assert_array_equal(made.target.q, running.measured)


@pytest.mark.parametrize("side", [0, 1])
def test_a_stop_that_an_arm_does_not_show_is_told_first(side: int, running: Rig) -> None:
    """The latched reason says that the arms have sunk; this one did not. What the other reports is not told besides."""
    running.tick(running.command("stop", confirmed=True))
    undone = "`stop` not carried out: the arm does not report it; support the arm, then use its power switch"
    warnings = (undone, STATUS) if side == 0 else (STATUS, undone)
    running.arms = {"warning": warnings}
    running.tick()
    assert running.state.machine.status.reasons == (f"{('left', 'right')[side]} arm: {undone}", STOPPED)
    running.arms = {"warning": (STATUS, STATUS)}
    running.tick()
    assert running.reasons == STOPPED


@pytest.mark.parametrize("command", ["release", "clear"])
def test_what_lets_arms_fall_and_did_not_is_told_while_they_are_disarmed(command: str, running: Rig) -> None:
    if command == "clear":
        running.tick(running.command("stop", confirmed=True))
    else:
        running.tick(running.command("hold"))
        running.measured = running.config.rest_pose.copy()
    running.tick(running.command(command, confirmed=True))
    undone = f"`{command}` not carried out: the arm does not report it; support the arm, then use its power switch"
    running.arms = {"warning": (undone, ""), "powered": (False, False)}
    running.tick()
    assert (running.mode, f"left arm: {undone}" in running.reasons) == ("DISARMED", True)
    assert running.tick(running.command("arm")).motor_commands == ("enable",), "which ends it"


def test_a_stop_by_an_arms_own_button_is_taken_back_by_a_confirmed_clear(running: Rig) -> None:
    running.arms = {"warning": (STATUS, ""), "fault": (STATUS, "")}
    assert running.tick().target.mode == "FAULT"
    assert running.tick(running.command("clear")).motor_commands == ()
    assert "support the arms" in running.state.answer and running.mode == "FAULT"
    assert running.tick(running.command("clear", confirmed=True)).motor_commands == ("reset",)
    assert running.mode == "DISARMED"
    running.arms = {"powered": (False, False)}
    assert running.run(0.2).motor_commands == ()


def test_a_stop_survives_a_restart_of_this_process(build: Build) -> None:
    rig = Rig(build)
    rig.arms = {"warning": (STATUS, STATUS), "powered": (False, False)}
    rig.restart()
    assert rig.tick(rig.command("arm")).motor_commands == ()
    assert "send `clear` and confirm it" in rig.state.answer
    assert rig.tick(rig.command("clear", confirmed=True)).motor_commands == ("reset",)
    rig.arms = {"powered": (False, False)}
    assert rig.tick(rig.command("arm")).motor_commands == ("enable",)


def test_an_order_is_answered_at_once_and_obeyed_once(running: Rig) -> None:
    command = running.command("release")
    made = running.tick(command)
    assert made.state is not None
    assert made.state.answered == (command.epoch, command.seq)
    assert "`release` needs HOLD or DISARMED" in made.state.answer
    stop = running.command("stop", confirmed=True)
    assert running.tick(stop, stop).motor_commands == ("stop",)
    assert running.tick(stop).motor_commands == ()


def test_what_the_checks_found_forbids_to_arm(build: Build) -> None:
    rig = Rig(build, unfit="bus left: can_left is down")
    assert rig.run(0.2).target.mode == "DISARMED"
    made = rig.tick(rig.command("arm"), rig.command("run"))
    assert made.state is not None and made.motor_commands == ()
    assert rig.reasons.startswith("arming blocked: bus left: can_left is down")
    made = rig.tick(rig.command("arm"))
    assert made.state is not None and made.state.answer == "arming blocked: bus left: can_left is down"
    assert rig.run(0.2).target.mode == "DISARMED"
