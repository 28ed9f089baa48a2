"""The simulated Cobot Magic as a MuJoCo model: two Pipers, grippers, table, three cameras and a task's objects.

Compiled by drivers/sim/physics.py and, for each camera, drivers/sim/camera_renderer.py. Arms come from the manufacturer's
DH table (drivers/kinematics.py); shapes are primitives, since no mesh of the arm can be shipped. Gains and contact values were
tuned until grasps held: with them the experts succeed in 99.3 % of their scenes (models/shipped/README.md).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, BASE_YAW_RAD, OPEN_GRIP_M, SIDES, TABLE_TOP_M
from drivers.kinematics import DH_TABLE, FINGER_CENTRE_M
from drivers.sim import shapes, strays, textures
from drivers.sim.appearance import Appearance, Background, CameraOffset, Lamp, Lighting, Rgb, Surface
from drivers.sim.engine import mujoco
from drivers.sim.tasks.task import Task

TIMESTEP_S = 1 / 600
"""Chosen: 1/480 s was short enough for grasps to hold, and 600 makes whole steps of the arms' 5 ms and of a target's 1/30 s."""

_WHITE = (0.88, 0.88, 0.90, 1.0)  # this and the next: RGB and opacity, chosen by eye
_GREY = (0.28, 0.29, 0.31, 1.0)  # by eye
_BLACK = (0.10, 0.10, 0.11, 1.0)  # by eye
_WOOD = (0.66, 0.52, 0.36, 1.0)  # by eye
_FLOOR = (0.45, 0.47, 0.50, 1.0)  # by eye
_TABLE_HALF_M = (0.6, 0.35, 0.02)  # by RoboTwin v1: 1.2 x 0.7 m
_WALLS = (0.72, 0.74, 0.76), (0.50, 0.52, 0.55)  # above and below; by eye
_LIGHTING = Lighting(
    (0.35, 0.35, 0.35), (0.30, 0.30, 0.30), (Lamp((0.3, -0.2, 2.6), (-0.1, 0.1, -1), (0.55, 0.55, 0.52)),)
)  # by eye

_BASE_MASS_KG = 0.334  # this and the next: the manufacturer's CAD
_LINK_MASS_KG = (0.215, 0.464, 0.220, 0.132, 0.134, 0.007)  # CAD
_HAND_MASS_KG = 0.145  # CAD
_FINGER_MASS_KG = 0.030  # CAD, each
_PAD_HALF_M = (0.012, 0.004, 0.03)  # chosen: boxes of 24 x 8 x 60 mm hold a bottle that is 15 mm off to a side
# Joint ranges of the simulated arm: the paper's table 2, nowhere inside what the safety layer allows; J4 from -106 instead of
# its -100, so that the stop lies beyond that limit.
_RANGE_DEG = ((-154, 154), (0, 195), (-175, 0), (-106, 112), (-75, 75), (-170, 170))
# Each link's body as capsules: from, to (m, in the link's frame), radius. Lengths are the DH table's, radii chosen by pictures.
_LINK_CAPSULES: tuple[tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...], ...] = (
    (((0, 0, -0.06), (0, 0, 0.0), 0.040),),
    (((0, 0, 0), (0.28503, 0, 0), 0.034),),
    (((0, 0, 0), (-0.02198, -0.10, 0), 0.032), ((-0.02198, -0.10, 0), (-0.02198, -0.25075, 0), 0.028)),
    (((0, 0, -0.02), (0, 0, 0.02), 0.031),),
    (((0, 0, 0), (0, -0.05, 0), 0.026),),
    (((0, 0, -0.02), (0, 0, 0.0), 0.026),),
)


def build_model(task: Task) -> Any:
    """Compile the scene with a task's objects to an MjModel; takes some milliseconds."""
    spec = mujoco.MjSpec()
    spec.modelname = "cobot_magic"
    spec.compiler.degree = False
    _set_options(spec)
    _add_room(spec, task.appearance.background)
    _light(spec, task.appearance)
    for side in SIDES:
        _add_arm(spec, side)
    _add_head_camera(spec)
    task.add_objects(spec)
    for number, stray in enumerate(task.appearance.strays):
        strays.add(spec, number, stray)
    for name, offset in task.appearance.cameras.items():
        _move_camera(spec.camera(name), offset)
    if task.appearance.background is not None:
        _cover(spec, task.appearance.background)
    return spec.compile()


def _set_options(spec: Any) -> None:
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    # No multisampling and no shadows: four times the frames a second on a machine without a GPU.
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    # Rounds of 16 x 8 faces: less than half the time of MuJoCo's 28 x 16, and 0.3 grey levels apart, far below the noise.
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 16, 8
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    spec.visual.headlight.specular = (0.05, 0.05, 0.05)
    spec.visual.map.znear = 0.01


def _add_room(spec: Any, background: Background | None) -> None:
    """Table, floor and walls."""
    world = spec.worldbody
    rgb1, rgb2 = _WALLS if background is None else (background.wall_rgb, background.second_wall_rgb)
    checked = background is not None and background.wall == "checker"
    spec.add_texture(
        name="walls",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER if checked else mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=rgb1,
        rgb2=rgb2,
        width=64,
        height=64 * 6,
    )
    world.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(3, 3, 0.1), rgba=_FLOOR, contype=1, conaffinity=1
    )
    table = world.add_body(name="table", pos=(0, 0, TABLE_TOP_M - 0.02))
    shapes.add_box(table, "table", _TABLE_HALF_M, _WOOD, collides=True)
    stand = world.add_body(name="stand", pos=(0, -0.52, TABLE_TOP_M / 2))
    shapes.add_box(stand, "stand", (0.38, 0.16, TABLE_TOP_M / 2), _GREY, collides=False)


def _cover(spec: Any, background: Background) -> None:
    """Hide table and floor, and add others of their places and sizes, which only show.

    These come last of all: software GL then draws none of their pixels that lie behind something, and textures cost time.
    """
    hidden = spec.geom("table"), spec.geom("floor")
    for geom in hidden:
        geom.group = shapes.HIDDEN_GROUP
    covers = spec.worldbody.add_body(name="covers")
    top = shapes.add_box(covers, "covers/table", _TABLE_HALF_M, _WOOD, False, at_m=(0, 0, TABLE_TOP_M - 0.02))
    floor = shapes.add_box(covers, "covers/floor", (3, 3, 0.1), _FLOOR, False)
    floor.type = mujoco.mjtGeom.mjGEOM_PLANE
    for geom, surface in ((top, background.table), (floor, background.floor)):
        _surface(spec, geom, surface)


def _surface(spec: Any, geom: Any, surface: Surface) -> None:
    """Give a geom a surface; a plain one costs no texture."""
    if surface.family == "plain":
        geom.rgba = (*surface.rgb, 1.0)
        return
    size = textures.SIZE_PX
    texture = spec.add_texture(name=geom.name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=size, height=size, nchannel=3)
    texture.data = textures.pixels(surface).tobytes()
    material = spec.add_material(name=geom.name, texuniform=True, texrepeat=(surface.per_m, surface.per_m))
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = geom.name
    geom.material, geom.rgba = geom.name, (1, 1, 1, 1)


def _light(spec: Any, appearance: Appearance) -> None:
    """Lamps and ambient light, as much of it as the cameras' exposure lets in; the walls shine by themselves."""
    lighting, exposure = appearance.lighting or _LIGHTING, appearance.exposure
    spec.visual.headlight.ambient = _exposed(lighting.ambient, exposure)
    spec.visual.headlight.diffuse = _exposed(lighting.headlight, exposure)
    for lamp in lighting.lamps:
        spec.worldbody.add_light(
            pos=lamp.at_m, dir=lamp.direction, diffuse=_exposed(lamp.rgb, exposure), castshadow=False
        )
    if exposure != 1:
        walls = spec.texture("walls")
        walls.rgb1, walls.rgb2 = (np.minimum(1, exposure * np.array(rgb)) for rgb in (walls.rgb1, walls.rgb2))


def _exposed(rgb: Rgb, exposure: float) -> Rgb:
    red, green, blue = (exposure * channel for channel in rgb)
    return red, green, blue


def _move_camera(camera: Any, offset: CameraOffset) -> None:
    """Move a camera off its place, along its body's axes, and turn it about its own."""
    angle_rad = float(np.linalg.norm(offset.turned_rad))
    turn, quat = np.empty(4), np.empty(4)
    mujoco.mju_axisAngle2Quat(turn, np.array(offset.turned_rad) / max(angle_rad, 1e-12), angle_rad)
    mujoco.mju_mulQuat(quat, camera.quat, turn)
    camera.pos, camera.quat = camera.pos + np.array(offset.moved_m), quat


def _add_arm(spec: Any, side: str) -> None:
    half_yaw = BASE_YAW_RAD / 2
    body = spec.worldbody.add_body(
        name=f"{side}/base",
        pos=(BASE_X_M[side], BASE_Y_M, TABLE_TOP_M),
        quat=(np.cos(half_yaw), 0, 0, np.sin(half_yaw)),
    )
    _add_capsule(body, (0, 0, 0.0), (0, 0, 0.07), 0.045, _GREY, _BASE_MASS_KG)
    for index, row in enumerate(DH_TABLE):
        # T = Rx(alpha) Tx(a) Tz(d) Rz(theta0) Rz(q): the first four are the body's place, the last its hinge.
        half_alpha, half_theta = row.alpha_rad / 2, row.theta0_rad / 2
        tilt = np.array([np.cos(half_alpha), np.sin(half_alpha), 0, 0])
        turn = np.array([np.cos(half_theta), 0, 0, np.sin(half_theta)])
        quat = np.empty(4)
        mujoco.mju_mulQuat(quat, tilt, turn)
        ca, sa = np.cos(row.alpha_rad), np.sin(row.alpha_rad)
        body = body.add_body(
            name=f"{side}/link{index + 1}", pos=(row.a_m, -sa * row.d_m, ca * row.d_m), quat=quat, gravcomp=1
        )
        low, high = np.deg2rad(_RANGE_DEG[index])
        body.add_joint(
            name=f"{side}/joint{index + 1}",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=(0, 0, 1),
            range=(low, high),
            limited=True,
            armature=0.05,
            damping=2.0,
        )
        capsules = _LINK_CAPSULES[index]
        for start, end, radius in capsules:
            colour = _GREY if index in (0, 3) else _WHITE
            _add_capsule(body, start, end, radius, colour, _LINK_MASS_KG[index] / len(capsules))
        _add_position_actuator(spec, f"{side}/joint{index + 1}", 400, 40, 60, (low, high))
    _add_hand(spec, body, side)


def _add_hand(spec: Any, flange: Any, side: str) -> None:
    hand = flange.add_body(name=f"{side}/hand", gravcomp=1)
    shapes.add_box(hand, f"{side}/palm", (0.03, 0.052, 0.030), _BLACK, False, _HAND_MASS_KG, (0, 0, 0.055))
    for name, sign in (("finger_a", 1), ("finger_b", -1)):
        finger = hand.add_body(name=f"{side}/{name}", pos=(0, sign * _PAD_HALF_M[1], FINGER_CENTRE_M), gravcomp=1)
        finger.add_joint(
            name=f"{side}/{name}",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, sign, 0),
            range=(0, OPEN_GRIP_M / 2),
            limited=True,
            armature=0.05,
            damping=20.0,
        )
        pad = shapes.add_box(finger, f"{side}/{name}", _PAD_HALF_M, _GREY, True, _FINGER_MASS_KG)
        pad.friction = (1.5, 0.05, 0.001)
        pad.priority = 1
        _add_position_actuator(spec, f"{side}/{name}", 800, 40, 25, (0, OPEN_GRIP_M / 2))
    # Pitched 22 degrees towards the fingers; the flange's +x points down, so the camera sits on -x.
    hand.add_camera(name=f"{side}_wrist", pos=(-0.085, 0, 0.03), quat=_wrist_camera_quat(), fovy=52)


def _wrist_camera_quat() -> NDArray[np.float64]:
    pitch_rad = np.deg2rad(22)
    forward = np.array([np.sin(pitch_rad), 0, np.cos(pitch_rad)])  # mostly along the fingers, tilted towards them
    right = np.array([0.0, -1.0, 0.0])
    return _look_quat(forward, np.cross(right, forward))


def _add_head_camera(spec: Any) -> None:
    eye, target = np.array([0.0, -0.70, 1.46]), np.array([0.0, -0.03, 0.76])
    forward = (target - eye) / np.linalg.norm(target - eye)
    up = np.cross(np.array([1.0, 0, 0]), forward)
    spec.worldbody.add_camera(name="head", pos=eye, quat=_look_quat(forward, up), fovy=43)


def _look_quat(forward: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quaternion of a camera that looks along `forward` (MuJoCo cameras look along their -z, +y is up)."""
    rotation = np.column_stack([np.cross(forward, up), up, -forward])
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, rotation.flatten())
    return quat


def _add_capsule(
    body: Any,
    start_m: tuple[float, float, float],
    end_m: tuple[float, float, float],
    radius_m: float,
    rgba: tuple[float, float, float, float],
    mass_kg: float,
) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*start_m, *end_m),
        size=(radius_m, 0, 0),
        rgba=rgba,
        mass=mass_kg,
        contype=0,
        conaffinity=0,
    )


def _add_position_actuator(
    spec: Any, joint: str, kp: float, kv: float, force: float, ctrl_range: tuple[float, float]
) -> None:
    actuator = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrlrange=ctrl_range, forcerange=(-force, force)
    )
    actuator.set_to_position(kp=kp, kv=kv)
    actuator.forcelimited = True
    actuator.ctrllimited = True
