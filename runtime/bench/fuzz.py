"""Hostile chunks through the wire format, the arms' step, the stream of targets and the vendor's SDK to two emulated arms,
judged at their end. Called by command.py.

Nothing runs in real time: a tick follows the other at once, on a virtual clock that also stands, jumps and goes back, while
one process or both are held up. Feedback is ideal: what goes out is tested. What arrives at an arm must be, byte for byte,
what was sent, and that the safety layer's target as long as nothing was held up; and it must keep every limit, tick after
tick (judge.py).
"""

import random
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from drivers import piper_frames
from drivers.arm_link import ArmCommand
from drivers.cobot_magic import SIDES, ready_pose
from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.arms.limits import Array
from runtime.arms.trajectory import Motion
from runtime.bench.arm_wire import ArmWire
from runtime.bench.fuzz_judge import Found, Judge
from runtime.bench.hostile import Hostile
from runtime.config.loading import load_settings
from runtime.errors import WireError
from runtime.host.clock import seconds
from runtime.host.machine import describe
from runtime.host.progress import bar
from runtime.host.worker_pool import WorkerPool
from runtime.messaging import codec, messages

_START_NS = 1_000_000_000_000  # any time but zero, which stands for "never"
_DT_NS, _TARGETS = 33_333_333, 64  # of a chunk of the paper's (4.2.2), at 30 Hz
_AGE_NS = 100_000_000  # of what an honest chunk saw; chosen: a fast policy's
_ARM = 7  # joints of an arm with its gripper
_SHARE = 10_000  # chunks of one worker's job; chosen: some seconds of work
_CHUNKS = (0, 0, 1, 1, 2, 4, 16)  # in one tick, drawn evenly; chosen: 16 are as many as the queue of `arms` holds
_AGAIN_TICKS = 4  # after a fault, until it is cleared; chosen: a latched fault must hold for some ticks
_LATCHED_SHARE = 0.1  # so many ticks are told of what could not be decoded, which latches a fault; chosen
_QUIET_SHARE, _QUIET_TICKS = 0.02, 100  # now and then what was taken last is carried out undisturbed, for 0.5 s; chosen
_DISTURBED_SHARE = (
    0.01  # of the ticks in the jobs that are disturbed; chosen: what moves is met a hundred times in each
)
_MISSED_TICKS = (1, 2, 3, 5, 9, 11, 20, 60, 200)  # by a process that is held up: 5 ms to 1 s; chosen around every limit
_STANDS_TICKS = (4, 11, 20, 29)  # after which motors stand whose bus is held up: 20 to 145 ms
_BACK_NS = (1_000_000, 5_000_000, 100_000_000, 10_000_000_000)  # by which a clock goes back
_RESOLUTION_M_OR_RAD = 1e-6  # by which a gripper's opening may be off: its frame (0x159) counts 0.001 mm
_PLAIN, _PERMISSIVE = (
    (),
    ("--safety.jump_rad", "9", "--safety.outside_rad", "50"),
)  # the second lets more reach the limits


@dataclass(frozen=True)
class Job:
    """How many chunks one worker sends, and from which seed."""

    chunks: int
    seed: int

    @property
    def flags(self) -> tuple[str, ...]:
        """Every other share lets jumps pass, so that the limits on motion have to stop them."""
        return _PERMISSIVE if self.seed % 2 else _PLAIN

    @property
    def disturbed(self) -> bool:
        """Two of four shares meet stalls and a false clock as well."""
        return self.seed % 4 > 1


class Fuzz:
    """The arms' step in a loop, fed with hostile chunks."""

    def __init__(self, job: Job) -> None:
        self.settings = load_settings([*job.flags])
        self.config = arms_state.ArmsConfig.of(self.settings)
        self.found = Found()
        self._left = job.chunks
        self._dice, self._hostile = random.Random(job.seed), Hostile(job.seed)
        self._disturbed, self._met = job.disturbed, False
        self._wires = [ArmWire(side, self.settings) for side in SIDES]
        self._now_ns, self._commands, self._faulty = _START_NS, 0, 0
        self._q = ready_pose() - np.isin(np.arange(messages.JOINTS), (_ARM - 1, 2 * _ARM - 1)) * 0.04
        self._judge = Judge(self.found, self.config.limits, self.config.dt_s, self._q)
        self._state = arms_state.start(self.config, self._feedback(), self._now_ns)
        self._sent: deque[Array] = deque([self._q] * 3, maxlen=4)
        self._targets: tuple[Motion, int] | None = None  # the newest for both buses, and when it was due
        self._served_ns = 0  # when the buses' processes looked last
        self._blind = 0  # ticks in which the buses are held up
        self.kinds = {
            "arms stalled": self._hold_arms_up, "buses stalled": self._hold_buses_up, "all stalled": self._hold_all_up,
            "clock goes back": self._turn_back, "clock stands": self._stand,
        }  # fmt: skip
        stamp: dict[str, Any] = {"seq": 0, "epoch": 1, "stamp_ns": self._now_ns}
        self._tick(
            messages.Episode(**stamp, number=1, task="fuzz", seed=job.seed, started_ns=self._now_ns),
            messages.Instruction(**stamp, number=1, text="fuzz"),
        )

    def run(self) -> Found:
        """Send all chunks of the job, tick after tick. Returns what came of them."""
        while self._left > 0:
            arrived: list[messages.Message] = []
            refused = 0
            for _ in range(min(self._left, self._dice.choice(_CHUNKS))):
                self._left -= 1
                kind, payload = self._hostile.payload(self._good())
                self.found.chunks[kind] += 1
                try:
                    arrived.append(codec.decode(payload, messages.ActionChunk))
                except WireError:
                    refused += 1
            self.found.undecodable += refused
            self._disturb()
            self._tick(*arrived, *self._way_back(), refused=refused if self._dice.random() < _LATCHED_SHARE else 0)
            if self._dice.random() < _QUIET_SHARE:
                for _ in range(_QUIET_TICKS):
                    self._tick()
        return self.found

    def close(self) -> None:
        """Close both buses and their drivers."""
        for one in self._wires:
            one.close()

    def _disturb(self) -> None:
        """Now and then: hold up a process, or let the clock go wrong."""
        if not self._disturbed or self._dice.random() > _DISTURBED_SHARE:
            return
        kind = self._dice.choice(tuple(self.kinds))
        self._met = True
        self.found.disturbed[kind] += 1
        self.kinds[kind]()

    def _hold_arms_up(self) -> None:
        """The buses go on: what they send now stops the arms."""
        for _ in range(self._dice.choice(_MISSED_TICKS)):
            self._serve()
            self._now_ns += self.config.tick_ns

    def _hold_buses_up(self) -> None:
        """The arms stand meanwhile where they were sent last."""
        self._blind = self._dice.choice(_STANDS_TICKS)
        for _ in range(self._blind):
            self._tick()
        self._blind = 0
        self._sent.extend([self._q] * 3)

    def _hold_all_up(self) -> None:
        self._now_ns += self._dice.choice(_STANDS_TICKS) * self.config.tick_ns
        self._sent.extend([self._q] * 3)

    def _turn_back(self) -> None:
        self._now_ns = max(_START_NS, self._now_ns - self._dice.choice(_BACK_NS))

    def _stand(self) -> None:
        """The last tick comes once more."""
        self._now_ns -= self.config.tick_ns

    def _good(self) -> messages.ActionChunk:
        """The next chunk of an honest System 1, on its way somewhere near."""
        epoch, seq = self._state.last_chunk
        if seq >= 1 << 62:
            epoch, seq = epoch + 1, -1  # a number that cannot be counted on from: a new life
        way = np.linspace(0, 1, _TARGETS)[:, None] * 0.2 * np.sin(self._now_ns / 3e9 + np.arange(messages.JOINTS))
        way[:, [_ARM - 1, 2 * _ARM - 1]] = 0
        return messages.ActionChunk(
            seq=seq + 1, epoch=max(epoch, 1), stamp_ns=self._now_ns, episode=1, q=(self._q + way).astype(np.float32),
            t0_ns=self._now_ns, dt_ns=_DT_NS, run=1, observation_ns=self._now_ns, conditions_epoch=1, conditions_seq=1,
            conditions_capture_ns=self._now_ns - _AGE_NS, conditions_limit_ns=seconds(3), previous_seq=-1, consumed=0,
            committed=0,
            noise_seed=1, instruction=1, checkpoint_id="fuzz", frame_returned_ns=self._now_ns, saturated=False,
        )  # fmt: skip

    def _way_back(self) -> tuple[messages.OperatorCommand, ...]:
        """Out of a fault after a while, and on."""
        self._faulty = self._faulty + 1 if self._state.machine.mode != "RUNNING" else 0
        if self._faulty < _AGAIN_TICKS:
            return ()
        self._faulty = 0
        return tuple(self._command(name) for name in ("clear", "arm", "run"))

    def _command(self, name: messages.CommandName) -> messages.OperatorCommand:
        self._commands += 1
        return messages.OperatorCommand(seq=self._commands, epoch=1, stamp_ns=self._now_ns, command=name, source="fuzz")

    def _feedback(self) -> messages.JointState:
        now_ns = self._now_ns
        return messages.JointState(
            seq=0, epoch=1, stamp_ns=now_ns, episode=1, q=self._q.copy(), dq=np.zeros(messages.JOINTS),
            effort=np.zeros(messages.JOINTS),
            number=(0, 0), measured_ns=(now_ns, now_ns), chunk_epoch=-1, chunk_seq=-1, consumed=0, running=False,
        )  # fmt: skip

    def _tick(self, *arrived: messages.Message, refused: int = 0) -> None:
        now_ns, found = self._now_ns, self.found
        health = messages.CameraHealth(seq=0, epoch=1, stamp_ns=now_ns, cameras=())
        inputs = arms_state.ArmsInputs(self._feedback(), (health, *arrived), refused, now_ns)
        before = self._state.executing.seq, self._state.executing.epoch
        made = arms_step.step(self.config, self._state, inputs, 1, now_ns)
        target = made.target
        codec.encode(target)
        found.ticks += 1
        found.running += target.mode == "RUNNING"
        found.spliced += before != (self._state.executing.seq, self._state.executing.epoch)
        if target.sent:
            found.sent += 1
            self._targets = made.motion, made.due_ns
        found.faults = self._state.machine.status.faults
        if not self._blind:
            self._serve()
        self._now_ns += self.config.tick_ns

    def _serve(self) -> None:
        """What both buses' processes send when this tick's target is due there, and what arrives."""
        if self._targets is None:
            return
        (motion, due_ns), now_ns = self._targets, self._now_ns + self.config.tick_ns // 2
        sent = False
        for side, one in enumerate(self._wires):
            own = slice(_ARM * side, _ARM * side + _ARM)
            sends = one.send(ArmCommand(motion.q[own], due_ns, 0, (), motion.dq[own], motion.ddq[own]), now_ns)
            self._arrived(one, sends, now_ns)
            sent |= sends
        stands, self._served_ns = now_ns == self._served_ns, now_ns
        if stands and not sent:
            return  # no time has passed for the motors either
        self._q = np.concatenate([one.stream.q for one in self._wires])
        if not self._met:  # nothing was held up: it is the safety layer that keeps the limits
            self.found.wrong_bytes += not np.array_equal(self._q, motion.q)
            self._q = np.array(motion.q)
        self._sent.append(self._q)
        self._judge.judge(self._sent)

    def _arrived(self, one: ArmWire, sent: bool, now_ns: int) -> None:
        q = one.stream.q
        frames = piper_frames.joints(q[:6], piper_frames.Id.JOINT_COMMAND)
        wanted = (b"".join(data for _, data in frames),) if sent else ()
        right = one.arrived(now_ns) == wanted and len(one.grips) == len(wanted)
        for grip in one.grips:
            right &= abs(grip.opening_m - np.clip(q[6], 0, self.settings.safety.high[-1])) < _RESOLUTION_M_OR_RAD
            right &= grip.effort_nm <= self.settings.safety.gripper_nm + 1e-9 and not grip.zero
        self.found.wrong_bytes += not right


def run(chunks: int, seed: int, workers: int) -> dict[str, Any]:
    """So many chunks, in shares by several workers. `kept`: nothing that breaks a limit reached a bus."""
    jobs = [Job(min(_SHARE, chunks - begun), seed + number) for number, begun in enumerate(range(0, chunks, _SHARE))]
    found = Found()
    with WorkerPool("fuzz", workers) as pool, bar(chunks, "fuzz", "chunk") as shown:
        for made in pool.results(attack, jobs):
            found.add(made)
            shown.update(made.chunks.total())
    kept = not found.wrong_bytes and not found.broken.total()
    plain = asdict(found) | {name: dict(getattr(found, name)) for name in ("chunks", "broken", "disturbed")}
    return plain | {"seed": seed, "kept": kept, "machine": describe()}


def attack(job: Job) -> Found:
    """Send one job's chunks, in a worker."""
    fuzz = Fuzz(job)
    try:
        return fuzz.run()
    finally:
        fuzz.close()
