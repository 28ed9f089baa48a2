"""Fetching published weights from a small hub on loopback, with the real client: sizes first, cut in mid-file, checksums.

Called by pytest. The client reads its settings when it is imported, so every fetch is a process of its own.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.config.policy import PolicyConfig
from models.config.source import Published, Source
from models.sizes import small
from runtime.policy import weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = np.random.default_rng(0).bytes(25_000_000)
CONFIG = b'{"model_type": "siglip"}'
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "README.md": b"not needed"}


class Hub(ThreadingHTTPServer):
    """One repository; `cut` closes the connection in the middle of the weights, `spoilt` changes what they hold."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.cut: int | None = None
        self.spoilt = False
        self.ranges: list[str | None] = []
        self.asked: list[str] = []


class Requests(BaseHTTPRequestHandler):
    """The three answers of a hub that fetching needs."""

    server: Any

    def do_GET(self) -> None:
        if "/lab/siglip/" not in self.path:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "/tree/" in self.path:
            self._answer(json.dumps([_entry(name, content) for name, content in FILES.items()]).encode())
            return
        name = self.path.rsplit("/", 1)[-1]
        content = FILES[name]
        begin = 0
        if name == "model.safetensors":
            self.server.ranges.append(self.headers.get("Range"))
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            begin = int(found[1]) if found else 0
            if self.server.spoilt:
                content = content[:-1] + bytes([content[-1] ^ 1])
        self.server.asked.append(name)
        self._head(name, content, begin)
        end = self.server.cut if name == "model.safetensors" and self.server.cut is not None else len(content)
        self.wfile.write(content[begin:end])

    def do_HEAD(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self._head(name, FILES[name], 0)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Quiet."""

    def _head(self, name: str, content: bytes, begin: int) -> None:
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{_entry(name, FILES[name])["oid"]}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(FILES[name]).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _entry(name: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob}
    if name.endswith("safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The hub, serving."""
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint whose image encoder is published."""
    return policy(tmp_path, Published(image=Source(repo="lab/siglip", revision=COMMIT)))


def policy(tmp_path: Path, published: Published) -> Path:
    folder = tmp_path / "policy"
    folder.mkdir()
    config: PolicyConfig = small().model_copy(update={"published": published})
    (folder / "config.json").write_text(config.model_dump_json())
    return folder


def fetch(hub: Hub, checkpoint: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(checkpoint.parent / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "2",
    }
    environment.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-m", "runtime.cli", "weights", "--checkpoint", str(checkpoint), *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def cached(checkpoint: Path, name: str) -> Path:
    return checkpoint.parent / "hub" / "hub" / "models--lab--siglip" / "snapshots" / COMMIT / name


def test_what_is_needed_comes_and_the_sizes_are_said_first(hub: Hub, checkpoint: Path) -> None:
    done = fetch(hub, checkpoint)
    assert done.returncode == 0, done.stderr
    first, second, last, follows = done.stdout.splitlines()
    assert "lab/siglip" in first
    assert "0.03 GB, 0.03 GB to fetch" in first
    assert "free)" in second
    assert "checksum" in last
    assert follows.endswith(f"instruct.sh --policy.checkpoint {checkpoint} TEXT")
    assert cached(checkpoint, "model.safetensors").read_bytes() == WEIGHTS
    assert "README.md" not in hub.asked


def test_a_transformer_comes_by_itself_beside_a_video_model_of_ones_own(hub: Hub, tmp_path: Path) -> None:
    """The repository's name is that of the hub above; only which files come differs from an image encoder's."""
    own = policy(tmp_path, Published(video=Source(repo="/data/wan")))
    done = fetch(hub, own, "--transformer", f"lab/siglip@{COMMIT}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("transformer lab/siglip")
    assert set(hub.asked) == {"config.json", "model.safetensors"}


def test_the_next_command_names_where_the_transformer_came_from() -> None:
    flag = "--policy.published.transformer"
    tuned = weights._tuned  # pyright: ignore[reportPrivateUsage]
    assert list(tuned(f"lab/wan@{COMMIT}")) == [f"{flag}.repo", "lab/wan", f"{flag}.revision", COMMIT]
    assert list(tuned("/data/wan.pt")) == [f"{flag}.repo", "/data/wan.pt"]
    assert list(tuned(None)) == []


def test_a_fetch_that_was_cut_in_mid_file_goes_on_there(hub: Hub, checkpoint: Path) -> None:
    hub.cut = 12_000_000
    broken = fetch(hub, checkpoint)
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-1].startswith("video2act: lab/siglip: the fetch was interrupted")
    assert "which resumes it" in broken.stderr.splitlines()[-1]
    hub.cut, hub.ranges = None, []
    done = fetch(hub, checkpoint)
    assert done.returncode == 0, done.stderr
    assert len(hub.ranges) == 1
    begun = re.fullmatch(r"bytes=(\d+)-", hub.ranges[0] or "")
    assert begun is not None
    assert int(begun[1]) >= 10_000_000  # the client writes ten million bytes at once
    assert cached(checkpoint, "model.safetensors").read_bytes() == WEIGHTS


def test_a_second_fetch_takes_nothing(hub: Hub, checkpoint: Path) -> None:
    fetch(hub, checkpoint)
    hub.asked.clear()
    again = fetch(hub, checkpoint)
    assert again.returncode == 0
    assert "0.00 MB to fetch" in again.stdout
    assert hub.asked == []


def test_wrong_content_is_refused_and_removed(hub: Hub, checkpoint: Path) -> None:
    hub.spoilt = True
    refused = fetch(hub, checkpoint)
    assert refused.returncode == 1
    assert "checksum is not the hub's" in refused.stderr.splitlines()[-1]
    assert not cached(checkpoint, "model.safetensors").exists()
    hub.spoilt = False
    assert fetch(hub, checkpoint).returncode == 0
    assert cached(checkpoint, "model.safetensors").read_bytes() == WEIGHTS


def test_a_repository_that_is_not_there_is_one_line(hub: Hub, tmp_path: Path) -> None:
    done = fetch(hub, policy(tmp_path, Published(image=Source(repo="lab/nothing", revision=COMMIT))))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lab/nothing: the hub cannot be reached" in done.stderr


def test_a_policy_of_local_folders_needs_nothing(hub: Hub, tmp_path: Path) -> None:
    done = fetch(hub, policy(tmp_path, Published(image=Source(repo=str(tmp_path)))))
    assert done.returncode == 0
    assert "nothing to fetch" in done.stdout
