"""From chunks to one smooth motion: continuity, seams, smoothing, ensembles and what has been consumed.

Derivatives are checked numerically against the positions themselves.
"""

from typing import cast, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.arms.trajectory import Motion, Piece, Style, Trajectory, evaluate, join, lay, second_derivatives, smoother
from runtime.messaging.messages import Blend

Array = NDArray[np.float64]
H, J = 64, 14
DT_NS = 33_333_333
T0_NS = 1_000_000_000_000
BLENDS = get_args(Blend)


def chunk(seed: int = 0, size: float = 0.3) -> Array:
    """(H, J) smooth random targets."""
    dice = np.random.default_rng(seed)
    time = np.arange(H)[:, None] / 30
    return size * np.sin(dice.uniform(0.5, 2.0, J) * time + dice.uniform(0, 6, J))


def commanded(seed: int = 7) -> Motion:
    dice = np.random.default_rng(seed)
    return Motion(dice.normal(0, 0.1, J), dice.normal(0, 0.3, J), dice.normal(0, 1, J))


def style(blend: str, fade_s: float = 0.5, smoothing: float = 0.0) -> Style:
    return Style(cast(Blend, blend), fade_s, smoothing)


def splice(trajectory: Trajectory, q: Array, t0_ns: int, seam_ns: int, motion: Motion, how: Style) -> Trajectory:
    return join(trajectory, lay(q, t0_ns, DT_NS, how), seam_ns, motion, how)


def at(trajectory: Trajectory, time_ns: int) -> Motion:
    motion = evaluate(trajectory, time_ns)
    assert motion is not None
    return motion


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize(("smoothing", "fade_s"), [(0.0, 0.5), (10.0, 0.5), (0.0, 0.3)])
def test_velocity_and_acceleration_are_the_derivatives_of_position(blend: str, smoothing: float, fade_s: float) -> None:
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS, commanded(), style(blend, fade_s, smoothing))
    step_ns = 100_000
    for time_ns in np.linspace(T0_NS + DT_NS, made.end_ns - DT_NS, 97).astype(int):
        before, here, after = (at(made, int(time_ns) + shift) for shift in (-step_ns, 0, step_ns))
        np.testing.assert_allclose((after.q - before.q) / (2 * step_ns / 1e9), here.dq, atol=1e-4)
        np.testing.assert_allclose((after.dq - before.dq) / (2 * step_ns / 1e9), here.ddq, atol=1e-2)


@pytest.mark.parametrize("blend", BLENDS)
def test_nothing_jumps_at_a_target(blend: str) -> None:
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS, commanded(), style(blend))
    for index in range(1, H - 1):
        left, right = at(made, T0_NS + index * DT_NS - 1), at(made, T0_NS + index * DT_NS + 1)
        for name, most in (("q", 1e-7), ("dq", 1e-6), ("ddq", 1e-5)):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=most)


def test_without_smoothing_every_target_is_met() -> None:
    targets = chunk()
    made = splice(Trajectory(), targets, T0_NS, T0_NS, commanded(), style("none"))
    for index in range(H):
        np.testing.assert_allclose(at(made, T0_NS + index * DT_NS).q, targets[index], atol=1e-12)


def test_a_chunk_is_smoothed_when_it_is_laid_but_for_a_prefix() -> None:
    q = chunk() + np.random.default_rng(3).normal(0, 0.01, (H, J))
    for blend in BLENDS:
        laid = lay(q, T0_NS, DT_NS, style(blend, smoothing=10.0)).points
        np.testing.assert_allclose(laid, q if blend == "prefix" else smoother(H, 10.0) @ q)
        assert (blend == "prefix") == (np.abs(laid - q).max() < 1e-12)


def test_the_derivatives_of_an_ensemble_are_those_of_its_position() -> None:
    how = style("ensemble")
    made = splice(Trajectory(), chunk(1), T0_NS, T0_NS, commanded(), how)
    made = splice(made, chunk(2), T0_NS + 5 * DT_NS, T0_NS + 5 * DT_NS, commanded(), how)
    step_ns = 100_000
    for time_ns in (T0_NS + 8 * DT_NS, T0_NS + 20 * DT_NS + 7_000_000):
        before, here, after = (at(made, time_ns + shift) for shift in (-step_ns, 0, step_ns))
        np.testing.assert_allclose((after.q - before.q) / (2 * step_ns / 1e9), here.dq, atol=1e-4)
        np.testing.assert_allclose((after.dq - before.dq) / (2 * step_ns / 1e9), here.ddq, atol=1e-2)


def test_a_prefix_is_met_although_chunks_are_smoothed() -> None:
    targets = chunk() + np.random.default_rng(0).normal(0, 0.05, (H, J))
    made = splice(Trajectory(), targets, T0_NS, T0_NS, commanded(), style("prefix", smoothing=10.0))
    for index in range(H):
        np.testing.assert_allclose(at(made, T0_NS + index * DT_NS).q, targets[index], atol=1e-12)


@pytest.mark.parametrize("late_ns", [0, 1, DT_NS // 2, 3 * DT_NS, 3 * DT_NS + 12_345])
def test_a_fade_starts_exactly_at_the_commanded_motion(late_ns: int) -> None:
    start = commanded()
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS + late_ns, start, style("fade", smoothing=10.0))
    first = at(made, T0_NS + late_ns)
    np.testing.assert_allclose(first.q, start.q, atol=1e-12)
    np.testing.assert_allclose(first.dq, start.dq, atol=1e-12)
    np.testing.assert_allclose(first.ddq, start.ddq, atol=1e-10)


@pytest.mark.parametrize("fade_s", [0.1, 0.5, 1.5])
def test_a_fade_ends_on_the_chunk(fade_s: float) -> None:
    targets, seam_ns = chunk(), T0_NS + DT_NS
    faded = splice(Trajectory(), targets, T0_NS, seam_ns, commanded(), style("fade", fade_s))
    plain = splice(Trajectory(), targets, T0_NS, seam_ns, commanded(), style("none"))
    end_ns = seam_ns + int(fade_s * 1e9)
    for time_ns in (end_ns, end_ns + 1, end_ns + 5 * DT_NS):
        for name in ("q", "dq", "ddq"):
            np.testing.assert_allclose(getattr(at(faded, time_ns), name), getattr(at(plain, time_ns), name), atol=1e-6)
    halfway = seam_ns + int(fade_s * 0.3e9)
    assert np.abs(at(faded, halfway).q - at(plain, halfway).q).max() > 1e-3


def test_nothing_jumps_while_a_fade_goes_on_or_ends() -> None:
    fade_s = 0.4
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS, commanded(), style("fade", fade_s))
    motions = [at(made, T0_NS + tick * 1_000_000) for tick in range(600)]
    for name, most in (("q", 0.01), ("dq", 0.1), ("ddq", 1.5)):
        values = np.stack([getattr(motion, name) for motion in motions])
        assert np.abs(np.diff(values, axis=0)).max() < most, name


def test_a_chain_of_fades_has_no_seam() -> None:
    made, motion = Trajectory(), Motion(np.zeros(J), np.zeros(J), np.zeros(J))
    for count in range(5):
        now_ns = T0_NS + count * 3 * DT_NS
        made = splice(made, chunk(count), now_ns - DT_NS, now_ns, motion, style("fade", smoothing=10.0))
        first = at(made, now_ns)
        np.testing.assert_allclose(first.dq, motion.dq, atol=1e-12)
        motion = at(made, now_ns + 3 * DT_NS)
    assert len(made.pieces) == 1


def test_points_in_the_past_are_unused() -> None:
    """Targets before the seam have no say in what is wanted after it, but for the spline's immediate neighbours."""
    targets, late = chunk(), 20
    other = targets.copy()
    other[: late - 12] += 0.5
    now_ns = T0_NS + late * DT_NS
    made = [splice(Trajectory(), q, T0_NS, now_ns, commanded(), style("none")) for q in (targets, other)]
    for time_ns in range(now_ns, now_ns + 10 * DT_NS, DT_NS // 3):
        np.testing.assert_allclose(at(made[0], time_ns).q, at(made[1], time_ns).q, atol=1e-6)
    np.testing.assert_allclose(at(made[0], now_ns).q, targets[late], atol=1e-12)


def test_one_step_of_a_straight_line_leads_into_the_first_target() -> None:
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS - 3 * DT_NS, commanded(), style("none"))
    first, early, earlier = at(made, T0_NS), at(made, T0_NS - DT_NS // 2), at(made, T0_NS - 2 * DT_NS)
    np.testing.assert_allclose(early.dq, first.dq, atol=1e-12)
    np.testing.assert_allclose(early.q, first.q - first.dq * (DT_NS // 2) / 1e9, atol=1e-12)
    assert not earlier.dq.any() and not earlier.ddq.any(), "before that it is held"


def test_a_chunk_that_has_run_out_gives_nothing() -> None:
    made = splice(Trajectory(), chunk(), T0_NS, T0_NS, commanded(), style("fade"))
    assert made.end_ns == T0_NS + (H - 1) * DT_NS
    assert evaluate(made, made.end_ns) is not None
    assert evaluate(made, made.end_ns + 1) is None


def test_nothing_is_wanted_without_a_chunk() -> None:
    assert evaluate(Trajectory(), T0_NS) is None
    assert Trajectory().end_ns == 0


def test_a_new_chunk_replaces_the_old_one() -> None:
    first = splice(Trajectory(), chunk(1), T0_NS, T0_NS, commanded(), style("none"))
    second = splice(first, chunk(2), T0_NS, T0_NS, commanded(), style("none"))
    np.testing.assert_allclose(at(second, T0_NS + DT_NS).q, chunk(2)[1], atol=1e-12)


def test_an_ensemble_lies_between_its_members() -> None:
    made, members = Trajectory(), list[Trajectory]()
    for count in range(3):
        t0_ns = T0_NS + count * 5 * DT_NS
        made = splice(made, chunk(count), t0_ns, t0_ns, commanded(), style("ensemble"))
        members.append(splice(Trajectory(), chunk(count), t0_ns, t0_ns, commanded(), style("none")))
    for time_ns in range(T0_NS + 11 * DT_NS, T0_NS + 40 * DT_NS, DT_NS // 2):
        values = np.stack([at(member, time_ns).q for member in members])
        mixed = at(made, time_ns).q
        assert (mixed >= values.min(0) - 1e-12).all() and (mixed <= values.max(0) + 1e-12).all()


def test_an_ensemble_of_equal_chunks_is_that_chunk() -> None:
    made = Trajectory()
    for _ in range(3):
        made = splice(made, chunk(), T0_NS, T0_NS, commanded(), style("ensemble"))
    np.testing.assert_allclose(at(made, T0_NS + 7 * DT_NS).q, chunk()[7], atol=1e-12)


def test_the_newest_member_of_an_ensemble_weighs_most() -> None:
    zeros, ones = np.zeros((H, J)), np.ones((H, J))
    made = splice(Trajectory(), zeros, T0_NS, T0_NS, commanded(), style("ensemble"))
    made = splice(made, ones, T0_NS, T0_NS, commanded(), style("ensemble"))
    assert (at(made, T0_NS + DT_NS).q > 0.5).all()


def test_an_ensemble_keeps_few_chunks() -> None:
    made = Trajectory()
    for count in range(20):
        made = splice(made, chunk(count), T0_NS, T0_NS, commanded(), style("ensemble"))
    assert len(made.pieces) == 4


def test_members_that_have_run_out_have_no_say() -> None:
    made = splice(Trajectory(), np.zeros((H, J)), T0_NS, T0_NS, commanded(), style("ensemble"))
    later_ns = T0_NS + 50 * DT_NS
    made = splice(made, np.ones((H, J)), later_ns, later_ns, commanded(), style("ensemble"))
    np.testing.assert_allclose(at(made, T0_NS + H * DT_NS).q, 1.0)


@pytest.mark.parametrize("weight", [0.1, 10.0, 1000.0])
def test_the_smoother_passes_parabolas(weight: float) -> None:
    place = np.linspace(-1, 1, H)
    for parabola in (np.ones(H), place, place**2, 3 - 2 * place + 5 * place**2):
        np.testing.assert_allclose(smoother(H, weight) @ parabola, parabola, atol=1e-7)


def test_the_smoother_takes_jitter_out() -> None:
    jitter = (-1.0) ** np.arange(H)
    assert np.abs(smoother(H, 10.0) @ jitter)[10:-10].max() < 0.02


def test_the_smoother_halves_three_hertz_at_thirty() -> None:
    wave = np.sin(2 * np.pi * 3.0 * np.arange(H) / 30)
    kept = np.abs(smoother(H, 10.0) @ wave)[10:-10].max() / np.abs(wave)[10:-10].max()
    assert 0.35 < kept < 0.75


def test_without_weight_nothing_is_smoothed() -> None:
    np.testing.assert_allclose(smoother(H, 0.0), np.eye(H), atol=1e-12)


def test_second_derivatives_are_those_of_a_natural_spline() -> None:
    from scipy.interpolate import CubicSpline

    points = chunk()
    spline = CubicSpline(np.arange(H), points, bc_type="natural")
    np.testing.assert_allclose(second_derivatives(H) @ points, spline(np.arange(H), 2), atol=1e-10)


@pytest.mark.parametrize(
    ("after", "consumed"),
    [(-1, 0), (0, 1), (DT_NS - 1, 1), (DT_NS, 2), (62 * DT_NS, 63), (63 * DT_NS, 64), (1 << 50, 64)],
)
def test_a_target_is_consumed_when_its_time_comes(after: int, consumed: int) -> None:
    empty = np.zeros((H, J))
    piece = Piece(T0_NS, DT_NS, empty, empty, T0_NS, np.zeros((3, J)), 0.0)
    assert piece.consumed(T0_NS + after) == consumed


def test_a_past_long_gone_consumes_nothing() -> None:
    empty = np.zeros((H, J))
    assert Piece(T0_NS, DT_NS, empty, empty, T0_NS, np.zeros((3, J)), 0.0).consumed(0) == 0


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("count", [1, 2, 3, 16, 128])
def test_a_chunk_of_any_length_ends_at_its_last_target(count: int, blend: str) -> None:
    dt_ns = 50_000_000
    q = np.linspace(0.1, 0.4, count)[:, None] * np.ones(J)
    still = Motion(q[0], np.zeros(J), np.zeros(J))
    piece = lay(q, T0_NS, dt_ns, style(blend))
    made = join(Trajectory(), piece, T0_NS - dt_ns, still, style(blend))
    assert made.end_ns == T0_NS + (count - 1) * dt_ns and evaluate(made, made.end_ns + 1) is None
    if blend != "fade" or made.end_ns - T0_NS > 0.5e9:  # a shorter one is still fading its seam
        np.testing.assert_allclose(at(made, made.end_ns).q, q[-1], atol=1e-9)
    for time_ns in range(T0_NS - dt_ns, made.end_ns + 1, dt_ns // 7):
        motion = at(made, time_ns)
        assert all(np.isfinite(part).all() and part.shape == (J,) for part in (motion.q, motion.dq, motion.ddq))
    assert piece.consumed(T0_NS - 1) == 0 and piece.consumed(made.end_ns) == count


@pytest.mark.parametrize("rate_hz", [20, 50, 100])
def test_jitter_is_taken_out_alike_at_any_dt(rate_hz: int) -> None:
    """Of a tremor of 4 Hz as much is left as at 30 Hz, whatever the chunk's rate."""

    def left(rate_hz: int, count: int) -> float:
        dt_ns = 10**9 // rate_hz
        tremor = np.sin(2 * np.pi * 4 * np.arange(count) / rate_hz)[:, None] * np.ones(J)
        points = lay(tremor, T0_NS, dt_ns, style("none", smoothing=10.0)).points
        middle = slice(count // 4, -count // 4)
        return float(np.abs(points[middle]).max() / np.abs(tremor[middle]).max())

    assert left(rate_hz, min(4 * rate_hz, 128)) == pytest.approx(left(30, 128), abs=0.06)


@pytest.mark.parametrize("dt_ns", [1_000_000, 1_000_000_000])
def test_the_shortest_and_the_longest_dt_are_smoothed_without_harm(dt_ns: int) -> None:
    q = np.linspace(0.1, 0.4, 128)[:, None] * np.ones(J)
    np.testing.assert_allclose(lay(q, T0_NS, dt_ns, style("none", smoothing=1e6)).points, q, atol=1e-6)
