"""Strangers at the port on which a robot waits for its GPU box: nobody answers them, and the box is still heard."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from runtime.faults import remote_rows
from runtime.faults.gpu_box import GpuBox
from runtime.remote.link import Link
from runtime.remote.packets import HELLO, stamp


def within(soon_s: float, wanted: Callable[[], bool]) -> bool:
    """Whether it becomes true by then. Asked no more once it was: what it asks of has been taken."""
    until = time.monotonic() + soon_s
    while time.monotonic() < until:
        if wanted():
            return True
        time.sleep(0.01)
    return False


def test_strangers_get_no_answer_and_the_box_is_heard(tmp_path: Path) -> None:
    box = GpuBox(tmp_path)
    address = f"tcp://127.0.0.1:{box.port}"
    with Link.waiting(address, box.keys) as link:
        heard: list[tuple[bytes, ...]] = []

        def pause(duration_s: float) -> None:
            time.sleep(duration_s / 10)
            heard.extend(link.take())

        robot = SimpleNamespace(pause=pause)
        for with_keys in (True, False):
            assert remote_rows.answers(robot, box, with_keys) == 0  # pyright: ignore[reportArgumentType]
        assert heard == [] and link.peer is None
        with Link.coming(address, box.keys) as gpu_side:

            def hello_arrives() -> bool:
                gpu_side.send(HELLO, stamp(1), stamp(1))  # dropped until the connection is open
                return bool(link.take())

            assert within(10.0, hello_arrives)
