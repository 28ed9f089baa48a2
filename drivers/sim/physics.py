"""The physics of the simulated robot: targets in, joint readings and the scene's state out. No clocks, no sockets.

Stepped by runtime/devices/simulator.py (live), drivers/sim/rollout.py and runtime/evaluation/world.py (as fast as it goes).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS, MotorCommand
from drivers.cobot_magic import SIDES, ready_pose
from drivers.sim import scene, strays
from drivers.sim.engine import mujoco
from drivers.sim.fixed_start import FixedStart
from drivers.sim.tasks.task import Task

FINGERS = ("finger_a", "finger_b")


class Physics:
    """Both arms, the table and a task's objects. Time advances only by `advance`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model: Any = scene.build_model(task)
        self.data: Any = mujoco.MjData(self.model)
        self._joint_qpos, self._joint_dof, self._actuator = self._indices()
        self._gain, self._bias = self.model.actuator_gainprm.copy(), self.model.actuator_biasprm.copy()
        bodies = [self.model.body(number) for number in range(self.model.nbody)]
        self._links = [[body.id for body in bodies if body.name.startswith(f"{side}/")] for side in SIDES]
        self.powered = [True, True]

    @property
    def free_objects(self) -> list[str]:
        """The names of all objects that move freely, the strays among them."""
        return strays.free_objects(self.model)

    def reset(self, seed: int, fixed: FixedStart | None = None) -> None:
        """Arms to the ready pose, objects strewn from the seed, but for one whose start is fixed; time to zero."""
        mujoco.mj_resetData(self.model, self.data)
        rest = ready_pose().reshape(2, ARM_JOINTS)
        for side in range(2):
            self._write_joints(self.data.qpos, self._joint_qpos[side], rest[side])
            self.switch_motors(side, "enable")
            self.command(side, rest[side])
        self.task.place_objects(self.model, self.data, np.random.default_rng(seed))
        if fixed is not None:
            fixed.put(self.task, self.model, self.data)
        strays.strew(self.model, self.data, self.task.goals_m, np.random.default_rng([seed, *b"strays"]))
        mujoco.mj_forward(self.model, self.data)

    def rearrange(self, seed: int) -> None:
        """Objects strewn again from the seed; the arms keep their pose, velocity, targets and power."""
        qpos, dof, actuator = self._joint_qpos.ravel(), self._joint_dof.ravel(), self._actuator.ravel()
        kept = self.data.qpos[qpos].copy(), self.data.qvel[dof].copy(), self.data.ctrl[actuator].copy()
        powered = list(self.powered)
        self.reset(seed)
        self.data.qpos[qpos], self.data.qvel[dof], self.data.ctrl[actuator] = kept
        for side, on in enumerate(powered):
            if not on:
                self.switch_motors(side, "release")
        mujoco.mj_forward(self.model, self.data)

    def command(self, side: int, q: NDArray[np.float64]) -> None:
        """Set the position targets of one arm: q (7,) rad and m."""
        self._write_joints(self.data.ctrl, self._actuator[side], q)

    def switch_motors(self, side: int, motor_command: MotorCommand) -> None:
        """One arm's motors on where the joints are, off, or off but damped (stop). Fingers keep their grip, as a Piper's do."""
        was, self.powered[side] = self.powered[side], motor_command == "enable"
        motors = self._actuator[side][:6]
        share = 1.0 if motor_command == "enable" else 0.0
        self.model.body_gravcomp[self._links[side]] = share  # a driven arm carries itself
        self.model.actuator_gainprm[motors] = share * self._gain[motors]
        self.model.actuator_biasprm[motors] = share * self._bias[motors]
        if motor_command == "stop":
            self.model.actuator_biasprm[motors, 2] = self._bias[motors, 2]  # what brakes the motion
        if motor_command == "enable" and not was:
            self.data.ctrl[motors] = self.data.qpos[self._joint_qpos[side][:6]]

    def advance(self, steps: int) -> None:
        """Integrate `steps` time steps of scene.TIMESTEP_S."""
        mujoco.mj_step(self.model, self.data, steps)

    def arms(self) -> NDArray[np.float64]:
        """Readings (2, 3, 7): of each side positions, velocities and efforts; rad, rad/s, N m, gripper m, m/s, N."""
        reading = np.empty((2, 3, ARM_JOINTS))
        reading[:, 0] = self._read_joints(self.data.qpos, self._joint_qpos)
        reading[:, 1] = self._read_joints(self.data.qvel, self._joint_dof)
        reading[:, 2] = self._read_joints(self.data.actuator_force, self._actuator)
        return reading

    def commands(self) -> NDArray[np.float64]:
        """The arms' last targets (2, 7); rad and m."""
        return self._read_joints(self.data.ctrl, self._actuator)

    def qpos(self) -> NDArray[np.float64]:
        """The scene's generalised positions (nq,), a copy: all that a renderer needs."""
        return self.data.qpos.copy()

    def success(self) -> bool:
        """Whether the scene as it stands fulfils the task's rule."""
        return self.task.success(self.model, self.data)

    @staticmethod
    def _write_joints(target: Any, index: NDArray[np.int64], q: NDArray[np.float64]) -> None:
        target[index[:6]] = q[:6]
        target[index[6:]] = q[6] / 2  # both fingers travel half of the opening

    @staticmethod
    def _read_joints(source: Any, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values (2, 7) of both arms, whose joints and fingers lie at `index` (2, 8); a gripper's are its fingers' sum."""
        joints = source[index]
        joints[:, 6] += joints[:, 7]
        return joints[:, :ARM_JOINTS]

    def _indices(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Addresses in qpos, qvel and ctrl, each (2, 8): six joints and two fingers a side."""
        names = [[f"{side}/joint{i + 1}" for i in range(6)] + [f"{side}/{f}" for f in FINGERS] for side in SIDES]
        model = self.model
        qpos = [[model.joint(name).qposadr[0] for name in row] for row in names]
        dof = [[model.joint(name).dofadr[0] for name in row] for row in names]
        actuator = [[model.actuator(name).id for name in row] for row in names]
        return np.array(qpos), np.array(dof), np.array(actuator)
