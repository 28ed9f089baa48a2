"""What a control loop asks of the operating system: a thread that is run at once, and processors that do not fall asleep.
Called by arms, simulator, bus and the robot command; the doctor asks whether it is allowed.

Both need a permission that a plain user lacks (deploy/realtime-limits.conf, deploy/cpu-latency.rules); without it the
robot works all the same, later and less evenly.
"""

import os
from pathlib import Path

ARMS_PRIORITY = 50  # of 1 to 99; chosen, as the three below: only their order matters, and room is left above and below
BUS_PRIORITY = 47
"""A real arm's or leader's CAN bus. Not an emulated one's: with its emulators it takes over half a processor, and on two the
systems then starve (measured: 47 runs of System 1 in 20 s in place of 76)."""
MESSAGES_PRIORITY = 45  # threads that only pass on what cameras, systems and arms say
SIMULATOR_PRIORITY = 40  # stands for hardware, but comes after the arms
_LATENCY_DEVICE = Path("/dev/cpu_dma_latency")
_NO_LATENCY = (0).to_bytes(4, "little")  # microseconds; the kernel's interface takes a 32-bit integer


def run_at_once(priority: int) -> bool:
    """SCHED_FIFO for the calling thread; threads that it starts afterwards inherit it, so call this last.

    Returns:
        False: not allowed; nothing has changed.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def allowed(priority: int) -> bool:
    """Whether this process may have threads of that priority."""
    if not run_at_once(priority):
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


class AwakeProcessors:
    """Idle processors wait by polling as long as this lives (Linux PM QoS), so nothing that arrives finds them asleep.

    In a virtual machine an idle processor also loses its caches: a message then takes two to three times as long.
    """

    def __init__(self, device: Path = _LATENCY_DEVICE) -> None:
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._descriptor, _NO_LATENCY)
        except OSError:
            self.release()

    @property
    def granted(self) -> bool:
        """Whether the kernel was asked; False without permission or without the device."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let the processors sleep again (so does the end of the process)."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
