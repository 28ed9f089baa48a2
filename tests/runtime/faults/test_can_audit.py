"""The comparison at the far end of an emulated bus: equal, overtaken, foreign and mixed-up targets. Called by pytest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import piper_frames
from drivers.piper_emulator import Heard
from runtime.devices import can_log
from runtime.errors import SessionError
from runtime.faults import can_audit
from runtime.messaging import messages
from runtime.session import reader

Build = Callable[..., Any]
SIDE = 7


def targets(build: Build) -> list[messages.ArmTarget]:
    """Ten that were sent after one that was not."""
    made = [build(messages.ArmTarget, seq=n, stamp_ns=1000 + n, q=np.full(14, 0.01 * n), sent=n > 0) for n in range(11)]
    return made


def heard(target: messages.ArmTarget, at_ns: int) -> Heard:
    frames = piper_frames.joints(target.q[SIDE : SIDE + 6], piper_frames.Id.JOINT_COMMAND)
    return Heard(at_ns, b"".join(data for _, data in frames))


@pytest.fixture
def compared(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The right arm's row, when the emulator heard this."""
    (tmp_path / "logs").mkdir()
    sent = targets(build)
    monkeypatch.setattr(reader, "read", lambda path: path)
    monkeypatch.setattr(reader, "decode_all", lambda session: (("arm_target", target, b"") for target in sent))

    def compare(*rows: Heard) -> Any:
        for side in ("left", "right"):
            can_log.save(tmp_path, side, list(rows))
        return can_audit.compare(tmp_path)["right"]

    return compare


def test_every_target_that_was_sent_was_heard(compared: Callable[..., Any], build: Build) -> None:
    rows = [heard(target, 2000 + target.seq) for target in targets(build)[1:]]
    assert compared(*rows) == {"sent": 10, "heard": 10, "equal": 10, "steps": 0, "skipped": 0, "switching_on": 0}


def test_what_was_overtaken_and_what_came_before_is_counted(compared: Callable[..., Any], build: Build) -> None:
    made = targets(build)
    rows = [heard(made[1], 900), heard(made[1], 950), *(heard(made[n], 2000 + n) for n in (1, 3, 4, 10))]
    assert compared(*rows) == {"sent": 10, "heard": 4, "equal": 4, "steps": 0, "skipped": 6, "switching_on": 2}


@pytest.mark.parametrize("order", [(1, 3, 2, 4), (1, 1, 2, 3)])
def test_a_target_out_of_order_or_twice_is_not_equal(
    order: tuple[int, ...], compared: Callable[..., Any], build: Build
) -> None:
    made = targets(build)
    row = compared(*(heard(made[n], 2000) for n in order))
    assert (row["heard"], row["equal"], row["steps"]) == (4, 3, 1)


def test_a_single_bit_is_seen(compared: Callable[..., Any], build: Build) -> None:
    whole = heard(targets(build)[5], 2000).joints
    assert compared(Heard(2000, whole[:-1] + bytes([whole[-1] ^ 1])))["equal"] == 0


def test_a_run_without_emulated_arms_is_one_line(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "read", lambda path: path)
    monkeypatch.setattr(reader, "decode_all", lambda session: iter(()))
    with pytest.raises(SessionError, match="give a run with --can"):
        can_audit.compare(tmp_path)
