"""Run by real_lerobot_server.sh within our environment: our client asks a LeRobot policy's server for chunks, and keeps them.

`ADDRESS FILE`: two observations, each on a connection of its own, as `--policy.server` sends them.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.config.loading import load_settings
from runtime.messaging.openpi import ALOHA_CAMERAS
from runtime.policy.protocols import Observation
from runtime.policy.remote_policy import RemotePolicy
from runtime.policy.server_door import asked

PROMPT = "put the cup on the coaster"


def main(address: str, file: Path) -> None:
    """Ask, check what can be checked without lerobot, and store observations and chunks."""
    settings = asked(load_settings(["--policy.server", address, "--policy.wire.reply_s", "5"]))
    wire = settings.policy.wire
    print(f"{wire.targets} targets {wire.dt_s:.4f} s apart, pictures {wire.pictures}, prefix {wire.prefix}")
    assert wire.pictures and wire.dt_s and wire.targets
    width, height = (64, 48) if wire.pictures == "camera" else map(int, wire.pictures.split("x"))
    chance = np.random.default_rng(1)
    pictures = chance.integers(0, 256, (2, len(CAMERAS), height, width, 3), dtype=np.uint8)
    state = (ready_pose() + chance.uniform(-0.02, 0.0, (2, 14))).astype(np.float32)
    policy = RemotePolicy(settings)
    chunks = []
    for number, (seen, q) in enumerate(zip(pictures, state, strict=True)):
        policy.clear()
        policy.encode_images((number,), policy.prepare_images(tuple(seen)))
        observation = Observation(((number,),), q.astype(np.float64), PROMPT, None, 0.0, np.zeros((0, 14)), 1)
        chunks.append(policy.predict_chunk(observation))
    policy.close()
    assert chunks[0].shape == (wire.targets, 14), chunks[0].shape
    apart = np.abs(chunks[0] - chunks[1]).max()
    assert apart > 1e-4, "two observations give one chunk"
    print(f"chunks {chunks[0].shape}, of two observations {apart:.4f} rad apart")
    by_camera = {ALOHA_CAMERAS[camera]: pictures[:, place] for place, camera in enumerate(CAMERAS)}
    stored: dict[str, Any] = {"chunks": np.array(chunks), "state": state, "prompt": PROMPT, "cameras": list(by_camera)}
    np.savez(file, **stored, **by_camera)  # pyright: ignore[reportArgumentType]  allow_pickle is none of the names


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
