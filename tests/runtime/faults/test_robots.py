"""The matrix itself: names, order, and that every kind of fault that the emulators know is in it. Called by pytest."""

import pytest

from drivers.cobot_magic import CAMERAS
from drivers.piper_emulator import Faults as ArmFaults
from drivers.sim.faulty_camera import CameraFaults
from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.faults import command, robots
from runtime.faults.injections import Switched
from runtime.faults.robots import ROBOTS, SHORT
from runtime.process.processes import TABLE
from runtime.systems import faulty_system2

ROWS = [row for robot in ROBOTS for row in robot.rows]


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) > 40


def test_what_ends_a_run_is_its_last_row() -> None:
    for robot in (*ROBOTS, SHORT):
        assert all(row.reaction != "end" for row in robot.rows[:-1]), robot.name
        load_settings([*robot.flags])


def test_every_process_that_an_operator_depends_on_is_killed_and_stopped() -> None:
    names = {row.name for row in ROWS}
    for process in ("System 1", "System 2", "arms", "cameras", "recorder", "console", "supervisor"):
        assert {f"{process} killed", f"{process} stopped"} <= names
    kept = {name for row in ROWS for name in row.kept}
    assert kept <= {row.name for row in TABLE}


def test_every_fault_of_a_camera_is_a_row() -> None:
    switched = [row.fault for row in ROWS if isinstance(row.fault, Switched) and row.fault.part in CAMERAS]
    assert {name for fault in switched for name in fault.faults} == set(CameraFaults.model_fields)


def test_every_fault_of_an_arm_is_a_row() -> None:
    """But for what is none by itself: how far a hand leads an arm, and what its motors allow."""
    switched = [row.fault for row in ROWS if isinstance(row.fault, Switched) and row.fault.part == "left"]
    used = {name for fault in switched for name in (*fault.faults, *fault.before)}
    used |= {"late_enable_s", "corrupt_limits"}  # shown by what an operator does (operations.py)
    assert set(ArmFaults.model_fields) - used == {"led_rad", "acceleration_rad_s2"}
    assert {"short", "empty", "remote", "extended", "error"} == {
        f.faults["strange"] for f in switched if "strange" in f.faults
    }


def test_every_fault_of_system_2_is_a_row() -> None:
    switched = [
        row.fault for row in ROWS if isinstance(row.fault, Switched) and row.fault.part == faulty_system2.SECTION
    ]
    assert {name for fault in switched for name in fault.faults} == set(faulty_system2.SlowFaults.model_fields)
    for fault in switched:
        faulty_system2.SlowFaults.model_validate(fault.faults)


def test_a_fault_is_one_that_its_emulator_knows() -> None:
    """Known by name and in range: the emulator takes each as it is given, and none is its usual state."""
    for row in ROWS:
        if isinstance(row.fault, Switched) and row.fault.part == "left":
            given = {**row.fault.before, **row.fault.faults}
            taken = ArmFaults.model_validate(given)
            assert taken.model_fields_set == set(given) and taken != ArmFaults(), row.name


def test_the_short_form_has_rows_of_the_whole_one() -> None:
    assert set(map(id, SHORT.rows)) <= set(map(id, ROWS)) and 6 <= len(SHORT.rows) <= 8


def test_names_lists_every_row_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--names"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert sorted(listed) == sorted(row.name for row in ROWS) and "camera frozen" in listed


def test_rows_are_chosen_by_the_beginning_of_their_names() -> None:
    found = robots.chosen(ROBOTS, "camera")
    assert [row.name for robot in found for row in robot.rows][:2] == ["camera frozen", "camera repeats its frame"]
    assert all(row.name.startswith("camera") for robot in found for row in robot.rows)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--only", "flood"], r"--only flood: no fault's name begins with this; --names lists them all$"),
        (["--repeats", "0"], "--repeats"),
        (["--sessions", "/proc/kept"], "--sessions /proc/kept: cannot be written there"),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_printed(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match=said):
        command.main(flags)
    assert capsys.readouterr().out == ""
