"""Run by real_openpi.sh within an environment that has openpi-client: a policy server out of its codec and its websockets.

The package has no server. This one does as openpi's does: metadata first, actions for an observation, and for a mistake a text
and a farewell. Its arms reach forward and back, slowly, from the state that it is sent.
"""

import sys
import time
import traceback
from typing import Any

import numpy as np
from openpi_client import msgpack_numpy  # pyright: ignore[reportMissingImports]
from websockets.exceptions import ConnectionClosed  # pyright: ignore[reportMissingImports]
from websockets.sync.server import serve  # pyright: ignore[reportMissingImports]

TARGETS, DT_S = 50, 0.04
REACH_RAD, PERIOD_S = 0.05, 4.0


def actions(seen: dict[str, Any]) -> Any:
    """(50, 14) for an observation of openpi's ALOHA clients. Raises where it is none."""
    state, pictures = np.asarray(seen["state"]), [seen["images"][name] for name in ("cam_high", "cam_left_wrist")]
    assert state.shape == (14,) and all(picture.shape == (3, 224, 224) for picture in pictures), "another shape"
    assert isinstance(seen["prompt"], str) and seen["prompt"], "no prompt"
    phase = 2 * np.pi * (time.monotonic() + DT_S * np.arange(1, TARGETS + 1)) / PERIOD_S
    found = np.tile(state, (TARGETS, 1)).astype(np.float64)
    found[:, [1, 8]] += REACH_RAD * DT_S * np.arange(1, TARGETS + 1)[:, None] * np.sin(phase)[:, None]
    return found


def client(socket: Any) -> None:
    """One client, from metadata to farewell."""
    packer, count = msgpack_numpy.Packer(), 0
    socket.send(packer.pack({}))
    try:
        while True:
            began = time.monotonic()
            found = actions(msgpack_numpy.unpackb(socket.recv()))
            socket.send(
                packer.pack({"actions": found, "server_timing": {"infer_ms": (time.monotonic() - began) * 1e3}})
            )
            count += 1
    except ConnectionClosed:
        print(f"a client got {count} chunks", flush=True)
    except Exception:  # noqa: BLE001  as openpi's server does
        socket.send(traceback.format_exc())
        socket.close(1011, "Internal server error. Traceback included in previous frame.")


if __name__ == "__main__":
    with serve(client, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(f"listening at ws://127.0.0.1:{server.socket.getsockname()[1]}", flush=True)
        server.serve_forever()
    sys.exit(0)
