"""Small episodes for LeRobot datasets, and changes of what a dataset says of itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from models.config.policy import CAMERAS
from models.data.episode import GRIPPERS, Episode
from models.data.lerobot import INFO

STEPS = 40
Change = Callable[[dict[str, Any]], object]


def episode(seed: int, task: str = "a_task") -> Episode:
    """Joints and pictures that change, two wordings of its task."""
    random = np.random.default_rng(seed)
    way = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None] * random.uniform(-1, 1, 14).astype(np.float32)
    way[:, GRIPPERS] = 0.07 * np.abs(way[:, GRIPPERS])
    jpegs = {
        camera: [simplejpeg.encode_jpeg(np.full((16, 32, 3), 5 * step + place, np.uint8), 90) for step in range(STEPS)]
        for place, camera in enumerate(CAMERAS)
    }
    return Episode(way, way * 2, way * 3, way + 0.01, jpegs, (f"do {task}", f"please {task}"), task, seed)


def change_info(folder: Path, change: Change) -> None:
    """Change a dataset's meta/info.json."""
    info = json.loads((folder / INFO).read_text())
    change(info)
    (folder / INFO).write_text(json.dumps(info))
