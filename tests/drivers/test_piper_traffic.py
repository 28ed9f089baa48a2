"""What a bus without feedback carries, and what that tells; frames by their numbers. Called by pytest."""

import time

import pytest

from drivers.piper_traffic import Traffic, of_silence

LEADS = range(0x3A1, 0x3A9)


def carried(*numbers: int) -> Traffic:
    traffic = Traffic()
    for number in numbers:
        traffic.note(number)
    return traffic


@pytest.mark.parametrize(
    ("numbers", "said", "remedy"),
    [
        (LEADS, "it is set to lead: its feedback comes as 0x3a1, 0x3a2, 0x3a3, 0x3a4, ...", "set it to follow"),
        (range(0x2B1, 0x2B9), "its feedback is shifted to 0x2b1", "set it to follow"),
        (range(0x2C5, 0x2C8), "its feedback is shifted to 0x2c5, 0x2c6, 0x2c7", "set it to follow"),
        ((0x2A1, 0x2A8, 0x251), "it sends frames 0x251, 0x2a1, 0x2a8, but no joint feedback", "power-cycle it"),
        ((0x473, 0x4AF), "it answers queries (0x473, 0x4af) but sends no feedback", "set it to follow"),
        ((0x151, 0x155, 0x156, 0x157, 0x159), "its bus carries the targets of a leader", "else check its power"),
        (
            (0x151,),
            "its bus carries only another sender's commands (0x151), and nothing from an arm",
            "check its power",
        ),
        (
            (0x123, 0x456),
            "its bus carries only other frames (0x123, 0x456), and nothing from an arm",
            "check its power",
        ),
    ],
)
def test_what_is_there_in_place_of_feedback_is_told(numbers: tuple[int, ...], said: str, remedy: str) -> None:
    finding = carried(*numbers).of_an_arm()
    assert finding is not None and finding.found.startswith(said) and remedy in finding.remedy


def test_an_arm_that_gives_feedback_needs_no_explanation() -> None:
    assert carried(0x2A1, 0x2A5, 0x2A6, 0x2A7, *LEADS).of_an_arm() is None
    assert Traffic().of_an_arm() is None and Traffic().of_a_leader() is None


def test_what_came_before_the_silence_does_not_count() -> None:
    traffic = carried(0x2A5, 0x2A6, 0x2A7)
    since_ns = time.monotonic_ns()
    assert traffic.of_an_arm(since_ns) is None
    traffic.note(0x3A5)
    finding = traffic.of_an_arm(since_ns)
    assert finding is not None and "set to lead" in finding.found


def test_what_is_no_frame_is_told_where_nothing_else_is_there() -> None:
    traffic = Traffic()
    traffic.note_none("an error frame")
    finding = traffic.of_an_arm()
    assert (
        finding is not None
        and "frames that no Piper sends (an error frame)" in finding.found
        and "bit rate" in finding.remedy
    )
    traffic.note(0x2A5)
    assert traffic.of_an_arm() is None


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0x2A1, 0x2A5), "it is set to follow: it sends feedback (0x2a1, 0x2a5)"),
        (LEADS, "it leads, but sends no targets (0x3a1"),
        ((0x123,), "its bus carries only other frames (0x123)"),
    ],
)
def test_a_leader_without_targets_is_told_likewise(numbers: tuple[int, ...], said: str) -> None:
    finding = carried(*numbers).of_a_leader()
    assert finding is not None and finding.found.startswith(said)
    assert carried(*numbers, 0x155).of_a_leader() is None


def test_a_bus_on_which_nobody_acknowledges_has_nobody() -> None:
    assert "ours are acknowledged" in of_silence("ERROR-ACTIVE").found
    assert "ours are not acknowledged" in of_silence("ERROR-PASSIVE").found
    assert of_silence("").found == "no frames on its bus"
