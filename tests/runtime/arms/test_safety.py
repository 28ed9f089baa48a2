"""The text of every verdict, each at its limit. That every branch is covered is checked by .ci/run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from runtime.arms import safety
from runtime.arms.limits import Limits
from runtime.arms.modes import Latched, Pose, StateMachine, Wanted
from runtime.arms.safety import Freshness
from runtime.config.safety_settings import Safety
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages

Build = Callable[..., Any]
NOW_NS = 1_000_000_000_000
SETTINGS = Settings()
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


def stale(fresh: Freshness, now_ns: int = NOW_NS) -> tuple[str, ...]:
    """All that forbids RUNNING: the arms', then the rest."""
    return safety.arm_reasons(SETTINGS, fresh, now_ns) + safety.stale(SAFETY, fresh, now_ns)


def test_fresh_inputs_forbid_nothing(fresh: Freshness) -> None:
    assert stale(fresh) == ()


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
def test_an_arm_without_feedback_is_named(side: int, name: str, fresh: Freshness) -> None:
    at_limit, over = NOW_NS - seconds(SAFETY.max_feedback_age_s), NOW_NS - seconds(SAFETY.max_feedback_age_s) - 1
    stamps = [NOW_NS, NOW_NS]
    stamps[side] = at_limit
    assert stale(with_arms(fresh, measured_ns=(stamps[0], stamps[1]))) == ()
    stamps[side] = over
    (reason,) = stale(with_arms(fresh, measured_ns=(stamps[0], stamps[1])))
    assert reason.startswith(f"{name} arm: feedback is 50 ms old (limit 50 ms)")


def test_a_silent_supervisor_is_named_and_none_at_all_is_not_missed(fresh: Freshness) -> None:
    limit_ns = seconds(SAFETY.max_supervision_age_s)
    assert stale(replace(fresh, supervised_ns=None)) == ()
    assert stale(replace(fresh, supervised_ns=NOW_NS - limit_ns)) == ()
    (reason,) = stale(replace(fresh, supervised_ns=NOW_NS - limit_ns - 1))
    assert reason.startswith("supervisor silent for 1000 ms (limit 1000 ms)")


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
@pytest.mark.parametrize("field", ["warning", "fault"])
def test_what_an_arm_reports_is_a_reason(side: int, name: str, field: str, fresh: Freshness) -> None:
    reported = ["", ""]
    reported[side] = "motor 3 is hot"
    reporting = with_arms(fresh, **{field: tuple(reported)})
    assert stale(reporting) == (f"{name} arm: motor 3 is hot",)
    assert safety.arm_fault(reporting.arms) == (f"{name} arm: motor 3 is hot" if field == "fault" else "")


def test_both_arms_are_named(fresh: Freshness) -> None:
    reasons = safety.arm_reasons(SETTINGS, with_arms(fresh, measured_ns=(0, 0)), NOW_NS)
    assert [reason.split()[0] for reason in reasons] == ["left", "right"]


def test_cameras_that_never_reported_are_named(fresh: Freshness) -> None:
    assert stale(replace(fresh, health=None)) == ("no camera report yet; wait for the cameras process",)


def test_a_silent_cameras_process_is_named(fresh: Freshness, build: Build) -> None:
    limit_ns = seconds(SAFETY.max_health_age_s)
    health = build(messages.CameraHealth, stamp_ns=NOW_NS - limit_ns)
    assert stale(replace(fresh, health=health)) == ()
    (reason,) = stale(replace(fresh, health=health), NOW_NS + 1)
    assert reason.startswith("cameras process silent for 150 ms (limit 150 ms)")


def test_each_bad_camera_is_named(fresh: Freshness, build: Build) -> None:
    states = tuple(
        messages.CameraState(camera=camera, number=1, capture_ns=NOW_NS, rate_hz=30.0, verdict=verdict)
        for camera, verdict in (("head", "no new frame for 120 ms"), ("left_wrist", ""), ("right_wrist", "unplugged"))
    )
    health = build(messages.CameraHealth, stamp_ns=NOW_NS, cameras=states)
    assert stale(replace(fresh, health=health)) == (
        "camera head: no new frame for 120 ms",
        "camera right_wrist: unplugged",
    )


def test_a_refusal_is_the_reason(fresh: Freshness) -> None:
    assert stale(replace(fresh, refusal="chunk: jumps")) == ("chunk: jumps",)


@pytest.mark.parametrize("missing", ["observation_ns", "conditions_ns"])
def test_no_chunk_yet_is_the_reason(missing: str, fresh: Freshness) -> None:
    assert stale(replace(fresh, **{missing: None})) == ("no chunk yet",)


def test_an_old_chunk_is_named_with_its_limit(fresh: Freshness) -> None:
    limit_ns = seconds(SAFETY.max_chunk_age_s)
    assert stale(replace(fresh, observation_ns=NOW_NS - limit_ns)) == ()
    (reason,) = stale(replace(fresh, observation_ns=NOW_NS - limit_ns - 1))
    assert reason == "chunk is 600 ms old (limit 600 ms): System 1 is late or has ended"


def test_a_chunk_that_has_run_out_is_named(fresh: Freshness) -> None:
    (reason,) = stale(replace(fresh, runs_out=True))
    assert reason == "chunk has run out (100 ms old, limit 600 ms): System 1 is late or has ended"


def test_without_system2_an_old_chunk_is_the_only_reason(fresh: Freshness) -> None:
    """Its chunks stand for their own conditions, and hold the arms by whichever limit is shorter."""

    def unguided(age_s: float, **changes: Any) -> tuple[str, ...]:
        ns = NOW_NS - seconds(age_s)
        return stale(replace(fresh, guided=False, observation_ns=ns, conditions_ns=ns, **changes))

    assert unguided(1.3) == ("chunk is 1300 ms old (limit 600 ms): System 1 is late or has ended",)
    assert unguided(0.6) == ()
    assert unguided(0.5, conditions_limit_ns=seconds(0.4)) == (
        "chunk is 500 ms old (limit 400 ms): System 1 is late or has ended",
    )
    assert unguided(0.4, conditions_limit_ns=seconds(0.4)) == ()


def test_conditions_of_the_very_frame_are_still_conditions(fresh: Freshness) -> None:
    old_ns = NOW_NS - seconds(1.3)
    first, second = stale(replace(fresh, observation_ns=old_ns, conditions_ns=old_ns))
    assert first.startswith("conditions are 1300 ms old") and second.startswith("chunk is 1300 ms old")


def test_an_old_condition_is_named_by_its_own_limit(fresh: Freshness) -> None:
    old = replace(fresh, conditions_ns=NOW_NS - seconds(1.2))
    assert stale(old) == ()
    (reason,) = stale(replace(old, conditions_ns=NOW_NS - seconds(1.2) - 1))
    assert reason == "conditions are 1200 ms old (limit 1200 ms): System 2 is late or has ended"


def test_a_condition_may_never_be_older_than_the_settings_say(fresh: Freshness) -> None:
    old = replace(
        fresh, conditions_limit_ns=seconds(100), conditions_ns=NOW_NS - seconds(SAFETY.max_condition_age_s) - 1
    )
    (reason,) = stale(old)
    assert "4000 ms" in reason


def test_an_old_chunk_and_an_old_condition_are_both_named(fresh: Freshness) -> None:
    reasons = stale(replace(fresh, observation_ns=0, conditions_ns=0))
    assert sorted(reason.split()[0] for reason in reasons) == ["chunk", "conditions"]


def test_everything_that_is_wrong_is_said_at_once(fresh: Freshness) -> None:
    assert len(stale(replace(with_arms(fresh, measured_ns=(0, 0)), health=None, refusal="x"))) == 4


@pytest.mark.parametrize("joint", WITHOUT_GRIPPERS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_target_far_outside_its_range_refuses_the_chunk(joint: int, sign: int, build: Build) -> None:
    edge = LIMITS.high[joint] if sign > 0 else LIMITS.low[joint]
    for beyond, refused in ((SAFETY.outside_rad - 1e-3, False), (SAFETY.outside_rad + 1e-3, True)):
        q = np.tile(MIDDLE, (64, 1)).astype(np.float32)
        q[40, joint] = edge + sign * beyond
        reason = safety.refuse(SAFETY, LIMITS, build(messages.ActionChunk, q=q, seq=9))
        assert bool(reason) == refused
        assert not refused or (f"chunk 9: {joint_name(joint)} is" in reason and "0.5 rad" in reason)


def test_a_chunk_within_all_ranges_is_not_refused(build: Build) -> None:
    chunk = build(messages.ActionChunk, q=np.tile(MIDDLE, (64, 1)).astype(np.float32))
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
    assert joint_name(joint) in reason and "0.35 rad" in reason


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
    assert f"{joint_name(joint)} is 0.80 rad from its command" in safety.not_following(SAFETY, MIDDLE, measured)


def test_joints_are_named_by_side() -> None:
    names = [joint_name(index) for index in range(14)]
    assert names[:7] == ["left j1", "left j2", "left j3", "left j4", "left j5", "left j6", "left gripper"]
    assert names[7:] == [name.replace("left", "right") for name in names[:7]]


@pytest.mark.parametrize(("run", "pose"), [(True, ""), (False, "ready"), (False, "")])
@pytest.mark.parametrize("wanted", [True, False])
def test_whoever_drives_from_a_page_that_is_lost_does_not_drive(
    run: bool, pose: Pose, wanted: bool, build: Build
) -> None:
    """At the limit it is heard; whoever drives nothing, or without a page, is not held."""
    machine = StateMachine(Wanted(arm=True, run=run, pose=pose))
    deadman = build(messages.Deadman, wanted=wanted, beat_ns=NOW_NS, holder="anna")
    limit_ns = seconds(SAFETY.max_deadman_age_s)
    assert safety.check_deadman(SAFETY, machine, None, NOW_NS + limit_ns + 1) is machine
    assert safety.check_deadman(SAFETY, machine, deadman, NOW_NS + limit_ns) is machine
    made = safety.check_deadman(SAFETY, machine, deadman, NOW_NS + limit_ns + 1)
    if not wanted or not (run or pose):
        assert made is machine
        return
    why = "console page of anna silent for 300 ms (limit 300 ms); send `arm`, then `run`"
    assert made == StateMachine(Wanted(arm=True), Latched(held=True, lost=(why,)))
