"""What the bench of shares says: a run that keeps its budgets, one that does not, and a real one. Called by pytest."""

from pathlib import Path
from typing import Any

import pytest

from runtime.bench import budget, command
from runtime.errors import SettingsError

ENDED: dict[str, Any] = {"holds": 0, "fault_reports": 0, "overhead_ms": {"p50": 3.0}}
KEPT = {
    "arms": 17.9, "recorder": 4.0, "cameras": 30.0, "system1": 30.0, "system2": 20.0, "simulator": 12.0, "console": 6.0,
    "supervisor": 5.0,
}  # fmt: skip


def test_shares_under_the_limit_are_kept_and_said() -> None:
    said: list[str] = []
    found = budget._reported(KEPT, 7.5, ENDED, said.append)  # pyright: ignore[reportPrivateUsage]
    assert found["kept"] and found["rows"]["simulator, console, supervisor, text"]["share_percent"] == 23.0
    assert found["rows"]["all"]["share_percent"] == pytest.approx(sum(KEPT.values()))
    assert any("arms" in line and "17.9" in line and "10" in line for line in said)
    assert any("7.5 s" in line and "holds 0" in line for line in said)


@pytest.mark.parametrize("process", [name for names in budget.BUDGET_PERCENT for name in names])
def test_a_process_that_takes_far_more_than_its_budget_fails(process: str) -> None:
    shares = {**KEPT, process: 60.0}
    assert not budget._reported(shares, 7.5, ENDED, lambda _: None)["kept"]  # pyright: ignore[reportPrivateUsage]


def test_every_process_of_the_simulated_robot_has_a_budget() -> None:
    named = {name for names in budget.BUDGET_PERCENT for name in names}
    assert {"arms", "recorder", "cameras", "system1", "system2", "simulator", "console", "supervisor", "text"} == named


def test_one_kind_is_measured_at_a_time() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        command.main(["--budget", "--fuzz"])


@pytest.mark.live
def test_a_real_run_is_measured_process_by_process(tmp_path: Path) -> None:
    said: list[str] = []
    found = budget.run(3.0, "block_handover", said.append)
    shares = {name: row["share_percent"] for name, row in found["rows"].items()}
    assert all(share > 0 for share in shares.values()), shares
    assert found["run"]["fault_reports"] == 0 and 0 < found["started_s"] < budget._START_S  # pyright: ignore[reportPrivateUsage]
    assert found["machine"]["gflops"] > 0 and found["machine"]["copy_us"] > 0
