"""Which targets an arm's CAN process forwards, and the simulated robot behind emulated buses and the SDK. Called by pytest."""

import json
import os
from pathlib import Path

import pytest
from live_run import START_S, LiveRun

from drivers.cobot_magic import SIDES
from drivers.piper_emulator import Faults, KinematicBody, PiperEmulator
from runtime.can_bus import Memory, step
from runtime.clock import seconds
from runtime.emulator import switch

NOW = 10_000_000_000


def test_the_first_fresh_target_switches_the_motors_on() -> None:
    memory = Memory()
    assert step(memory, None, "", NOW) == ""
    assert step(memory, NOW - seconds(0.06), "", NOW) == ""
    assert step(memory, NOW - seconds(0.01), "", NOW) == "enable"
    memory.enabled = True
    assert step(memory, NOW - seconds(0.01), "", NOW) == "forward"


def test_a_target_is_forwarded_once_and_only_while_it_is_fresh() -> None:
    memory = Memory(enabled=True)
    assert step(memory, NOW, "", NOW + seconds(0.001)) == "forward"
    assert step(memory, NOW, "", NOW + seconds(0.002)) == ""
    assert step(memory, NOW + seconds(0.005), "", NOW + seconds(0.054)) == "forward"
    assert step(memory, NOW + seconds(0.010), "", NOW + seconds(0.061)) == ""


def test_an_arm_with_a_fault_is_told_nothing_and_not_switched_on_again() -> None:
    for enabled in (False, True):
        memory = Memory(enabled=enabled)
        assert step(memory, NOW, "motor 3 is switched off", NOW) == ""
        assert memory == Memory(enabled=enabled)


def test_faults_are_switched_by_a_file_and_a_broken_one_is_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arms = {side: PiperEmulator(KinematicBody()) for side in SIDES}
    path = tmp_path / "faults.json"
    assert switch(path, 0, arms) == 0
    path.write_text('{"right": {"status": 4, "silent": true}}')
    seen_ns = switch(path, 0, arms)
    assert (arms["left"].faults, arms["right"].faults) == (Faults(), Faults(status=4, silent=True))
    for broken in ('{"left": {"unknown": 1}}', '{"left": ', "[]", '{"left": {"status": 99}}'):
        path.write_text(broken)
        os.utime(path, ns=(seen_ns + 1, seen_ns + 1))
        caplog.clear()
        seen_ns = switch(path, seen_ns, arms)
        assert len(caplog.records) == 1 and str(path) in caplog.text
        assert arms["right"].faults == Faults(status=4, silent=True)


@pytest.mark.live
def test_the_simulated_robot_is_driven_through_the_real_sdk(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, "--can", "--seconds", "4")
    assert run.process.wait(START_S + 30) == 0, run.log.read_text()
    table = json.loads(run.json.read_text())
    assert min(table["arm_path_rad"]) > 0.05
    assert table["faults"] == 0
