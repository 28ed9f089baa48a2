"""Which targets an arm's CAN process forwards, and the simulated robot behind emulated buses and the SDK. Called by pytest."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from live_run import START_S, LiveRun

from drivers.arm import Drive
from drivers.arm_link import Told
from drivers.cobot_magic import SIDES
from drivers.piper_emulator import Faults, KinematicBody, PiperEmulator
from runtime import wire_check
from runtime.can_bus import Memory, step
from runtime.clock import seconds
from runtime.emulator import switch

NOW = 10_000_000_000


Q = np.zeros(7)


def test_motors_are_switched_only_by_order_and_tried_again_until_they_are_on() -> None:
    memory = Memory(obeyed=3)
    assert step(memory, Told(Q, NOW, 3, "enable"), False, "", NOW) == ""
    assert step(memory, Told(Q, 0, 4, "enable"), False, "", NOW) == "enable"
    assert step(memory, Told(Q, 0, 4, "enable"), False, "", NOW + seconds(0.01)) == ""
    assert step(memory, Told(Q, 0, 4, "enable"), False, "", NOW + seconds(0.05)) == "enable"
    now = NOW + seconds(0.06)
    assert step(memory, Told(Q, now, 4, "enable"), True, "", now) == "forward"
    assert step(memory, Told(Q, now, 4, "enable"), False, "", now) == "", "lost again: not taken back by itself"


def test_it_gives_up_once() -> None:
    memory, told = Memory(0), Told(Q, 0, 1, "enable")
    assert step(memory, told, False, "", NOW) == "enable"
    assert step(memory, told, False, "", NOW + seconds(3.1)) == "give up"
    assert step(memory, told, False, "", NOW + seconds(3.2)) == ""


@pytest.mark.parametrize("drive", ["stop", "release", "reset"])
def test_other_orders_are_carried_out_once_and_end_the_switching_on(drive: Drive) -> None:
    memory = Memory(0)
    assert step(memory, Told(Q, 0, 1, "enable"), False, "", NOW) == "enable"
    assert step(memory, Told(Q, 0, 2, drive), False, "", NOW + seconds(0.1)) == drive
    assert step(memory, Told(Q, 0, 2, drive), False, "", NOW + seconds(0.2)) == ""


def test_a_target_is_forwarded_once_and_only_while_it_is_fresh() -> None:
    memory = Memory(0)
    assert step(memory, Told(Q, NOW), True, "", NOW + seconds(0.001)) == "forward"
    assert step(memory, Told(Q, NOW), True, "", NOW + seconds(0.002)) == ""
    assert step(memory, Told(Q, NOW + seconds(0.005)), True, "", NOW + seconds(0.054)) == "forward"
    assert step(memory, Told(Q, NOW + seconds(0.010)), True, "", NOW + seconds(0.061)) == ""
    assert step(Memory(0), Told(Q, 0), True, "", NOW) == "", "there is no target yet"


def test_an_arm_with_a_fault_is_told_nothing_until_it_is_ordered_to_be_enabled() -> None:
    memory = Memory(0)
    assert step(memory, Told(Q, NOW), True, "status 4", NOW) == ""
    assert step(memory, Told(Q, NOW, 1, "enable"), True, "status 4", NOW) == "enable"
    assert step(memory, Told(Q, NOW, 1, "enable"), True, "", NOW) == "forward"


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
    for side in wire_check.compare(run.session).values():
        assert side["heard"] == side["equal"] > 100
    table = json.loads(run.json.read_text())
    assert min(table["arm_path_rad"]) > 0.05
    assert table["faults"] == 0
