"""What the operators' desk sends on the bus, and what pages are told. Called by pytest."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from runtime.console.desk import Desk
from runtime.messaging import messages
from runtime.messaging.bus import Publisher
from runtime.messaging.messages import Message

Build = Callable[..., Any]
NOW, EPOCH = 5_000_000_000, 77
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

    orders: Heard = field(default_factory=Heard)
    steering: Heard = field(default_factory=Heard)
    deadman: Heard = field(default_factory=Heard)
    now: int = NOW

    def __post_init__(self) -> None:
        heard = {"order": self.orders, "steering": self.steering, "deadman": self.deadman}
        self.desk = Desk({name: cast(Publisher, one) for name, one in heard.items()}, EPOCH)

    def say(self, who: str, /, **request: Any) -> str:
        """A page's request at `now`; what it is answered. It shows the robot as it is now, unless the request says other."""
        if request["type"] in ("order", "steer"):
            request = {"seen_ns": self.now, **request}
        return self.desk.hear(who, json.dumps(request), self.now)


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.say("anna", type="take", name="Anna")
    return made


def test_the_holder_orders_and_every_order_is_new(rig: Rig) -> None:
    assert (
        rig.say("anna", type="order", order="arm") == rig.say("anna", type="order", order="stop", confirmed=True) == ""
    )
    first, second = rig.orders.messages
    assert isinstance(first, messages.Order) and isinstance(second, messages.Order)
    assert (first.order, first.source, first.confirmed) == ("arm", "console: Anna", False)
    assert (second.order, second.confirmed) == ("stop", True)
    assert (first.epoch, first.seq, second.seq) == (EPOCH, 0, 1)


def test_another_page_only_holds(rig: Rig) -> None:
    for refused in ({"order": "run"}, {"order": "stop", "confirmed": True}):
        assert rig.say("ben", type="order", **refused) == "Anna steers"
    assert rig.say("ben", type="steer", ratio=4) == rig.say("ben", type="deadman", wanted=True) == "Anna steers"
    assert not rig.orders.messages and not rig.steering.messages
    assert rig.say("ben", type="order", order="hold") == rig.say("ben", type="order", order="hold") == ""
    assert [cast(messages.Order, order).source for order in rig.orders.messages] == ["console", "console"]


@pytest.mark.parametrize("seen_ns", [None, NOW - 2001 * MS, NOW + 1])
def test_what_was_asked_of_a_robot_seen_long_ago_is_refused_but_for_hold(rig: Rig, seen_ns: int | None) -> None:
    """A connection that hung delivers it when whoever asked may be gone."""
    for request in (
        {"type": "order", "order": "arm"},
        {"type": "order", "order": "run"},
        {"type": "steer", "ratio": 4},
    ):
        assert "ask again" in (answer := rig.say("anna", **request, seen_ns=seen_ns)) or "seen_ns" in answer
    assert not rig.orders.messages and not rig.steering.messages
    assert rig.say("anna", type="order", order="hold", seen_ns=seen_ns) == ""
    assert rig.say("anna", type="order", order="run", seen_ns=NOW - 1999 * MS) == ""
    assert [cast(messages.Order, order).order for order in rig.orders.messages] == ["hold", "run"]


def test_wishes_go_to_the_supervisor(rig: Rig) -> None:
    rig.say("anna", type="steer", instruction="put it down", result="failure", note="slipped", next_episode=True)
    (wish,) = rig.steering.messages
    assert isinstance(wish, messages.Steering)
    assert (wish.instruction, wish.ratio, wish.result, wish.note) == ("put it down", None, "failure", "slipped")
    assert wish.next_episode and wish.source == "console: Anna"


def test_an_order_is_repeated_until_it_is_answered(rig: Rig, build: Build) -> None:
    rig.say("anna", type="order", order="hold")
    untold = build(messages.SafetyState, answered=(1, 0))
    for passed_ms in (50, 150, 250):
        rig.desk.repeat(untold, NOW + passed_ms * MS)
    assert len(rig.orders.messages) == 3 and len(set(map(id, rig.orders.messages))) == 1
    rig.desk.repeat(build(messages.SafetyState, answered=(EPOCH, 0)), NOW + 300 * MS)
    rig.desk.repeat(untold, NOW + 400 * MS)
    assert len(rig.orders.messages) == 3


def test_an_order_that_nobody_answers_is_given_up(rig: Rig) -> None:
    rig.say("anna", type="order", order="run")
    rig.desk.repeat(None, NOW + 3_100 * MS)
    rig.desk.repeat(None, NOW + 200 * MS)
    assert len(rig.orders.messages) == 1, "an old run must not move the arms later"


def test_the_deadman_tells_when_the_page_was_heard(rig: Rig) -> None:
    rig.say("anna", type="deadman", wanted=True)
    rig.now += 50 * MS
    rig.say("anna", type="beat")
    rig.desk.beat(NOW + 60 * MS)
    taken, first, second = rig.deadman.messages
    assert isinstance(taken, messages.Deadman) and not taken.wanted
    assert isinstance(first, messages.Deadman) and isinstance(second, messages.Deadman)
    assert (first.wanted, first.beat_ns, first.holder) == (True, NOW, "Anna")
    assert second.beat_ns == NOW + 50 * MS


def test_whoever_is_relieved_drives_no_more(rig: Rig) -> None:
    """Else the arms would wait for his page for ever."""
    rig.say("anna", type="deadman", wanted=True)
    rig.now += 11_000 * MS
    assert rig.say("ben", type="take", name="Ben") == ""
    told = rig.deadman.messages[-1]
    assert isinstance(told, messages.Deadman) and (told.wanted, told.holder) == (False, "Ben")


def test_pages_are_told_when_something_changed_only(rig: Rig) -> None:
    told: list[int] = []
    rig.desk.watch(lambda: told.append(1))
    for _ in range(20):
        rig.say("ben", type="order", order="run")
        rig.say("anna", type="beat")
        rig.say("ben", type="order", order="hold")
    assert not told
    rig.say("anna", type="deadman", wanted=True)
    assert len(told) == 1


def test_a_page_that_closes_with_the_deadman_on_holds(rig: Rig) -> None:
    rig.say("anna", type="deadman", wanted=True)
    rig.desk.leave("anna")
    (order,) = rig.orders.messages
    assert isinstance(order, messages.Order) and order.order == "hold"
    told = rig.deadman.messages[-1]
    assert isinstance(told, messages.Deadman) and not told.wanted, "nobody drives any more"


def test_a_page_that_closes_without_it_changes_nothing(rig: Rig) -> None:
    rig.desk.leave("ben")
    rig.desk.leave("anna")
    assert not rig.orders.messages
    assert rig.desk.describe("ben") == {"holder": "", "mine": False, "deadman": False}


def test_pages_are_told_of_the_lease(rig: Rig) -> None:
    told: list[Any] = []
    end = rig.desk.watch(lambda: told.append(rig.desk.describe("ben")))
    rig.say("anna", type="give")
    rig.say("ben", type="take", name="Ben")
    end()
    rig.say("ben", type="give")
    assert [one["holder"] for one in told] == ["", "Ben"] and told[-1]["mine"]
