"""System 2's trigger as a level, its windows on the fixed grid, and a real condition from the untrained small policy.

The networks are made once for the module; pictures are noise drawn from the frame number.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.policy import InstructionEmbedding
from models.requirements import ConditionArray, Requirements, VideoWindow
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import codec, messages
from runtime.policy.networks import open_video2act, prepare_torch
from runtime.policy.video2act import SlowVideo2Act
from runtime.systems.system2_state import System2Config, System2Inputs, System2State
from runtime.systems.system2_step import gather, references, step
from runtime.systems.trigger import decide
from runtime.systems.video_windows import Windows, windows

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
PERIOD_NS = 33_333_333
NOW_NS = START_NS + 100 * PERIOD_NS
RUNNING = System2State(run=16, system1_epoch=1, episode=1, instruction=1, capture_ns=NOW_NS - 100_000_000, published=3)


@pytest.fixture(scope="module")
def config(settings: Settings) -> System2Config:
    prepare_torch(settings.system2)
    checkpoint = open_video2act(settings)
    return System2Config(settings, SlowVideo2Act(checkpoint.slow(), checkpoint.needs), checkpoint.id)


@pytest.fixture(scope="module")
def embedding(settings: Settings) -> InstructionEmbedding:
    return open_video2act(settings).instructor().encode(["hand the block over"])[0]


class Slow:
    """A policy of which only the windows are asked."""

    def __init__(self, chosen: tuple[VideoWindow, ...]) -> None:
        self.needs = Requirements(windows=chosen, conditions=(ConditionArray(name="a", dtype="float32", shape=(1,)),))


def frames(build: Build, numbers: range) -> dict[str, tuple[messages.Frame, ...]]:
    """Notices of the head camera."""
    made = (build(messages.Frame, seq=number, capture_ns=START_NS + number * PERIOD_NS) for number in numbers)
    return {"head": tuple(made)}


def without(inputs: System2Inputs, leaves: Callable[[int], bool]) -> System2Inputs:
    """Without the frames whose numbers are left out."""
    return replace(inputs, frames={"head": tuple(frame for frame in inputs.frames["head"] if not leaves(frame.seq))})


def forget(config: System2Config) -> None:
    """What was encoded."""
    config.slow.clear()


@pytest.fixture
def inputs(build: Build) -> System2Inputs:
    """A hundred frames, and System 1 at the run at which System 2 last started."""
    return System2Inputs(
        build(messages.Episode),
        build(messages.Instruction),
        build(messages.Embedding),
        build(messages.ActionChunk, run=16),
        frames(build, range(1, 101)),
    )


def noise(camera: str, number: int) -> NDArray[np.uint8]:
    assert camera == "head"
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def paced(config: System2Config, pacing: str) -> System2Config:
    return replace(config, settings=config.settings.model_copy(update={"pacing": pacing}))


@pytest.mark.parametrize(("run", "due"), [(16, None), (23, None), (24, "ratio"), (25, "ratio"), (999, "ratio")])
def test_n_runs_later_a_condition_is_due_and_stays_due(
    run: int, due: str | None, config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    later = replace(inputs, system1=build(messages.ActionChunk, run=run))
    assert decide(config, RUNNING, later, NOW_NS) == due


@pytest.mark.parametrize("ratio", [1, 3, 20])
def test_n_is_the_ratio_of_the_settings(ratio: int, config: System2Config, inputs: System2Inputs, build: Build) -> None:
    changed = replace(config, settings=config.settings.model_copy(update={"ratio": ratio}))
    for run in range(16, 40):
        due = decide(changed, RUNNING, replace(inputs, system1=build(messages.ActionChunk, run=run)), NOW_NS)
        assert due == ("ratio" if run >= 16 + ratio else None)


def test_the_first_condition_comes_by_itself(config: System2Config, inputs: System2Inputs) -> None:
    assert decide(config, System2State(), replace(inputs, system1=None), NOW_NS) == "episode"


def test_a_restarted_system1_gets_a_condition(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    restarted = replace(inputs, system1=build(messages.Skip, epoch=2))
    assert decide(config, RUNNING, restarted, NOW_NS) == "epoch"


def test_a_new_episode_gets_a_condition(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    assert decide(config, RUNNING, replace(inputs, episode=build(messages.Episode, number=2)), NOW_NS) == "episode"


def test_a_new_instruction_gets_a_condition(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    assert (
        decide(config, RUNNING, replace(inputs, instruction=build(messages.Instruction, number=2)), NOW_NS)
        == "instruction"
    )


def test_an_old_condition_is_renewed_although_system1_stands(
    config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    """A period after the n-th when it makes no chunk at all; while it is only slow, at three quarters of its limit."""
    cycle_ns = seconds((config.settings.ratio + 1) * config.settings.system1.first_period_s)
    limit_ns = seconds(2.8)
    slow = replace(inputs, system1=build(messages.ActionChunk, run=RUNNING.run + 1, conditions_limit_ns=limit_ns))
    skipping = replace(inputs, system1=build(messages.Skip))
    for seen, renewed_ns in ((inputs, cycle_ns), (skipping, cycle_ns), (slow, limit_ns * 3 // 4)):
        for age_ns, due in ((renewed_ns, None), (renewed_ns + 1, "age")):
            assert decide(config, replace(RUNNING, capture_ns=NOW_NS - age_ns), seen, NOW_NS) == due


def test_free_pacing_is_always_due(config: System2Config, inputs: System2Inputs) -> None:
    assert decide(paced(config, "free"), RUNNING, inputs, NOW_NS) == "free"


def test_a_skip_does_not_count_as_a_run(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    assert decide(config, RUNNING, replace(inputs, system1=build(messages.Skip, seq=99)), NOW_NS) is None


def numbers(chosen: tuple[messages.Frame, ...]) -> list[int]:
    return [frame.seq for frame in chosen]


@pytest.mark.parametrize("newest", [96, 97, 98, 99, 100])
def test_the_windows_lie_at_the_newest_frame_and_on_the_grid(
    newest: int, config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    chosen = windows(config, replace(inputs, frames=frames(build, range(1, newest + 1))))
    assert chosen is not None
    high, low = numbers(chosen.frames["high"]), numbers(chosen.frames["low"])
    assert high == [newest - 1, newest]
    assert (
        [config.stride(window) for window in config.windows] == [None, 3]
        and config.longest == "low"
        and all(number % 3 == 0 for number in low)
    )
    assert low == list(range(newest - newest % 3 - 45, newest + 1, 3)) and len(low) == 16


def test_the_grid_does_not_move_with_the_newest_frame(
    config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    chosen = [windows(config, replace(inputs, frames=frames(build, range(1, end)))) for end in (97, 98, 99)]
    lows = {tuple(numbers(made.frames["low"])) for made in chosen if made is not None}
    assert len(lows) == 1, "96, 97 and 98 share their grid frames"


def counting(config: System2Config, how: str) -> System2Config:
    """With windows counted so."""
    system2 = config.settings.system2.model_copy(update={"windows": how})
    return replace(config, settings=config.settings.model_copy(update={"system2": system2}))


@pytest.mark.parametrize(("missing", "instead"), [(54, 55), (96, 97), (57, 58)])
def test_for_a_lost_frame_stands_the_one_nearest_in_time(
    missing: int, instead: int, config: System2Config, inputs: System2Inputs
) -> None:
    seen = without(inputs, lambda number: number == missing)
    chosen = windows(config, seen)
    assert chosen is not None
    wanted = [instead if number == missing else number for number in range(54, 100, 3)]
    assert numbers(chosen.frames["low"])[:-1] == wanted[:-1]
    assert windows(counting(config, "frames"), seen) is None, "as in the sessions of former versions"


def test_a_lost_newest_but_one_leaves_two_that_follow_each_other(config: System2Config, inputs: System2Inputs) -> None:
    chosen = windows(config, without(inputs, lambda number: number == 99))
    assert chosen is not None and numbers(chosen.frames["high"]) == [98, 100]


@pytest.mark.parametrize("rate_hz", [15, 20, 30, 31, 45, 60, 90])
def test_a_window_lasts_as_long_at_any_rate(
    rate_hz: int, config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    """The settings say 30: counted in frames, a window of 1.5 s would last 0.5 s at 90 pictures a second, and 3 s at 15."""
    made = [build(messages.Frame, seq=n, capture_ns=START_NS + round(n * 1e9 / rate_hz)) for n in range(1, 3 * rate_hz)]
    chosen = windows(config, replace(inputs, frames={"head": tuple(made)}))
    counted = windows(counting(config, "frames"), replace(inputs, frames={"head": tuple(made)}))
    assert chosen is not None
    times_ns = np.array([frame.capture_ns for frame in chosen.frames["low"]])
    np.testing.assert_allclose(np.diff(times_ns), 1e8, atol=1e9 / rate_hz + 1e3)
    assert times_ns[-1] - times_ns[0] == pytest.approx(1.5e9, abs=0.6e9 / rate_hz)
    high, after = (frame.capture_ns for frame in chosen.frames["high"])
    assert after - high == pytest.approx(max(PERIOD_NS, 1e9 / rate_hz), abs=0.51e9 / rate_hz)
    if rate_hz == 90:
        assert counted is not None
        counted_ns = [frame.capture_ns for frame in counted.frames["low"]]
        assert counted_ns[-1] - counted_ns[0] == pytest.approx(0.5e9, abs=1e3), "as it was"


def test_neighbours_are_as_far_apart_at_twice_the_rate(
    config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    """Where the settings say so; the policy has seen pictures at 30 Hz."""
    head = config.settings.cameras.head.model_copy(update={"rate_hz": 60})
    cameras = config.settings.cameras.model_copy(update={"head": head})
    quick = replace(config, settings=config.settings.model_copy(update={"cameras": cameras}))
    made = [build(messages.Frame, seq=n, capture_ns=START_NS + n * PERIOD_NS // 2) for n in range(1, 121)]
    chosen = windows(quick, replace(inputs, frames={"head": tuple(made)}))
    assert chosen is not None
    assert numbers(chosen.frames["high"]) == [118, 120] and numbers(chosen.frames["low"])[-2:] == [114, 120]


def irregular(build: Build, random: np.random.Generator) -> tuple[messages.Frame, ...]:
    """Frames of a camera at any rate, with jitter, stalls, and notices that are lost."""
    period_s = 1 / random.uniform(8, 95)
    steps_s = period_s * (1 + random.uniform(-0.3, 0.3, 250)) + np.where(
        random.random(250) < 0.03, random.uniform(0, 1, 250), 0
    )
    captures_ns = START_NS + np.cumsum(steps_s * 1e9).astype(np.int64)
    kept = random.random(250) > random.choice([0.0, 0.02, 0.3])
    first = int(random.integers(0, 3))
    return tuple(
        build(messages.Frame, seq=first + place, capture_ns=int(capture_ns))
        for place, capture_ns in enumerate(captures_ns) if kept[place]
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_whatever_a_camera_does_its_windows_are_those_of_a_replay(
    seed: int, config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    """And a frame that comes later, or was forgotten, changes no window but by being nearer."""
    random = np.random.default_rng(seed)
    made = irregular(build, random)
    begun_ns = START_NS + int(random.uniform(0, made[-1].capture_ns - START_NS))
    some = tuple(
        w for w in config.windows if seed % 3 or w.stride_s is not None
    )  # also a policy without the newest ones
    asked = replace(inputs, episode=build(messages.Episode, started_ns=begun_ns), frames={"head": made})
    limited = replace(config, slow=Slow(some))
    chosen = windows(limited, asked)
    if chosen is None:
        return
    known = {ref[2] for ref in references(asked, chosen) if ref[0] == "frame.head"}
    assert windows(limited, without(asked, lambda number: number not in known)) == chosen


def test_a_gap_beside_the_window_does_no_harm(config: System2Config, inputs: System2Inputs) -> None:
    assert windows(config, without(inputs, lambda number: number in (10, 53, 55, 97))) is not None


@pytest.mark.parametrize("count", [0, 1, 2, 45, 47])
def test_a_short_history_gives_none(count: int, config: System2Config, inputs: System2Inputs, build: Build) -> None:
    assert windows(config, replace(inputs, frames=frames(build, range(1, count + 1)))) is None


def test_the_shortest_sufficient_history(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    assert windows(config, replace(inputs, frames=frames(build, range(3, 49)))) is not None


def test_frames_before_the_episode_are_not_seen(config: System2Config, inputs: System2Inputs, build: Build) -> None:
    """It looked like its first frame then, as in training; that frame is known by the one before it."""
    late = replace(inputs, episode=build(messages.Episode, started_ns=START_NS + 60 * PERIOD_NS))
    chosen = windows(config, late)
    assert chosen is not None
    assert numbers(chosen.frames["low"]) == [60] * 2 + list(range(60, 100, 3)) and numbers(chosen.before) == [59]
    assert [ref[2] for ref in references(late, chosen) if ref[0] == "frame.head"][:2] == [59, 60]
    assert windows(config, without(late, lambda number: number < 60)) is None, (
        "what was before may only have been forgotten"
    )
    early = windows(config, replace(inputs, episode=build(messages.Episode, started_ns=START_NS + 20 * PERIOD_NS)))
    assert early is not None and early.before == () and min(numbers(early.frames["low"])) == 54


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_camera_begins_with_frame_0(count: int, config: System2Config, inputs: System2Inputs, build: Build) -> None:
    chosen = windows(config, replace(inputs, frames=frames(build, range(count))))
    assert chosen is not None and numbers(chosen.frames["high"]) == [max(0, count - 2), count - 1]
    assert numbers(chosen.frames["low"]) == [max(0, (count - 1) // 3 * 3 - 3 * back) for back in range(15, -1, -1)]


def test_what_was_consumed_gives_the_same_windows_again(
    config: System2Config, inputs: System2Inputs, build: Build
) -> None:
    """As in a replay, which knows no other frames."""
    for begun in (20, 60, 99):
        asked = replace(inputs, episode=build(messages.Episode, started_ns=START_NS + begun * PERIOD_NS))
        chosen = windows(config, asked)
        assert chosen is not None
        known = {ref[2] for ref in references(asked, chosen) if ref[0] == "frame.head"}
        assert windows(config, without(asked, lambda number: number not in known)) == chosen  # noqa: B023


def test_a_step_gives_a_condition_that_names_everything_it_saw(
    config: System2Config, inputs: System2Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    state = replace(RUNNING)
    late = replace(inputs, system1=build(messages.ActionChunk, run=27, seq=26))
    made = step(config, state, late, noise, lambda key: embedding, 4, NOW_NS)
    assert made is not None
    assert (made.seq, made.epoch, made.stamp_ns, made.trigger, made.late_runs) == (3, 4, NOW_NS, "ratio", 3)
    seen = {window.name: (window.camera, window.frames) for window in made.windows}
    assert seen == {"high": ("head", (99, 100)), "low": ("head", tuple(range(54, 100, 3)))}
    assert made.capture_ns == START_NS + 100 * PERIOD_NS and made.widest_gap_ns == 3 * PERIOD_NS
    assert {name: array.shape for name, array in made.arrays.items()} == {"spatial": (32, 128), "motion": (32, 128)}
    assert made.checkpoint_id == config.checkpoint_id and made.trigger_run == 27
    assert made.inputs[:4] == (("episode", 1, 0), ("instruction", 1, 0), ("embedding", 1, 0), ("chunk", 1, 26))
    assert [ref[2] for ref in made.inputs[4:]] == sorted({*seen["high"][1], *seen["low"][1]})
    assert (state.run, state.published, state.capture_ns) == (27, 4, made.capture_ns)
    assert codec.encode(codec.decode(codec.encode(made))) == codec.encode(made)
    assert decide(config, state, late, NOW_NS) is None, "served"


def test_the_same_inputs_give_the_same_tokens(
    config: System2Config, inputs: System2Inputs, embedding: InstructionEmbedding
) -> None:
    first, second = (step(config, System2State(), inputs, noise, lambda key: embedding, 1, NOW_NS) for _ in range(2))
    forget(config)
    afresh = step(config, System2State(), inputs, noise, lambda key: embedding, 1, NOW_NS)
    assert first is not None and second is not None and afresh is not None
    for made in (second, afresh):
        for name in made.arrays:
            np.testing.assert_array_equal(made.arrays[name].values, first.arrays[name].values)


def test_other_pictures_give_other_tokens(
    config: System2Config, inputs: System2Inputs, embedding: InstructionEmbedding
) -> None:
    made = step(config, System2State(), inputs, noise, lambda key: embedding, 1, NOW_NS)
    forget(config)
    other = step(
        config,
        System2State(),
        inputs,
        lambda camera, number: noise(camera, number + 1000),
        lambda key: embedding,
        1,
        NOW_NS,
    )
    forget(config)
    assert made is not None and other is not None
    assert all((made.arrays[name].values != other.arrays[name].values).any() for name in ("spatial", "motion"))


def test_nothing_is_made_while_the_instruction_is_not_encoded(
    config: System2Config, inputs: System2Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    state = System2State()
    waiting = replace(inputs, instruction=build(messages.Instruction, number=2))
    assert step(config, state, waiting, noise, lambda key: embedding, 1, NOW_NS) is None
    assert state == System2State(), "still due"


def test_nothing_is_made_when_a_picture_is_gone(
    config: System2Config, inputs: System2Inputs, embedding: InstructionEmbedding
) -> None:
    forget(config)
    state = System2State()
    made = step(
        config,
        state,
        inputs,
        lambda camera, number: None if number == 60 else noise(camera, number),
        lambda key: embedding,
        1,
        NOW_NS,
    )
    assert made is None and state == System2State()


def test_warming_up_leaves_no_trace(config: System2Config) -> None:
    assert isinstance(config.slow, SlowVideo2Act)
    config.slow.network.warm_up()
    assert not any(config.slow.has_frame(window.name, number) for window in config.windows for number in range(20))


def test_inputs_wait_for_every_state(build: Build) -> None:
    held: dict[str, messages.Message] = {}
    for name, kind in (
        ("episode", messages.Episode),
        ("instruction", messages.Instruction),
        ("embedding", messages.Embedding),
    ):
        assert gather(held, {}) is None
        held[name] = build(kind)
    made = gather(held, {})
    assert made is not None and made.system1 is None


def test_the_newer_of_chunk_and_skip_tells_where_system1_stands(build: Build) -> None:
    held: dict[str, messages.Message] = {
        "episode": build(messages.Episode),
        "instruction": build(messages.Instruction),
        "embedding": build(messages.Embedding),
        "chunk": build(messages.ActionChunk, stamp_ns=10),
        "skip": build(messages.Skip, stamp_ns=11),
    }
    made = gather(held, {})
    assert made is not None and isinstance(made.system1, messages.Skip)
    assert references(made, Windows({}))[-1][0] == "skip"
