"""Sessions whose messages are well packed and say nonsense: whoever reads one shows, exports and replays it, or refuses it in
one line. Called by pytest; the session is the golden one, changed by chance.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

from models.errors import ModelError
from runtime.console.recorded import Recorded
from runtime.errors import RuntimeFault
from runtime.replay import what_if
from runtime.replay.lockstep import replay
from runtime.session import reader, trace
from runtime.session.episodes import Log, episodes
from runtime.session.writer import SessionWriter

GOLDEN = Path(__file__).parents[1] / "golden" / "schema-2" / "session.mcap"
NONSENSE: tuple[Any, ...] = (
    0, -1, 2**62, -(2**62), 2**63 - 1, 3, "", "x" * 3000, "HOLD", "../..", None, True, 1.5, float("nan"), b"", [], {},
)  # fmt: skip
FIELDS = ("stamp_ns", "deadline_ns", "capture_ns", "number", "seq", "epoch", "episode", "mode", "inputs", "sent")


@pytest.fixture(scope="module")
def golden() -> reader.Session:
    return reader.read(GOLDEN)


def changed(golden: reader.Session, dice: random.Random) -> Iterator[tuple[reader.Logged, bytes]]:
    """Messages of it, some topics left out, one field of many replaced, perhaps in no order."""
    topics = sorted({logged.topic for logged in golden.messages})
    left_out = {topic for topic in topics if dice.random() < dice.choice([0.0, 0.1, 0.5])}
    logged = [one for one in golden.messages if one.topic not in left_out]
    if dice.random() < 0.2:
        dice.shuffle(logged)
    field, value, share = dice.choice(FIELDS), dice.choice(NONSENSE), dice.choice([0.01, 0.3, 1.0])
    for one in logged:
        body: dict[str, Any] = msgpack.unpackb(one.payload, use_list=False)
        if field in body and dice.random() < share:
            body[field] = value if dice.random() < 0.7 else dice.choice(NONSENSE)
        payload: Any = msgpack.packb(body)
        yield one, payload


def written(golden: reader.Session, dice: random.Random, folder: Path) -> Path:
    """A session of such messages."""
    writer = SessionWriter(folder / "session.mcap", 0)
    damaged = {dice.choice(list(golden.metadata)): dice.choice(["", "[]", "null", "{", "-1"])}
    writer.metadata(golden.metadata | (damaged if dice.random() < 0.3 else {}))
    for logged, payload in changed(golden, dice):
        writer.message(logged.topic, logged.decode(), payload)
    writer.close()
    return folder


def show(folder: Path) -> None:
    shown = Recorded(folder)
    shown.about()
    shown.joints()
    for at_ns in (None, shown.begin_ns, (shown.begin_ns + shown.end_ns) // 2):
        shown.moment(at_ns)
        shown.picture("head", at_ns)


def follow(folder: Path) -> None:
    log = Log(reader.read(folder))
    for about in log.episodes:
        log.path(about)


READERS: dict[str, Callable[[Path], object]] = {
    "show": show,
    "trace": lambda folder: list(trace.events(reader.read(folder))),
    "export": lambda folder: episodes(reader.read(folder)),
    "follow": follow,
    "what if": lambda folder: what_if.Origin.of(reader.read(folder)),
    "replay": lambda folder: replay(reader.read(folder), only="arms"),
}


@pytest.mark.parametrize("seed", range(40))
def test_nonsense_is_read_or_refused_in_one_line(seed: int, golden: reader.Session, tmp_path: Path) -> None:
    folder = written(golden, random.Random(seed), tmp_path)
    for name, read in READERS.items():
        with suppress(RuntimeFault, ModelError):
            try:
                read(folder)
            except (RuntimeFault, ModelError) as refused:
                assert "\n" not in str(refused), name
                raise
