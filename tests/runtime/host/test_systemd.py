"""What systemd is told, over a real datagram socket. Called by pytest."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.host.systemd import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """Its end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(1)
        yield made


def test_systemd_hears_ready_alive_and_the_end(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.getsockname())
    notifier = Notifier()
    notifier.ready()
    notifier.alive("HOLD; waiting for the operator; send `run`")
    notifier.close()
    said = [systemd.recv(1000).decode() for _ in range(3)]
    assert said == ["READY=1", "WATCHDOG=1\nSTATUS=HOLD; waiting for the operator; send `run`", "STOPPING=1"]


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("\0video2act-test-notify")
        made.settimeout(1)
        notifier = Notifier("@video2act-test-notify")
        notifier.ready()
        assert made.recv(100) == b"READY=1"
        notifier.close()


def test_without_systemd_nothing_is_opened_or_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> socket.socket:
        raise AssertionError("a socket was opened")

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", refused)
    notifier = Notifier()
    notifier.ready()
    notifier.alive("RUNNING")
    notifier.close()
    with pytest.raises(AssertionError, match="a socket was opened"):
        Notifier("/somewhere")


def test_a_systemd_that_does_not_read_keeps_the_first_signs_and_stops_nobody(systemd: socket.socket) -> None:
    notifier = Notifier(systemd.getsockname())
    for count in range(2000):
        notifier.alive(str(count))
    notifier.close()
    systemd.setblocking(False)
    heard: list[bytes] = []
    with pytest.raises(BlockingIOError):
        while True:
            heard.append(systemd.recv(100))
    assert heard == [f"WATCHDOG=1\nSTATUS={count}".encode() for count in range(len(heard))]
    assert 0 < len(heard) < 2000, "its queue was full, and nobody waited for it"


def test_a_systemd_that_comes_back_hears_the_next_sign(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.alive("to nobody")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(1)
        notifier.alive("RUNNING")
        assert made.recv(100) == b"WATCHDOG=1\nSTATUS=RUNNING"
    notifier.close()
