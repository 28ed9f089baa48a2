"""How often this machine can run System 1, told after a second of runs. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.config import live_tuning
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.supervisor.operator_changes import Plan
from runtime.supervisor.pace import Found, Pace, fitting_period_s

Build = Callable[..., Any]
MS, S = 1_000_000, 1_000_000_000


def measured(
    settings: Settings, build: Build, runs_ms: list[float], slow_ms: float = 500, within_s: float = 1.0
) -> Found | None:
    """What is found when these runs arrive in so many seconds, asked at the end of them."""
    pace, step_ns = Pace(settings), round(within_s * S / (len(runs_ms) - 1))
    pace.hear(build(messages.Conditions, stamp_ns=S, timing=messages.Timing(finished_ns=S + round(slow_ms * MS))), S)
    for count, run_ms in enumerate(runs_ms):
        assert pace.found(2 * S + (count - 1) * step_ns) is None or count == 0, "not before the second is over"
        finished = messages.Timing(finished_ns=S + round(run_ms * MS))
        pace.hear(build(messages.ActionChunk, frame_returned_ns=S, timing=finished), 2 * S + count * step_ns)
    return pace.found(2 * S + round(within_s * S))


def given(*flags: str) -> Settings:
    return load_settings(["--ratio", "8", "--safety.max_chunk_age_s", "1", *flags])


@pytest.mark.parametrize("runs_ms", [[20.0] * 7, [112.0] * 7, [20, 900, 20, 900, 20, 20, 20]])
def test_a_machine_that_keeps_up_is_told_nothing(build: Build, runs_ms: list[float]) -> None:
    assert measured(given("--system1.period_s", "0.15"), build, runs_ms) == Found((), 0)


def test_a_slow_one_is_told_with_value_limit_and_remedy_and_keeps_what_was_asked_for(build: Build) -> None:
    found = measured(given("--system1.period_s", "0.15"), build, [150.0] * 7)
    assert found == Found(
        (
            "this machine is too slow for --system1.period_s 0.15: a run of System 1 takes 150 ms (limit 112 ms); end other "
            "programs, or set --system1.period_s auto or 0.2",
        ),
        0,
    )


def test_a_slow_policy_server_is_blamed_and_not_this_machine(build: Build) -> None:
    server = ("--policy.server", "ws://127.0.0.1:8000")
    found = measured(given(*server, "--system1.period_s", "0.15"), build, [600.0] * 7)
    assert found is not None and [line.partition(":8000: ")[2] for line in found.lines] == [
        "a chunk takes 600 ms, --system1.period_s 0.15 leaves 112 ms; set --system1.period_s auto or 0.8",
        "chunks get 1.4 s old (limit --safety.max_chunk_age_s 1), so the arms will hold; "
        "use a quicker server, or raise that limit",
    ]


@pytest.mark.parametrize(("run_ms", "period_ms"), [(10, 100), (74, 100), (76, 133), (190, 267)])
def test_an_automatic_period_is_the_shortest_of_whole_frames_that_leaves_a_quarter(
    build: Build, run_ms: float, period_ms: int
) -> None:
    found = measured(given("--system1.period_s", "auto"), build, [run_ms] * 7)
    assert found is not None and round(found.period_ns / MS) == period_ms
    assert found.lines == (
        f"a run of System 1 takes {run_ms} ms here: one every {found.period_ns / S:.3g} s (--system1.period_s auto)",
    )
    assert found.period_ns / S == pytest.approx(max(0.1, fitting_period_s(run_ms / 1000, 30)))


def test_the_measured_period_is_what_both_systems_keep_to(build: Build) -> None:
    settings = given("--system1.period_s", "auto")
    found = measured(settings, build, [190.0] * 7)
    assert found is not None
    assert live_tuning.period_ns(settings, build(messages.Episode, period_ns=0)) == 100 * MS
    episode = build(messages.Episode, period_ns=Plan("do it", 0, period_ns=found.period_ns).period_ns)
    assert live_tuning.period_ns(settings, episode) == found.period_ns > 260 * MS


class Machine:
    """Runs of System 1, each as long as its period makes it, in the period that was found last."""

    def __init__(self, build: Build, *flags: str) -> None:
        self.build, self.now_ns, self.period_ns = build, 10 * S, 100 * MS
        self.pace = Pace(given(*flags))

    def lines(self, run_ms: Callable[[int], float], runs: int = 60) -> list[str]:
        """All that is told in so many runs."""
        said: list[str] = []
        for _ in range(runs):
            self.now_ns += self.period_ns
            took_ns = round(run_ms(self.period_ns // MS) * MS)
            timing = messages.Timing(finished_ns=S + took_ns)
            self.pace.hear(self.build(messages.ActionChunk, frame_returned_ns=S, timing=timing), self.now_ns)
            if (found := self.pace.found(self.now_ns)) is not None:
                said += found.lines
                self.period_ns = found.period_ns or self.period_ns
        return said


def test_an_automatic_period_is_measured_again_since_a_longer_one_makes_runs_shorter(build: Build) -> None:
    machine = Machine(build, "--system1.period_s", "auto")
    said = machine.lines(lambda period_ms: 150 if period_ms < 150 else 70)
    assert [line.partition(" here")[0] for line in said] == [
        "a run of System 1 takes 150 ms", "a run of System 1 takes 70 ms", "a run of System 1 takes 150 ms",
    ]  # fmt: skip
    assert round(machine.period_ns / MS) == 200, (
        "it ends with the period that was found last, and is not changed for ever"
    )


def test_a_period_that_fits_is_told_once(build: Build) -> None:
    machine = Machine(build, "--system1.period_s", "auto")
    assert machine.lines(lambda _: 110) == [
        "a run of System 1 takes 110 ms here: one every 0.167 s (--system1.period_s auto)"
    ]


def test_no_period_helps_where_a_chunk_is_too_old_before_the_next(build: Build) -> None:
    machine = Machine(build, "--system1.period_s", "auto")
    first, last = machine.lines(lambda _: 700)
    assert first == "a run of System 1 takes 700 ms here: one every 0.5 s (--system1.period_s auto)"
    assert "so the arms will hold; use a GPU or a smaller policy" in last and "--safety.max_chunk_age_s 1" in last
    assert machine.period_ns == 500 * MS, "half of the limit: a longer one is of no use"


@pytest.mark.parametrize(("period", "slow_ms", "ratio"), [("0.15", 1190, None), ("0.15", 1900, 13), ("auto", 1900, 19)])
def test_a_system_2_that_takes_longer_than_its_runs_is_told_with_the_ratio_that_fits(
    build: Build, period: str, slow_ms: float, ratio: int | None
) -> None:
    found = measured(given("--system1.period_s", period), build, [20.0] * 7, slow_ms)
    assert found is not None
    said = [line for line in found.lines if "--ratio 8: System 2 takes" in line]
    assert [line.rpartition("set ")[2] for line in said] == ([f"--ratio {ratio}"] if ratio else [])


def test_a_few_slow_runs_are_waited_for(build: Build) -> None:
    settings = given("--system1.period_s", "0.15")
    assert measured(settings, build, [700.0] * 3, within_s=2) is None
    assert measured(settings, build, [700.0] * 4, within_s=3) is not None
