"""The kinds of cameras that a third party's library opens: which driver serves one, and what to do when it hangs.
Read by camera_server.py and camera_process.py. How to add a kind: README.md.
"""

DRIVERS = {
    "realsense": ("drivers.realsense", "RealSenseCamera"),
    "uvc": ("drivers.uvc", "UvcCamera"),
    "file": ("drivers.file_camera", "FileCamera"),
}
"""Module and class by kind: every camera that a third party's library opens."""

HANG_REMEDIES = {
    "realsense": "unplug it and plug it in again; if it hangs again, power-cycle its USB hub",
    "uvc": "unplug it and plug it in again; if it hangs again, power-cycle its USB hub",
    "file": "give a video file on a disk that answers",
}
"""By kind: the end of the line that says that its library hangs."""
