"""Writes small datasets by the real lerobot package, as its users have them: make_lerobot.py OUT.
Called by real_lerobot_data.sh.

names: a list, a table, nested by arms, null; several episodes in each file; pictures as images and as videos; and one long
dataset of 640x480 videos, whose last episode begins at frame 2600.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]

CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
ARM = [*(f"joint_{number}" for number in range(1, 7)), "gripper"]
LISTED = [f"{side}_{name}" for side in ("left", "right") for name in ARM]
NAMES: dict[str, Any] = {
    "list": LISTED,
    "table": {"motors": LISTED},
    "nested": {side: {"arm": ARM[:6], "hand": ["gripper"]} for side in ("right", "left")},
    "null": None,
}
STEPS = 40


def joints(steps: int, seed: int) -> np.ndarray:
    """(steps, 14) rad and m, left arm first."""
    home = np.tile([0.05, 1.0, -1.0, 0.1, 0.2, -0.1, 0.04], 2)
    swing = np.tile([0.2, 0.3, 0.3, 0.2, 0.15, 0.3, 0.03], 2)
    return (home + swing * np.sin(np.linspace(0, 3, steps)[:, None] + np.arange(14) + seed)).astype(np.float32)


def dataset(folder: Path, names: Any, fps: int, size: tuple[int, int], videos: bool, cameras: tuple[str, ...]) -> Any:
    """An empty one."""
    numbers = {"dtype": "float32", "shape": (14,), "names": names}
    features: dict[str, Any] = {"observation.state": numbers, "action": numbers}
    for camera in cameras:
        kind = "video" if videos else "image"
        features[f"observation.images.{camera}"] = {
            "dtype": kind, "shape": (*size, 3), "names": ["height", "width", "channels"],
        }  # fmt: skip
    return LeRobotDataset.create("local/made", fps, features, root=folder, use_videos=videos, robot_type="aloha")


def add(made: Any, steps: int, seed: int, names: Any, size: tuple[int, int], cameras: tuple[str, ...]) -> None:
    """An episode whose pictures say which step they are of: a red bar from the left, as long as the step is late."""
    q = joints(steps, seed)
    stored = q if names is not NAMES["nested"] else np.concatenate([q[:, 7:], q[:, :7]], axis=1)
    for step in range(steps):
        frame: dict[str, Any] = {"observation.state": stored[step], "action": stored[min(step + 1, steps - 1)]}
        for place, camera in enumerate(cameras):
            shown = np.full((*size, 3), 20 + 60 * place, np.uint8)
            shown[:, : (step + 1) * size[1] // steps] = (220, 30, 30)
            frame[f"observation.images.{camera}"] = shown
        made.add_frame({**frame, "task": f"task {seed}"})
    made.save_episode()


def main(out: Path) -> None:
    """All of them."""
    for videos in (False, True):
        for kind, names in NAMES.items():
            made = dataset(out / f"{kind}_{'videos' if videos else 'images'}", names, 30, (48, 64), videos, CAMERAS)
            for seed in range(3):
                add(made, STEPS + 5 * seed, seed, names, (48, 64), CAMERAS)
            made.finalize()
    made = dataset(out / "fifty", None, 50, (48, 64), True, ("front", "left", "right"))
    add(made, 100, 0, None, (48, 64), ("front", "left", "right"))
    made.finalize()
    made = dataset(out / "long", LISTED, 30, (480, 640), True, CAMERAS)
    for seed in range(27):
        add(made, 100, seed, LISTED, (480, 640), CAMERAS)
    made.finalize()
    print(json.dumps(sorted(path.name for path in out.iterdir())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
