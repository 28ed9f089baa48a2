"""Processes that fall silent: in one line where the machine is what is wrong, by themselves else. Called by pytest."""

from runtime.supervisor.silences import Silences

S = 1_000_000_000
ALL = ("arms", "cameras", "system1", "system2")


def noted(silences: Silences, *names: str) -> None:
    for name in names:
        silences.note(name, f"{name} sends no heartbeat")


def test_several_on_an_overloaded_machine_are_one_line_with_their_names() -> None:
    silences = Silences()
    noted(silences, *ALL)
    assert silences.lines({}, True, 0) == [
        "silent for a moment while the machine is overloaded: arms, cameras, system1, system2"
    ]
    assert silences.lines({}, True, S) == []


def test_while_it_lasts_there_is_a_line_in_ten_seconds_with_how_often() -> None:
    silences = Silences()
    reported: list[str] = []
    for s in range(11):
        noted(silences, "arms", *(("cameras",) if s % 2 else ("system1", "system2")))
        reported += silences.lines({}, True, s * S)
    assert reported == [
        "silent for a moment while the machine is overloaded: arms, system1, system2",
        "silent for a moment while the machine is overloaded: arms (10 times), cameras (5 times), system1 (5 times), "
        "system2 (5 times)",
    ]


def test_one_alone_is_told_by_itself_though_the_machine_is_overloaded() -> None:
    silences = Silences()
    noted(silences, "system2")
    assert silences.lines({"system2": "now"}, True, 0) == ["system2 sends no heartbeat"]


def test_one_after_the_other_that_came_back_at_once_share_a_line() -> None:
    silences = Silences()
    reported: list[str] = []
    for s, name in enumerate(ALL):
        noted(silences, name)
        reported += silences.lines({}, True, s * S)
    assert reported + silences.lines({}, True, 10 * S) == [
        "silent for a moment while the machine is overloaded: arms",
        "silent for a moment while the machine is overloaded: cameras, system1, system2",
    ]


def test_several_on_a_machine_that_keeps_up_are_told_one_by_one() -> None:
    silences = Silences()
    noted(silences, "arms", "system1")
    assert silences.lines({}, False, 0) == ["arms sends no heartbeat", "system1 sends no heartbeat"]


def test_whoever_stays_silent_is_told_by_itself_once() -> None:
    """One of those that fell silent together was stopped, and does not come back with the others."""
    silences = Silences()
    noted(silences, *ALL)
    silences.lines(dict.fromkeys(ALL, "early"), True, 0)
    assert silences.lines({"system2": "system2: 1.2 s"}, True, S) == []
    assert silences.lines({"system2": "system2: 2.2 s"}, True, 2 * S) == ["system2: 2.2 s"]
    assert silences.lines({"system2": "system2: 3.2 s"}, True, 3 * S) == []


def test_one_that_stops_later_under_overload_is_told_within_two_seconds() -> None:
    silences = Silences()
    noted(silences, *ALL)
    silences.lines({}, True, 0)
    noted(silences, "recorder")
    assert silences.lines({"recorder": "recorder: 0.4 s"}, True, 5 * S) == []
    assert silences.lines({"recorder": "recorder: 1.4 s"}, True, 6 * S) == []
    assert silences.lines({"recorder": "recorder: 2.4 s"}, True, 7 * S) == ["recorder: 2.4 s"]
    assert silences.lines({}, True, 10 * S) == ["silent for a moment while the machine is overloaded: recorder"]
