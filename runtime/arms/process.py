"""The arms process: chunks and commands in, 200 targets a second out, through the safety layer. Never waits for a model.
Started by the supervisor (runtime/process/base.py).

All decisions are in step.py; here are the drivers and the clock, in sockets.py what is heard and said.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drivers.arm import ARM_JOINTS, ArmState
from drivers.arm_link import LinkedArm, SlotArm
from drivers.cobot_magic import SIDES
from drivers.sim.arm import SimulatedArm
from drivers.sim.link import StateSlot
from runtime.arms.feedback import Belief, believe
from runtime.arms.leaders import heard, leader_slots, leader_state, overheard
from runtime.arms.limit_monitor import LimitMonitor
from runtime.arms.parking import stands
from runtime.arms.safety import unsupervised
from runtime.arms.sockets import ArmsSockets
from runtime.arms.state import ArmsConfig, ArmsInputs, ArmsOutputs, ArmsState, Executing, armed, start
from runtime.arms.step import step
from runtime.config import what_to_check
from runtime.host import realtime
from runtime.host.clock import Rate, robot_time_ns, seconds
from runtime.host.systemd import Notifier
from runtime.messaging import messages, unchecked
from runtime.process.base import Process, log
from runtime.process.snapshot import Snapshots

_NOTHING = np.zeros(ARM_JOINTS)
_UNHEARD = ArmState(-1, messages.NEVER, _NOTHING, _NOTHING, _NOTHING, powered=False)
_BRAKES_S = 0.7
"""Measured: `limits.brake` needs 0.65 s from 3 rad/s, the most that a Piper accepts, with the default limits."""
_NOTIFY_EVERY = 40
"""Ticks between two signs of life: 0.2 s at 200 Hz; deploy/video2act.service restarts after 90 s without."""


def main(process: Process) -> None:
    """Take the arms where they are, then tick until asked to end and the arms stand; they keep their last target."""
    config = ArmsConfig.of(process.settings, process.role.unfit)
    arms, sockets = make_arms(process), ArmsSockets(process)
    leaders, beliefs, monitor = leader_slots(process), _beliefs(process), LimitMonitor()
    snapshots, notifier = Snapshots(process), Notifier()
    notifier.ready()  # before the arms are heard: systemd shall not wait for somebody who switches them on
    _settle(process, arms)
    rate, state, ticks = Rate(config.settings.arms.rate_hz, exact=True), None, 0
    asked_ns: int | None = None  # to end
    while process.running or _brakes(state, asked_ns):
        if asked_ns is None and not process.running:
            asked_ns = robot_time_ns()
            if state is not None and not state.machine.latched.held:  # whoever ended it died without ordering hold
                sockets.send_hold(asked_ns)
        deadline_ns = rate.wait(sockets.drain_until)
        now_ns = robot_time_ns()
        readings = _read(process, arms, beliefs, state is not None and armed(state.machine), now_ns)
        feedback = joint_state(readings, state, ticks, process.epoch, now_ns)
        state = state or start(config, feedback, now_ns, restarted=process.epoch > 1)
        received, refused = sockets.take()
        said = overheard(readings) if leaders is None else heard(leaders)
        led = leader_state(said, monitor, config.limits, ticks, process.epoch, now_ns)
        relayed = () if leaders is None or led is None else (led,)
        inputs = ArmsInputs(feedback, (*relayed, *(item.message for item in received)), refused, deadline_ns)
        outputs = step(config, state, inputs, process.epoch, now_ns)
        _carry_out(arms, outputs)
        sockets.publish(feedback, led, outputs, received)
        for name, text in outputs.faults:
            process.fault(name, text)
        if ticks % _NOTIFY_EVERY == 0 and not unsupervised(config.settings.safety, state.supervised_ns, now_ns):
            notifier.alive("; ".join((state.machine.mode, *state.machine.status.reasons)))
        snapshots.keep(ticks, state)
        ticks += 1
        process.stepped()
    notifier.close()
    for arm in arms:
        arm.hold(robot_time_ns())
        arm.close()


def _settle(process: Process, arms: Sequence[SlotArm]) -> None:
    """From here on this process comes before all others. It ticks before the arms are heard, so that operators are answered."""
    for arm in arms:
        arm.connect()
    process.settle()
    if process.settings.arms.realtime:
        allowed = realtime.run_at_once(realtime.ARMS_PRIORITY)
        log.info(
            "SCHED_FIFO"
            if allowed
            else "no permission for SCHED_FIFO: ticks may come late; install deploy/realtime-limits.conf"
        )


def _carry_out(arms: Sequence[SlotArm], outputs: ArmsOutputs) -> None:
    """Tell the motors what a tick commands, then send the targets, unless the arms are not ours to command."""
    for motor_command in outputs.motor_commands:
        for arm in arms:
            arm.ask(motor_command)
    if outputs.target.sent:
        motion = outputs.motion
        for side, arm in enumerate(arms):
            own = slice(ARM_JOINTS * side, ARM_JOINTS * (side + 1))
            arm.command(motion.q[own], outputs.due_ns, motion.dq[own], motion.ddq[own])


def _brakes(state: ArmsState | None, asked_ns: int | None) -> bool:
    """Whether the arms are still on their way to a stand, for at most 0.7 s: whoever ends a run has sent a hold before."""
    late = asked_ns is not None and robot_time_ns() - asked_ns > seconds(_BRAKES_S)
    return state is not None and state.machine.mode != "DISARMED" and not late and not stands(state.commanded)


def joint_state(
    readings: Sequence[ArmState], state: ArmsState | None, seq: int, epoch: int, now_ns: int
) -> messages.JointState:
    """Both arms' readings as one message, with how far the current chunk has been executed.

    Args:
        readings: Left, right; q, dq, effort (7,) each, rad, gripper m.
        state: Of the step; None before the first tick.
        seq: Of the message.
        epoch: Of this process.
        now_ns: CLOCK_MONOTONIC at the tick's begin.
    """
    left, right = readings
    return unchecked.made(
        messages.JointState,
        {
            "seq": seq,
            "epoch": epoch,
            "stamp_ns": now_ns,
            "episode": max(state.episode, 0) if state else 0,
            "q": np.concatenate((left.q, right.q)),
            "dq": np.concatenate((left.dq, right.dq)),
            "effort": np.concatenate((left.effort, right.effort)),
            "number": (left.number, right.number),
            "measured_ns": (left.stamp_ns, right.stamp_ns),
            "powered": (left.powered, right.powered),
            "warning": (left.warning, right.warning),
            "fault": (left.fault, right.fault),
            **execution(state, now_ns),
        },
    )


def execution(state: ArmsState | None, now_ns: int) -> dict[str, Any]:
    """The fields of a JointState about the chunk that is executed: which, how far, and whether the arms run."""
    executing = state.executing if state else Executing()
    pieces = state.trajectory.pieces if state else ()
    return {
        "chunk_epoch": executing.epoch,
        "chunk_seq": executing.seq,
        "consumed": pieces[-1].consumed(now_ns) if pieces else 0,
        "running": state is not None and state.machine.mode == "RUNNING",
    }


def make_arms(process: Process) -> list[SlotArm]:
    """The drivers that the settings ask for, left then right."""
    if process.settings.can or process.settings.arms.kind == "piper":
        return [LinkedArm(side, process.folder) for side in SIDES]
    states = StateSlot(process.folder)
    return [SimulatedArm(side, process.folder, states) for side in SIDES]


def _beliefs(process: Process) -> list[Belief]:
    return [Belief(what_to_check.of_reading(process.settings)) for _ in SIDES]


def _read(
    process: Process, arms: Sequence[SlotArm], beliefs: Sequence[Belief], is_armed: bool, now_ns: int
) -> list[ArmState]:
    """Of each arm the newest reading that can be true; a reading that cannot is reported as a fault."""
    readings = [believe(belief, arm.read() or _UNHEARD, is_armed) for arm, belief in zip(arms, beliefs, strict=True)]
    for arm, belief in zip(arms, beliefs, strict=True):
        if text := belief.report(now_ns):
            process.fault("reading", f"{arm.name} arm: {text}")
    return readings
