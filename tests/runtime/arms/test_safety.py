"""The state machine's every transition and the text of every verdict. That every branch is covered is checked by .ci/run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.arms import safety
from runtime.arms.limits import Limits
from runtime.arms.safety import Freshness, Machine, settle
from runtime.config.settings import Safety
from runtime.host.clock import seconds
from runtime.messaging import messages

Build = Callable[..., Any]
NOW_NS = 1_000_000_000_000
SAFETY = Safety()
LIMITS = Limits.of(SAFETY)
MIDDLE = (LIMITS.low + LIMITS.high) / 2


@pytest.fixture
def fresh(build: Build) -> Freshness:
    return Freshness(
        arms=build(messages.JointState, measured_ns=(NOW_NS, NOW_NS)),
        health=build(messages.CameraHealth, stamp_ns=NOW_NS),
        observation_ns=NOW_NS - seconds(0.1),
        conditions_ns=NOW_NS - seconds(0.5),
        conditions_limit_ns=seconds(1.2),
        runs_out=False,
    )


def with_arms(fresh: Freshness, **changes: Any) -> Freshness:
    return replace(fresh, arms=fresh.arms.model_copy(update=changes))


def machine(mode: messages.Mode, *, wants_run: bool = False, wants_arm: bool = True, fault: str = "") -> Machine:
    return Machine(mode=mode, wants_run=wants_run, wants_arm=wants_arm, fault=fault)


def test_fresh_inputs_forbid_nothing(fresh: Freshness) -> None:
    assert safety.stale(SAFETY, fresh, NOW_NS) == ()


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
def test_an_arm_without_feedback_is_named(side: int, name: str, fresh: Freshness) -> None:
    at_limit, over = NOW_NS - seconds(SAFETY.max_feedback_age_s), NOW_NS - seconds(SAFETY.max_feedback_age_s) - 1
    stamps = [NOW_NS, NOW_NS]
    stamps[side] = at_limit
    assert safety.stale(SAFETY, with_arms(fresh, measured_ns=(stamps[0], stamps[1])), NOW_NS) == ()
    stamps[side] = over
    (reason,) = safety.stale(SAFETY, with_arms(fresh, measured_ns=(stamps[0], stamps[1])), NOW_NS)
    assert reason.startswith(f"{name} arm: feedback is 50 ms old (limit 50 ms)")


def test_a_silent_supervisor_is_named_and_none_at_all_is_not_missed(fresh: Freshness) -> None:
    limit_ns = seconds(SAFETY.max_supervision_age_s)
    assert safety.stale(SAFETY, replace(fresh, supervised_ns=None), NOW_NS) == ()
    assert safety.stale(SAFETY, replace(fresh, supervised_ns=NOW_NS - limit_ns), NOW_NS) == ()
    (reason,) = safety.stale(SAFETY, replace(fresh, supervised_ns=NOW_NS - limit_ns - 1), NOW_NS)
    assert reason.startswith("supervisor: last word is 1000 ms old (limit 1000 ms)")


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
@pytest.mark.parametrize("field", ["trouble", "fault"])
def test_what_an_arm_reports_is_a_reason(side: int, name: str, field: str, fresh: Freshness) -> None:
    reported = ["", ""]
    reported[side] = "motor 3 is hot"
    reporting = with_arms(fresh, **{field: tuple(reported)})
    assert safety.stale(SAFETY, reporting, NOW_NS) == (f"{name} arm: motor 3 is hot",)
    assert safety.arm_fault(reporting.arms) == (f"{name} arm: motor 3 is hot" if field == "fault" else "")


def test_both_arms_are_named(fresh: Freshness) -> None:
    reasons = safety.arm_reasons(SAFETY, with_arms(fresh, measured_ns=(0, 0)), NOW_NS)
    assert [reason.split()[0] for reason in reasons] == ["left", "right"]


def test_cameras_that_never_reported_are_named(fresh: Freshness) -> None:
    assert safety.stale(SAFETY, replace(fresh, health=None), NOW_NS) == ("cameras: no report yet",)


def test_a_silent_cameras_process_is_named(fresh: Freshness, build: Build) -> None:
    limit_ns = seconds(SAFETY.max_health_age_s)
    health = build(messages.CameraHealth, stamp_ns=NOW_NS - limit_ns)
    assert safety.stale(SAFETY, replace(fresh, health=health), NOW_NS) == ()
    (reason,) = safety.stale(SAFETY, replace(fresh, health=health), NOW_NS + 1)
    assert reason.startswith("cameras: last report is 150 ms old")


def test_each_bad_camera_is_named(fresh: Freshness, build: Build) -> None:
    states = tuple(
        messages.CameraState(camera=camera, number=1, capture_ns=NOW_NS, rate_hz=30.0, verdict=verdict)
        for camera, verdict in (("head", "no new picture for 120 ms"), ("left_wrist", ""), ("right_wrist", "unplugged"))
    )
    health = build(messages.CameraHealth, stamp_ns=NOW_NS, cameras=states)
    assert safety.stale(SAFETY, replace(fresh, health=health), NOW_NS) == (
        "camera head: no new picture for 120 ms",
        "camera right_wrist: unplugged",
    )


def test_a_refusal_is_the_reason(fresh: Freshness) -> None:
    assert safety.stale(SAFETY, replace(fresh, refusal="chunk: jumps"), NOW_NS) == ("chunk: jumps",)


@pytest.mark.parametrize("missing", ["observation_ns", "conditions_ns"])
def test_no_chunk_yet_is_the_reason(missing: str, fresh: Freshness) -> None:
    assert safety.stale(SAFETY, replace(fresh, **{missing: None}), NOW_NS) == ("no chunk yet",)


def test_an_old_chunk_is_named_with_its_limit(fresh: Freshness) -> None:
    limit_ns = seconds(SAFETY.max_chunk_age_s)
    assert safety.stale(SAFETY, replace(fresh, observation_ns=NOW_NS - limit_ns), NOW_NS) == ()
    (reason,) = safety.stale(SAFETY, replace(fresh, observation_ns=NOW_NS - limit_ns - 1), NOW_NS)
    assert reason == "chunk: seen 600 ms ago (limit 600 ms); System 1 is late or gone"


def test_a_chunk_that_has_run_out_is_named(fresh: Freshness) -> None:
    (reason,) = safety.stale(SAFETY, replace(fresh, runs_out=True), NOW_NS)
    assert reason.startswith("chunk:")


def test_an_old_condition_is_named_by_its_own_limit(fresh: Freshness) -> None:
    old = replace(fresh, conditions_ns=NOW_NS - seconds(1.2))
    assert safety.stale(SAFETY, old, NOW_NS) == ()
    (reason,) = safety.stale(SAFETY, replace(old, conditions_ns=NOW_NS - seconds(1.2) - 1), NOW_NS)
    assert reason == "condition: 1200 ms old (limit 1200 ms); System 2 is late or gone"


def test_a_condition_may_never_be_older_than_the_settings_say(fresh: Freshness) -> None:
    old = replace(
        fresh, conditions_limit_ns=seconds(100), conditions_ns=NOW_NS - seconds(SAFETY.max_condition_age_s) - 1
    )
    (reason,) = safety.stale(SAFETY, old, NOW_NS)
    assert "4000 ms" in reason


def test_an_old_chunk_and_an_old_condition_are_both_named(fresh: Freshness) -> None:
    reasons = safety.stale(SAFETY, replace(fresh, observation_ns=0, conditions_ns=0), NOW_NS)
    assert sorted(reason.split(":")[0] for reason in reasons) == ["chunk", "condition"]


def test_everything_that_is_wrong_is_said_at_once(fresh: Freshness) -> None:
    assert (
        len(safety.stale(SAFETY, replace(with_arms(fresh, measured_ns=(0, 0)), health=None, refusal="x"), NOW_NS)) == 4
    )


@pytest.mark.parametrize("joint", WITHOUT_GRIPPERS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_target_far_outside_its_range_refuses_the_chunk(joint: int, sign: int, build: Build) -> None:
    edge = LIMITS.high[joint] if sign > 0 else LIMITS.low[joint]
    for beyond, refused in ((SAFETY.outside_rad - 1e-3, False), (SAFETY.outside_rad + 1e-3, True)):
        q = np.tile(MIDDLE, (messages.HORIZON, 1)).astype(np.float32)
        q[40, joint] = edge + sign * beyond
        reason = safety.refuse(SAFETY, LIMITS, build(messages.ActionChunk, q=q, seq=9))
        assert bool(reason) == refused
        assert not refused or (f"chunk 9: {safety.joint_name(joint)} is" in reason and "0.5 rad" in reason)


def test_a_chunk_within_all_ranges_is_not_refused(build: Build) -> None:
    chunk = build(messages.ActionChunk, q=np.tile(MIDDLE, (messages.HORIZON, 1)).astype(np.float32))
    assert safety.refuse(SAFETY, LIMITS, chunk) == ""


def test_a_chunk_expires_with_its_observation(build: Build) -> None:
    chunk = build(messages.ActionChunk, observation_ns=NOW_NS, t0_ns=NOW_NS)
    assert not safety.expired(SAFETY, chunk, NOW_NS + seconds(SAFETY.max_chunk_age_s))
    assert safety.expired(SAFETY, chunk, NOW_NS + seconds(SAFETY.max_chunk_age_s) + 1)


def test_a_chunk_expires_with_its_last_target(build: Build) -> None:
    chunk = build(messages.ActionChunk, observation_ns=NOW_NS, t0_ns=NOW_NS, dt_ns=1_000_000)
    assert not safety.expired(SAFETY, chunk, NOW_NS + 63_000_000 - 1)
    assert safety.expired(SAFETY, chunk, NOW_NS + 63_000_000)


def test_a_chunk_of_the_far_future_is_not_of_this_clock(build: Build) -> None:
    chunk = build(messages.ActionChunk, observation_ns=NOW_NS, t0_ns=NOW_NS + seconds(1))
    assert not safety.expired(SAFETY, chunk, NOW_NS)
    assert safety.expired(SAFETY, chunk, NOW_NS - 1)


@pytest.mark.parametrize("ahead_s", [1.5, 60.0, 3600.0])
def test_a_chunk_whose_observation_lies_in_the_future_is_not_of_this_clock(ahead_s: float, build: Build) -> None:
    """Otherwise it would count as fresh until its observation's time has come."""
    chunk = build(messages.ActionChunk, observation_ns=NOW_NS + seconds(ahead_s), t0_ns=NOW_NS)
    assert safety.expired(SAFETY, chunk, NOW_NS)


@pytest.mark.parametrize("joint", WITHOUT_GRIPPERS)
def test_a_jump_is_named_with_its_limit(joint: int) -> None:
    wanted = MIDDLE.copy()
    wanted[joint] -= SAFETY.jump_rad - 1e-6
    assert safety.jump(SAFETY, wanted, MIDDLE) == ""
    wanted[joint] -= 2e-6
    reason = safety.jump(SAFETY, wanted, MIDDLE)
    assert safety.joint_name(joint) in reason and "0.35 rad" in reason


def test_a_gripper_may_jump() -> None:
    wanted = MIDDLE.copy()
    wanted[[6, 13]] += 1.0
    assert safety.jump(SAFETY, wanted, MIDDLE) == ""


@pytest.mark.parametrize("joint", WITHOUT_GRIPPERS)
def test_an_arm_that_does_not_follow_is_named(joint: int) -> None:
    measured = MIDDLE.copy()
    measured[joint] += SAFETY.following_rad - 1e-6
    assert safety.not_following(SAFETY, MIDDLE, measured) == ""
    measured[joint] += 2e-6
    assert f"{safety.joint_name(joint)} is 0.80 rad from its command" in safety.not_following(SAFETY, MIDDLE, measured)


def test_joints_are_named_by_side() -> None:
    names = [safety.joint_name(index) for index in range(14)]
    assert names[:7] == ["left j1", "left j2", "left j3", "left j4", "left j5", "left j6", "left gripper"]
    assert names[7:] == [name.replace("left", "right") for name in names[:7]]


# mode, wants_run, wants_arm, fault, reasons, armable, resumes -> mode after, wants_run after
TRANSITIONS: list[tuple[messages.Mode, bool, bool, str, bool, bool, bool, messages.Mode, bool]] = [
    ("DISARMED", False, False, "", False, True, False, "DISARMED", False),
    ("DISARMED", True, False, "", False, True, False, "DISARMED", True),
    ("DISARMED", False, True, "", False, False, False, "DISARMED", False),
    ("DISARMED", False, True, "", False, True, False, "HOLD", False),
    ("DISARMED", True, True, "", True, True, False, "HOLD", True),
    ("HOLD", False, True, "", False, True, False, "HOLD", False),
    ("HOLD", True, True, "", True, True, False, "HOLD", False),
    ("HOLD", True, True, "", True, True, True, "HOLD", True),
    ("HOLD", True, True, "", False, True, False, "RUNNING", True),
    ("RUNNING", True, True, "", False, True, False, "RUNNING", True),
    ("RUNNING", False, True, "", False, True, True, "HOLD", False),
    ("RUNNING", True, True, "", True, True, False, "HOLD", False),
    ("RUNNING", True, True, "", True, True, True, "HOLD", True),
    ("RUNNING", False, True, "", True, True, True, "HOLD", False),
    ("RUNNING", True, True, "x", False, True, True, "FAULT", False),
    ("HOLD", True, True, "x", False, True, True, "FAULT", False),
    ("DISARMED", True, False, "x", False, True, True, "FAULT", False),
    ("FAULT", True, True, "x", False, True, True, "FAULT", False),
    ("FAULT", False, True, "", False, True, True, "HOLD", False),
    ("FAULT", True, True, "", False, True, True, "HOLD", True),
]


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row[0]}-{row[7]}-{row[1]}-{row[3]}-{row[4]}-{row[6]}")
def test_transition(row: tuple[messages.Mode, bool, bool, str, bool, bool, bool, messages.Mode, bool]) -> None:
    before, wants_run, wants_arm, fault, is_stale, armable, resumes, after, wants_after = row
    state = machine(before, wants_run=wants_run, wants_arm=wants_arm, fault=fault)
    changed = settle(state, ("stale",) if is_stale else (), armable, True, resumes, NOW_NS)
    assert (state.mode, state.wants_run) == (after, wants_after)
    assert changed == (before != after)
    assert state.since_ns == (NOW_NS if changed else 0)


def test_the_run_that_begins_by_itself_waits_once() -> None:
    state = Machine("HOLD", wants_arm=True, wants_run=True, first_run=True)
    settle(state, ("no chunk yet",), True, True, False, NOW_NS)
    assert (state.mode, state.wants_run) == ("HOLD", True)
    settle(state, (), True, True, False, NOW_NS)
    assert (state.mode, state.first_run) == ("RUNNING", False)


def test_holds_count_staleness_not_orders() -> None:
    by_command, by_age = machine("RUNNING"), machine("RUNNING", wants_run=True)
    settle(by_command, (), True, True, False, NOW_NS)
    settle(by_age, ("stale",), True, True, False, NOW_NS)
    assert (by_command.holds, by_age.holds) == (0, 1)


def test_a_fault_is_counted_once() -> None:
    state = machine("RUNNING", wants_run=True, fault="x")
    for _ in range(3):
        settle(state, (), True, True, True, NOW_NS)
    assert state.faults == 1


@pytest.mark.parametrize(
    ("state", "given", "reported"),
    [
        (machine("RUNNING", wants_run=True), (), ()),
        (machine("FAULT", fault="blocked"), ("stale",), ("blocked",)),
        (machine("DISARMED", wants_arm=False), ("stale",), ("not armed", "stale")),
        (Machine("HOLD", wants_arm=True, bound_for="rest"), ("stale",), ("moves to the rest pose",)),
        (Machine("HOLD", wants_arm=True, wants_run=True, first_run=True), ("stale",), ("stale",)),
        (machine("HOLD", wants_run=True), ("stale",), ("stale", "waits for the command to run")),
        (machine("HOLD"), ("stale",), ("stale", "waits for the command to run")),
        (machine("HOLD"), (), ("waits for the command to run",)),
    ],
)
def test_it_says_why_it_does_not_run(state: Machine, given: tuple[str, ...], reported: tuple[str, ...]) -> None:
    settle(state, given, True, True, False, NOW_NS)
    assert state.reasons == reported


@pytest.mark.parametrize("before", ["HOLD", "RUNNING"])
def test_arms_without_power_are_disarmed_and_not_armed_by_themselves(before: messages.Mode) -> None:
    """Switched on again they would jump to where they were commanded last."""
    state = machine(before, wants_run=True)
    settle(state, (), True, False, True, NOW_NS)
    assert (state.mode, state.wants_run) == ("DISARMED", False)
    settle(state, (), True, True, True, NOW_NS)
    assert state.mode == "DISARMED"


def test_arming_waits_for_the_motors() -> None:
    state = machine("DISARMED")
    settle(state, (), True, False, True, NOW_NS)
    assert (state.mode, state.reasons) == ("DISARMED", ("the motors are not on yet",))
    settle(state, (), True, True, True, NOW_NS)
    assert state.mode == "HOLD"


@pytest.mark.parametrize(
    "state",
    [
        Machine("FAULT", wants_arm=True, stopped=True),
        Machine("FAULT", wants_arm=True, never_armed=True),
        machine("FAULT"),
    ],
)
def test_what_was_cleared_arms_nothing_when_the_arms_were_let_go(state: Machine) -> None:
    powered = state.stopped or state.never_armed
    settle(state, (), True, powered, True, NOW_NS)
    assert (state.mode, state.wants_arm, state.stopped, state.never_armed) == ("DISARMED", False, False, False)


def test_only_a_way_to_rest_ends_on_the_way_to_rest() -> None:
    for mode in ("HOLD", "RUNNING", "DISARMED"):
        state = machine(mode, wants_run=True)
        settle(state, ("left arm: silent",), False, True, True, NOW_NS)
        assert state.lost == () and not any("rest" in reason for reason in state.reasons)
    ended = Machine("HOLD", wants_arm=True, wants_run=True, lost=("on the way to rest: silent",))
    settle(ended, (), True, True, True, NOW_NS)
    assert (ended.mode, ended.lost) == ("RUNNING", ())
    settle(ended, ("no chunk yet",), True, True, False, NOW_NS)
    assert ended.mode == "HOLD" and ended.reasons == ("no chunk yet", "waits for the command to run"), (
        "that is forgotten"
    )


@pytest.mark.parametrize(
    ("wants_arm", "powered", "said"), [(True, False, "not on"), (True, True, "not armed"), (False, False, "not armed")]
)
def test_arms_that_do_not_switch_on_are_told_from_those_nobody_armed(wants_arm: bool, powered: bool, said: str) -> None:
    state = machine("DISARMED", wants_arm=wants_arm)
    settle(state, ("left arm: silent",), False, powered, True, NOW_NS)
    assert state.mode == "DISARMED" and (safety.NOT_ON if said == "not on" else said) == state.reasons[0]


@pytest.mark.parametrize(
    ("mode", "armable", "goes_on"), [("HOLD", True, True), ("HOLD", False, False), ("DISARMED", True, False)]
)
def test_the_way_to_rest_ends_with_hold_and_with_a_lost_arm(mode: messages.Mode, armable: bool, goes_on: bool) -> None:
    state = Machine(mode, wants_arm=mode == "HOLD", bound_for="rest")
    settle(state, () if armable else ("left arm: silent", "no chunk yet"), armable, True, True, NOW_NS)
    assert (state.bound_for == "rest") is goes_on
    assert not any("on the way to rest: no chunk yet" in reason for reason in state.reasons), (
        "the first reason is enough"
    )
    assert ("on the way to rest: left arm: silent" in state.reasons) is (not armable), (
        "and why is said until it is ordered anew"
    )
    settle(state, (), True, True, True, NOW_NS)
    assert ("on the way to rest: left arm: silent" in state.reasons) is (not armable)
