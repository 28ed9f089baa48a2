"""System 1 over a policy server, and its replay: chunks are inputs, and what does not come is a skip. Called by pytest."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from policy_server_rig import READY, UNSAID, ForeignServer, chunk, standing

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import load_settings
from runtime.config.policy import policy_id, policy_needs
from runtime.config.settings import Settings
from runtime.messaging import codec, messages
from runtime.policy.remote_policy import RemotePolicy
from runtime.policy.server_door import asked
from runtime.replay.recorded_policy import RecordedPolicy
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system1_step import step

Build = Callable[..., Any]
START_NS = 10**12


def inputs(build: Build, number: int) -> System1Inputs:
    """A set of frames each 200 ms, and no embedding: no text process runs."""
    capture_ns = START_NS + number * 200_000_000
    frames = tuple(build(messages.Frame, camera="head", seq=number, capture_ns=capture_ns) for _ in CAMERAS[:1])
    episode, instruction = build(messages.Episode), build(messages.Instruction, text=f"cup {number}")
    return System1Inputs(
        episode, instruction, None, build(messages.JointState, q=READY.astype(np.float64)), None, (frames,)
    )


def picture(camera: str, number: int) -> Any:
    return np.full((48, 64, 3), number, np.uint8)


def no_embedding(key: str) -> object:
    raise AssertionError(f"{key}: nobody encodes")


def made(config: System1Config, state: System1State, given: System1Inputs) -> messages.ActionChunk | messages.Skip:
    return step(config, state, given, picture, no_embedding, 1, given.newest[0].capture_ns + 20_000_000)


def recorded_run(build: Build, settings: Settings, policy: RemotePolicy) -> list[tuple[System1Inputs, Any]]:
    """Six runs: what each was given, and what it made."""
    config, state = System1Config(settings, policy, policy_id(settings)), System1State()
    return [(given := inputs(build, number), made(config, state, given)) for number in range(1, 7)]


@pytest.fixture
def answered() -> list[bytes]:
    moved = np.tile(READY, (20, 1))
    moved[:, 0] += np.linspace(0, 0.2, 20, dtype=np.float32)
    return [
        chunk(moved),
        chunk(np.zeros((3, 7))),
        standing(9),
        chunk(np.full((9, 14), np.inf)),
        chunk(moved[:12]),
        standing(),
    ]


def test_chunks_and_skips_are_made_again_byte_for_byte_without_the_server(build: Build, answered: list[bytes]) -> None:
    left = list(answered)
    with ForeignServer(lambda _: left.pop(0)) as server:
        settings = asked(load_settings(["--policy.server", server.address, *UNSAID]))
        policy = RemotePolicy(settings)
        run = recorded_run(build, settings, policy)
        policy.close()
    assert [seen["prompt"] for seen in server.seen] == [f"cup {number}" for number in range(1, 7)]
    assert [len(out.q) if isinstance(out, messages.ActionChunk) else 0 for _, out in run] == [20, 0, 9, 0, 12, 50]
    assert "finite" in run[3][1].reason and server.address in run[3][1].reason
    replayed, state = RecordedPolicy(policy_needs(settings)), System1State()
    config = System1Config(settings, replayed, policy_id(settings))
    for given, out in run:
        replayed.gives(out)
        again = made(config, state, given)
        if isinstance(again, messages.ActionChunk):
            again = again.model_copy(update={"timing": out.timing})
        assert codec.encode(again) == codec.encode(out)


def test_its_age_is_that_of_the_pictures_and_its_duration_the_round_trip(build: Build) -> None:
    with ForeignServer(lambda _: standing()) as server:
        settings = asked(load_settings(["--policy.server", server.address, *UNSAID]))
        policy = RemotePolicy(settings)
        (given, out), *_ = recorded_run(build, settings, policy)
        policy.close()
    capture_ns = given.newest[0].capture_ns
    assert (out.observation_ns, out.t0_ns, out.dt_ns) == (capture_ns, capture_ns + 40_000_000, 40_000_000)
    assert out.conditions_capture_ns == capture_ns and out.timing.forward_ns > 0
    assert {topic for topic, _, _ in out.inputs} == {"episode", "instruction", "joint_state", "frame.head"}


def test_its_process_does_without_torch() -> None:
    line = "import sys, runtime.systems.system1, runtime.policy.remote_policy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0


def test_a_blend_that_it_cannot_continue_makes_no_chunk(build: Build) -> None:
    with ForeignServer(lambda _: standing()) as server:
        settings = asked(load_settings(["--policy.server", server.address, *UNSAID]))
        policy = RemotePolicy(settings)
        given = replace(inputs(build, 1), episode=build(messages.Episode, blend="prefix"))
        out = made(System1Config(settings, policy, "x"), System1State(), given)
        policy.close()
    assert isinstance(out, messages.Skip) and "choose fade" in out.reason and server.seen == []
