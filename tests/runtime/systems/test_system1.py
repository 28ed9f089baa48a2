"""System 1's rhythm and refusals, and real chunks from the untrained small policy.

The networks are made once for the module; pictures are noise drawn from camera and frame number.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS
from models.policy import InstructionEmbedding
from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import codec, messages
from runtime.messaging.array_field import Array
from runtime.policy.networks import open_video2act, prepare_torch
from runtime.policy.video2act import FastVideo2Act
from runtime.systems.condition_age import conditions_limit_ns
from runtime.systems.frame_sets import FrameSet, History
from runtime.systems.system1 import due, gather, next_due, older_sets_ahead, waits_for_system2
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system1_step import encode_ahead, inputs_of, make_ahead, references, refusal, step

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
FRAME_NS = 33_333_333
MS = 1_000_000
NOW_NS = START_NS + 20 * MS


@pytest.fixture(scope="module")
def config(settings: Settings) -> System1Config:
    prepare_torch(settings.system1)
    checkpoint = open_video2act(settings)
    return System1Config(settings, FastVideo2Act(checkpoint.fast(), checkpoint.needs), checkpoint.id)


@pytest.fixture(scope="module")
def embedding(settings: Settings) -> InstructionEmbedding:
    return open_video2act(settings).instructor().encode(["hand the block over"])[0]


def frame_set(build: Build, number: int, shifts_ms: tuple[int, int, int] = (0, 1, 2)) -> tuple[messages.Frame, ...]:
    """The cameras' frames `number`; the 30th is captured at START_NS."""
    return tuple(
        build(
            messages.Frame,
            camera=camera,
            seq=number,
            capture_ns=START_NS + (number - 30) * FRAME_NS + shift * MS,
            returned_ns=START_NS + (number - 30) * FRAME_NS + shift * MS + 5 * MS,
        )
        for camera, shift in zip(CAMERAS, shifts_ms, strict=True)
    )


@pytest.fixture
def inputs(config: System1Config, build: Build) -> System1Inputs:
    """Everything fresh."""
    tokens = Array("bfloat16", np.full((32, 128), 0x3F80, np.uint16))
    return System1Inputs(
        build(messages.Episode),
        build(messages.Instruction),
        build(messages.Embedding),
        build(messages.JointState, q=np.full(14, 0.1)),
        build(
            messages.Conditions,
            arrays={"spatial": tokens, "motion": tokens},
            checkpoint_id=config.checkpoint_id,
            stamp_ns=START_NS - 100 * MS,
            capture_ns=START_NS - 200 * MS,
            timing=messages.Timing(finished_ns=START_NS),
        ),
        (frame_set(build, 29), frame_set(build, 30)),
    )


def with_newest(inputs: System1Inputs, newest: FrameSet) -> System1Inputs:
    """With another newest set."""
    return replace(inputs, sets=(inputs.sets[0], newest))


def looking_back(offset_s: float) -> Requirements:
    """A policy's needs with one older set."""
    return Requirements(history_s=(offset_s, 0.0))


def noise(camera: str, number: int) -> NDArray[np.uint8]:
    seed = CAMERAS.index(camera) * 1000 + number
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def with_period(settings: Settings, period_s: float) -> Settings:
    return settings.model_copy(update={"system1": settings.system1.model_copy(update={"period_s": period_s})})


def starts(settings: Settings, build: Build, wakes_ms: list[float]) -> list[int]:
    """When runs start if the loop wakes at these times after each of 3000 frame sets, as `serve` does it."""
    made: list[int] = []
    due_ns, last = START_NS - 29 * FRAME_NS, (0, 0, 0)
    for number in range(1, 3001):
        frames = frame_set(build, number)
        now_ns = max(frame.returned_ns for frame in frames) + round(wakes_ms[number % len(wakes_ms)] * MS)
        if due(settings, frames, due_ns, last):
            made.append(now_ns)
            last, due_ns = (number,) * 3, next_due(settings, build(messages.Episode), due_ns, now_ns)
    return made


@pytest.mark.parametrize("period_s", [0.1, 0.2, 0.08, 0.05, 1 / 30, 0.37])
def test_the_mean_period_is_kept(period_s: float, settings: Settings, build: Build) -> None:
    made = starts(with_period(settings, period_s), build, [0.0, 0.5, 1.0])
    assert (made[-1] - made[0]) / (len(made) - 1) == pytest.approx(period_s * 1e9, rel=5e-3)


@pytest.mark.parametrize("period_s", [0.1, 0.2, 1 / 30])
def test_a_period_of_whole_frames_does_not_beat(period_s: float, settings: Settings, build: Build) -> None:
    steps = np.diff(starts(with_period(settings, period_s), build, [0.0, 0.5, 1.0]))
    assert steps.min() > period_s * 1e9 - 2 * MS and steps.max() < period_s * 1e9 + 2 * MS


@pytest.mark.parametrize("period_s", [0.08, 0.05, 0.37])
def test_another_period_is_a_frame_off_at_most(period_s: float, settings: Settings, build: Build) -> None:
    steps = np.diff(starts(with_period(settings, period_s), build, [0.0]))
    assert np.abs(steps - period_s * 1e9).max() <= FRAME_NS + MS


@pytest.mark.parametrize("period_ns", [150 * MS, 300 * MS])
def test_a_late_run_does_not_make_the_next_ones_hurry(settings: Settings, build: Build, period_ns: int) -> None:
    given = with_period(settings, 0.15)
    episode = build(messages.Episode, period_ns=0 if period_ns == 150 * MS else period_ns)
    assert next_due(given, episode, 0, 0) == period_ns
    assert next_due(given, episode, 0, FRAME_NS) == period_ns, "it waited for its frames: the rhythm stays"
    for late_ns in (2 * FRAME_NS, period_ns, 10 * period_ns):
        assert next_due(given, episode, 0, late_ns) == late_ns + period_ns


def history_of(build: Build, numbers: range) -> History:
    history = History(CAMERAS)
    for number in numbers:
        for frame in frame_set(build, number):
            history.add(frame)
    return history


def test_the_older_set_is_known_once_the_next_run_is_a_frame_away(settings: Settings, build: Build) -> None:
    history, newest = history_of(build, range(1, 31)), frame_set(build, 30)
    due_ns = max(frame.returned_ns for frame in newest) + FRAME_NS
    assert older_sets_ahead(settings, looking_back(1 / 30), history, newest, due_ns) == (newest,)
    assert older_sets_ahead(settings, looking_back(1 / 30), history, newest, due_ns + FRAME_NS) == (), (
        "it has yet to come"
    )
    assert older_sets_ahead(settings, looking_back(2 / 30), history, newest, due_ns + FRAME_NS) == (newest,)
    assert older_sets_ahead(settings, looking_back(1 / 30), History(CAMERAS), (), due_ns) == ()


def test_the_older_set_foreseen_is_the_one_that_the_run_uses(settings: Settings, build: Build) -> None:
    history, newest = history_of(build, range(1, 31)), frame_set(build, 30)
    needs, due_ns = looking_back(1 / 30), max(frame.returned_ns for frame in newest) + FRAME_NS
    foreseen = older_sets_ahead(settings, needs, history, newest, due_ns)
    held: dict[str, messages.Message] = {"episode": build(messages.Episode), "instruction": build(messages.Instruction)}
    made = gather(held, needs, history_of(build, range(1, 32)), frame_set(build, 31))
    assert made is not None and made.sets[:-1] == foreseen


def test_looking_ahead_changes_no_bit_of_the_chunk(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    chunks: list[messages.ActionChunk | messages.Skip] = []
    for ahead in (False, True):
        fresh = replace(config, fast=FastVideo2Act(open_video2act(config.settings).fast(), config.fast.needs))
        if ahead:
            encode_ahead(fresh.fast, inputs.sets[0], noise)
            assert fresh.fast.has_images(tuple(frame.seq for frame in inputs.sets[0]))
        chunks.append(step(fresh, System1State(), inputs, noise, lambda key: embedding, 1, NOW_NS))
    plain, encoded = chunks
    assert isinstance(plain, messages.ActionChunk) and isinstance(encoded, messages.ActionChunk)
    assert plain.q.tobytes() == encoded.q.tobytes()


def test_what_is_made_of_an_instruction_ahead_changes_no_bit(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    fast = config.fast
    assert isinstance(fast, FastVideo2Act) and inputs.embedding is not None and inputs.conditions is not None
    chunks: list[NDArray[np.float32]] = []
    asked: list[str] = []

    def read(key: str) -> InstructionEmbedding:
        asked.append(key)
        return embedding

    other = replace(embedding, language=embedding.language + 1)
    for ahead in (False, True):
        fast.network.instruct(other)
        for message in (inputs.embedding, inputs.conditions, inputs.joints) if ahead else ():
            assert message is not None
            make_ahead(fast, message, read)
        made = step(config, System1State(), inputs, noise, lambda _key: embedding, 1, NOW_NS)
        assert isinstance(made, messages.ActionChunk)
        chunks.append(made.q)
    assert asked == [inputs.embedding.key], "when it came, once"
    np.testing.assert_array_equal(chunks[0], chunks[1])


def test_a_set_must_be_new_in_every_camera(settings: Settings, build: Build) -> None:
    frames = frame_set(build, 30)
    assert due(settings, frames, START_NS, (29, 29, 29))
    for camera in range(3):
        last = [29, 29, 29]
        last[camera] = 30
        assert not due(settings, frames, START_NS, tuple(last))


def test_no_set_is_never_due(settings: Settings) -> None:
    assert not due(settings, (), 0, (0, 0, 0))


def test_a_run_may_start_half_a_frame_early(settings: Settings, build: Build) -> None:
    frames = frame_set(build, 30)
    returned_ns = max(frame.returned_ns for frame in frames)
    assert due(settings, frames, returned_ns + 16 * MS, (0, 0, 0))
    assert not due(settings, frames, returned_ns + 17 * MS, (0, 0, 0))


def test_fresh_inputs_are_not_refused(config: System1Config, inputs: System1Inputs) -> None:
    assert refusal(config, System1State(), inputs, NOW_NS) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"joints": None}, "no joint state yet"),
        ({"embedding": None}, "not encoded"),
        ({"conditions": None}, "no conditions yet"),
    ],
)
def test_missing_inputs_are_named(
    changes: dict[str, None], text: str, config: System1Config, inputs: System1Inputs
) -> None:
    assert text in refusal(config, System1State(), replace(inputs, **changes), NOW_NS)  # pyright: ignore[reportArgumentType]


def test_an_embedding_of_another_instruction_is_refused(
    config: System1Config, inputs: System1Inputs, build: Build
) -> None:
    other = replace(inputs, embedding=build(messages.Embedding, instruction=2))
    assert "not encoded" in refusal(config, System1State(), other, NOW_NS)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"checkpoint_id": "other"}, "got other"),
        ({"episode": 2}, "another episode or instruction"),
        ({"instruction": 2}, "another episode or instruction"),
    ],
)
def test_foreign_conditions_are_refused(
    fields: dict[str, Any], text: str, config: System1Config, inputs: System1Inputs
) -> None:
    assert inputs.conditions is not None
    foreign = replace(inputs, conditions=inputs.conditions.model_copy(update=fields))
    assert text in refusal(config, System1State(), foreign, NOW_NS)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({}, "conditions: spatial: the policy expects bfloat16 (32, 128), got nothing"),
        (
            {"spatial": Array("float32", np.zeros((32, 128), np.float32))},
            "spatial: the policy expects bfloat16 (32, 128), got float32 (32, 128)",
        ),
        (
            {"spatial": Array("bfloat16", np.zeros((31, 128), np.uint16))},
            "spatial: the policy expects bfloat16 (32, 128), got bfloat16 (31, 128)",
        ),
    ],
)
def test_conditions_of_other_arrays_are_refused(
    arrays: dict[str, Array], text: str, config: System1Config, inputs: System1Inputs
) -> None:
    assert inputs.conditions is not None
    other = replace(inputs, conditions=inputs.conditions.model_copy(update={"arrays": arrays}))
    assert text in refusal(config, System1State(), other, NOW_NS)


def test_old_conditions_are_refused_with_age_and_limit(config: System1Config, inputs: System1Inputs) -> None:
    assert inputs.conditions is not None
    limit_ns = conditions_limit_ns(config.settings, inputs.episode, ())
    at_limit = inputs.conditions.capture_ns + limit_ns
    assert refusal(config, System1State(), inputs, at_limit) == ""
    text = refusal(config, System1State(), inputs, at_limit + 1)
    assert f"limit {limit_ns / 1e6:.0f} ms" in text and "old" in text


@pytest.mark.parametrize(("shifts_ms", "late"), [((0, 60, 60), "head"), ((51, 52, 0), "right_wrist")])
def test_skewed_cameras_are_refused_naming_the_late_one(
    shifts_ms: tuple[int, int, int], late: str, config: System1Config, inputs: System1Inputs, build: Build
) -> None:
    text = refusal(config, System1State(), with_newest(inputs, frame_set(build, 30, shifts_ms)), NOW_NS)
    assert f"{late} is late" in text and "limit 50 ms" in text


def test_a_skew_at_the_limit_passes(config: System1Config, inputs: System1Inputs, build: Build) -> None:
    assert refusal(config, System1State(), with_newest(inputs, frame_set(build, 30, (0, 50, 25))), NOW_NS) == ""


def test_the_age_limit_grows_with_ratio_period_and_perception_up_to_its_maximum(
    settings: Settings, build: Build
) -> None:
    def limit_ns(ratio: int, took_s: float = 0.0, period_s: float = 0.0) -> int:
        episode = build(messages.Episode, ratio=ratio, period_ns=seconds(period_s))
        return conditions_limit_ns(settings, episode, (seconds(took_s),) * 10 if took_s else ())

    assert limit_ns(8) < limit_ns(8, period_s=0.2) < limit_ns(8, period_s=0.25)
    assert limit_ns(4) < limit_ns(8) < limit_ns(8, 0.3) < limit_ns(8, 0.6)
    assert limit_ns(8, 0.3) >= seconds(1.5 * (8 * settings.system1.first_period_s + 0.3))
    assert limit_ns(1000) == limit_ns(8, 60.0) == seconds(settings.safety.max_condition_age_s)


def test_only_serial_pacing_waits_for_system2(settings: Settings, inputs: System1Inputs) -> None:
    conditions = inputs.conditions
    assert conditions is not None and conditions.trigger_run == 8
    for pacing in ("async", "serial", "free"):
        paced = settings.model_copy(update={"pacing": pacing})
        waits = [waits_for_system2(paced, System1State(run=run), inputs) for run in (8, 15, 16, 30)]
        assert waits == ([False, False, True, True] if pacing == "serial" else [False] * 4)
        assert not waits_for_system2(paced, System1State(run=30), replace(inputs, conditions=None))


def test_a_step_gives_a_chunk_that_names_everything_it_used(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    state = System1State()
    made = step(config, state, inputs, noise, lambda key: embedding, 3, NOW_NS)
    assert isinstance(made, messages.ActionChunk)
    observation_ns = max(frame.capture_ns for frame in inputs.newest)
    assert (made.seq, made.epoch, made.run, made.stamp_ns) == (0, 3, 1, NOW_NS)
    assert made.observation_ns == observation_ns and made.t0_ns == observation_ns + made.dt_ns
    assert made.conditions_capture_ns == START_NS - 200 * MS and (made.previous_seq, made.consumed) == (-1, 0)
    assert made.inputs == references(inputs)
    assert [ref[0] for ref in made.inputs] == [
        "episode", "instruction", "embedding", "joint_state", "conditions", *[f"frame.{camera}" for camera in CAMERAS] * 2
    ]  # fmt: skip
    assert made.q.shape == (64, 14) and np.isfinite(made.q).all()
    assert state.run == 1 and len(state.condition_durations_ns) == 1
    assert codec.encode(codec.decode(codec.encode(made))) == codec.encode(made)


def test_the_same_inputs_give_the_same_chunk(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    first, second = (step(config, System1State(), inputs, noise, lambda key: embedding, 1, NOW_NS) for _ in range(2))
    assert isinstance(first, messages.ActionChunk) and isinstance(second, messages.ActionChunk)
    np.testing.assert_array_equal(first.q, second.q)


def test_each_run_and_each_start_has_a_noise_of_its_own(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    state, seeds = System1State(), list[int]()
    for epoch, used in ((1, state), (1, state), (2, System1State())):
        made = step(config, used, inputs, noise, lambda key: embedding, epoch, NOW_NS)
        assert isinstance(made, messages.ActionChunk)
        seeds.append(made.noise_seed)
    assert len(set(seeds)) == 3


def test_a_step_continues_the_chunk_that_is_executed(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    executing = build(messages.JointState, chunk_epoch=1, chunk_seq=5, consumed=7, running=True)
    for epoch, expected in ((1, (5, 7)), (2, (-1, 0))):
        made = step(
            config, System1State(), replace(inputs, joints=executing), noise, lambda key: embedding, epoch, NOW_NS
        )
        assert isinstance(made, messages.ActionChunk)
        assert (made.previous_seq, made.consumed) == expected


def test_committed_targets_continue_the_previous_chunk(
    settings: Settings, config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    prefix = settings.model_copy(update={"trajectory": settings.trajectory.model_copy(update={"blend": "prefix"})})
    changed, state = replace(config, settings=prefix), System1State()
    first = step(changed, state, inputs, noise, lambda key: embedding, 1, NOW_NS)
    assert isinstance(first, messages.ActionChunk) and first.committed == 0
    joints = build(messages.JointState, chunk_epoch=1, chunk_seq=0, running=True)
    later = replace(inputs, joints=joints, sets=(frame_set(build, 32), frame_set(build, 33)))
    second = step(changed, state, later, noise, lambda key: embedding, 1, NOW_NS + 3 * FRAME_NS)
    assert isinstance(second, messages.ActionChunk) and second.committed > 0
    np.testing.assert_allclose(second.q[: second.committed], first.q[3 : 3 + second.committed], atol=2e-3)


def test_a_refused_step_is_a_skip_that_says_why(
    config: System1Config, inputs: System1Inputs, embedding: InstructionEmbedding
) -> None:
    state = System1State()
    for count in range(2):
        made = step(config, state, replace(inputs, joints=None), noise, lambda key: embedding, 1, NOW_NS)
        assert isinstance(made, messages.Skip)
        assert (made.seq, made.reason) == (count, "no joint state yet")
    assert state.run == 0


def test_overwritten_frames_are_a_skip(
    config: System1Config, inputs: System1Inputs, build: Build, embedding: InstructionEmbedding
) -> None:
    gone = with_newest(inputs, frame_set(build, 31))

    def pictures(camera: str, number: int) -> NDArray[np.uint8] | None:
        return None if number == 31 else noise(camera, number)

    made = step(config, System1State(), gone, pictures, lambda key: embedding, 1, NOW_NS)
    assert isinstance(made, messages.Skip) and "(31, 31, 31) were overwritten" in made.reason


def test_the_image_history_lies_its_offset_back(settings: Settings, build: Build) -> None:
    history = History(CAMERAS)
    for number in range(20, 31):
        for notice in frame_set(build, number):
            history.add(notice)
    held: dict[str, messages.Message] = {"episode": build(messages.Episode), "instruction": build(messages.Instruction)}
    made = gather(held, looking_back(1 / 30), history, frame_set(build, 30))
    assert made is not None
    assert [frame.seq for frame in made.newest] == [30] * 3
    assert [[frame.seq for frame in frames] for frames in made.sets] == [[29] * 3, [30] * 3]


def test_inputs_wait_for_episode_and_instruction(build: Build) -> None:
    assert inputs_of({"episode": build(messages.Episode)}, ()) is None
    assert inputs_of({"instruction": build(messages.Instruction)}, ()) is None
    made = inputs_of({"episode": build(messages.Episode), "instruction": build(messages.Instruction)}, ())
    assert made is not None and made.conditions is None
