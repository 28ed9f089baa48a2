"""The table of topics: complete, consistent with the wire and the process table, and short enough for socket paths.

Everything that derives from the table (recorder, staleness, console) rests on these."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import CAMERAS
from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault
from runtime.messaging import codec, messages
from runtime.messaging.array_field import Array
from runtime.messaging.socket_topic import endpoint
from runtime.messaging.topics import OPERATOR, TOPICS, topic, topic_of
from runtime.process.processes import PROCESSES, TABLE, row, running

UNIX_PATH_BYTES = 107


def test_every_message_travels_on_a_topic() -> None:
    assert {row.message for row in TOPICS.values()} == set(messages.MESSAGES.values())


def test_every_topic_has_known_publishers() -> None:
    for made in TOPICS.values():
        assert made.senders(PROCESSES)
        assert set(made.senders(PROCESSES)) <= {*PROCESSES, OPERATOR}, made.name


def test_rates_and_ages_are_positive_and_fit_each_other() -> None:
    for made in TOPICS.values():
        assert made.rate_hz is None or made.rate_hz > 0
        if made.rate_hz is not None and made.max_age_s is not None:
            assert made.max_age_s >= 2 / made.rate_hz, f"{made.name}: stale between two messages"


@pytest.mark.parametrize("kind", messages.MESSAGES.values(), ids=lambda kind: kind.__name__)
def test_a_message_tells_its_topic(kind: type[messages.Message], build: Callable[..., Any]) -> None:
    """Readers decode what comes on a topic as the type of its row."""
    assert topic(topic_of(build(kind))).message is kind


def test_everything_a_replay_needs_is_logged() -> None:
    needed = {
        "chunk",
        "conditions",
        "skip",
        "joint_state",
        "arm_target",
        "operator_command",
        "episode",
        "instruction",
        "snapshot",
    }
    assert all(TOPICS[name].logged for name in needed | {f"frame.{camera}" for camera in CAMERAS})


@pytest.mark.parametrize("name", ["frames", "", "frame.", "frame.tail", "CHUNK"])
def test_an_unknown_topic_is_named(name: str) -> None:
    with pytest.raises(RuntimeFault, match=repr(name)):
        topic(name)


def test_socket_paths_fit_into_a_unix_address() -> None:
    folder = Path("/dev/shm/video2act-replay-12345678")
    for made in TOPICS.values():
        for publisher in made.senders(PROCESSES):
            address = endpoint(folder, made, publisher).removeprefix("ipc://")
            assert len(address.encode()) < UNIX_PATH_BYTES


def test_the_paper_size_conditions_fit(build: Callable[..., Any]) -> None:
    tokens = Array("bfloat16", np.zeros((224, 512), np.uint16))
    sent = build(messages.Conditions, arrays={"spatial": tokens, "motion": tokens})
    assert len(codec.encode(sent)) <= TOPICS["conditions"].max_bytes


def test_one_table_names_the_processes() -> None:
    assert {"supervisor", *(made.name for made in TABLE)} == set(PROCESSES) and len(PROCESSES) == len(set(PROCESSES))
    assert TOPICS["heartbeat"].senders(PROCESSES) == TOPICS["fault"].senders(PROCESSES) == PROCESSES
    assert row("arms", load_settings([])).module == "runtime.arms.process"


def test_nobody_waits_for_a_process_that_does_not_run() -> None:
    simulated = running(load_settings(["--profile", "sim"]))
    assert {"supervisor", "arms", "simulator"} <= set(simulated) < set(PROCESSES)
    assert not {"can_left", "leaders"} & set(simulated)
    assert TOPICS["heartbeat"].present(simulated) == simulated
    assert TOPICS["operator_command"].present(simulated) == TOPICS["operator_command"].publishers
    assert TOPICS["scene"].present(("supervisor", "arms")) == ()
