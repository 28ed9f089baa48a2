"""Faults of simulated cameras, as drivers/sim/faulty_camera.py knows them. Read by robots.py."""

from runtime.faults.injections import Switched
from runtime.faults.row import Row

_CAMERA_MS = 150.0  # figure of the matrix


def _row(name: str, camera: str, says: str, **faults: object) -> Row:
    return Row(f"camera {name}", Switched(camera, faults), f"camera {camera}: {says}", _CAMERA_MS, held_ms=_CAMERA_MS)


# Figures are the matrix's; what a fault is made of is chosen.
CAMERAS = (
    _row("frozen", "head", "no new frame", frozen=True),
    _row("repeats its frame", "head", "no new frame", same_bytes=True),
    _row("unplugged", "left_wrist", "device is gone", unplugged=True),
    _row("hangs in open", "right_wrist", "device is gone", hangs=True),
    _row("slow", "right_wrist", "no new frame", slow_s=0.4),
    _row("skewed", "head", "frames", skew_s=0.12),
)
