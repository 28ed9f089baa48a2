"""Observations of a policy that sees several: those nearest to the times that it learnt from. Called by pytest."""

from runtime.lerobot.history import History


def test_observations_at_the_policys_rate_are_given_one_after_another() -> None:
    history: History[int] = History(3, 0.1)
    assert [history.add(0.1 * number, number) for number in range(4)] == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]


def test_a_slow_clients_newest_observation_stands_for_those_between() -> None:
    history: History[int] = History(2, 0.033)
    history.add(0.0, 0)
    assert history.add(0.15, 1) == [1, 1], "not a motion five times as fast"


def test_a_quick_clients_observations_are_those_of_the_right_age() -> None:
    history: History[int] = History(2, 0.1)
    found = [history.add(0.02 * number, number) for number in range(20)]
    assert found[-1] == [14, 19]


def test_clearing_forgets_all() -> None:
    history: History[int] = History(2, 0.1)
    history.add(0.0, 0)
    history.clear()
    assert history.add(0.1, 1) == [1, 1]
