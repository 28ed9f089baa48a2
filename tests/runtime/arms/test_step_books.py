"""What a tick tells of itself: numbers, ages, counters, inputs, seams; what a session and the console are read by.

Called by pytest.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arms_rig import Rig

from runtime.arms import trajectory
from runtime.arms.trajectory import Style
from runtime.messaging import messages
from runtime.messaging.topics import reference

Build = Callable[..., Any]
NEAR = 1e-9


@pytest.fixture
def rig(build: Build) -> Rig:
    return Rig(build)


def states(rig: Rig) -> list[messages.SafetyState]:
    return [made.state for made in rig.outputs if made.state is not None]


def test_ticks_and_states_are_numbered_and_counted(rig: Rig) -> None:
    rig.run(0.5)
    rig.tick(rig.command("hold"))
    rig.run(0.5)
    targets = [made.target for made in rig.outputs]
    assert [target.seq for target in targets] == list(range(len(targets)))
    assert [state.seq for state in states(rig)] == list(range(len(states(rig))))
    assert rig.state.ticks == len(targets)
    assert rig.state.running_ticks == sum(target.mode == "RUNNING" for target in targets) > 50
    last = states(rig)[-1]
    assert 0 <= rig.state.ticks - last.ticks < 45 and last.running_ticks == rig.state.running_ticks


def test_a_tick_names_what_it_consumed_the_feedback_first(rig: Rig) -> None:
    rig.tick()
    rig.health_ok = False
    chunk, command = rig.chunk(), rig.command("hold")
    feedback = ("joint_state", 1, rig.ticks)
    assert rig.tick(chunk, command).target.inputs == (feedback, reference(chunk), reference(command))


def test_a_state_tells_how_old_everything_is(rig: Rig) -> None:
    first = rig.tick().state
    assert first is not None and (first.chunk_age_ns, first.condition_age_ns, first.feedback_age_ns) == (-1, -1, 0)
    rig.run(0.3)
    rig.frozen_side = None
    rig.tick(rig.chunk(observation_ns=rig.now_ns - 70_000_000, conditions_capture_ns=rig.now_ns - 300_000_000))
    made = rig.tick(rig.command("hold")).state
    assert made is not None
    tick_ns = rig.outputs[-1].target.stamp_ns - rig.outputs[-2].target.stamp_ns
    assert (made.chunk_age_ns, made.condition_age_ns) == (70_000_000 + tick_ns, 300_000_000 + tick_ns)


def test_the_feedback_is_as_old_as_the_older_arm(rig: Rig) -> None:
    rig.run(0.3)
    rig.frozen_side = 1  # measured when the rig was made
    made = rig.tick(rig.command("hold")).state
    assert made is not None and made.feedback_age_ns == rig.outputs[-1].target.stamp_ns - 1_000_000_000_000


def test_before_an_episode_is_known_it_is_number_0(rig: Rig) -> None:
    rig.waiting = []
    made = rig.tick()
    assert made.state is not None and (made.target.episode, made.state.episode) == (0, 0)


def test_there_is_no_seam_but_where_a_chunk_meets_another_while_it_runs(rig: Rig) -> None:
    rig.tick(rig.chunk(), rig.health("head", "frozen"))
    rig.health_ok = False
    rig.tick(rig.chunk())
    rig.run(0.1, chunk_every_s=None)
    assert {made.target.seam_jump_rad_s for made in rig.outputs} == {-1.0}, "it holds"
    rig.health_ok = True
    rig.run(0.5)
    running = [made.target for made in rig.outputs if made.target.mode == "RUNNING"]
    assert all(
        (target.seam_jump_rad_s >= 0) == any(name == "chunk" for name, _, _ in target.inputs) for target in running[1:]
    )
    assert all(target.seam_jump_rad_s == -1.0 or target.seam_jump_rad_s >= 0 for target in running)


@pytest.mark.parametrize(("start", "mode"), [("disarmed", "DISARMED"), ("hold", "HOLD"), ("run", "RUNNING")])
def test_it_begins_as_the_settings_say(start: str, mode: str, build: Build) -> None:
    rig = Rig(build, "--arms.start", start)
    rig.tick()
    assert rig.state.machine.status.since_ns == rig.outputs[0].target.stamp_ns
    rig.run(0.5)
    assert rig.mode == mode
    assert (rig.reasons == "") == (mode == "RUNNING")


def test_a_fault_is_told_once(rig: Rig) -> None:
    rig.run(0.5)
    assert all(made.faults == () for made in rig.outputs)
    rig.tick(refused=2)
    assert [name for name, _ in rig.outputs[-1].faults] == ["safety"]
    rig.tick(refused=3)
    assert rig.outputs[-1].faults == () and rig.state.rejected == 5


@pytest.mark.parametrize("start", ["disarmed", "hold"])
def test_nothing_is_limited_while_nothing_is_wanted(start: str, build: Build) -> None:
    rig = Rig(build, "--arms.start", start)
    rig.run(0.3)
    assert not any(made.target.limited for made in rig.outputs)


def test_a_chunk_that_runs_has_faded_in_after_the_fade(build: Build) -> None:
    """And is followed without lag."""
    rig = Rig(build, "--trajectory.smoothing", "0", "--safety.max_chunk_age_s", "2")
    ramp = np.linspace(0, 0.2, 64)[:, None] * ~np.isin(np.arange(messages.JOINTS), (6, 13))
    chunk = rig.chunk((rig.measured + ramp).astype(np.float32))
    rig.tick(chunk)
    rig.run(0.8, chunk_every_s=None)
    made = rig.outputs[-1].target
    assert made.mode == "RUNNING" and not made.limited
    piece = trajectory.lay(chunk.q.astype(np.float64), chunk.t0_ns, chunk.dt_ns, Style("fade", 0.5, 0.0))
    assert made.blended == pytest.approx(piece.at(made.deadline_ns).q, abs=NEAR)
    assert made.q == pytest.approx(made.blended, abs=1e-4)


def test_a_chunk_that_has_run_out_holds_although_it_is_not_old(build: Build) -> None:
    rig = Rig(build, "--safety.max_chunk_age_s", "3", "--safety.max_condition_age_s", "10")
    rig.tick(rig.chunk(conditions_limit_ns=10_000_000_000))
    rig.run(2.0, chunk_every_s=None)
    assert rig.mode == "RUNNING"
    rig.run(0.3, chunk_every_s=None)
    assert rig.mode == "HOLD" and "System 1 is late or has ended" in rig.reasons
