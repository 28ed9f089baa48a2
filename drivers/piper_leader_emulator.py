"""A leader arm at its end of the bus: a Piper set to lead (0x470 = 0xFA), that somebody's hand moves. No clock.

Called by drivers/emulated_bus.py. It sends where it is as targets for the follower, nothing else: mode, joints, gripper; and it
hears nothing.
"""

from collections.abc import Callable

from drivers import piper_frames as frames
from drivers.piper_frames import Array, Frame

_GRIPPER_NM = 1.0  # that it lets the follower's gripper press with: the default of our own commands (drivers/piper.py)


class PiperLeaderEmulator:
    """One leader; `hand` gives where it is moved, (7,) rad and m, or None while nobody has switched it on."""

    def __init__(self, hand: Callable[[], Array | None]) -> None:
        self._hand = hand

    def tick(self) -> list[Frame]:
        """The frames that it sends now, without any while it is off; to be called 200 times a second."""
        q = self._hand()
        if q is None:
            return []
        return [frames.follow_joints(), *frames.joints(q[:6], frames.Id.JOINT_COMMAND), frames.grip(q[6], _GRIPPER_NM)]
