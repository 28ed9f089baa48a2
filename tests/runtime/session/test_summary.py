"""The table of a run, from constructed messages whose figures are known.

Counting goes from the first RUNNING to the order that ends the program.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import supervisor
from runtime.messaging import messages
from runtime.session.summary import EXIT_SOURCE, OF_THE_SESSION, Accumulator, Intervals, lines

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
TICK_NS = 5_000_000
MS = 1_000_000


class Run:
    """Messages of a run on the way into an accumulator."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.accumulator = Accumulator(200)
        self.ticks = 0
        self.now_ns = START_NS

    def tick(self, mode: str = "RUNNING", late_ns: int = 0, **changes: Any) -> None:
        """One arm target; 5 ms later."""
        target = self.build(
            messages.ArmTarget, seq=self.ticks, stamp_ns=self.now_ns + late_ns, deadline_ns=self.now_ns, mode=mode,
            arrivals=changes.pop("arrivals", ()), **changes,
        )  # fmt: skip
        self.accumulator.add("arm_target", target)
        self.ticks += 1
        self.now_ns += TICK_NS

    def add(self, topic: str, kind: type[messages.Message], **fields: Any) -> None:
        self.accumulator.add(topic, self.build(kind, **({"stamp_ns": self.now_ns} | fields)))

    def table(self, dropped: int = 0) -> dict[str, Any]:
        return self.accumulator.table(dropped, "here")


@pytest.fixture
def run(build: Build) -> Run:
    return Run(build)


def test_an_empty_run_has_an_empty_table(run: Run) -> None:
    table = run.table()
    assert (table["system1_runs"], table["ratio_measured"], table["session"]) == (0, None, "here")
    assert json.loads(json.dumps(table)) == table
    assert [line.split()[0] for line in lines(table) if line.startswith("  ")] == [
        "session_s",
        "not_replayable",
        "session",
    ]
    assert lines(table)[-1] == "the arms never ran; nothing else was measured"
    assert "None" not in "".join(lines(table))


def test_task_length_and_outcome_are_told(run: Run) -> None:
    run.tick()
    run.add("episode", messages.Episode, number=1, task="pick_apple_messy")
    assert run.table()["outcome"] == ""
    run.add("scene", messages.Scene, episode=1, success=False)
    assert run.table()["outcome"] == "not done", "a simulated task tells by itself"
    run.add("scene", messages.Scene, episode=1, success=True)
    run.now_ns += 2_000 * MS
    run.tick()
    table = run.table()
    assert (table["task"], table["outcome"], table["session_s"]) == ("pick_apple_messy", "success", 2.0)
    run.add("outcome", messages.Outcome, number=1, result="failure")
    assert run.table()["outcome"] == "failure", "the operator's word counts"
    run.add("scene", messages.Scene, episode=2, success=True)
    assert run.table()["outcome"] == "1 of 2"


def test_nothing_counts_before_the_first_running_and_after_the_end(run: Run) -> None:
    for _ in range(10):
        run.add("fault", messages.Fault)
        run.add("chunk", messages.ActionChunk)
        run.tick("HOLD", late_ns=900)
    for _ in range(4):
        run.tick()
    run.add("operator_command", messages.OperatorCommand, command="hold", source=EXIT_SOURCE)
    for _ in range(10):
        run.tick("HOLD", late_ns=900)
        run.add("fault", messages.Fault)
        run.add("chunk", messages.ActionChunk)
    table = run.table()
    assert (table["system1_runs"], table["fault_reports"], table["running_fraction"]) == (0, 0, 1.0)
    assert table["tick_late_us"]["max"] == 0


def test_all_rows_of_a_run_have_one_time_base(run: Run) -> None:
    """Waiting before the first RUNNING and braking after the end is time of the session, not of the run."""
    run.add("safety", messages.SafetyState, holds=1, faults=2, chunks_dropped=3)
    for _ in range(400):
        run.tick("DISARMED")
    for _ in range(601):
        run.tick("HOLD" if 200 < run.ticks - 400 < 300 else "RUNNING")
    run.add("safety", messages.SafetyState, holds=2, faults=2, chunks_dropped=8)
    run.add("operator_command", messages.OperatorCommand, command="hold", source=EXIT_SOURCE)
    for _ in range(200):
        run.tick("HOLD")
    table = run.table()
    assert (table["duration_s"], table["session_s"]) == (3.0, 6.0)
    assert (table["holds"], table["faults_latched"], table["drops"]) == (1, 0, 5)


def test_what_is_reported_is_told_from_what_is_latched(run: Run) -> None:
    run.tick()
    run.add("safety", messages.SafetyState)
    for _ in range(3):
        run.add("fault", messages.Fault)
    run.add("safety", messages.SafetyState, faults=1)
    run.tick()
    table = run.table()
    assert (table["faults_latched"], table["fault_reports"]) == (1, 3) and "faults" not in table


def test_only_what_was_measured_is_printed(run: Run) -> None:
    run.tick()
    said = lines(run.table())
    assert "None" not in "".join(said)
    assert not any(line.startswith("  physics_lag_ms") for line in said), "there is no simulator"
    assert any(line.startswith("  holds                      0") for line in said)


def test_every_row_is_explained(run: Run) -> None:
    page = (Path(supervisor.__file__).parent / "README.md").read_text().partition("## The table at the end")[2]
    of_session, _ = page.split("| row, from the first RUNNING to the end |")
    explained = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in page.splitlines() if line.startswith("| `")]
    table = run.table()
    assert sorted(name for row in explained for name in row) == sorted(table)
    assert set(re.findall(r"^\| `(\w+)`", of_session, re.MULTILINE)) == set(OF_THE_SESSION)


@pytest.mark.parametrize(
    ("late_us", "lag_ms", "said"),
    [(100, 5, "no"), (12_000, 5, "arms ticks 12 ms late"), (100, 80, "physics 80 ms behind")],
)
def test_a_machine_that_was_too_slow_is_named(run: Run, late_us: int, lag_ms: int, said: str) -> None:
    for _ in range(50):
        run.tick(late_ns=1000 * late_us)
        run.add("scene", messages.Scene, lag_ns=lag_ms * MS)
    assert run.table()["overloaded"].startswith(said)


def test_an_operators_order_does_not_end_the_counting(run: Run) -> None:
    run.tick()
    run.add("operator_command", messages.OperatorCommand, command="hold", source="terminal")
    run.tick("HOLD")
    assert run.table()["running_fraction"] == 0.5


def test_lateness_is_told_in_microseconds(run: Run) -> None:
    for _ in range(99):
        run.tick(late_ns=2_000)
    run.tick(late_ns=500_000)
    assert run.table()["tick_late_us"] == {"p50": 2.0, "p99": pytest.approx(2.0, abs=6), "max": 500.0}


def test_skipped_deadlines_are_misses(run: Run) -> None:
    for skipped in (0, 0, 1, 0, 3, 0):
        run.tick()
        run.now_ns += skipped * TICK_NS
    run.tick()
    assert run.table()["deadline_misses"] == 4


def test_the_share_of_limited_targets(run: Run) -> None:
    for index in range(8):
        run.tick(limited=index % 4 == 0)
    assert run.table()["limited_fraction"] == 0.25


def test_seams_count_only_where_there_is_one(run: Run) -> None:
    for jump in (-1.0, 0.5, -1.0, 2.0):
        run.tick(seam_jump_rad_s=jump)
    assert run.table()["seam_velocity_jump_rad_s"]["max"] == 2.0


def test_the_arms_path_is_that_of_six_joints_each(run: Run) -> None:
    run.tick()
    for count in range(4):
        q = np.zeros(14)
        q[[0, 1]] = 0.3 * count, 0.4 * count
        q[[6, 13]] = 0.07 * count
        run.add("joint_state", messages.JointState, q=q, seq=count)
    assert run.table()["arm_path_rad"] == [1.5, 0.0]


def test_ratio_ages_and_durations(run: Run) -> None:
    run.tick()
    for count in range(9):
        run.add(
            "chunk", messages.ActionChunk, seq=count, run=count + 1, conditions_capture_ns=run.now_ns - 300 * MS,
            frame_returned_ns=run.now_ns, timing=messages.Timing(finished_ns=run.now_ns + 50 * MS, forward_ns=40 * MS),
        )  # fmt: skip
        run.tick(arrivals=((count, run.now_ns + 52 * MS),))
    for trigger_run in (0, 4, 8):
        run.add("conditions", messages.Conditions, trigger_run=trigger_run, seq=trigger_run)
    table = run.table()
    assert (table["system1_runs"], table["system2_runs"], table["ratio_measured"]) == (9, 3, 4.0)
    assert table["condition_age_ms"]["p50"] == 300 and table["chunk_ms"]["p50"] == 50
    assert table["overhead_ms"]["p50"] == 12


def test_a_restarted_system1_is_not_mixed_with_its_former_life(run: Run) -> None:
    """Both lives count their chunks from zero."""
    run.tick()
    for epoch in (1, 2):
        for count in range(3):
            run.add(
                "chunk", messages.ActionChunk, epoch=epoch, seq=count, frame_returned_ns=run.now_ns, stamp_ns=run.now_ns,
                timing=messages.Timing(finished_ns=run.now_ns + 10 * MS, forward_ns=8 * MS),
            )  # fmt: skip
            run.tick(arrivals=((count, run.now_ns + 12 * MS),))
        run.now_ns += 10_000 * MS
    assert run.table()["overhead_ms"]["p99"] == 4


def test_actions_for_each_condition(run: Run) -> None:
    run.add("chunk", messages.ActionChunk)
    for _ in range(400):
        run.tick()
    run.add("chunk", messages.ActionChunk, seq=1)
    for seq in range(2):
        run.add("conditions", messages.Conditions, seq=seq, trigger_run=seq)
    assert run.table()["actions_per_condition"] == pytest.approx(2.0 * 30 / 2, abs=0.1)


def test_saturation_is_a_majority(run: Run) -> None:
    run.tick()
    for seq in range(5):
        run.add("chunk", messages.ActionChunk, seq=seq, saturated=seq < 3)
    assert run.table()["saturated"] is True


def test_holds_and_drops_come_from_the_safety_layer(run: Run) -> None:
    run.tick()
    run.add("safety", messages.SafetyState, holds=2, chunks_dropped=3)
    run.add("operator_command", messages.OperatorCommand, command="hold", source=EXIT_SOURCE)
    run.add("safety", messages.SafetyState, seq=1, holds=9, chunks_dropped=9)
    table = run.table(dropped=4)
    assert (table["holds"], table["drops"]) == (2, 7)


def test_camera_rates_and_physics_lag(run: Run) -> None:
    run.tick()
    run.add("camera_health", messages.CameraHealth)
    run.add("scene", messages.Scene, lag_ns=7 * MS)
    table = run.table()
    assert table["camera_fps"] == {"head": 30.0, "left_wrist": 30.0, "right_wrist": 30.0}
    assert table["physics_lag_ms"]["max"] == 7.0


def test_the_real_time_factor_is_simulated_time_by_the_clock(run: Run) -> None:
    run.tick()
    for count in range(4):
        run.add("scene", messages.Scene, seq=count, stamp_ns=START_NS + count * 100 * MS, simulated_ns=count * 80 * MS)
    assert run.table()["real_time_factor"] == 0.8


def test_without_a_simulator_there_is_no_real_time_factor(run: Run) -> None:
    run.tick()
    assert run.table()["real_time_factor"] is None


def test_the_steps_of_the_video_window_are_told(run: Run) -> None:
    run.tick()
    for count, gap_ms in enumerate((100, 100, 267)):
        stamp_ns = START_NS + (count + 1) * 10 * MS
        run.add("conditions", messages.Conditions, seq=count, stamp_ns=stamp_ns, widest_gap_ns=gap_ms * MS)
    assert run.table()["window_step_ms"] == {"p50": 100.0, "max": 267.0}


def test_late_triggers_are_counted(run: Run) -> None:
    run.tick()
    for count, late in enumerate((0, 3, 0, 1)):
        run.add("conditions", messages.Conditions, seq=count, late_runs=late)
    assert run.table()["late_triggers"] == 2


@pytest.mark.parametrize(("late_runs", "saturated"), [(1, False), (2, True)])
def test_a_ratio_that_is_off_by_more_than_a_twentieth_is_saturated(run: Run, late_runs: int, saturated: bool) -> None:
    run.tick()
    for seq in range(20):
        run.add("chunk", messages.ActionChunk, seq=seq, stamp_ns=START_NS + (seq + 1) * MS, saturated=False)
    run.add("conditions", messages.Conditions, stamp_ns=START_NS + MS, late_runs=late_runs)
    assert run.table()["saturated"] is saturated


def test_an_output_whose_inputs_were_logged_can_be_replayed(run: Run) -> None:
    run.add("frame.head", messages.Frame, seq=32)
    run.add("episode", messages.Episode, seq=0)
    run.accumulator.picture("head", 32)
    run.add("conditions", messages.Conditions)
    assert run.table()["not_replayable"] == 0


@pytest.mark.parametrize("missing", ["notice", "picture", "episode", "epoch"])
def test_an_output_with_a_missing_input_cannot_be_replayed(missing: str, run: Run) -> None:
    if missing != "notice":
        run.add("frame.head", messages.Frame, seq=32, epoch=2 if missing == "epoch" else 1)
    if missing != "picture":
        run.accumulator.picture("head", 32)
    if missing != "episode":
        run.add("episode", messages.Episode, seq=0)
    run.add("conditions", messages.Conditions)
    assert run.table()["not_replayable"] == 1


def test_an_input_may_be_logged_after_its_output(run: Run) -> None:
    run.add("chunk", messages.ActionChunk)
    for seq in range(13):
        run.add("joint_state", messages.JointState, seq=seq)
    assert run.table()["not_replayable"] == 0


def test_intervals_are_a_set_of_growing_numbers() -> None:
    made, kept = Intervals(), {1, 2, 3, 7, 9, 10, 50}
    for value in sorted(kept):
        made.add(value)
    assert {value for value in range(-3, 60) if value in made} == kept


def test_an_empty_interval_set_holds_nothing() -> None:
    assert 0 not in Intervals()


def test_repeated_numbers_change_nothing() -> None:
    made = Intervals()
    for value in (1, 2, 2, 1, 3):
        made.add(value)
    assert [value in made for value in range(5)] == [False, True, True, True, False]
