"""What the operators' desk sends on the bus, and what pages are told. Called by pytest."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from runtime.console import requests
from runtime.console.operator_session import OperatorSession
from runtime.messaging import messages
from runtime.messaging.messages import Message
from runtime.messaging.publisher import Publisher

Build = Callable[..., Any]
NOW_NS, EPOCH = 5_000_000_000, 77
MS = 1_000_000


@dataclass
class Heard:
    """At a publisher's place."""

    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        """Keep it."""
        self.messages.append(message)


@dataclass
class Rig:
    """A desk and what it sent."""

    commands: Heard = field(default_factory=Heard)
    steering: Heard = field(default_factory=Heard)
    deadman: Heard = field(default_factory=Heard)
    now_ns: int = NOW_NS

    def __post_init__(self) -> None:
        heard = {"operator_command": self.commands, "steering": self.steering, "deadman": self.deadman}
        self.operator = OperatorSession({name: cast(Publisher, one) for name, one in heard.items()}, EPOCH)

    def say(self, who: str, /, **request: Any) -> str:
        """A page's request at `now`; what it is answered. It shows the robot as it is now, unless the request says other."""
        if request["type"] in ("command", "steer"):
            request = {"seen_ns": self.now_ns, **request}
        return self.operator.hear(who, requests.parse(json.dumps(request)), self.now_ns)


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    for page in ("anna", "ben"):
        made.operator.enter(page)
    made.say("anna", type="take", name="Anna")
    return made


def test_the_holder_orders_and_every_order_is_new(rig: Rig) -> None:
    assert (
        rig.say("anna", type="command", command="arm")
        == rig.say("anna", type="command", command="stop", confirmed=True)
        == ""
    )
    first, second = rig.commands.messages
    assert isinstance(first, messages.OperatorCommand) and isinstance(second, messages.OperatorCommand)
    assert (first.command, first.source, first.confirmed) == ("arm", "console: Anna", False)
    assert (second.command, second.confirmed) == ("stop", True)
    assert (first.epoch, first.seq, second.seq) == (EPOCH, 0, 1)


def test_another_page_only_holds(rig: Rig) -> None:
    for refused in ({"command": "run"}, {"command": "stop", "confirmed": True}):
        assert rig.say("ben", type="command", **refused) == "Anna holds the lease"
    assert (
        rig.say("ben", type="steer", ratio=4) == rig.say("ben", type="deadman", wanted=True) == "Anna holds the lease"
    )
    assert not rig.commands.messages and not rig.steering.messages
    assert rig.say("ben", type="command", command="hold") == rig.say("ben", type="command", command="hold") == ""
    assert [cast(messages.OperatorCommand, command).source for command in rig.commands.messages] == [
        "console",
        "console",
    ]


@pytest.mark.parametrize("seen_ns", [None, NOW_NS - 2001 * MS, NOW_NS + 1])
def test_what_was_asked_of_a_robot_seen_long_ago_is_refused_but_for_hold(rig: Rig, seen_ns: int | None) -> None:
    """A connection that hung delivers it when whoever asked may be gone."""
    for request in (
        {"type": "command", "command": "arm"},
        {"type": "command", "command": "run"},
        {"type": "steer", "ratio": 4},
    ):
        assert "send it again" in (answer := rig.say("anna", **request, seen_ns=seen_ns)) or "seen_ns" in answer
    assert not rig.commands.messages and not rig.steering.messages
    assert rig.say("anna", type="command", command="hold", seen_ns=seen_ns) == ""
    assert rig.say("anna", type="command", command="run", seen_ns=NOW_NS - 1999 * MS) == ""
    assert [cast(messages.OperatorCommand, command).command for command in rig.commands.messages] == ["hold", "run"]


def test_what_is_pressed_once_is_obeyed_once_whichever_way_it_comes_and_when(rig: Rig) -> None:
    """Over the socket, beside it, and a minute later out of a connection that was dead; another press is another HOLD."""
    for press in ("anna-1", "anna-1", "anna-2"):
        assert rig.say("anna", type="command", command="hold", press=press) == ""
    rig.operator.hold("anna", "anna-2", NOW_NS)
    rig.say("anna", type="command", command="arm")
    rig.now_ns += 60_000 * MS
    rig.say("anna", type="command", command="hold", press="anna-1")
    assert [cast(messages.OperatorCommand, one).command for one in rig.commands.messages] == ["hold", "hold", "arm"]
    rig.say("anna", type="command", command="hold")
    rig.say("anna", type="command", command="hold")
    assert len(rig.commands.messages) == 5, "one that names no press is always obeyed"


def test_a_page_keeps_the_lease_when_one_of_its_two_connections_ends(rig: Rig) -> None:
    rig.operator.enter("anna")
    rig.say("anna", type="deadman", wanted=True)
    rig.operator.leave("anna")
    assert rig.operator.describe("anna") == {"holder": "Anna", "mine": True, "deadman": True}
    assert not rig.commands.messages
    rig.operator.leave("anna")
    assert rig.operator.lease.holder == ""
    assert [cast(messages.OperatorCommand, one).command for one in rig.commands.messages] == ["hold"]


def beat(rig: Rig, trip_ms: int, kept_ms: int = 20) -> None:
    """One beat of a page so far away."""
    rig.say("anna", type="beat", sent_ms=7.5, echo_ns=rig.now_ns - (trip_ms + kept_ms) * MS, kept_ms=kept_ms)


@pytest.mark.parametrize(("trip_ms", "limit_ms"), [(0, 2000), (2400, 4400), (60_000, 5000)])
def test_a_page_far_away_may_order_by_what_it_can_see(rig: Rig, trip_ms: int, limit_ms: int) -> None:
    """What it shows is as old as its way is long; but what it says of that is believed up to a limit only."""
    beat(rig, trip_ms)
    assert rig.say("anna", type="command", command="run", seen_ns=NOW_NS - limit_ms * MS) == ""
    assert "send it again" in rig.say("anna", type="command", command="run", seen_ns=NOW_NS - (limit_ms + 1) * MS)


def test_a_stall_is_no_longer_way(rig: Rig) -> None:
    for trip_ms in (50, 1900, 1900, 1900):
        beat(rig, trip_ms)
    assert "send it again" in rig.say("anna", type="command", command="run", seen_ns=NOW_NS - 2100 * MS)


def test_wishes_go_to_the_supervisor(rig: Rig) -> None:
    rig.say("anna", type="steer", instruction="put it down", result="failure", note="slipped", next_episode=True)
    (wish,) = rig.steering.messages
    assert isinstance(wish, messages.Steering)
    assert (wish.instruction, wish.ratio, wish.result, wish.note) == ("put it down", None, "failure", "slipped")
    assert wish.next_episode and wish.source == "console: Anna"


def test_an_order_is_repeated_until_it_is_answered(rig: Rig, build: Build) -> None:
    rig.say("anna", type="command", command="hold")
    unanswered = build(messages.SafetyState, answered=(1, 0))
    for passed_ms in (50, 150, 250):
        rig.operator.repeat(unanswered, NOW_NS + passed_ms * MS)
    assert len(rig.commands.messages) == 3 and len(set(map(id, rig.commands.messages))) == 1
    rig.operator.repeat(build(messages.SafetyState, answered=(EPOCH, 0)), NOW_NS + 300 * MS)
    rig.operator.repeat(unanswered, NOW_NS + 400 * MS)
    assert len(rig.commands.messages) == 3


def test_an_order_that_nobody_answers_is_given_up(rig: Rig) -> None:
    rig.say("anna", type="command", command="run")
    rig.operator.repeat(None, NOW_NS + 3_100 * MS)
    rig.operator.repeat(None, NOW_NS + 200 * MS)
    assert len(rig.commands.messages) == 1, "an old run must not move the arms later"


def test_the_deadman_tells_when_the_page_was_heard(rig: Rig) -> None:
    rig.say("anna", type="deadman", wanted=True)
    rig.now_ns += 50 * MS
    rig.say("anna", type="beat")
    rig.operator.beat(NOW_NS + 60 * MS)
    taken, first, second = rig.deadman.messages
    assert isinstance(taken, messages.Deadman) and not taken.wanted
    assert isinstance(first, messages.Deadman) and isinstance(second, messages.Deadman)
    assert (first.wanted, first.beat_ns, first.holder) == (True, NOW_NS, "Anna")
    assert second.beat_ns == NOW_NS + 50 * MS


def test_whoever_is_relieved_drives_no_more(rig: Rig) -> None:
    """Else the arms would wait for his page for ever."""
    rig.say("anna", type="deadman", wanted=True)
    rig.now_ns += 11_000 * MS
    assert rig.say("ben", type="take", name="Ben") == ""
    reported = rig.deadman.messages[-1]
    assert isinstance(reported, messages.Deadman) and (reported.wanted, reported.holder) == (False, "Ben")


def test_pages_are_told_when_something_changed_only(rig: Rig) -> None:
    reported: list[int] = []
    rig.operator.listen(lambda: reported.append(1))
    for _ in range(20):
        rig.say("ben", type="command", command="run")
        rig.say("anna", type="beat")
        rig.say("ben", type="command", command="hold")
    assert not reported
    rig.say("anna", type="deadman", wanted=True)
    assert len(reported) == 1


def test_a_page_that_closes_with_the_deadman_on_holds(rig: Rig) -> None:
    rig.say("anna", type="deadman", wanted=True)
    rig.operator.leave("anna")
    (command,) = rig.commands.messages
    assert isinstance(command, messages.OperatorCommand) and command.command == "hold"
    reported = rig.deadman.messages[-1]
    assert isinstance(reported, messages.Deadman) and not reported.wanted, "nobody drives any more"


def test_a_page_that_closes_without_it_changes_nothing(rig: Rig) -> None:
    rig.operator.leave("ben")
    rig.operator.leave("anna")
    assert not rig.commands.messages
    assert rig.operator.describe("ben") == {"holder": "", "mine": False, "deadman": False}


def test_pages_are_told_of_the_lease(rig: Rig) -> None:
    reported: list[Any] = []
    end = rig.operator.listen(lambda: reported.append(rig.operator.describe("ben")))
    rig.say("anna", type="give")
    rig.say("ben", type="take", name="Ben")
    end()
    rig.say("ben", type="give")
    assert [one["holder"] for one in reported] == ["", "Ben"] and reported[-1]["mine"]
