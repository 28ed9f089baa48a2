"""Tells systemd how the robot is (sd_notify(3)): ready, alive, what it does. Nothing happens where systemd did not start it.
Called by the arms process, whose death is the one that matters.
"""

import os
import socket


class Notifier:
    """The socket that systemd named in the environment."""

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET") if address is None else address
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def ready(self) -> None:
        """Say that the service has started: the process that owns the arms runs."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """Feed the watchdog; `status` is the line that `systemctl status` shows."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def close(self) -> None:
        """Say that the service stops, and close the socket."""
        self._send("STOPPING=1")
        if self._socket is not None:
            self._socket.close()

    def _send(self, text: str) -> None:
        """Send without waiting: a message that systemd has no time for is dropped, since the next one comes soon."""
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            return
