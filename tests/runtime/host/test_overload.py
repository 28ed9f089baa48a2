"""A machine that is too slow, told from a bad cable by what comes late and by its processors. Called by pytest."""

from pathlib import Path

import pytest

from runtime.host.overload import Processors, Stall, symptoms

S, MS = 1_000_000_000, 1_000_000
TORN = "5 of its last 20 joint readings were torn; check the CAN bus"


def test_shares_are_those_since_the_last_look(tmp_path: Path) -> None:
    stat, load = tmp_path / "stat", tmp_path / "loadavg"
    load.write_text("6.10 3.00 1.00 3/200 999\n")
    stat.write_text("cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    processors = Processors(stat, load)
    stat.write_text("cpu  160 0 110 810 10 0 0 10 90 0\n")
    pressure = processors.check()
    assert (pressure.load, pressure.busy_percent, pressure.stolen_percent) == (6.1, 80.0, 10.0)
    assert f"{pressure}" == f"load 6.1 on {pressure.cores} cores, 80 % busy, 10 % stolen by the hypervisor"
    assert processors.check().busy_percent == 0.0, "no time has passed"


def test_of_this_machine_they_can_be_read() -> None:
    pressure = Processors().check()
    assert pressure.cores >= 1 and 0 <= pressure.busy_percent <= 100


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, ""),
        ({"late_tick_ms": 4.9, "lag_ms": 49.0, "gaps": {"arms": 249.0}}, ""),
        ({"late_tick_ms": 12.3}, "arms ticks 12 ms late (p99, limit 5 ms)"),
        ({"lag_ms": 80.0}, "physics 80 ms behind (p99, limit 50 ms)"),
        ({"gaps": {"arms": 900.0}}, ""),
        (
            {"gaps": {"arms": 300.0, "cameras": 900.0, "text": 60.0}},
            "2 processes silent, cameras for 900 ms (limit 250 ms)",
        ),
    ],
)
def test_only_what_nothing_else_explains_is_a_symptom(figures: dict[str, float], said: str) -> None:
    assert symptoms(**figures) == said  # pyright: ignore[reportArgumentType]


def test_what_is_torn_while_the_process_got_no_processor_is_blamed_on_that() -> None:
    stall = Stall()
    assert stall.blamed(TORN, 0) == TORN
    stall.note(90 * MS, 10 * S)
    stall.note(40 * MS, 10 * S + 1)
    blamed = stall.blamed(TORN, 10 * S + 2)
    assert blamed.startswith("the machine is overloaded (no CPU time for 90 ms): 5 of its last 20")
    assert "CAN" not in blamed
    assert stall.blamed("motor 3 is switched off", 10 * S + 2) == "motor 3 is switched off"
    assert stall.blamed(TORN, 11 * S + 1) == TORN, "it has kept up for a second"


def test_a_usual_sleep_is_no_stall() -> None:
    stall = Stall()
    stall.note(19 * MS, 10 * S)
    assert stall.blamed(TORN, 10 * S) == TORN
    stall.note(30 * MS, 20 * S)
    assert "no CPU time for 30 ms" in stall.blamed(TORN, 20 * S)
