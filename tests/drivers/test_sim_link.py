"""What passes between the simulator and the simulated devices: states and targets come out as they went in.
Called by pytest; slots are real files below tmp_path."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.arm_link import ArmCommand, TargetSlot
from drivers.cobot_magic import SIDES
from drivers.errors import DriverError
from drivers.sim.link import SimulatorState, StateSlot, side_index


def state(number: int, values: int = 23) -> SimulatorState:
    """A random state of the scene."""
    random = np.random.default_rng(number)
    return SimulatorState(number, 10 * number, 3, random.normal(0, 1, (2, 3, 7)), random.normal(0, 1, values))


@pytest.fixture
def states(tmp_path: Path) -> Iterator[StateSlot]:
    """An empty state slot."""
    slot = StateSlot(tmp_path)
    yield slot
    slot.close()


@pytest.mark.parametrize("values", [16, 23, 200])
def test_state_comes_back_bit_for_bit(states: StateSlot, values: int) -> None:
    sent = state(5, values)
    states.write(sent)
    got = states.read()
    assert got is not None
    assert (got.number, got.stamp_ns, got.episode) == (5, 50, 3)
    assert np.array_equal(got.arms, sent.arms)
    assert np.array_equal(got.qpos, sent.qpos)


def test_no_state_before_the_first(states: StateSlot) -> None:
    assert states.read() is None


def test_reading_is_not_changed_by_later_states(states: StateSlot) -> None:
    states.write(state(1))
    first = states.read()
    for number in (2, 3):
        states.write(state(number))
    assert first is not None
    assert np.array_equal(first.qpos, state(1).qpos)
    assert np.array_equal(first.arms, state(1).arms)


def test_reading_cannot_be_written_to(states: StateSlot) -> None:
    states.write(state(1))
    got = states.read()
    assert got is not None
    with pytest.raises(ValueError, match="read-only"):
        got.arms[0, 0, 0] = 1.0


def test_targets_of_the_two_sides_are_apart(tmp_path: Path) -> None:
    left, right = (TargetSlot(tmp_path, "simulator", side) for side in SIDES)
    q = np.random.default_rng(1).normal(0, 1, 7)
    left.write(ArmCommand(q, 123, 4, ("enable", "stop")))
    got = left.read()
    assert (got.stamp_ns, got.number, got.motor_commands) == (123, 4, ("enable", "stop"))
    assert np.array_equal(got.q, q)
    assert (right.read().stamp_ns, right.read().number) == (0, 0)
    left.close()
    right.close()


def test_sides_are_left_then_right() -> None:
    assert [side_index("left"), side_index("right")] == [0, 1]


def test_unknown_side_is_refused() -> None:
    with pytest.raises(DriverError, match="middle"):
        side_index("middle")
