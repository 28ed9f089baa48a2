"""Chunks with single numbers at their extremes, of other lives, with wrong times, and orders in every mode: the arms' step
stands it. Whatever comes, each output can be encoded and what is sent keeps every limit. All at once: test_fuzz.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import ready_pose
from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.config.loading import load_settings
from runtime.messaging import codec, messages

Build = Callable[..., Any]
START_NS = 1_000_000_000_000
TICK_NS = 5_000_000
DT_NS = 33_333_333


class Loop:
    """The arms' step in a loop with ideal arms; every chunk goes over the wire first."""

    def __init__(self, build: Build, *flags: str) -> None:
        self.build = build
        self.config = arms_state.ArmsConfig.of(load_settings([*flags]))
        self.now_ns, self.q = START_NS, ready_pose() - np.eye(14)[6] * 0.04 - np.eye(14)[13] * 0.04
        self.state = arms_state.start(self.config, self.feedback(), self.now_ns)
        self.sent: list[NDArray[np.float64]] = [self.q] * 3
        self.ticks = self.chunks = self.commands = 0
        self.tick(build(messages.Episode), build(messages.Instruction))

    def feedback(self) -> messages.JointState:
        return self.build(
            messages.JointState, stamp_ns=self.now_ns, q=self.q.copy(), measured_ns=(self.now_ns, self.now_ns)
        )

    def tick(self, *arrived: messages.Message, refused: int = 0) -> arms_state.ArmsOutputs:
        health = self.build(messages.CameraHealth, stamp_ns=self.now_ns)
        inputs = arms_state.ArmsInputs(self.feedback(), (health, *arrived), refused, self.now_ns)
        made = arms_step.step(self.config, self.state, inputs, 1, self.now_ns)
        codec.encode(made.target)
        if made.state is not None:
            codec.encode(made.state)
        if made.target.sent:
            self.q = made.target.q.copy()
            self.sent.append(self.q)
        self.now_ns += TICK_NS
        return made

    def chunk(self, **changes: Any) -> messages.ActionChunk:
        """A good chunk that stays where the arms are, but for the changes; WireError where the wire refuses it."""
        self.chunks += 1
        fields: dict[str, Any] = {
            "seq": self.chunks, "q": np.tile(self.q, (64, 1)).astype(np.float32), "t0_ns": self.now_ns,
            "dt_ns": DT_NS, "observation_ns": self.now_ns, "conditions_capture_ns": self.now_ns - 100_000_000,
        }  # fmt: skip
        made = codec.decode(codec.encode(self.build(messages.ActionChunk, **(fields | changes))))
        assert isinstance(made, messages.ActionChunk)
        return made

    def command(self, command: str) -> messages.OperatorCommand:
        self.commands += 1
        return self.build(messages.OperatorCommand, seq=self.commands, command=command)

    def check_limits(self) -> None:
        """Everything that was sent, by finite differences."""
        limits, dt_s = self.config.limits, self.config.dt_s
        q = np.stack(self.sent)
        dq = np.diff(q, axis=0) / dt_s
        ddq = np.diff(dq, axis=0) / dt_s
        assert (q >= limits.low - 1e-9).all() and (q <= limits.high + 1e-9).all()
        assert (np.abs(dq) <= limits.velocity * (1 + 1e-6)).all()
        assert (np.abs(ddq) <= limits.acceleration * (1 + 1e-6)).all()
        assert (np.abs(np.diff(ddq, axis=0)) <= limits.jerk * dt_s * (1 + 1e-4)).all()


@pytest.fixture
def loop(build: Build) -> Loop:
    """RUNNING."""
    made = Loop(build)
    for _ in range(3):
        made.tick(made.chunk())
    assert made.state.machine.mode == "RUNNING"
    return made


@pytest.mark.parametrize("name", ["observation_ns", "conditions_capture_ns", "conditions_limit_ns", "t0_ns"])
@pytest.mark.parametrize("value", [-(1 << 63), 0, (1 << 63) - 1, (1 << 64) - 1])
def test_a_number_at_its_extreme_does_not_stop_the_process(name: str, value: int, loop: Loop) -> None:
    loop.tick(loop.chunk(**{name: value}))
    for _ in range(60):
        loop.tick()
    loop.check_limits()


@pytest.mark.parametrize("name", ["observation_ns", "conditions_capture_ns"])
def test_a_time_in_the_future_does_not_count_as_fresh_for_ever(name: str, loop: Loop) -> None:
    """A wrong clock at the other end must end in a HOLD like any other staleness."""
    loop.tick(loop.chunk(**{name: loop.now_ns + 3_600_000_000_000}))
    modes: list[str] = []
    for tick in range(2000):  # ten seconds, in which System 1 goes on but the stamp stays that of the wrong clock
        late = (loop.chunk(**{name: START_NS + 3_600_000_000_000}),) if tick % 20 == 0 else ()
        modes.append(loop.tick(*late).target.mode)
    assert "HOLD" in modes


def test_a_chunk_of_an_earlier_life_of_system1_is_dropped(loop: Loop) -> None:
    loop.tick(loop.chunk(epoch=2, seq=0))
    assert loop.state.last_chunk == (2, 0)
    loop.tick(loop.chunk(epoch=1, seq=500))
    assert loop.state.dropped == 1
    assert (loop.state.executing.epoch, loop.state.executing.seq) == (2, 0)


def test_a_new_life_of_system1_is_believed(loop: Loop) -> None:
    loop.tick(loop.chunk(epoch=2, seq=0))
    assert loop.state.dropped == 0 and loop.state.executing.epoch == 2


@pytest.mark.parametrize("command", ["arm", "run", "hold", "clear"])
def test_orders_are_safe_in_every_mode(command: str, build: Build) -> None:
    for mode in ("DISARMED", "HOLD", "RUNNING", "FAULT"):
        loop = Loop(build, *(["--arms.start", "disarmed"] if mode == "DISARMED" else []))
        loop.tick()
        if mode != "DISARMED":
            loop.tick(loop.chunk())
            loop.tick(*((loop.command("hold"),) if mode == "HOLD" else ()), refused=int(mode == "FAULT"))
            assert loop.state.machine.mode == mode
        for _ in range(3):
            loop.tick(loop.command(command))
        after = loop.state.machine.mode
        assert not (mode == "FAULT" and command != "clear" and after != "FAULT")
        assert not (mode == "DISARMED" and command != "arm" and after != "DISARMED")
        loop.check_limits()


def test_nobody_arms_the_arms_but_an_order(build: Build) -> None:
    """A fault while disarmed is told, but neither it nor its end begins to send."""
    loop = Loop(build, "--arms.start", "disarmed")
    for arrived, refused in (((), 0), ((), 1), ((), 0), ((loop.command("clear"),), 0), ((loop.command("run"),), 0)):
        assert not loop.tick(*arrived, refused=refused).target.sent
    loop.tick(loop.command("arm"))
    assert loop.tick().target.sent


def test_a_message_that_arms_does_not_consume_is_a_programming_error(loop: Loop) -> None:
    with pytest.raises(TypeError, match="Fault"):
        loop.tick(loop.build(messages.Fault))


@pytest.mark.parametrize("blend", ["prefix", "fade", "ensemble", "none"])
def test_every_blend_keeps_the_limits(blend: str, build: Build) -> None:
    loop = Loop(build, "--trajectory.blend", blend)
    dice = np.random.default_rng(3)
    time = np.arange(64)[:, None] / 30
    joints = ~np.isin(np.arange(14), (6, 13))
    ran = 0
    for count in range(200):
        swing = 0.15 * np.sin(dice.uniform(0.5, 4, 14) * time) * joints + dice.normal(0, 0.01, (64, 14))
        chunk = (loop.chunk(q=(loop.q + swing).astype(np.float32)),) if count % 20 == 0 else ()
        ran += loop.tick(*chunk).target.mode == "RUNNING"
    loop.check_limits()
    assert ran > 150
