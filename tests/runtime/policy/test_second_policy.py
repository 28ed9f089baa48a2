"""The seam holds for another policy than Video2Act: other cameras, sizes, history, lengths, rates, units, System 2 or none.

Both steps, the arms and the simulated scene are the real ones, on the virtual clock; the policies are small but complete.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS
from drivers.sim.camera_renderer import Eye
from drivers.sim.physics import Physics
from drivers.sim.tasks import shifted_task
from models.requirements import ConditionArray, PictureSize, Requirements, VideoWindow
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.world import run
from runtime.host.clock import seconds
from runtime.messaging import codec, messages
from runtime.messaging.array_field import Array
from runtime.policy import fit
from runtime.policy.opening import Policy
from runtime.policy.protocols import (
    EncodedInstruction,
    Expected,
    FastPolicy,
    Observation,
    Picture,
    SetKey,
    SlowPolicy,
    Understanding,
)
from runtime.systems import system1_step, system2_step
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system2_state import System2Config, System2State

FLAGS = [
    "--task", "pick_apple_messy", "--ratio", "3",
    *(f"--cameras.{camera}.{key}" for camera in CAMERAS for key in ("width_px=96", "height_px=72")),
]  # fmt: skip
OPEN_M = 0.08
ALONE = Requirements(
    cameras=("right_wrist", "head"),
    picture=PictureSize(width_px=96, height_px=72, exact=True),
    picture_rate_hz=20,
    history_s=(0.2, 0.1, 0.0),
    targets=16,
    dt_s=0.05,
    target_frame="relative",
    gripper_open_m=OPEN_M,
)
GUIDED = ALONE.model_copy(
    update={
        "windows": (
            VideoWindow(name="wrist", camera="left_wrist", frames=3, stride_s=0.2),
            VideoWindow(name="now", camera="head", frames=1),
        ),
        "conditions": (ConditionArray(name="goal", dtype="float32", shape=(2,)),),
    }
)
RAD_S = 0.1


class Walker:
    """A fast policy that turns both first joints at a steady pace and opens both grippers; GUIDED, it is told the pace."""

    weights = 0

    def __init__(self, needs: Requirements) -> None:
        self.needs = needs
        self.sets: dict[SetKey, tuple[tuple[int, ...], ...]] = {}
        self.seen: list[Observation] = []

    def has_images(self, key: SetKey) -> bool:
        return key in self.sets

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        return tuple(picture.shape for picture in pictures)

    def encode_images(self, key: SetKey, prepared: object) -> None:
        assert isinstance(prepared, tuple)
        self.sets[key] = prepared

    def clear(self) -> None:
        self.sets.clear()

    def instruct(self, instruction: EncodedInstruction) -> None:
        assert instruction == "turn, please"

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        assert set(conditions) == {"goal"}

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        self.seen.append(observation)
        pace = RAD_S if observation.conditions is None else float(observation.conditions["goal"].values[0])
        chunk = np.zeros((self.needs.targets, messages.JOINTS), np.float32)
        chunk[:, [0, 7]] = (pace * self.needs.dt_s * np.arange(1, self.needs.targets + 1))[:, None]
        chunk[:, [6, 13]] = 1.0 - observation.q[[6, 13]]
        return chunk


class Guide:
    """A slow policy that asks for half the pace."""

    weights = 0

    def __init__(self, needs: Requirements) -> None:
        self.needs = needs
        self.frames: dict[tuple[str, int], tuple[int, ...]] = {}
        self.asked: list[dict[str, list[int]]] = []

    def has_frame(self, window: str, number: int) -> bool:
        return (window, number) in self.frames

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        self.frames[window, number] = picture.shape

    def clear(self) -> None:
        self.frames.clear()

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        assert instruction == "turn, please"
        assert all(self.has_frame(name, number) for name, numbers in windows.items() for number in numbers)
        self.asked.append({name: list(numbers) for name, numbers in windows.items()})
        return Understanding({"goal": Array("float32", np.array([RAD_S / 2, 0], np.float32))})

    def expected(self) -> Callable[[], Expected] | None:
        return None


class Silent(Guide):
    """The slow side of a policy that has none."""

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        raise AssertionError("nobody asks it")


def played(fast: FastPolicy, slow: SlowPolicy, limit_s: float = 1.5) -> tuple[Outcome, NDArray[np.float64]]:
    """How an episode went, and how far both arms' joints were led (14,)."""
    settings = load_settings(FLAGS)
    task = shifted_task(settings.task, settings.shift, 0)
    body = Physics(task)
    body.reset(3)
    eyes = {name: Eye(name, task, 96, 72, place) for place, name in enumerate(CAMERAS)}
    before = np.concatenate([reading[0] for reading in body.arms()])
    policy = Policy(slow, fast, "walker", lambda text: f"{text}, please")
    try:
        outcome = run(settings, policy, Latencies(), body, eyes, "turn", 3, limit_s)
    finally:
        for eye in eyes.values():
            eye.close()
    return outcome, np.concatenate([reading[0] for reading in body.arms()]) - before


def test_a_policy_without_a_slow_system_leads_the_arms() -> None:
    fast, slow = Walker(ALONE), Silent(ALONE)
    outcome, led = played(fast, slow)
    assert (outcome.fault, outcome.conditions) == ("", 0) and outcome.runs >= 8
    assert all(observation.conditions is None for observation in fast.seen)
    assert 0.5 * RAD_S < led[0] < 1.5 * RAD_S and led[7] == pytest.approx(led[0], abs=0.02)
    assert np.abs(np.delete(led, [0, 7, 6, 13])).max() < 0.02


def test_it_sees_its_own_cameras_in_its_own_order_and_history() -> None:
    fast = Walker(ALONE)
    played(fast, Silent(ALONE), 0.5)
    assert set(fast.sets.values()) == {((72, 96, 3), (72, 96, 3))}
    last = fast.seen[-1]
    newest = last.sets[-1][0]
    assert list(last.sets) == [(newest - 6,) * 2, (newest - 3,) * 2, (newest,) * 2]
    assert all(0.0 <= grip <= 1.05 for grip in last.q[[6, 13]]), "shares of the opening"


def test_another_slow_system_is_asked_for_other_windows_and_guides_it() -> None:
    fast, slow = Walker(GUIDED), Guide(GUIDED)
    outcome, led = played(fast, slow)
    assert outcome.fault == "" and outcome.runs >= 6
    assert outcome.conditions >= 2 and abs(outcome.conditions - outcome.runs / 3) <= 2
    assert 0.2 * RAD_S < led[0] < RAD_S, "half the pace"
    wrist, newest = slow.asked[-1]["wrist"], slow.asked[-1]["now"]
    assert [number % 6 for number in wrist] == [0, 0, 0] and wrist[1:] == [number + 6 for number in wrist[:-1]]
    assert len(newest) == 1 and newest[0] >= wrist[-1]


def frame_sets(build: Callable[..., Any]) -> tuple[tuple[messages.Frame, ...], ...]:
    """Three sets of the two cameras."""
    return tuple(
        tuple(
            build(messages.Frame, camera=camera, seq=number, capture_ns=10**12 + number * 10**8)
            for camera in ALONE.cameras
        )
        for number in (1, 2, 3)
    )


def step(fast: Walker, build: Callable[..., Any], settings: Settings, **joints: Any) -> messages.ActionChunk:
    """One chunk of System 1's step."""
    inputs = System1Inputs(
        build(messages.Episode), build(messages.Instruction), build(messages.Embedding),
        build(messages.JointState, **joints), None, frame_sets(build),
    )  # fmt: skip
    config = System1Config(settings, fast, "walker")
    blank = np.zeros((72, 96, 3), np.uint8)
    made = system1_step.step(
        config,
        System1State(),
        inputs,
        lambda camera, number: blank,
        lambda key: "turn",
        1,
        inputs.newest[0].capture_ns,
    )
    assert isinstance(made, messages.ActionChunk), made
    return made


def test_targets_are_the_robots_whatever_the_policy_counts_in(build: Callable[..., Any]) -> None:
    q = np.arange(messages.JOINTS) / 20
    q[[6, 13]] = 0.02
    made = step(Walker(ALONE), build, load_settings(FLAGS), q=q)
    assert made.q.shape == (16, 14) and made.dt_ns == seconds(0.05) and made.t0_ns == made.observation_ns + made.dt_ns
    np.testing.assert_allclose(made.q[:, 1:6] - q[1:6], 0, atol=1e-6)
    np.testing.assert_allclose(made.q[:, 0] - q[0], RAD_S * 0.05 * np.arange(1, 17), atol=1e-6)
    np.testing.assert_allclose(made.q[:, [6, 13]], OPEN_M, atol=1e-6)
    assert (made.conditions_epoch, made.conditions_seq, made.conditions_capture_ns) == (-1, -1, made.observation_ns)
    assert codec.encode(codec.decode(codec.encode(made))) == codec.encode(made)


def test_system2_makes_nothing_for_a_policy_without_it(build: Callable[..., Any]) -> None:
    config = System2Config(load_settings(FLAGS), Silent(ALONE), "walker")
    frames = {"head": frame_sets(build)[0]}
    held: dict[str, messages.Message] = {
        "episode": build(messages.Episode),
        "instruction": build(messages.Instruction),
        "embedding": build(messages.Embedding),
    }
    inputs = system2_step.gather(held, frames)
    assert inputs is not None and config.cameras == ()
    state = System2State()
    assert system2_step.step(config, state, inputs, lambda camera, number: None, lambda key: "turn", 1, 10**12) is None
    assert state == System2State()


def test_both_fit_the_robot() -> None:
    assert fit.mismatches(ALONE, load_settings(FLAGS)) == fit.mismatches(GUIDED, load_settings(FLAGS)) == []
