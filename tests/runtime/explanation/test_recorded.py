"""What a recorded chunk was made of: the same pictures, and the same chunk out of them. Called by pytest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_sessions import GOLDEN

from runtime.explanation.command import opened
from runtime.explanation.policy import ExplainedPolicy
from runtime.explanation.recorded import Recorded
from runtime.messaging import messages
from runtime.replay.index import Missing
from runtime.systems.blackout import blacked_out

WITHIN_RAD = 1e-4  # other processors sum in another order
MOVED = {"policy": {"checkpoint": str(GOLDEN / "policy")}}


@pytest.fixture
def recorded(session: Path) -> Recorded:
    """The golden session."""
    return Recorded(*opened(session, MOVED))


@pytest.fixture(scope="module")
def policy() -> ExplainedPolicy:
    """The policy that recorded it."""
    _, settings = opened(GOLDEN / "schema-3", MOVED)
    return ExplainedPolicy(settings)


def test_every_chunk_is_made_again_of_the_recorded_pictures(
    recorded: Recorded, policy: ExplainedPolicy, tmp_path: Path
) -> None:
    assert len(recorded.chunks) > 8
    for chunk in recorded.chunks[:: len(recorded.chunks) // 5]:
        inputs = recorded.inputs(chunk)
        frames = recorded.frames(inputs, policy.slow)
        assert inputs.conditions is not None
        wanted = {window.name: window.frames for window in inputs.conditions.windows}
        assert {name: tuple(frame.seq for frame in window) for name, window in frames.windows.items()} == wanted
        assert tuple(frame for one in frames.sets for frame in one) == inputs.frames
        text = inputs.instruction.text
        instruction = policy.embedding(recorded.session, tmp_path, inputs.embedding, text, same=True)
        found = policy.explainer.explain(recorded.made_of(inputs, frames, policy.needs, instruction))
        np.testing.assert_allclose(found.chunk, chunk.q, rtol=0, atol=WITHIN_RAD)


def test_moments_are_spread_over_the_time_in_which_the_arms_ran(recorded: Recorded) -> None:
    running = [chunk for chunk in recorded.chunks if recorded.inputs(chunk).joints.running]
    assert 2 < len(running) < len(recorded.chunks)
    chosen = recorded.chosen((), 3)
    assert [chosen[0], chosen[-1]] == [running[0], running[-1]]
    assert chosen[0].stamp_ns < chosen[1].stamp_ns < chosen[2].stamp_ns
    assert recorded.chosen((), 24) == running[:24] or len(recorded.chosen((), 24)) == 24


def test_a_moment_is_that_of_the_last_chunk_before(recorded: Recorded) -> None:
    third, fourth = recorded.chunks[2], recorded.chunks[3]
    between_s = recorded.at_s((third.stamp_ns + fourth.stamp_ns) // 2)
    assert recorded.chosen((between_s,), 1) == [third]


def test_the_frames_before_are_one_camera_frame_older(recorded: Recorded, policy: ExplainedPolicy) -> None:
    frames = recorded.frames(recorded.inputs(recorded.chunks[-1]), policy.slow)
    before = recorded.earlier(frames)
    for now, then in zip(frames.sets[-1], before.sets[-1], strict=True):
        assert (then.camera, then.seq) == (now.camera, now.seq - 1)
    assert [f.seq for f in before.windows["low"]] == [f.seq - 1 for f in frames.windows["low"]]


def test_blacked_out_pictures_are_black_to_system_1_only(
    session: Path, policy: ExplainedPolicy, tmp_path: Path
) -> None:
    found, settings = opened(session, MOVED)
    recorded = Recorded(found, settings.model_copy(update={"shift": "blackout"}))
    black: list[bool] = []
    for chunk in recorded.chunks:
        inputs = recorded.inputs(chunk)
        frames = recorded.frames(inputs, policy.slow)
        text = inputs.instruction.text
        instruction = policy.embedding(recorded.session, tmp_path, inputs.embedding, text, same=True)
        moment = recorded.made_of(inputs, frames, policy.needs, instruction)
        black.append(blacked_out(inputs.episode.seed, frames.sets[-1][0].capture_ns))
        assert all((picture.max() == 0) == black[-1] for picture in moment.sets[-1])
        assert all(picture.max() > 0 for window in moment.windows.values() for picture in window)
    assert set(black) == {True, False}


def test_a_chunk_whose_inputs_are_lost_is_told(written: Any) -> None:
    folder = written("torn", keep=lambda message: not isinstance(message, messages.JointState))
    recorded = Recorded(*opened(folder, MOVED))
    with pytest.raises(Missing, match="joint_state"):
        recorded.inputs(recorded.chunks[0])
