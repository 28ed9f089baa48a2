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
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.policy.networks import open_checkpoint, prepare_torch
from runtime.systems.system2_step import Inputs, Memory, Rules, Windows, decide, gather, references, step, windows

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
PERIOD_NS = 33_333_333
NOW = START_NS + 100 * PERIOD_NS
RUNNING = Memory(run=16, system1_epoch=1, episode=1, instruction=1, capture_ns=NOW - 100_000_000, published=3)


@pytest.fixture(scope="module")
def rules(settings: Settings) -> Rules:
    prepare_torch(settings.system2)
    checkpoint = open_checkpoint(settings)
    return Rules.of(settings, checkpoint.slow(), checkpoint.id)


@pytest.fixture(scope="module")
def embedding(settings: Settings) -> InstructionEmbedding:
    return open_checkpoint(settings).instructor().encode(["hand the block over"])[0]


def frames(build: Build, numbers: range) -> tuple[messages.Frame, ...]:
    return tuple(build(messages.Frame, seq=number, capture_ns=START_NS + number * PERIOD_NS) for number in numbers)


@pytest.fixture
def inputs(build: Build) -> Inputs:
    """A hundred frames, and System 1 at the run at which System 2 last started."""
    return Inputs(
        build(messages.Episode),
        build(messages.Instruction),
        build(messages.Embedding),
        build(messages.ActionChunk, run=16),
        frames(build, range(1, 101)),
    )


def noise(camera: str, number: int) -> NDArray[np.uint8]:
    assert camera == "head"
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def paced(rules: Rules, pacing: str) -> Rules:
    return replace(rules, settings=rules.settings.model_copy(update={"pacing": pacing}))


@pytest.mark.parametrize(("run", "due"), [(16, None), (23, None), (24, "ratio"), (25, "ratio"), (999, "ratio")])
def test_n_runs_later_a_condition_is_due_and_stays_due(
    run: int, due: str | None, rules: Rules, inputs: Inputs, build: Build
) -> None:
    later = replace(inputs, system1=build(messages.ActionChunk, run=run))
    assert decide(rules, RUNNING, later, NOW) == due


@pytest.mark.parametrize("ratio", [1, 3, 20])
def test_n_is_the_ratio_of_the_settings(ratio: int, rules: Rules, inputs: Inputs, build: Build) -> None:
    changed = replace(rules, settings=rules.settings.model_copy(update={"ratio": ratio}))
    for run in range(16, 40):
        due = decide(changed, RUNNING, replace(inputs, system1=build(messages.ActionChunk, run=run)), NOW)
        assert due == ("ratio" if run >= 16 + ratio else None)


def test_the_first_condition_comes_by_itself(rules: Rules, inputs: Inputs) -> None:
    assert decide(rules, Memory(), replace(inputs, system1=None), NOW) == "episode"


def test_a_restarted_system1_gets_a_condition(rules: Rules, inputs: Inputs, build: Build) -> None:
    restarted = replace(inputs, system1=build(messages.Skip, epoch=2))
    assert decide(rules, RUNNING, restarted, NOW) == "epoch"


def test_a_new_episode_gets_a_condition(rules: Rules, inputs: Inputs, build: Build) -> None:
    assert decide(rules, RUNNING, replace(inputs, episode=build(messages.Episode, number=2)), NOW) == "episode"


def test_a_new_instruction_gets_a_condition(rules: Rules, inputs: Inputs, build: Build) -> None:
    assert (
        decide(rules, RUNNING, replace(inputs, instruction=build(messages.Instruction, number=2)), NOW) == "instruction"
    )


def test_an_old_condition_is_renewed_although_system1_stands(rules: Rules, inputs: Inputs, build: Build) -> None:
    """A period after the n-th when it makes no chunk at all; while it is only slow, at three quarters of its limit."""
    cycle_ns = seconds((rules.settings.ratio + 1) * rules.settings.system1.period_s)
    limit_ns = seconds(2.8)
    slow = replace(inputs, system1=build(messages.ActionChunk, run=RUNNING.run + 1, conditions_limit_ns=limit_ns))
    skipping = replace(inputs, system1=build(messages.Skip))
    for seen, renewed_ns in ((inputs, cycle_ns), (skipping, cycle_ns), (slow, limit_ns * 3 // 4)):
        for age_ns, due in ((renewed_ns, None), (renewed_ns + 1, "age")):
            assert decide(rules, replace(RUNNING, capture_ns=NOW - age_ns), seen, NOW) == due


def test_free_pacing_is_always_due(rules: Rules, inputs: Inputs) -> None:
    assert decide(paced(rules, "free"), RUNNING, inputs, NOW) == "free"


def test_a_skip_does_not_count_as_a_run(rules: Rules, inputs: Inputs, build: Build) -> None:
    assert decide(rules, RUNNING, replace(inputs, system1=build(messages.Skip, seq=99)), NOW) is None


def numbers(chosen: tuple[messages.Frame, ...]) -> list[int]:
    return [frame.seq for frame in chosen]


@pytest.mark.parametrize("newest", [96, 97, 98, 99, 100])
def test_the_windows_lie_at_the_newest_frame_and_on_the_grid(
    newest: int, rules: Rules, inputs: Inputs, build: Build
) -> None:
    chosen = windows(rules, replace(inputs, frames=frames(build, range(1, newest + 1))))
    assert chosen is not None
    high, low = numbers(chosen.high), numbers(chosen.low)
    assert high == [newest - 1, newest]
    assert rules.stride == 3 and all(number % 3 == 0 for number in low)
    assert low == list(range(newest - newest % 3 - 45, newest + 1, 3)) and len(low) == 16


def test_the_grid_does_not_move_with_the_newest_frame(rules: Rules, inputs: Inputs, build: Build) -> None:
    chosen = [windows(rules, replace(inputs, frames=frames(build, range(1, end)))) for end in (97, 98, 99)]
    lows = {tuple(numbers(made.low)) for made in chosen if made is not None}
    assert len(lows) == 1, "96, 97 and 98 share their grid frames"


@pytest.mark.parametrize("missing", [100, 99, 54, 96])
def test_a_gap_in_the_window_gives_none(missing: int, rules: Rules, inputs: Inputs) -> None:
    kept = tuple(frame for frame in inputs.frames if frame.seq != missing)
    chosen = windows(rules, replace(inputs, frames=kept))
    assert chosen is None or missing == 100  # without its newest frame the window ends at the one before


def test_a_gap_beside_the_window_does_no_harm(rules: Rules, inputs: Inputs) -> None:
    kept = tuple(frame for frame in inputs.frames if frame.seq not in (10, 53, 55, 97))
    assert windows(rules, replace(inputs, frames=kept)) is not None


@pytest.mark.parametrize("count", [0, 1, 2, 45, 47])
def test_a_short_history_gives_none(count: int, rules: Rules, inputs: Inputs, build: Build) -> None:
    assert windows(rules, replace(inputs, frames=frames(build, range(1, count + 1)))) is None


def test_the_shortest_sufficient_history(rules: Rules, inputs: Inputs, build: Build) -> None:
    assert windows(rules, replace(inputs, frames=frames(build, range(3, 49)))) is not None


def test_frames_before_the_episode_are_not_seen(rules: Rules, inputs: Inputs, build: Build) -> None:
    """It looked like its first frame then, as in training; that frame is known by the one before it."""
    late = replace(inputs, episode=build(messages.Episode, started_ns=START_NS + 60 * PERIOD_NS))
    chosen = windows(rules, late)
    assert chosen is not None
    assert numbers(chosen.low) == [60] * 2 + list(range(60, 100, 3)) and numbers(chosen.before) == [59]
    assert [ref[2] for ref in references(late, chosen) if ref[0] == "frame.head"][:2] == [59, 60]
    unknown = replace(late, frames=tuple(frame for frame in inputs.frames if frame.seq >= 60))
    assert windows(rules, unknown) is None, "what was before may only have been forgotten"
    early = windows(rules, replace(inputs, episode=build(messages.Episode, started_ns=START_NS + 20 * PERIOD_NS)))
    assert early is not None and early.before == () and min(numbers(early.low)) == 54


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_camera_begins_with_frame_0(count: int, rules: Rules, inputs: Inputs, build: Build) -> None:
    chosen = windows(rules, replace(inputs, frames=frames(build, range(count))))
    assert chosen is not None and numbers(chosen.high) == [max(0, count - 2), count - 1]
    assert numbers(chosen.low) == [max(0, (count - 1) // 3 * 3 - 3 * back) for back in range(15, -1, -1)]


def test_what_was_consumed_gives_the_same_windows_again(rules: Rules, inputs: Inputs, build: Build) -> None:
    """As in a replay, which knows no other frames."""
    for begun in (20, 60, 99):
        asked = replace(inputs, episode=build(messages.Episode, started_ns=START_NS + begun * PERIOD_NS))
        chosen = windows(rules, asked)
        assert chosen is not None
        known = {ref[2] for ref in references(asked, chosen) if ref[0] == "frame.head"}
        kept = tuple(frame for frame in inputs.frames if frame.seq in known)
        assert windows(rules, replace(asked, frames=kept)) == chosen


def test_a_step_gives_a_condition_that_names_everything_it_saw(
    rules: Rules, inputs: Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    memory = replace(RUNNING)
    late = replace(inputs, system1=build(messages.ActionChunk, run=27, seq=26))
    made = step(rules, memory, late, noise, lambda key: embedding, 4, NOW)
    assert made is not None
    assert (made.seq, made.epoch, made.stamp_ns, made.trigger, made.late_runs) == (3, 4, NOW, "ratio", 3)
    assert made.high_frames == (99, 100) and made.low_frames == tuple(range(54, 100, 3))
    assert made.capture_ns == START_NS + 100 * PERIOD_NS and made.widest_gap_ns == 3 * PERIOD_NS
    assert made.spatial.shape == made.motion.shape == (32, 128)
    assert made.checkpoint_id == rules.checkpoint_id and made.trigger_run == 27
    assert made.inputs[:4] == (("episode", 1, 0), ("instruction", 1, 0), ("embedding", 1, 0), ("chunk", 1, 26))
    assert [ref[2] for ref in made.inputs[4:]] == sorted({*made.high_frames, *made.low_frames})
    assert (memory.run, memory.published, memory.capture_ns) == (27, 4, made.capture_ns)
    assert messages.encode(messages.decode(messages.encode(made))) == messages.encode(made)
    assert decide(rules, memory, late, NOW) is None, "served"


def test_the_same_inputs_give_the_same_tokens(rules: Rules, inputs: Inputs, embedding: InstructionEmbedding) -> None:
    first, second = (step(rules, Memory(), inputs, noise, lambda key: embedding, 1, NOW) for _ in range(2))
    rules.slow.low.clear()
    rules.slow.high.clear()
    afresh = step(rules, Memory(), inputs, noise, lambda key: embedding, 1, NOW)
    assert first is not None and second is not None and afresh is not None
    for made in (second, afresh):
        np.testing.assert_array_equal(made.spatial, first.spatial)
        np.testing.assert_array_equal(made.motion, first.motion)


def test_other_pictures_give_other_tokens(rules: Rules, inputs: Inputs, embedding: InstructionEmbedding) -> None:
    made = step(rules, Memory(), inputs, noise, lambda key: embedding, 1, NOW)
    rules.slow.low.clear()
    rules.slow.high.clear()
    other = step(
        rules, Memory(), inputs, lambda camera, number: noise(camera, number + 1000), lambda key: embedding, 1, NOW
    )
    rules.slow.low.clear()
    rules.slow.high.clear()
    assert made is not None and other is not None
    assert (made.spatial != other.spatial).any() and (made.motion != other.motion).any()


def test_nothing_is_made_while_the_instruction_is_not_encoded(
    rules: Rules, inputs: Inputs, embedding: InstructionEmbedding, build: Build
) -> None:
    memory = Memory()
    waiting = replace(inputs, instruction=build(messages.Instruction, number=2))
    assert step(rules, memory, waiting, noise, lambda key: embedding, 1, NOW) is None
    assert memory == Memory(), "still due"


def test_nothing_is_made_when_a_picture_is_gone(rules: Rules, inputs: Inputs, embedding: InstructionEmbedding) -> None:
    rules.slow.low.clear()
    rules.slow.high.clear()
    memory = Memory()
    made = step(
        rules,
        memory,
        inputs,
        lambda camera, number: None if number == 60 else noise(camera, number),
        lambda key: embedding,
        1,
        NOW,
    )
    assert made is None and memory == Memory()


def test_warming_up_leaves_no_trace(rules: Rules) -> None:
    rules.slow.warm_up()
    assert not any(number in ring for ring in (rules.slow.low, rules.slow.high) for number in range(20))


def test_inputs_wait_for_every_state(build: Build) -> None:
    held: dict[str, messages.Message] = {}
    for name, kind in (
        ("episode", messages.Episode),
        ("instruction", messages.Instruction),
        ("embedding", messages.Embedding),
    ):
        assert gather(held, ()) is None
        held[name] = build(kind)
    made = gather(held, ())
    assert made is not None and made.system1 is None


def test_the_newer_of_chunk_and_skip_tells_where_system1_stands(build: Build) -> None:
    held: dict[str, messages.Message] = {
        "episode": build(messages.Episode),
        "instruction": build(messages.Instruction),
        "embedding": build(messages.Embedding),
        "chunk": build(messages.ActionChunk, stamp_ns=10),
        "skip": build(messages.Skip, stamp_ns=11),
    }
    made = gather(held, ())
    assert made is not None and isinstance(made.system1, messages.Skip)
    assert references(made, Windows((), ()))[-1][0] == "skip"
