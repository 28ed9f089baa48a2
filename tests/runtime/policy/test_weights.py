"""Fetching published weights from a small hub on loopback, with the real client: sizes first, cut in mid-file, checksums.

Called by pytest. The client reads its settings when it is imported, so every fetch is a process of its own.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_video_policy
from small_hub import COMMIT, Hub

from models.config.policy import PolicyConfig
from models.config.source import Published, Source
from models.sizes import small
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import Published as VideoPolicyParts
from runtime.policy import weights

WEIGHTS = np.random.default_rng(0).bytes(25_000_000)
CONFIG = b'{"model_type": "siglip"}'
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "README.md": b"not needed"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The hub, serving."""
    with Hub({"lab/siglip": dict(FILES)}) as server:
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
        "HF_ENDPOINT": hub.address,
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


def test_a_video_policys_parts_come_each_in_its_layout(tmp_path: Path) -> None:
    """The real repository also holds every file in half precision, and more folders: they are not asked for."""
    model = "diffusion_pytorch_model"
    video = [f"{part}/{name}" for part in ("unet", "vae") for name in ("config.json", f"{model}.safetensors")]
    beside = [f"unet/{model}.fp16.safetensors", "image_encoder/model.safetensors"]
    text = ["config.json", "model.safetensors", "tokenizer.json"]
    sources = {
        "video_unet": Source(repo="lab/svd", revision=COMMIT),
        "clip_text": Source(repo="lab/clip", revision=COMMIT),
    }
    folder = tmp_path / "policy"
    tiny_video_policy.store(folder)
    config = tiny_video_policy.config()
    values = config.model_dump() | {"published": VideoPolicyParts(**sources).model_dump()}
    values["text"] = {"kind": "clip", "width": config.unet.text_width}
    (folder / "config.json").write_text(VideoPolicyConfig.model_validate(values).model_dump_json())
    held = {"lab/svd": [*video, *beside], "lab/clip": [*text, "open_clip_model.safetensors"]}
    contents = {name: {file: f"{name} {file}".encode() for file in files} for name, files in held.items()}
    with Hub(contents) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = fetch(server, folder)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[:2]] == [
        ["video_unet", "lab/svd"], ["clip_text", "lab/clip"],
    ]  # fmt: skip
    assert set(server.asked) == {*video, *text}
