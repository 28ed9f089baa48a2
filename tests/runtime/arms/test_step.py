"""The arms' step on a fake clock: taking over the arms, running, every reason to hold, refusals, faults, and determinism.

The rig feeds back what was commanded, as an ideal arm would.
"""

from typing import Any

import numpy as np
import pytest
from arms_rig import DT_NS, START_NS, TICK_NS, Build, Rig
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runtime.arms import state as arms_state
from runtime.messaging import codec, messages
from runtime.process import snapshot


@pytest.fixture
def rig(build: Build) -> Rig:
    """The sim profile: takes the arms and runs by itself."""
    return Rig(build)


@pytest.fixture
def running(rig: Rig) -> Rig:
    """One that has been running for half a second."""
    rig.run(0.5)
    assert rig.mode == "RUNNING"
    return rig


def test_before_the_arms_are_heard_operators_are_answered_and_nothing_is_sent(rig: Rig, build: Build) -> None:
    stood, rig.measured = rig.measured, np.zeros(messages.JOINTS)  # nobody knows yet where they are
    rig.arms = {"measured_ns": (messages.NEVER, messages.NEVER), "powered": (False, False)}
    rig.run(0.3)
    assert (
        rig.mode == "DISARMED" and "left arm: no feedback yet; check logs/simulator.log of the session" in rig.reasons
    )
    for name, said in (("hold", ""), ("arm", "no feedback yet")):
        state = rig.tick(
            build(messages.OperatorCommand, command=name, seq=rig.ticks, epoch=9, stamp_ns=rig.now_ns)
        ).state
        assert state is not None and said in state.answer and state.answered[0] == 9
    assert not any(made.target.sent for made in rig.outputs)
    rig.measured, rig.arms = stood, {}
    rig.state.machine = rig.state.machine.want(arm=True)
    first = next(made for made in (rig.tick() for _ in range(5)) if made.target.sent)
    np.testing.assert_array_equal(first.target.q, stood)


def test_a_stop_reaches_an_arm_that_is_heard_beside_one_that_is_not(rig: Rig, build: Build) -> None:
    rig.arms = {"measured_ns": (START_NS, messages.NEVER), "powered": (True, False)}
    made = rig.tick(build(messages.OperatorCommand, command="stop", confirmed=True, epoch=9, stamp_ns=rig.now_ns))
    assert made.motor_commands == ("stop",) and made.state is not None and made.state.answer == ""


def test_the_first_command_is_the_feedback(rig: Rig) -> None:
    before = rig.measured.copy()
    made = rig.tick()
    assert made.target.mode == "HOLD"
    assert np.array_equal(made.target.q, before)


def test_disarmed_sends_nothing_and_follows_the_arms(build: Build) -> None:
    rig = Rig(build, "--arms.start", "disarmed")
    made = rig.run(0.2)
    assert (made.target.mode, made.target.sent) == ("DISARMED", False)
    assert "not armed" in rig.reasons
    rig.tick(rig.command("arm"))
    assert rig.mode == "HOLD"
    rig.tick(rig.command("run"), rig.chunk())
    assert rig.mode == "RUNNING"


def test_a_restarted_process_waits_for_the_operator(build: Build) -> None:
    rig = Rig(build)
    rig.state = arms_state.start(rig.config, rig.build(messages.JointState, q=rig.measured), rig.now_ns, restarted=True)
    assert rig.run(0.5).target.mode == "DISARMED"


def test_it_runs_with_a_chunk_and_follows_it(running: Rig) -> None:
    sent = np.stack([made.target.q for made in running.outputs])
    assert np.abs(sent[-1] - sent[0])[:6].min() > 1e-3
    running.run(0.5, chunk_every_s=None)
    assert running.mode == "RUNNING"
    assert not any(made.target.limited for made in running.outputs[-50:])


def test_the_blended_trajectory_has_no_velocity_step_at_seams(running: Rig) -> None:
    running.run(1.0)
    seams = [made.target.seam_jump_rad_s for made in running.outputs if made.target.seam_jump_rad_s >= 0]
    assert len(seams) > 5
    assert np.percentile(seams, 75) < 0.002, "where the limits do not interfere"


def test_without_chunks_it_brakes_and_holds_naming_the_age(running: Rig) -> None:
    running.run(0.7, chunk_every_s=None)
    assert running.mode == "HOLD"
    assert "chunk is" in running.reasons
    assert running.state.machine.status.holds == 1
    running.run(1.0, chunk_every_s=None)
    assert np.abs(running.state.commanded.dq).max() < 1e-9


def test_a_hold_for_staleness_ends_by_itself_in_the_sim_profile(running: Rig) -> None:
    running.run(0.7, chunk_every_s=None)
    running.run(0.3)
    assert running.mode == "RUNNING"


def test_a_hold_for_staleness_ends_by_order_on_the_robot(build: Build) -> None:
    rig = Rig(build, "--no-arms.auto_resume")
    rig.run(0.5)
    rig.run(0.7, chunk_every_s=None)
    assert rig.run(0.5).target.mode == "HOLD"
    rig.tick(rig.command("run"))
    assert rig.mode == "RUNNING"


def test_an_operators_hold_is_latched_until_run(running: Rig) -> None:
    running.tick(running.command("hold"))
    assert running.run(1.0).target.mode == "HOLD"
    assert "send `arm`, then `run`" in running.reasons
    assert running.state.machine.status.holds == 0, "an operator's hold is no incident"
    running.tick(running.command("run"))
    assert running.run(0.1).target.mode == "HOLD", "armed anew first"
    running.tick(running.command("arm"))
    assert running.run(0.2).target.mode == "HOLD", "which moves nothing"
    running.tick(running.command("run"))
    assert running.run(0.1).target.mode == "RUNNING"


def test_arms_run_again_on_a_chunk_that_was_made_since(running: Rig) -> None:
    running.tick(running.chunk())
    running.tick(running.command("hold"))
    running.tick(running.command("arm"))
    for _ in range(20):
        running.tick(running.command("run"))
        assert running.mode == "HOLD" and running.reasons.startswith("no new chunk since HOLD began")
    running.tick(running.chunk())
    assert running.mode == "RUNNING", "in simulation the order waits"


def test_standing_arms_begin_a_late_chunk_at_its_beginning(build: Build) -> None:
    """A slow machine: it takes half a second, in which the chunk would already be 0.6 rad away."""
    rig = Rig(build)
    rig.tick(rig.health())
    begun = rig.measured.copy()
    speed = 1.2 * ~np.isin(np.arange(messages.JOINTS), (6, 13)) * np.where(np.arange(messages.JOINTS) % 7 < 1, 1, 0)
    for _ in range(3):
        way = begun + np.arange(1, 64 + 1)[:, None] * DT_NS / 1e9 * speed
        chunk = rig.chunk(way.astype(np.float32))
        rig.run(0.5, chunk_every_s=None)
        assert np.array_equal(rig.measured, begun)
        made = rig.tick(chunk)
        assert made.target.mode == "RUNNING" and np.abs(made.target.q - begun).max() < 0.02
        rig.run(0.05, chunk_every_s=None)
        assert rig.state.trajectory.pieces[-1].consumed(rig.now_ns) <= 2
        assert 0 < np.abs(rig.measured - begun).max() < 0.1
        rig.tick(rig.command("hold"))
        rig.run(0.5, chunk_every_s=None)
        rig.tick(rig.command("arm"), rig.command("run"))
        begun = rig.measured.copy()


def test_an_old_condition_holds_although_chunks_go_on(running: Rig) -> None:
    captured_ns = running.now_ns
    for index in range(500):
        chunk = (running.chunk(conditions_capture_ns=captured_ns),) if index % 20 == 0 else ()
        running.tick(*chunk)
        if running.mode == "HOLD":
            break
    assert "conditions are" in running.reasons
    assert running.now_ns - captured_ns == pytest.approx(1_500_000_000, abs=3 * TICK_NS)
    running.run(0.5)
    assert running.mode == "RUNNING", "fresh ones end it"


@pytest.mark.parametrize("side", [0, 1])
def test_one_lost_arm_holds_both(running: Rig, side: int) -> None:
    running.frozen_side = side
    running.tick()
    assert running.mode == "HOLD"
    assert ("left arm", "right arm")[side] in running.reasons


def test_a_bad_camera_holds_and_is_named(running: Rig) -> None:
    running.health_ok = False
    running.tick(running.health("left_wrist", "no new frame for 120 ms"))
    assert running.mode == "HOLD"
    assert "camera left_wrist: no new frame" in running.reasons


def test_a_silent_cameras_process_holds(running: Rig) -> None:
    running.health_ok = False
    running.run(0.3)
    assert "cameras process silent" in running.reasons


@pytest.mark.parametrize(("blend", "at_once"), [("fade", True), ("none", True), ("prefix", False)])
def test_arms_that_stand_begin_a_chunk_at_its_first_target_but_a_prefix(
    build: Build, blend: str, at_once: bool
) -> None:
    rig = Rig(build, "--trajectory.blend", blend)
    rig.tick(rig.command("hold"))
    rig.run(1.0, chunk_every_s=None)
    early = rig.chunk(t0_ns=rig.now_ns - 300_000_000)
    due_ns = rig.now_ns
    rig.tick(early)
    assert rig.state.trajectory.pieces[-1].t0_ns == (due_ns if at_once else early.t0_ns)
    rig.run(0.3, chunk_every_s=None)
    commanded_ns = rig.state.commanded_ns
    rig.tick(rig.command("arm"), rig.command("run"))
    assert rig.mode == "RUNNING"
    begun_ns = rig.state.trajectory.pieces[-1].t0_ns
    assert begun_ns == (commanded_ns if at_once else early.t0_ns), "and again when they run at last"


@pytest.mark.parametrize("stands", [False, True])
def test_arms_that_run_follow_a_chunk_at_its_own_times(build: Build, stands: bool) -> None:
    rig = Rig(build, "--trajectory.blend", "fade")
    still = np.tile(np.asarray(rig.measured, np.float32), (64, 1))
    for _ in range(5):
        rig.tick(rig.chunk(still if stands else None))
        rig.run(0.1, chunk_every_s=None)
    assert (np.abs(rig.state.commanded.dq).max() < 1e-6) == stands
    late = rig.chunk(t0_ns=rig.now_ns - 100_000_000)
    rig.tick(late)
    assert rig.mode == "RUNNING" and rig.state.trajectory.pieces[-1].t0_ns == late.t0_ns


def test_after_a_gap_without_targets_the_arms_go_on_from_where_their_stop_has_led(running: Rig) -> None:
    """They were braked meanwhile (target_stream.py): a stop from there takes 5 rad/s2 and 100 rad/s3 as any other."""
    step_rad_s2 = running.config.limits.jerk.max() * TICK_NS / 1e9
    for _ in range(200):
        running.tick()
        if np.abs(running.state.commanded.ddq).max() > 3 * step_rad_s2:
            break
    before = running.state.commanded
    assert np.abs(before.dq).max() > 0.05 and np.abs(before.ddq).max() > 2 * step_rad_s2
    running.now_ns += 100_000_000
    running.tick()
    after = running.state.commanded
    moves = np.abs(before.dq) > 0.05
    assert (np.abs(after.dq) < np.abs(before.dq))[moves].all(), "they have been braked"
    assert (np.sign(after.q - before.q) == np.sign(before.dq))[moves].all(), "and went on meanwhile"
    speed = np.abs(before.dq).max()
    assert np.abs(after.q - before.q).max() < speed * (2 * np.sqrt(speed / 100) + 0.01)
    assert np.abs(after.ddq).max() <= 5.0


def test_on_a_robot_an_order_to_run_is_refused_with_what_forbids_it(build: Build) -> None:
    rig = Rig(build, "--no-arms.auto_resume")
    rig.run(0.3)
    rig.tick(rig.command("hold"))
    rig.run(0.5)
    rig.health_ok = False
    rig.run(0.3)
    rig.tick(rig.command("arm"))
    state = rig.tick(rig.command("run")).state
    assert state is not None and state.answer.startswith("cameras process silent for")
    assert rig.mode == "HOLD"


def test_a_supervisor_that_falls_silent_holds_until_it_is_heard_again(running: Rig) -> None:
    well = messages.ProcessState(process="system1", state="alive", restarts=0)
    running.tick(running.build(messages.Supervision, stamp_ns=running.now_ns, processes=(well,)))
    running.run(0.9)
    assert running.mode == "RUNNING"
    running.run(0.2)
    assert running.mode == "HOLD"
    assert "supervisor silent for" in running.reasons and "(limit 1000 ms)" in running.reasons
    running.tick(running.build(messages.Supervision, stamp_ns=running.now_ns, processes=(well,)))
    running.run(0.2)
    assert running.mode == "RUNNING"


@pytest.mark.parametrize("state", ["exited", "stopped", "hung", "starting"])
def test_a_lost_system1_holds_at_once(running: Rig, state: Any) -> None:
    gone = running.build(
        messages.Supervision, processes=(messages.ProcessState(process="system1", state=state, restarts=0),)
    )
    running.tick(gone)
    assert running.mode == "HOLD"
    assert f"system1 {state}" in running.reasons
    well = messages.ProcessState(process="system1", state="alive", restarts=1)
    running.tick(running.build(messages.Supervision, seq=1, stamp_ns=running.now_ns, processes=(well,)))
    running.run(0.2)
    assert running.mode == "RUNNING", "it came back, and its chunks"


def test_a_lost_system2_does_not_hold_by_itself(running: Rig) -> None:
    gone = running.build(
        messages.Supervision, processes=(messages.ProcessState(process="system2", state="exited", restarts=0),)
    )
    running.tick(gone)
    assert running.mode == "RUNNING"


@pytest.mark.parametrize(
    "changes",
    [
        {"episode": 2},
        {"instruction": 2},
        {"seq": 0},
        {"observation_ns": START_NS - 2_000_000_000},
        {"t0_ns": START_NS - 10_000_000_000},
        {"t0_ns": START_NS + 60_000_000_000},
    ],
)
def test_late_foreign_and_repeated_chunks_are_dropped_and_counted(running: Rig, changes: dict[str, Any]) -> None:
    executing = running.state.executing.seq
    for count in (1, 2, 3):
        made = running.tick(running.chunk(**changes))
        assert (running.state.dropped, running.state.rejected) == (count, 0)
        assert made.target.seam_jump_rad_s == -1.0, "there is no seam"
    assert running.state.executing.seq == executing
    assert running.mode == "RUNNING"


def test_a_chunk_that_comes_twice_is_dropped(running: Rig) -> None:
    chunk = running.chunk()
    assert running.tick(chunk).target.seam_jump_rad_s >= 0
    assert running.tick(chunk).target.seam_jump_rad_s == -1.0
    assert running.state.dropped == 1


@pytest.mark.parametrize(("joint", "by_rad"), [(0, 0.45), (2, 4.0)])  # it jumps; it is far outside the joint's range
def test_every_refused_chunk_is_counted_once(joint: int, by_rad: float, running: Rig) -> None:
    for count in (1, 2, 3):
        q = np.tile(running.measured.astype(np.float32), (64, 1))
        q[:, joint] += by_rad
        made = running.tick(running.chunk(q))
        assert (running.state.rejected, running.state.dropped) == (count, 0)
        assert made.target.seam_jump_rad_s == -1.0, "there is no seam"


@pytest.mark.parametrize("kind", [messages.Episode, messages.Instruction])
def test_a_new_episode_or_instruction_ends_the_chunk_at_once(running: Rig, kind: type[messages.Message]) -> None:
    made = running.tick(running.build(kind, number=2))
    assert made.target.mode == "HOLD"
    assert "no chunk yet" in running.reasons
    running.run(0.3)
    assert running.mode == "HOLD", "chunks of the old one are dropped"
    state = running.state
    for _ in range(60):
        made = running.tick(running.chunk(episode=state.episode, instruction=state.instruction))
    assert made.target.mode == "RUNNING"


@pytest.mark.parametrize("kind", [messages.Episode, messages.Instruction])
def test_a_state_that_is_said_again_changes_nothing(running: Rig, kind: type[messages.Message]) -> None:
    executing = running.state.executing
    running.tick(running.build(kind, number=1, seq=9))
    assert running.mode == "RUNNING" and running.state.executing == executing


def test_a_chunk_that_jumps_is_refused_and_holds_until_a_good_one(running: Rig) -> None:
    far = (running.measured + 0.45).astype(np.float32)
    far[[6, 13]] = 0.05
    running.tick(running.chunk(np.tile(far, (64, 1))))
    assert running.mode == "HOLD"
    assert "starts 0.4" in running.reasons
    running.run(0.3)
    assert running.mode == "RUNNING"


def test_a_chunk_far_outside_the_ranges_is_a_latched_fault(running: Rig) -> None:
    q = np.tile(running.measured.astype(np.float32), (64, 1))
    q[60, 2] = 3.0
    made = running.tick(running.chunk(q))
    assert made.target.mode == "FAULT"
    assert "left j3" in running.reasons
    assert made.faults
    assert running.run(0.5).target.mode == "FAULT", "latched"
    running.tick(running.command("run"))
    assert running.mode == "FAULT", "run does not clear a fault"
    running.tick(running.command("clear"))
    assert running.mode == "HOLD"
    running.tick(running.command("run"), running.chunk())
    assert running.mode == "RUNNING"


def test_an_undecodable_chunk_is_a_latched_fault(running: Rig) -> None:
    running.tick(refused=2)
    assert running.mode == "FAULT"
    assert "2 chunk(s)" in running.reasons


def test_an_arm_that_does_not_follow_is_a_fault(running: Rig) -> None:
    """By three readings, of which one may be false."""
    stays = running.measured.copy()
    stays[9] += 0.9
    modes: list[str] = []
    for _ in range(3):
        running.measured = stays.copy()
        running.tick()
        modes.append(running.mode)
    assert modes == ["RUNNING", "RUNNING", "FAULT"]
    assert "right j3" in running.reasons


def test_the_state_is_told_at_once_when_it_changes_and_at_5_hz(running: Rig) -> None:
    running.run(1.0)
    states = [made.state for made in running.outputs[-200:] if made.state is not None]
    assert len(states) == 5
    assert running.tick(running.command("hold")).state is not None


def test_the_same_inputs_give_the_same_bytes(build: Build) -> None:
    first, second = Rig(build), Rig(build)
    for rig in (first, second):
        rig.run(0.4)
        rig.run(0.8, chunk_every_s=None)
        rig.run(0.3)
    assert [codec.encode(made.target) for made in first.outputs] == [
        codec.encode(made.target) for made in second.outputs
    ]


def test_a_restored_memory_goes_on_identically(running: Rig) -> None:
    saved = snapshot.pack(running.state)
    now_ns, measured, ticks, chunks = running.now_ns, running.measured.copy(), running.ticks, running.chunks
    running.run(0.5)
    straight = [codec.encode(made.target) for made in running.outputs[ticks:]]
    running.state = snapshot.unpack(saved, arms_state.SAVED)
    running.now_ns, running.measured, running.ticks, running.chunks = now_ns, measured, ticks, chunks
    running.outputs = []
    running.run(0.5)
    assert [codec.encode(made.target) for made in running.outputs] == straight


_NUMBER = st.floats(-4, 4, width=32)


@hypothesis_settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_chunk_breaks_a_limit(build: Build, data: st.DataObject) -> None:
    """Whatever arrives, position, velocity, acceleration and jerk of what is sent stay within the limits."""
    rig = Rig(build, "--safety.outside_rad", "100", "--safety.jump_rad", "10")
    rig.run(0.2)
    for _ in range(4):
        scale = data.draw(st.sampled_from([0.01, 0.3, 1.0, 5.0]))
        seed = data.draw(st.integers(0, 2**31))
        offset = data.draw(st.lists(_NUMBER, min_size=messages.JOINTS, max_size=messages.JOINTS))
        noise = np.random.default_rng(seed).normal(0, scale, (64, messages.JOINTS))
        rig.tick(rig.chunk((rig.measured + np.array(offset) + noise).astype(np.float32)))
        rig.run(data.draw(st.sampled_from([0.02, 0.1, 0.3])), chunk_every_s=None)
    _assert_within_limits(rig)


def _assert_within_limits(rig: Rig) -> None:
    limits = rig.config.limits
    q = np.stack([made.target.q for made in rig.outputs])
    dq = np.diff(q, axis=0) / rig.config.dt_s
    ddq = np.diff(dq, axis=0) / rig.config.dt_s
    jerk = np.diff(ddq, axis=0) / rig.config.dt_s
    assert (q >= limits.low - 1e-6).all() and (q <= limits.high + 1e-6).all()
    assert (np.abs(dq) <= limits.velocity * (1 + 1e-6)).all()
    assert (np.abs(ddq) <= limits.acceleration * (1 + 1e-6)).all()
    assert (np.abs(jerk) <= limits.jerk * (1 + 1e-4)).all()


@pytest.mark.parametrize(("blend", "share"), [("fade", 0.0), ("prefix", 0.0), ("none", 1.0)])
def test_after_a_hold_a_chunk_begins_where_the_arms_are_unless_nothing_is_blended(
    blend: str, share: float, build: Build
) -> None:
    rig = Rig(build, "--trajectory.blend", blend)
    rig.run(0.5)
    rig.health_ok = False
    rig.tick(rig.health("head", "frozen"))
    rig.run(0.5, chunk_every_s=None)
    before, away = rig.outputs[-1].target.q, 0.02 * ~np.isin(np.arange(messages.JOINTS), (6, 13))
    chunk = rig.chunk(np.tile(before + away, (64, 1)).astype(np.float32))
    made = rig.tick(rig.health(), chunk)
    assert made.target.mode == "RUNNING"
    assert made.target.blended - before == pytest.approx(share * away, abs=1e-3)
