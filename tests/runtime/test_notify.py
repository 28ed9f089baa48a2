"""What systemd is told, over a real datagram socket. Called by pytest."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.notify import Notifier


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
    notifier.alive("HOLD; waits for the order to run")
    notifier.close()
    said = [systemd.recv(1000).decode() for _ in range(3)]
    assert said == ["READY=1", "WATCHDOG=1\nSTATUS=HOLD; waits for the order to run", "STOPPING=1"]


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("\0video2act-test-notify")
        made.settimeout(1)
        notifier = Notifier("@video2act-test-notify")
        notifier.ready()
        assert made.recv(100) == b"READY=1"
        notifier.close()


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready()
    notifier.alive("RUNNING")
    notifier.close()


def test_a_systemd_that_is_gone_or_does_not_read_stops_nobody(systemd: socket.socket, tmp_path: Path) -> None:
    for address in (str(tmp_path / "nobody"), systemd.getsockname()):
        notifier = Notifier(address)
        for _ in range(2000):
            notifier.alive("RUNNING")
        notifier.close()
