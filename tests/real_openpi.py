"""Run by real_openpi.sh within an environment that has openpi-client: observations in, chunks out, mistakes told."""

import sys
import time

import numpy as np
from openpi_client.action_chunk_broker import ActionChunkBroker  # pyright: ignore[reportMissingImports]
from openpi_client.websocket_client_policy import WebsocketClientPolicy  # pyright: ignore[reportMissingImports]

READY = np.array([-0.3, 1.05, -1.35, 0, 1.15, 0, 0.08, 0.3, 1.05, -1.35, 0, 1.15, 0, 0.08], np.float32)


def main(address: str) -> int:
    """Talk to the server at an address. Returns 0; raises AssertionError where an answer is not what it must be."""
    client = WebsocketClientPolicy(address)
    metadata = client.get_server_metadata()
    print(metadata)
    picture = np.random.default_rng(0).integers(0, 256, (3, 224, 224), dtype=np.uint8)
    images = dict.fromkeys(("cam_high", "cam_left_wrist", "cam_right_wrist"), picture)
    seen = {"images": images, "state": READY, "prompt": "put the cup on the coaster"}
    taken_ms, found = list[float](), client.infer(seen)
    for _ in range(20):
        began = time.monotonic()
        found = client.infer(seen)
        taken_ms.append((time.monotonic() - began) * 1e3)
        assert found["actions"].shape == (metadata["action_horizon"], 14), found["actions"].shape
        assert np.isfinite(found["actions"]).all()
    infer_ms = found["server_timing"]["infer_ms"]
    print(f"20 chunks, {np.median(taken_ms):.0f} ms each at the median; the last one took {infer_ms:.0f} ms to infer")
    prefix = np.tile(READY, (8, 1))
    kept = client.infer(dict(seen, prefix=prefix))["actions"][:8]
    assert np.abs(kept - prefix).max() < 1e-5
    try:
        client.infer({"state": READY})
        raise AssertionError("an observation without images was answered")
    except RuntimeError as error:
        print(f"refused: {str(error).splitlines()[-1]}")
    broker = ActionChunkBroker(client, action_horizon=10)
    actions = [broker.infer(seen)["actions"] for _ in range(25)]
    assert all(action.shape == (14,) for action in actions)
    print("its chunk broker gives one target after another")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
