"""Demonstrations by keys: every key in every state, the pedal, the end. Called by pytest."""

import pytest

from runtime.supervisor import recording_state
from runtime.supervisor.recording_state import Takes

T0 = 1_000_000_000


def after(keys: str, begin: Takes | None = None) -> Takes:
    """Keys pressed a second apart."""
    state = begin or Takes()
    for second, key in enumerate(keys):
        state = recording_state.press(state, key, T0 + second * 1_000_000_000)
    return state


@pytest.mark.parametrize(
    ("keys", "state", "kept", "discarded"),
    [
        ("", "ready", 0, 0),
        ("s", "recording", 0, 0),
        ("ss", "stopped", 0, 0),
        ("ssk", "kept", 1, 0),
        ("ssd", "discarded", 0, 1),
        ("sd", "discarded", 0, 1),
        ("k", "ready", 0, 0),
        ("d", "ready", 0, 0),
        ("sk", "recording", 0, 0),
        ("sss", "stopped", 0, 0),
        ("sskd", "kept", 1, 0),
        ("bbb", "kept", 1, 0),
        ("bsb", "kept", 1, 0),
        ("x s", "recording", 0, 0),
    ],
)
def test_what_follows_from_keys(keys: str, state: str, kept: int, discarded: int) -> None:
    found = after(keys)
    assert (found.state, found.kept, found.discarded) == (state, kept, discarded)


def test_a_demonstration_lasts_from_start_to_stop() -> None:
    assert (after("ssk").began_ns, after("ssk").ended_ns) == (T0, T0 + 1_000_000_000)
    assert after("sd").ended_ns == T0 + 1_000_000_000


def test_the_next_one_is_another_with_the_counts_kept() -> None:
    second = recording_state.following(after("ssk"))
    assert second == Takes(number=2, kept=1)
    assert after("sd", second) == Takes(2, "discarded", T0, T0 + 1_000_000_000, 1, 1)


@pytest.mark.parametrize(("keys", "state"), [("", "ready"), ("s", "kept"), ("ss", "kept"), ("ssd", "discarded")])
def test_at_the_end_nothing_that_was_recorded_is_lost(keys: str, state: str) -> None:
    assert recording_state.ended(after(keys), T0 + 9_000_000_000).state == state


@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ("", "k", "cannot keep: demonstration 1 is ready; s starts it"),
        ("s", "k", "cannot keep: demonstration 1 is recording; s stops it, d discards it"),
        ("ss", "s", "cannot start or stop: demonstration 1 is stopped; k keeps it, d discards it"),
    ],
)
def test_a_key_that_does_nothing_now_says_which_does(keys: str, key: str, said: str) -> None:
    takes = after(keys)
    assert recording_state.press(takes, key, T0) == takes
    assert recording_state.no_effect(takes, key) == said
