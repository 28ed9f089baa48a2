"""Snapshots of former versions: each field finds its place, and a session's replay goes on from one. Called by pytest."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.arms.former_snapshots import FORMER
from runtime.arms.modes import Latched, StateMachine, Status, Wanted
from runtime.config.settings import settings_from_json
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.process import snapshot
from runtime.replay import lockstep
from runtime.session import reader

GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"
FLAT: dict[str, Any] = {
    "mode": "HOLD", "wants_run": True, "wants_arm": False, "bound_for": "rest", "wants_takeover": True, "wants_power": True,
    "first_run": False, "held": True, "since_ns": 7, "holds": 2, "faults": 3, "fault": "hot", "never_armed": False,
    "unfit": "bus left is down", "masters_own": True, "stopped": True, "lost": ("gone",), "forbidden": ("no chunk yet",),
    "reasons": ("moves to the rest pose",),
}  # fmt: skip


def restored(**fields: Any) -> Any:
    return snapshot.unpack(msgpack.packb({"~": "Machine", **fields}) or b"", arms_state.SAVED, FORMER)


def test_the_flat_record_is_three_things_today() -> None:
    assert restored(**FLAT) == StateMachine(
        Wanted(arm=False, power=True, run=True, takeover=True, pose="rest"),
        Latched("hot", stopped=True, held=True, lost=("gone",)),
        Status("HOLD", 7, 2, 3, ("no chunk yet",), ("moves to the rest pose",)),
    )


@pytest.mark.parametrize("name", FLAT)
def test_every_field_is_used_and_came_with_its_default(name: str) -> None:
    """An older version still did not write it."""
    without = restored(**{other: value for other, value in FLAT.items() if other != name})
    plain = {"unfit": "", "masters_own": False, "first_run": False, "never_armed": False, "wants_arm": False}
    assert (without == restored(**FLAT)) is (name in plain)


def test_a_field_that_no_version_wrote_is_refused() -> None:
    with pytest.raises(SessionError, match="written by another version"):
        restored(**FLAT, wants_tea=True)


def test_a_replay_of_a_golden_session_goes_on_from_its_snapshot() -> None:
    """In the modes that were recorded, whether from its beginning or from there."""
    index = lockstep.Index(reader.read(GOLDEN))
    config = arms_state.ArmsConfig.of(settings_from_json(index.session.metadata["settings"]))
    ((saved,),) = index.snapshots.values()
    (recorded,) = index.of("arm_target").values()
    begun = from_snapshot = None
    for target in recorded:
        assert isinstance(target, messages.ArmTarget)
        feedback, *others = (index.get(reference) for reference in target.inputs)
        assert isinstance(feedback, messages.JointState)
        inputs = arms_state.ArmsInputs(feedback, tuple(others), target.refused, target.deadline_ns)
        begun = begun or arms_state.start(config, feedback, target.stamp_ns)
        for state in filter(None, (begun, from_snapshot)):
            made = arms_step.step(config, state, inputs, target.epoch, target.stamp_ns).target
            assert (made.mode, made.sent, made.seq) == (target.mode, target.sent, target.seq)
        if target.seq == saved.after_seq:
            from_snapshot = snapshot.unpack(saved.state, arms_state.SAVED, FORMER)
            assert from_snapshot.machine.status.reasons == begun.machine.status.reasons != ()
    assert from_snapshot is not None and begun is not None and from_snapshot.machine == begun.machine
    np.testing.assert_allclose(from_snapshot.commanded.q, begun.commanded.q, atol=1e-6)
