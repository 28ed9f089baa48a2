"""Which targets an arm's CAN process forwards, and the simulated robot behind emulated buses and the SDK. Called by pytest."""

import json
from pathlib import Path

import pytest
from live_run import START_S, LiveRun

from runtime.can_bus import Memory, step
from runtime.clock import seconds

NOW = 10_000_000_000


def test_the_first_fresh_target_switches_the_motors_on() -> None:
    memory = Memory()
    assert step(memory, None, NOW) == ""
    assert step(memory, NOW - seconds(0.06), NOW) == ""
    assert step(memory, NOW - seconds(0.01), NOW) == "enable"
    memory.enabled = True
    assert step(memory, NOW - seconds(0.01), NOW) == "forward"


def test_a_target_is_forwarded_once_and_only_while_it_is_fresh() -> None:
    memory = Memory(enabled=True)
    assert step(memory, NOW, NOW + seconds(0.001)) == "forward"
    assert step(memory, NOW, NOW + seconds(0.002)) == ""
    assert step(memory, NOW + seconds(0.005), NOW + seconds(0.054)) == "forward"
    assert step(memory, NOW + seconds(0.010), NOW + seconds(0.061)) == ""


@pytest.mark.live
def test_the_simulated_robot_is_driven_through_the_real_sdk(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, "--can", "--seconds", "4")
    assert run.process.wait(START_S + 30) == 0, run.log.read_text()
    table = json.loads(run.json.read_text())
    assert min(table["arm_path_rad"]) > 0.05
    assert table["faults"] == 0
