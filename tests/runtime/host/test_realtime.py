"""Asking the operating system for attention: what is asked, and that a refusal is no failure."""

import os
from pathlib import Path

import pytest

from runtime.host import realtime
from runtime.host.realtime import AwakeProcessors


def test_the_device_is_told_zero_microseconds_and_held_open(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.touch()
    awake = AwakeProcessors(device)
    held = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert awake.granted
    assert device.read_bytes() == b"\0\0\0\0"
    assert str(device) in held, "the kernel forgets the wish when the file is closed"
    awake.release()
    assert not awake.granted


def test_without_the_device_nothing_is_granted(tmp_path: Path) -> None:
    awake = AwakeProcessors(tmp_path / "nowhere")
    assert not awake.granted
    awake.release()


def test_asking_leaves_the_thread_as_it_was() -> None:
    before = os.sched_getscheduler(0)
    realtime.allowed(realtime.MESSAGES_PRIORITY)
    assert os.sched_getscheduler(0) == before


def test_a_refused_priority_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not realtime.run_at_once(realtime.ARMS_PRIORITY)
    assert not realtime.allowed(realtime.ARMS_PRIORITY)
