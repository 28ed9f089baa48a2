"""What a wire makes of its messages where they come twice or out of order, and a link that is cut. Called by pytest."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime.bench.slow_link import SlowLink
from runtime.faults.message_rows import disorder
from runtime.messaging import messages
from runtime.systems.system1 import newer

Build = Callable[..., Any]


def test_behind_each_message_comes_itself_or_its_predecessor() -> None:
    twice, behind = disorder("itself"), disorder("its predecessor")
    assert [twice(payload) for payload in (b"a", b"b")] == [[b"a", b"a"], [b"b", b"b"]]
    assert [behind(payload) for payload in (b"a", b"b", b"c")] == [[b"a"], [b"b", b"a"], [b"c", b"b"]]


def test_conditions_that_are_repeated_or_older_take_nobodys_place(build: Build) -> None:
    def made(epoch: int, seq: int) -> messages.Conditions:
        return build(messages.Conditions, epoch=epoch, seq=seq)

    held = made(2, 5)
    assert newer(held, None) and newer(made(2, 6), held) and newer(made(3, 0), held)
    assert not newer(made(2, 5), held) and not newer(made(2, 4), held) and not newer(made(1, 9), held)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(5.0)
        yield listening


def test_a_link_that_is_cut_ends_its_connections_and_takes_new_ones_only_when_it_is_restored(
    server: socket.socket,
) -> None:
    with SlowLink(server.getsockname()[1]) as link:
        near = socket.create_connection(("127.0.0.1", link.port), 5.0)
        there, _ = server.accept()
        near.sendall(b"hello")
        assert there.recv(5) == b"hello"
        link.cut()
        assert near.recv(1) == b"" and there.recv(1) == b""
        with socket.create_connection(("127.0.0.1", link.port), 5.0) as again:
            assert ended(again)
        link.restore()
        with socket.create_connection(("127.0.0.1", link.port), 5.0) as again:
            again.sendall(b"hello")
            other, _ = server.accept()
            assert other.recv(5) == b"hello"
            other.close()
        for each in (near, there):
            each.close()


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
