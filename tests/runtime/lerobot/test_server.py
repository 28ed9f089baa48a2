"""The server of LeRobot policies over a real websocket, asked by our own client for chunks. Called by pytest.

lerobot is not there: a small policy of the test takes the place of its own.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_checkpoint import write
from numpy.typing import NDArray
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.lerobot import flags
from runtime.lerobot.checkpoint import read
from runtime.lerobot.contract import cameras, metadata
from runtime.lerobot.server import LOOPBACK, PolicyServer
from runtime.messaging import openpi
from runtime.messaging.openpi_observation import Seen
from runtime.policy.protocols import Observation
from runtime.policy.remote_policy import RemotePolicy
from runtime.policy.server_door import asked

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "launch" / "policy_server.sh"
_WAIT_S = 10.0  # for a server to begin and to end


class Brightness:
    """Targets: the joints, and as much more as the head's picture is bright; counts its episodes and keeps its tasks."""

    def __init__(self) -> None:
        self.begun, self.tasks = 0, list[str]()

    def begin(self) -> None:
        self.begun += 1

    def chunk(self, seen: Seen, task: str) -> NDArray[np.float32]:
        self.tasks.append(task)
        if task == "fail":
            raise RuntimeError("out of\nmemory")
        moved = seen.q + seen.pictures["head"].mean() / 255 * 0.1
        return np.tile(moved if task != "burst" else np.full(14, np.nan), (50, 1)).astype(np.float32)


@contextmanager
def serving(policy: Brightness, tmp_path: Path, task: str = "") -> Generator[str]:
    """The address of a server of a checkpoint's metadata."""
    found = read(write(tmp_path, "smolvla"), "m")
    keys = cameras(found, {})
    server = PolicyServer(policy, metadata(found, keys, 1 / 30, "m"), list(keys), task)
    ports: list[int] = []
    ready = threading.Event()

    def listening(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(target=server.run, args=(0, listening))
    thread.start()
    try:
        assert ready.wait(_WAIT_S)
        yield f"ws://{LOOPBACK}:{ports[0]}"
    finally:
        server.stop()
        thread.join(_WAIT_S)
        assert not thread.is_alive()


def packet(**changes: Any) -> bytes:
    images = {camera: np.full((3, 48, 64), 51, np.uint8) for camera in CAMERAS}
    return openpi.packed({"images": images, "state": ready_pose(), "prompt": "put the cup down"} | changes)


def test_our_client_gets_its_chunks_without_a_flag(tmp_path: Path) -> None:
    policy = Brightness()
    with serving(policy, tmp_path) as address:
        settings = asked(load_settings(["--policy.server", address, "--policy.wire.reply_s", "10"]))
        client = RemotePolicy(settings)
        try:
            for number, grey in enumerate((0, 255)):
                client.encode_images((number,), client.prepare_images((np.full((48, 64, 3), grey, np.uint8),) * 3))
                sets = ((number,),)
                chunk = client.predict_chunk(
                    Observation(sets, ready_pose() - 0.1, "put the cup down", None, 0.0, np.zeros((0, 14)), 1)
                )
                np.testing.assert_allclose(chunk, np.tile(ready_pose() - 0.1 + 0.1 * number, (50, 1)), atol=1e-6)
        finally:
            client.close()
    assert policy.begun == 2 and policy.tasks == ["put the cup down"] * 2, (
        "metadata were asked for on a connection of its own"
    )


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (packet(state=np.zeros(7)), "state: must be (14,)"),
        (packet(images={"head": np.zeros((48, 64, 3), np.uint8)}), "images: cam_left_wrist is missing"),
        (packet(prompt="fail"), "cannot compute a chunk: out of memory"),
        (packet(prompt="burst"), "is not finite"),
        (packet(prompt=""), "prompt: is missing"),
        ("text", "send observations as msgpack"),
        (b"\xc1", "not a packet of openpi's format"),
    ],
)
def test_a_wrong_observation_is_one_line_and_the_client_stays(tmp_path: Path, sent: bytes | str, line: str) -> None:
    with serving(Brightness(), tmp_path) as address, connect(address, compression=None) as client:
        assert isinstance(client.recv(_WAIT_S), bytes)
        client.send(sent)
        said = client.recv(_WAIT_S)
        assert isinstance(said, str) and line in said and "\n" not in said
        client.send(packet())
        assert isinstance(client.recv(_WAIT_S), bytes)


def test_a_task_stands_for_what_clients_say(tmp_path: Path) -> None:
    policy = Brightness()
    with serving(policy, tmp_path, "fold the towel") as address, connect(address, compression=None) as client:
        client.recv(_WAIT_S)
        client.send(packet())
        client.recv(_WAIT_S)
    assert policy.tasks == ["fold the towel"]


def test_one_client_at_a_time_and_the_next_when_it_is_gone(tmp_path: Path) -> None:
    with serving(Brightness(), tmp_path) as address:
        with connect(address, compression=None) as client:
            client.recv(_WAIT_S)
            with pytest.raises(InvalidStatus, match="503"):
                connect(address, compression=None)
        with connect(address, compression=None) as client:
            assert isinstance(client.recv(_WAIT_S), bytes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--lerobot /nowhere", "--lerobot /nowhere: is no folder; give the folder that lerobot saved, or ORG/NAME"),
        ("--lerobot a/b --cameras top=nose", "must be NAME=CAMERA with one of head, left_wrist, right_wrist"),
        ("--lerobot a/b --cameras top=head,side=head", "gives one camera two names"),
        ("--lerobot a/b --rate-hz 0", "--rate-hz 0: must be 1 to 1000"),
        ("--lerobot a/b --port 70000", "--port 70000: must be 0 to 65535"),
        ("", "required: --lerobot; --help lists the flags"),
    ],
)
def test_a_wrong_line_is_refused(line: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        flags.read(line.split())
    assert said in str(caught.value)


def test_a_name_on_the_hub_may_have_a_revision() -> None:
    found = flags.read(["--lerobot", "lerobot/act_aloha@3f1c2d", "--cameras", "top=head"])
    assert (found.folder, found.repository, found.revision) == (None, "lerobot/act_aloha", "3f1c2d")
    assert found.cameras == {"top": "head"} and found.rate_hz is None


@pytest.mark.parametrize(
    ("line", "status", "said"), [("--help", 0, "--cameras NAME=CAMERA"), ("--lerobot /nowhere", 2, "is no folder")]
)
def test_the_script_answers_before_it_sets_anything_up(tmp_path: Path, line: str, status: int, said: str) -> None:
    place = tmp_path / "environment"
    variables = os.environ | {"VIDEO2ACT_LEROBOT": str(place), "VIDEO2ACT_PYTHON": sys.executable}
    ended = subprocess.run(
        ["bash", SCRIPT, *line.split()], capture_output=True, text=True, env=variables, cwd=tmp_path, check=False
    )
    assert ended.returncode == status and said in " ".join((ended.stdout + ended.stderr).split())
    assert not place.exists() and len(ended.stderr.splitlines()) == (1 if status else 0)
