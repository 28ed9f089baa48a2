"""Room in shared memory for frames and messages: what a run needs, and whether it is there before anything starts.
Called by the robot command and the doctor.
"""

import shutil
from pathlib import Path

from models.requirements import Requirements
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.messaging.frame_ring import slot_bytes
from runtime.messaging.ring_topic import CAPACITY_BYTES
from runtime.messaging.topics import TOPICS
from runtime.policy.fit import span_s

RING_EXTRA_S = 1.0  # beyond the longest window; chosen: what a slow System 2 may still be reading is not overwritten
_SOCKETS_BYTES = 8_000_000  # sockets, slots, the table; chosen: several times what they take
BESIDE_BYTES = _SOCKETS_BYTES + CAPACITY_BYTES * sum(topic.ring for topic in TOPICS.values())
"""Of a run in shared memory beside its frames: the topics that travel through rings, and what is small."""


def ring_slots(needs: Requirements, rate_hz: float) -> int:
    """Frames that a ring holds: the policy's longest window or history and a second more."""
    spans_s = [span_s(needs, window, rate_hz) for window in range(len(needs.windows))]
    longest_s = max([*spans_s, needs.history_s[0]])
    return int((longest_s + RING_EXTRA_S) * rate_hz) + 1


def frames_bytes(settings: Settings) -> float:
    """Bytes of the rings of all cameras. Raises RuntimeFault where the policy cannot be read."""
    needs = policy_needs(settings)
    return sum(
        ring_slots(needs, camera.rate_hz) * slot_bytes(camera.width_px, camera.height_px)
        for camera in settings.cameras.by_name().values()
    )


def check(folder: Path, settings: Settings) -> None:
    """Raises RuntimeFault where a run does not fit into what is free in the memory file system of `folder`."""
    free, needed = shutil.disk_usage(folder).free, frames_bytes(settings) + BESIDE_BYTES
    if free < needed:
        raise RuntimeFault(
            f"{folder.parent}: {free / 2**20:.0f} MiB free, a run needs {needed / 2**20:.0f} MiB; delete files there, "
            "or enlarge it (in a container: --shm-size=2g)"
        )
