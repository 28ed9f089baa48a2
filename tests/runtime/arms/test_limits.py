"""The limits hold for any sequence of targets, braked at any moment: range, velocity, acceleration, jerk, distances.

Properties over random targets (hypothesis, reproducible) and the arms driven at each other and at the table.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from drivers.cobot_magic import REST_Q_RAD, ready_pose
from runtime.arms.bodies import capsule_ends, link_height_m, own_distance_m
from runtime.arms.collision import arm_distance_m, fingertip_height_m, link_points
from runtime.arms.limits import Array, Limits, brake, stop_distance, track
from runtime.arms.parking import toward
from runtime.arms.trajectory import Motion
from runtime.config.safety_settings import Mount, Safety

DT_S = 0.005
JOINTS = 14
SAFETY = Safety()
LIMITS = Limits.of(SAFETY)
APART = replace(
    LIMITS, min_fingertip_m=-10.0, min_arm_distance_m=-10.0, min_link_height_m=-10.0, min_own_distance_m=-10.0
)  # joint limits alone
ALLOWANCE = 1 + 1e-6
BRAKE_TICKS = 800

Stretch = tuple[list[float], int, bool]


def still(q: Array) -> Motion:
    return Motion(q, np.zeros(JOINTS), np.zeros(JOINTS))


def place(shares: list[float]) -> Array:
    """A pose by shares of each joint's range; below 0 and above 1 lie outside."""
    return LIMITS.low + np.array(shares) * (LIMITS.high - LIMITS.low)


def check_step(limits: Limits, before: Motion, after: Motion, dt_s: float = DT_S) -> None:
    """One tick: inside every limit, and position, velocity and acceleration belong together."""
    assert (after.q >= limits.low - 1e-9).all() and (after.q <= limits.high + 1e-9).all()
    assert (np.abs(after.dq) <= limits.velocity * ALLOWANCE).all()
    assert (np.abs(after.ddq) <= limits.acceleration * ALLOWANCE).all()
    assert (np.abs(after.ddq - before.ddq) <= limits.jerk * dt_s * ALLOWANCE).all()
    np.testing.assert_allclose(after.q, before.q + after.dq * dt_s, atol=1e-12)
    np.testing.assert_allclose(after.dq, before.dq + after.ddq * dt_s, atol=1e-9)


def at_rest(now: Motion) -> bool:
    """Whether a braked motion has ended."""
    return bool(np.abs(now.dq).max() < 1e-6 and np.abs(now.ddq).max() < 1e-6)


def brake_to_rest(limits: Limits, now: Motion) -> Motion:
    for _ in range(BRAKE_TICKS):
        if at_rest(now):
            return now
        after = brake(limits, now, DT_S)
        check_step(limits, now, after)
        now = after
    raise AssertionError(f"still moves after {BRAKE_TICKS} ticks: {np.abs(now.dq).max()} {np.abs(now.ddq).max()}")


shares = st.lists(st.floats(-0.5, 1.5), min_size=JOINTS, max_size=JOINTS)
stretches = st.lists(st.tuples(shares, st.integers(1, 100), st.booleans()), min_size=1, max_size=4)


@given(stretches)
@examples(max_examples=25, deadline=None, derandomize=True)
def test_no_target_sequence_breaks_a_limit(course: list[Stretch]) -> None:
    now = still(ready_pose() - np.eye(JOINTS)[6] * 0.04)
    for wanted, ticks, braked in course:
        for _ in range(ticks):
            after = track(LIMITS, now, place(wanted), DT_S)
            check_step(LIMITS, now, after)
            now = after
        if braked:
            now = brake_to_rest(LIMITS, now)
    brake_to_rest(LIMITS, now)


@given(st.integers(0, 1 << 31))
@examples(max_examples=10, deadline=None, derandomize=True)
def test_targets_that_change_at_every_tick_break_no_limit(seed: int) -> None:
    dice = np.random.default_rng(seed)
    now = still(place([0.5] * JOINTS))
    scale = dice.choice([1e-3, 0.1, 1.0, 100.0])
    for _ in range(200):
        wanted = now.q + scale * dice.normal(size=JOINTS)
        after = track(APART, now, wanted, DT_S)
        check_step(APART, now, after)
        now = after
    brake_to_rest(APART, now)


@given(shares, st.sampled_from([50.0, 200.0, 1000.0]))
@examples(max_examples=9, deadline=None, derandomize=True)
def test_the_limits_hold_at_other_rates(wanted: list[float], rate_hz: float) -> None:
    now = still(place([0.5] * JOINTS))
    for _ in range(150):
        after = track(APART, now, place(wanted), 1 / rate_hz)
        check_step(APART, now, after, 1 / rate_hz)
        now = after


@pytest.mark.parametrize("extreme", [1e3, 1e12, 1e300])
def test_extreme_targets_break_no_limit(extreme: float) -> None:
    now = still(place([0.5] * JOINTS))
    for tick in range(400):
        after = track(APART, now, np.full(JOINTS, extreme * (-1) ** (tick // 60)), DT_S)
        check_step(APART, now, after)
        now = after


@given(st.lists(st.floats(0.0, 1.0), min_size=JOINTS, max_size=JOINTS))
@examples(max_examples=8, deadline=None, derandomize=True)
def test_a_constant_target_is_reached_without_overshoot(wanted: list[float]) -> None:
    start, target = place([0.5] * JOINTS), place(wanted)
    now, beyond = still(start), np.zeros(JOINTS)
    for _ in range(900):
        now = track(APART, now, target, DT_S)
        beyond = np.maximum(beyond, (now.q - target) * np.sign(target - start))
    assert beyond.max() < 1e-2
    np.testing.assert_allclose(now.q, target, atol=1e-3)


def test_a_target_within_the_limits_is_followed_exactly() -> None:
    now, amplitude, rate = still(place([0.5] * JOINTS)), 0.05 * (LIMITS.high - LIMITS.low), 2.0
    centre = now.q
    for tick in range(1, 401):
        share = min(1.0, tick / 200)
        ramp = share**3 * (10 - 15 * share + 6 * share**2)
        now = track(APART, now, centre + ramp * amplitude * np.sin(rate * tick * DT_S), DT_S)
    exact = centre + amplitude * np.sin(rate * 400 * DT_S)
    np.testing.assert_allclose(now.q, exact, atol=1e-9)


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=JOINTS, max_size=JOINTS),
    st.lists(st.floats(-1.0, 1.0), min_size=JOINTS, max_size=JOINTS),
)
@examples(max_examples=40, deadline=None, derandomize=True)
def test_the_way_to_rest_is_never_underestimated(speeds: list[float], gains: list[float]) -> None:
    dq, ddq = np.array(speeds) * APART.velocity, np.array(gains) * APART.acceleration
    bound = stop_distance(APART, dq, ddq)
    now, wide = Motion(np.zeros(JOINTS), dq, ddq), replace(APART, low=APART.low - 99, high=APART.high + 99)
    reached = np.zeros(JOINTS)
    sign = np.where(dq == 0, np.sign(ddq), np.sign(dq))
    for _ in range(BRAKE_TICKS):
        now = brake(wide, now, DT_S)
        reached = np.maximum(reached, now.q * sign)
    slack = np.abs(dq) * DT_S + 1e-3
    assert (reached <= np.abs(bound) + slack).all()


def test_distances_are_those_of_the_robot_at_hand() -> None:
    """Arms that stand nearer together, over a higher table: the same course is cut short earlier."""
    near = Mount(left=(-0.17, -0.42, 0.74, np.pi / 2), right=(0.17, -0.42, 0.74, np.pi / 2), table_m=0.84)
    limits = Limits.of(Safety(mount=near, min_fingertip_m=0.02))
    wanted = ready_pose() + np.array([-0.5, 0.9, 0, 0, 0, 0, 0, 0.5, 0.9, 0, 0, 0, 0, 0])
    now, lowest, nearest = still(ready_pose() - np.eye(JOINTS)[6] * 0.04), np.inf, np.inf
    for _ in range(800):
        now = track(limits, now, wanted, DT_S)
        points = link_points(now.q, limits.bases)
        lowest = min(lowest, fingertip_height_m(points, limits.table_m))
        nearest = min(nearest, arm_distance_m(points))
    assert lowest > 0.02 - 0.005 and nearest > limits.min_arm_distance_m - 0.005
    assert fingertip_height_m(link_points(wanted, limits.bases), limits.table_m) < 0


def test_an_arm_at_rest_stays_at_rest() -> None:
    now = still(ready_pose())
    for _ in range(10):
        now = brake(LIMITS, now, DT_S)
    np.testing.assert_array_equal(now.q, ready_pose())
    assert at_rest(now)


def toward_each_other(reach: float, swing: float) -> Array:
    """Both arms stretched and turned inwards: the left one to the right, the right one to the left."""
    q = ready_pose()
    q[[1, 8]], q[[2, 9]] = 1.4 + reach, -1.0 - reach
    q[0], q[7] = -swing, swing
    return q


def turned_outwards() -> Array:
    q = ready_pose()
    q[0], q[7] = 0.4, -0.4
    return q


@pytest.mark.parametrize("swing", [0.8, 1.2, 1.57, 2.4])
@pytest.mark.parametrize("reach", [-0.2, 0.0, 0.3])
def test_arms_driven_at_each_other_keep_apart(swing: float, reach: float) -> None:
    wanted = toward_each_other(reach, swing)
    now, nearest = still(turned_outwards()), np.inf
    assert arm_distance_m(link_points(now.q)) > 0.2
    for _ in range(500):
        now = track(LIMITS, now, wanted, DT_S)
        nearest = min(nearest, arm_distance_m(link_points(now.q)))
    assert nearest >= SAFETY.min_arm_distance_m - 0.005


def test_without_the_limit_those_arms_would_collide() -> None:
    now, nearest = still(turned_outwards()), np.inf
    for _ in range(500):
        now = track(APART, now, toward_each_other(0.0, 1.57), DT_S)
        nearest = min(nearest, arm_distance_m(link_points(now.q)))
    assert nearest < 0


@pytest.mark.parametrize("shoulder", [1.8, 2.4, 3.1])
@pytest.mark.parametrize("side", [0, 1])
def test_a_fingertip_driven_at_the_table_stays_above_it(side: int, shoulder: float) -> None:
    wanted = ready_pose()
    wanted[7 * side + 1], wanted[7 * side + 2] = shoulder, -0.9
    now, lowest = still(ready_pose()), np.inf
    for _ in range(500):
        now = track(LIMITS, now, wanted, DT_S)
        lowest = min(lowest, fingertip_height_m(link_points(now.q)))
    assert fingertip_height_m(link_points(wanted)) < -0.01, "the target is not below the table"
    assert lowest >= SAFETY.min_fingertip_m - 0.005
    assert lowest < 0.15, "it should have come close"


@pytest.mark.parametrize("seed", [0, 1, 18, 24, 31, 39, 42, 43, 52, 53])
def test_distances_hold_on_random_courses(seed: int) -> None:
    """Large moves of all joints at once, to random poses and to corners of the ranges."""
    dice = np.random.default_rng(seed)
    now, lowest, nearest = still(turned_outwards()), np.inf, np.inf
    for _ in range(4):
        corner = dice.random() < 0.5
        wanted = dice.integers(0, 2, JOINTS) if corner else dice.uniform(0, 1, JOINTS)
        for _ in range(int(dice.integers(20, 120))):
            now = track(LIMITS, now, place(list(wanted)), DT_S)
            points = link_points(now.q)
            lowest, nearest = min(lowest, fingertip_height_m(points)), min(nearest, arm_distance_m(points))
    assert lowest >= SAFETY.min_fingertip_m - 0.005
    assert nearest >= SAFETY.min_arm_distance_m - 0.005


def folded(side: int, **joints: float) -> Array:
    """The ready pose with one arm folded back onto its stop, and joints of it by name."""
    q = ready_pose()
    q[7 * side : 7 * side + 6] = 0.0, 1.0, -0.3, 0.0, 0.0, 0.0
    for name, value in joints.items():
        q[7 * side + int(name[1:]) - 1] = value
    return q


UNDER_THE_TABLE = (
    {"j2": 3.0, "j3": -1.6, "j5": -1.2},  # hand bent upwards, so that wrist and forearm come first
    {"j2": 3.1, "j3": -2.2, "j5": -1.2, "j4": 1.5},
    {"j2": 3.1, "j3": -2.6, "j5": 0.5},
)


@pytest.mark.parametrize("joints", UNDER_THE_TABLE)
@pytest.mark.parametrize("side", [0, 1])
def test_no_link_is_driven_into_the_table(side: int, joints: dict[str, float]) -> None:
    """Over a table 50 mm above the bases' feet, which elbows reach as well."""
    limits = replace(LIMITS, table_m=LIMITS.table_m + 0.05, min_fingertip_m=-10.0)
    wanted, lowest, unlimited = folded(side, **joints), np.inf, np.inf
    now = free = still(ready_pose())
    for _ in range(600):
        now, free = track(limits, now, wanted, DT_S), track(APART, free, wanted, DT_S)
        lowest = min(lowest, link_height_m(capsule_ends(now.q)[side], limits.table_m))
        unlimited = min(unlimited, link_height_m(capsule_ends(free.q)[side], limits.table_m))
    assert unlimited < -0.03, "without the limit they would be below"
    assert lowest > SAFETY.min_link_height_m - 0.004


INTO_ITSELF = (
    {"j2": 3.1, "j3": -0.05},  # folded, swung over the shoulder: the forearm comes down on the base
    {"j2": 1.6, "j3": -0.05, "j5": 1.2},
    {"j2": 2.5, "j3": -0.02, "j4": 0.6, "j5": 1.2},
    {"j1": 2.5, "j2": 3.1, "j3": -0.3, "j5": 1.2},
)


@pytest.mark.parametrize("joints", INTO_ITSELF)
@pytest.mark.parametrize("side", [0, 1])
def test_no_arm_is_driven_into_itself(side: int, joints: dict[str, float]) -> None:
    limits = replace(LIMITS, min_fingertip_m=-10.0, min_arm_distance_m=-10.0, min_link_height_m=-10.0)
    wanted, nearest, unlimited = folded(side, **joints), np.inf, np.inf
    now = free = still(folded(side))
    for _ in range(600):
        now, free = track(limits, now, wanted, DT_S), track(APART, free, wanted, DT_S)
        nearest = min(nearest, own_distance_m(capsule_ends(now.q)[side]))
        unlimited = min(unlimited, own_distance_m(capsule_ends(free.q)[side]))
    assert unlimited < -0.01, "without the limit it would hit itself"
    assert nearest > SAFETY.min_own_distance_m - 0.004


def test_an_arm_that_is_too_near_itself_may_move_away() -> None:
    tight = replace(LIMITS, min_own_distance_m=0.06)
    now, wanted = still(folded(0, j3=-0.05)), folded(0, j3=-1.0)
    assert own_distance_m(capsule_ends(now.q)) < 0.03
    for _ in range(400):
        now = track(tight, now, wanted, DT_S)
    np.testing.assert_allclose(now.q, wanted, atol=1e-3)


def test_a_link_that_is_too_low_may_be_lifted() -> None:
    tight, low = replace(LIMITS, min_link_height_m=0.1), ready_pose()
    low[[1, 2]] = 2.2, -0.8
    assert link_height_m(capsule_ends(low)) < -0.02
    now, wanted = still(low), low - 0.8 * np.eye(JOINTS)[1]
    for _ in range(600):
        now = track(tight, now, wanted, DT_S)
    np.testing.assert_allclose(now.q, wanted, atol=1e-3)


@pytest.mark.parametrize(("begin", "goal"), [("ready", "rest"), ("rest", "ready"), ("zero", "ready")])
def test_parking_is_what_it_is_without_the_limits_of_links(begin: str, goal: str) -> None:
    places = {"ready": ready_pose(), "rest": np.tile([*REST_Q_RAD, 0.0], 2), "zero": np.zeros(JOINTS)}
    former = replace(LIMITS, min_link_height_m=-10.0, min_own_distance_m=-10.0)
    now, way = still(places[begin]), None
    for _ in range(700):
        way = toward(places[goal], way, now, DT_S)
        after = track(LIMITS, now, way.q, DT_S, way.dq)
        np.testing.assert_array_equal(after.q, track(former, now, way.q, DT_S, way.dq).q)
        now = after
    np.testing.assert_allclose(now.q, places[goal], atol=1e-3)


def test_arms_that_are_too_close_may_move_apart() -> None:
    tight = replace(LIMITS, min_arm_distance_m=arm_distance_m(link_points(ready_pose())) + 0.05)
    now = still(ready_pose())
    for _ in range(400):
        now = track(tight, now, turned_outwards(), DT_S)
    np.testing.assert_allclose(now.q[[0, 7]], turned_outwards()[[0, 7]], atol=1e-3)


def test_the_limits_are_those_of_the_settings_for_both_arms() -> None:
    limits = Limits.of(SAFETY)
    np.testing.assert_array_equal(limits.low[:7], limits.low[7:])
    np.testing.assert_array_equal(limits.velocity, np.tile(SAFETY.velocity, 2))
    np.testing.assert_array_equal(limits.jerk, np.tile(SAFETY.jerk, 2))
    low, high = np.tile(SAFETY.low, 2), np.tile(SAFETY.high, 2)
    arms, grippers = [index for index in range(JOINTS) if index % 7 != 6], [6, 13]
    assert (limits.low[arms] - low[arms] > 1e-4).all() and (high[arms] - limits.high[arms] > 1e-4).all(), "a margin"
    assert (limits.low - low < 0.05).all() and (high - limits.high < 0.05).all()
    np.testing.assert_allclose(limits.low[grippers], low[grippers], atol=1e-12)
    np.testing.assert_allclose(limits.high[grippers], high[grippers], atol=1e-12)
    assert limits.low.dtype == limits.jerk.dtype == np.float64


@pytest.mark.parametrize(
    ("speed", "gain"), [(1.0, 0.0), (1.0, 0.6), (0.0, 0.5), (-0.7, -0.9), (0.02, 0.3), (0.4, -0.5)]
)
def test_the_way_to_rest_is_that_of_winding_down_and_a_trapezoid_and_a_margin(speed: float, gain: float) -> None:
    """Integrated step by step: the acceleration to 0 at full jerk, then to rest by full jerk and acceleration."""
    dq, ddq = speed * APART.velocity, gain * APART.acceleration
    step_s = 1e-5
    sign = np.where(dq == 0, np.sign(ddq), np.sign(dq))
    way, v, a = np.zeros(JOINTS), np.abs(dq), np.maximum(sign * ddq, 0.0)
    while (a > 0).any():
        way, v, a = way + v * step_s * (a > 0), v + a * step_s, np.maximum(a - APART.jerk * step_s, 0.0)
    most = np.minimum(APART.acceleration, np.sqrt(v * APART.jerk))
    ramp_s, peak = most / APART.jerk, v
    hold_s = np.divide(peak, most, out=np.zeros(JOINTS), where=most > 0) - ramp_s
    for step in range(1 + int((2 * ramp_s + hold_s).max() / step_s)):
        left_s = 2 * ramp_s + hold_s - step * step_s
        braking = np.clip(np.minimum(step * step_s, left_s) / np.maximum(ramp_s, 1e-9), 0, 1) * most
        way, v = way + np.maximum(v, 0) * step_s, v - braking * step_s
    bound = stop_distance(APART, dq, ddq) * sign
    np.testing.assert_allclose(bound / way, (bound / way)[0], rtol=5e-3)  # for every joint alike
    assert (bound / way)[0] == pytest.approx(1.25, rel=0.01)


@pytest.mark.parametrize("follows", [True, False])
def test_a_moving_target_is_caught_up_when_its_speed_is_known(follows: bool) -> None:
    now, speed = still(ready_pose()), np.where(np.arange(JOINTS) < 4, 0.1, 0.0)
    wanted = ready_pose() + speed  # a second ahead
    for _ in range(600):
        wanted = wanted + speed * DT_S
        now = track(APART, now, wanted, DT_S, speed if follows else None)
    behind = np.abs(now.q - wanted).max()
    assert behind < 1e-6 if follows else behind > 1e-4


def test_targets_outside_the_ranges_are_followed_to_their_edge() -> None:
    for far, edge in ((9.0, LIMITS.high), (-9.0, LIMITS.low)):
        now = still(ready_pose())
        for _ in range(1600):
            now = track(APART, now, np.full(JOINTS, far), DT_S)
        np.testing.assert_allclose(now.q, edge, atol=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_target_that_gains_speed_carries_no_joint_past_its_velocity(sign: float, share: float) -> None:
    """It is followed exactly while it may be: then the acceleration must be wound down before the velocity is reached."""
    now = still(ready_pose())
    now.q[0] = -sign * 2.4
    wanted = still(now.q.copy())
    fastest = 0.0
    for _ in range(200):
        ddq, dq = wanted.ddq.copy(), wanted.dq.copy()
        ddq[0] = sign * min(abs(ddq[0]) + share * LIMITS.jerk[0] * DT_S, share * LIMITS.acceleration[0])
        dq[0] += ddq[0] * DT_S
        wanted = Motion(wanted.q + dq * DT_S, dq, ddq)
        after = track(APART, now, wanted.q, DT_S, wanted.dq)
        check_step(APART, now, after)
        now, fastest = after, max(fastest, abs(after.dq[0]))
    assert fastest > 0.8 * LIMITS.velocity[0], "it comes near"
    brake_to_rest(APART, now)
