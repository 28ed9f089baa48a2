"""A matrix product, and with it every blend of chunks, has the same bits on every processor. Called by pytest."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from runtime.arms import product
from runtime.arms.trajectory import Motion, Style, Trajectory, evaluate, join, lay
from runtime.messaging.messages import Blend

DT_NS = 33_333_333
FORMS = [product.product, getattr(product.product, "py_func", product.product)]
_BLENDS = """
import numpy as np
from runtime.arms.trajectory import Motion, Style, Trajectory, evaluate, join, lay
dice, DT_NS = np.random.default_rng(3), 33_333_333
for blend in ("none", "fade", "ensemble", "prefix"):
    for count in (1, 3, 64):
        trajectory, style = Trajectory(), Style(blend, 0.5, 10.0)
        for chunk in range(5):
            at_ns, q = 2 * chunk * DT_NS, np.cumsum(dice.normal(0, 0.01, (count, 14)), 0)
            before = evaluate(trajectory, at_ns) or Motion(q[0], 0 * q[0], 0 * q[0])
            trajectory = join(trajectory, lay(q, at_ns, DT_NS, style), at_ns, before, style)
            for now_ns in (at_ns, at_ns + DT_NS // 3, at_ns + DT_NS):
                motion = evaluate(trajectory, now_ns)
                print(blend, count, motion and np.stack([motion.q, motion.dq, motion.ddq]).tobytes().hex())
"""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("rows", "terms", "columns"), [(1, 4, 14), (16, 16, 14), (3, 1, 1)])
def test_it_is_the_product(form: Any, rows: int, terms: int, columns: int) -> None:
    dice = np.random.default_rng(rows)
    left, right = dice.normal(size=(rows, terms)), dice.normal(size=(terms, columns))
    np.testing.assert_allclose(form(left, right), left @ right, atol=1e-13)
    assert form(left, right).tobytes() == FORMS[0](left, right).tobytes()


def test_each_blend_gives_the_same_bytes_with_a_library_for_other_processors() -> None:
    """Kernels without fused multiply-add, and those that the library chooses here."""

    def bits(**environment: str) -> str:
        line = [sys.executable, "-c", _BLENDS]
        return subprocess.run(line, env=os.environ | environment, capture_output=True, text=True, check=True).stdout

    assert bits() == bits(OPENBLAS_CORETYPE="Sandybridge") != ""


@pytest.mark.parametrize("blend", ["fade", "ensemble"])
def test_sessions_of_before_are_replayed_by_the_library_they_were_made_with(blend: Blend) -> None:
    """Both agree but for rounding."""
    made: list[bytes] = []
    motions: list[Motion] = []
    for numerics in ("own", "lapack"):
        trajectory, style = Trajectory(), Style(blend, 0.5, 10.0, numerics)
        for chunk in range(3):
            q = np.random.default_rng(chunk).normal(0, 0.1, (64, 14)).cumsum(0)
            now = evaluate(trajectory, chunk * DT_NS) or Motion(q[0], 0 * q[0], 0 * q[0])
            trajectory = join(trajectory, lay(q, chunk * DT_NS, DT_NS, style), chunk * DT_NS, now, style)
        motion = evaluate(trajectory, 5 * DT_NS)
        assert motion is not None
        motions.append(motion)
        made.append(motion.q.tobytes())
    np.testing.assert_allclose(motions[0].q, motions[1].q, atol=1e-11)
    np.testing.assert_allclose(motions[0].ddq, motions[1].ddq, atol=1e-7)
    assert made[0] != made[1]
