"""A session as a trace for Perfetto: the golden session, and what a damaged one gives. Called by pytest."""

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import SettingsError
from runtime.messaging import codec, messages
from runtime.session import reader, trace
from runtime.session.writer import SessionWriter

SESSION = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The events of the golden session."""
    out = tmp_path_factory.mktemp("trace") / "trace.json.gz"
    assert trace.main([str(SESSION), "--out", str(out)]) == 0
    return json.loads(gzip.decompress(out.read_bytes()))["traceEvents"]


def test_every_track_is_there(made: list[dict[str, Any]]) -> None:
    names = {event["args"]["name"]: event["tid"] for event in made if event["ph"] == "M"}
    used = {event["tid"] for event in made if event["ph"] == "X"}
    assert {"system1", "system2", "arms", "head"} <= {name for name, place in names.items() if place in used}


def test_times_begin_at_nought_and_last(made: list[dict[str, Any]]) -> None:
    slices = [event for event in made if event["ph"] == "X"]
    assert min(event["ts"] for event in slices) > -1e6, "a picture may have been taken before the first message"
    assert all(event["dur"] >= 0 for event in slices)
    chunks = [event for event in slices if event["name"].startswith("chunk ")]
    parts = [event for event in slices if event["name"] == "forward"]
    assert chunks and parts
    inside = [
        any(c["ts"] <= p["ts"] and p["ts"] + p["dur"] <= c["ts"] + c["dur"] + 1 for c in slices if c is not p)
        for p in parts
    ]
    assert all(inside)


def test_arrows_have_both_ends(made: list[dict[str, Any]]) -> None:
    begun = {event["id"] for event in made if event["ph"] == "s"}
    assert begun and begun == {event["id"] for event in made if event["ph"] == "f"}


def test_modes_follow_each_other_without_a_gap(made: list[dict[str, Any]]) -> None:
    tracks = {event["args"]["name"]: event["tid"] for event in made if event["ph"] == "M"}
    modes = [event for event in made if event["ph"] == "X" and event["tid"] == tracks["arms"]]
    assert {"RUNNING"} <= {event["name"] for event in modes}
    for before, after in pairwise(modes):
        assert before["ts"] + before["dur"] == pytest.approx(after["ts"], abs=0.01)
        assert before["name"] != after["name"]


def test_a_run_whose_arms_never_spoke_can_be_looked_at(build: Callable[..., Any], tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    message = build(messages.Fault, process="can_left", text="no CAN adapter")
    writer.message("fault", message, codec.encode(message))
    writer.close()
    made = list(trace.events(reader.read(tmp_path)))
    assert any(event["name"] == "can_left: no CAN adapter" for event in made)


def test_each_life_of_system_1_has_arrows_of_its_own(build: Callable[..., Any], tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "session.mcap", 0)
    for epoch, at_ns in ((1, 10**9), (2, 60 * 10**9)):
        timing = messages.Timing(prepare_ns=1, forward_ns=1, finished_ns=at_ns + 1000)
        chunk = build(messages.ActionChunk, seq=3, epoch=epoch, stamp_ns=at_ns, timing=timing)
        target = build(messages.ArmTarget, seq=epoch, stamp_ns=at_ns + 3000, arrivals=((3, at_ns + 2000),))
        for topic, message in (("chunk", chunk), ("arm_target", target)):
            writer.message(topic, message, codec.encode(message))
    writer.close()
    made = [event for event in trace.events(reader.read(tmp_path)) if event["ph"] in "sf"]
    assert [(event["ph"], event["id"], round(event["ts"])) for event in made] == [
        ("s", "1.3", 1), ("f", "1.3", 2), ("s", "2.3", 59_000_001), ("f", "2.3", 59_000_002),
    ]  # fmt: skip


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--out .*its folder does not exist"):
        trace.main([str(SESSION), "--out", str(tmp_path / "none" / "x.json")])
