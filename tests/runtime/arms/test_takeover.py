"""Takeover by leaders on buses of their own: when it begins, how the arms follow the hands, what ends it. Called by pytest."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arms_rig import TICK_NS, Rig
from live_run import END_S, LIGHTEST, START_S, LiveRun

from drivers.cobot_magic import WITHOUT_GRIPPERS, ready_pose
from runtime.arms import takeover
from runtime.arms.limits import Array, Limits
from runtime.messaging import messages
from runtime.replay import lockstep
from runtime.session import reader

Build = Callable[..., Any]
OWN = ("--can", "--arms.leaders", "own")
HELD_S = 1.0


class Teacher:
    """Holds both leaders."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.q, self.number = rig, rig.measured.copy(), 0

    def leads(self, move: Callable[[float], Array] | None = None, duration_s: float = 0.5) -> messages.ArmTarget:
        """For a while; `move` gives what is added to the pose at a time. The policy goes on telling what it would do."""
        rig, begin = self.rig, self.q.copy()
        made = rig.outputs[-1].target
        for index in range(round(duration_s * 1e9 / TICK_NS)):
            if move is not None:
                self.q = begin + move(index * TICK_NS / 1e9)
            chunk = (rig.chunk(),) if index % 20 == 0 else ()
            made = rig.tick(self.says(), *chunk).target
        return made

    def says(self, late_ns: int = 0) -> messages.LeaderState:
        """Where they are."""
        self.number += 1
        now_ns = self.rig.now_ns
        stamps = (now_ns - late_ns, now_ns)
        return self.rig.build(
            messages.LeaderState, seq=self.number, stamp_ns=now_ns, q=self.q.copy(), measured_ns=stamps, exceeds=()
        )


@pytest.fixture
def teacher(build: Build) -> Teacher:
    """Of a robot that runs, with leaders on four buses, where the arms are."""
    rig = Rig(build, *OWN)
    rig.run(0.5)
    assert rig.mode == "RUNNING"
    return Teacher(rig)


def took_over(teacher: Teacher) -> Teacher:
    """After the order, with the leaders led to where the arms come to rest."""
    teacher.rig.tick(teacher.rig.command("takeover"), teacher.says())
    teacher.leads()
    teacher.q = teacher.rig.measured.copy()
    teacher.leads()
    assert teacher.rig.mode == "TAKEOVER"
    return teacher


def test_the_arms_are_braked_before_they_are_led(teacher: Teacher) -> None:
    rig = teacher.rig
    teacher.leads(duration_s=0.3)
    assert np.abs(rig.state.commanded.dq).max() > 0.01, "they move"
    assert rig.tick(rig.command("takeover"), teacher.says()).target.mode == "HOLD"
    assert rig.reasons == "takeover: waiting until the arms have stopped"
    teacher.q = rig.measured.copy()
    assert teacher.leads(duration_s=HELD_S).mode == "TAKEOVER"
    assert rig.reasons == "the leaders lead the arms"
    assert rig.state.machine.status.holds == 0, "an order is no incident"


def test_a_gap_of_the_ticks_ends_a_takeover_until_it_is_asked_for_again(teacher: Teacher) -> None:
    rig = took_over(teacher).rig
    stood = rig.state.commanded.q.copy()
    rig.now_ns += 100_000_000
    assert teacher.leads(duration_s=0.005).mode == "HOLD"
    assert "no targets sent for 105 ms" in rig.reasons
    teacher.leads(lambda at_s: np.full(messages.JOINTS, 0.01))
    assert rig.mode == "HOLD" and np.abs(rig.state.commanded.q - stood).max() < 1e-6, "hands lead them no more"
    teacher.q = rig.measured.copy()
    rig.tick(rig.command("takeover"), teacher.says())
    assert teacher.leads().mode == "TAKEOVER"


def test_the_arms_follow_the_hands(teacher: Teacher) -> None:
    took_over(teacher)

    def swing(at_s: float) -> Array:
        return -0.2 * (1 - np.cos(np.pi * at_s)) / 2 * ~np.isin(np.arange(messages.JOINTS), (6, 13))

    begin = teacher.q.copy()
    made = teacher.leads(swing, 1.0)
    teacher.leads(duration_s=0.5)
    np.testing.assert_allclose(teacher.rig.measured, teacher.q, atol=1e-3)
    assert np.abs(teacher.q - begin).max() > 0.19 and made.mode == "TAKEOVER"
    np.testing.assert_array_equal(made.blended, teacher.q)


def test_hands_bring_the_arms_home_in_mid_run(teacher: Teacher) -> None:
    """What the live test below shows of real time, on the steps' own clock."""
    rig = took_over(teacher).rig
    before, way = np.abs(rig.measured - ready_pose()), ready_pose() - teacher.q
    teacher.leads(lambda at_s: way * min(1.0, at_s / 2), 3.0)
    after = np.abs(rig.measured - ready_pose())
    rig.tick(rig.command("run"), teacher.says())
    teacher.leads(duration_s=HELD_S)
    modes = [mode for mode, _ in itertools.groupby(output.target.mode for output in rig.outputs)]
    assert modes[modes.index("RUNNING") :] == ["RUNNING", "HOLD", "TAKEOVER", "RUNNING"]
    assert after[WITHOUT_GRIPPERS].max() < 0.05 < before[WITHOUT_GRIPPERS].max()


def test_hands_without_limits_are_followed_within_the_arms_limits(teacher: Teacher) -> None:
    took_over(teacher)
    rig, limits = teacher.rig, Limits.of(teacher.rig.config.settings.safety)
    reported = [rig.measured.copy()]
    for index in range(200):
        teacher.q[0] = reported[0][0] + (0.13 if index % 60 < 30 else -0.13)
        reported.append(rig.tick(teacher.says()).target.q.copy())
    dq = np.diff(reported, axis=0) * 1e9 / TICK_NS
    ddq = np.diff(dq, axis=0) * 1e9 / TICK_NS
    assert np.abs(dq).max(0)[0] > 0.2, "it hurries"
    assert (np.abs(dq) <= limits.velocity * (1 + 1e-9)).all()
    assert (np.abs(ddq) <= limits.acceleration * (1 + 1e-6)).all()
    assert any(output.target.limited for output in rig.outputs[-100:])


@pytest.mark.parametrize("lost", ["silent", "ran away", "arm"])
def test_a_lost_hand_or_arm_holds_until_the_order_comes_again(teacher: Teacher, lost: str) -> None:
    took_over(teacher)
    rig, limit = teacher.rig, teacher.rig.config.settings.safety.jump_rad
    if lost == "silent":
        rig.run(0.15)
        made, why = rig.tick(), "no leader feedback"
    elif lost == "arm":
        rig.arms = {"warning": ("", "status 5: a joint does not communicate")}
        made, why = rig.tick(teacher.says()), "right arm: status 5"
    else:
        teacher.q[9] -= limit + 0.1
        made, why = rig.tick(teacher.says()), f"is {limit + 0.1:.2f} rad from the arm (limit {limit} rad)"
    assert made.target.mode == "HOLD" and rig.state.machine.status.holds == 1
    rig.tick()
    assert why in rig.reasons, "it is said until something is ordered"
    rig.arms, teacher.q = {}, rig.measured.copy()
    assert teacher.leads(duration_s=HELD_S).mode == "HOLD"
    rig.tick(rig.command("takeover"), teacher.says())
    teacher.q = rig.measured.copy()
    assert teacher.leads().mode == "TAKEOVER"


def test_hold_and_run_give_the_arms_back(teacher: Teacher) -> None:
    took_over(teacher)
    rig = teacher.rig
    assert rig.tick(rig.command("hold"), teacher.says()).target.mode == "HOLD"
    assert teacher.leads(duration_s=HELD_S).mode == "HOLD"
    rig.tick(rig.command("takeover"))
    assert rig.state.answer == "held by the operator; send `arm`, then `takeover`"
    rig.tick(rig.command("arm"), rig.command("takeover"))
    teacher.q = rig.measured.copy()
    assert teacher.leads().mode == "TAKEOVER"
    rig.tick(rig.command("run"), teacher.says())
    assert teacher.leads().mode == "RUNNING"
    assert rig.state.machine.status.holds == 0


def test_on_a_robot_run_gives_the_arms_back_at_once(build: Build) -> None:
    """There a HOLD does not end by itself: on the way through one the order would be lost."""
    rig = Rig(build, *OWN, "--no-arms.auto_resume")
    rig.run(0.5)
    teacher = took_over(Teacher(rig))
    rig.tick(rig.command("run"), teacher.says())
    assert (rig.state.answer, rig.mode) == ("", "RUNNING")
    assert teacher.leads(duration_s=HELD_S).mode == "RUNNING"
    assert rig.state.machine.status.holds == 0


def test_a_page_that_is_lost_when_it_ends_a_takeover_is_told(teacher: Teacher, build: Build) -> None:
    took_over(teacher)
    rig = teacher.rig
    lost = build(messages.Deadman, wanted=True, beat_ns=rig.now_ns - 10**9, holder="anna")
    assert rig.tick(rig.command("rest"), lost, teacher.says()).target.mode == "HOLD"
    assert "console page of anna silent for 1000 ms" in rig.reasons


def test_rest_is_for_the_arms_alone(teacher: Teacher) -> None:
    took_over(teacher)
    rig = teacher.rig
    rig.tick(rig.command("rest"), teacher.says())
    teacher.leads(duration_s=0.2)
    assert rig.mode == "HOLD" and rig.reasons == "moving to the rest pose"


def test_a_fault_ends_it_and_clearing_does_not_bring_it_back(teacher: Teacher) -> None:
    took_over(teacher)
    rig = teacher.rig
    rig.arms = {"fault": ("motor 2 is at 90 °C (limit 80 °C)", "")}
    assert rig.tick(teacher.says()).target.mode == "FAULT"
    rig.arms = {}
    rig.tick(rig.command("clear"), teacher.says())
    assert teacher.leads(duration_s=HELD_S).mode == "HOLD"


def test_what_hinders_is_named(build: Build) -> None:
    rig = Rig(build)
    teacher, pose = Teacher(rig), rig.measured
    away = pose + 0.4 * (np.arange(messages.JOINTS) == 8)

    def unled(**changes: Any) -> tuple[str, ...]:
        state = teacher.says().model_copy(update=changes)
        return takeover.unled(0.3, state, pose, True, rig.now_ns)

    assert unled() == ()
    assert unled(q=away) == (
        "takeover: the right leader's j2 is 0.40 rad from the arm (limit 0.3 rad); move the leader to the arm's pose",
    )
    assert "no leader feedback" in unled(measured_ns=(rig.now_ns - 150_000_000, rig.now_ns))[0]
    assert "no leader feedback" in takeover.unled(0.3, None, pose, True, rig.now_ns)[0]
    assert "waiting until the arms have stopped" in takeover.unled(0.3, teacher.says(), pose, False, rig.now_ns)[0]


def test_the_gripper_may_be_elsewhere(build: Build) -> None:
    rig = Rig(build)
    teacher = Teacher(rig)
    teacher.q[6] += 1.0
    assert takeover.unled(0.3, teacher.says(), rig.measured, True, rig.now_ns) == ()


@pytest.mark.parametrize("resume", ["--arms.auto_resume", "--no-arms.auto_resume"])
def test_on_stock_wiring_a_takeover_is_refused_and_the_policy_runs_on(build: Build, resume: str) -> None:
    rig = Rig(build, resume)
    rig.run(0.5)
    rig.tick(rig.command("takeover"))
    assert rig.state.answer == takeover.STOCK_WIRING
    assert "unplug them" in takeover.STOCK_WIRING and "record.sh" in takeover.STOCK_WIRING
    begun = len(rig.outputs)
    rig.run(0.3)
    assert {made.target.mode for made in rig.outputs[begun - 1 :]} == {"RUNNING"}


def test_arms_that_are_not_armed_cannot_be_led(build: Build) -> None:
    rig = Rig(build, *OWN, "--arms.start", "disarmed")
    rig.tick(rig.command("takeover"))
    assert rig.state.answer == "`takeover` needs armed arms (mode DISARMED); send `arm`, then `takeover`"
    assert not rig.state.machine.wanted.takeover


@pytest.mark.live
@pytest.mark.real_time(decided_by="tests/runtime/arms/test_takeover.py::test_hands_bring_the_arms_home_in_mid_run")
def test_a_teacher_with_four_buses_brings_the_arms_home_in_mid_run(tmp_path: Path) -> None:
    """Real SDK, emulated leaders on their own buses; the stretch is marked in the session, which replays byte for byte.
    The key q ends it.
    """
    with LiveRun(tmp_path, *OWN, *LIGHTEST, keyboard=True) as run:
        run.wait_for("RUNNING", START_S)
        assert run.command("takeover") == ""
        time.sleep(5)  # home after three: a chunk of arms that are led elsewhere may jump
        assert run.command("run") == ""
        run.wait_for("RUNNING", START_S)
        run.press(b"q")
        assert run.process.wait(END_S) == 0
    session = reader.read(run.session)
    targets = [message for _, message, _ in reader.decode_all(session) if isinstance(message, messages.ArmTarget)]
    modes = [mode for mode, _ in itertools.groupby(target.mode for target in targets)]
    assert modes[modes.index("RUNNING") :][:4] == ["RUNNING", "HOLD", "TAKEOVER", "RUNNING"]
    led = [target for target in targets if target.mode == "TAKEOVER"]
    before, after = (np.abs(target.q - ready_pose())[WITHOUT_GRIPPERS].max() for target in (led[0], led[-1]))
    assert after < 0.05 < before, "the hands bring the arms home"
    assert lockstep.replay(session).identical
    assert 0 < json.loads(run.json.read_text())["takeover_fraction"] < 1
