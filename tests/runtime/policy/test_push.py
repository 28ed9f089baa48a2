"""A policy put on a small hub on loopback with the real client, fetched from there and run by its name at one commit.
Called by pytest. The client reads its settings when it is imported, so every command is a process of its own.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_policy
from small_hub import COMMIT, TOKEN, Hub

NAME = "lab/cups"
REFERENCE = f"{NAME}@{COMMIT}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty hub, serving."""
    with Hub({}) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training, with what is nobody's business beside the checkpoint."""
    out = tmp_path_factory.mktemp("out")
    tiny_policy.store(out / "checkpoint")
    (out / "checkpoint" / "notes.txt").write_text("of /home/somebody")
    (out / "run.json").write_text("{}")
    return out


def command(hub: Hub, home: Path, *words: str | Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """One command of a user whose cache is in `home`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hub"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "2", "HOME": str(home)}
    environment |= {"HF_TOKEN": token} if token else {}
    line = [sys.executable, "-m", "runtime.cli", *map(str, words)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_policy_goes_to_the_hub_and_comes_back_as_it_was(hub: Hub, policy: Path, tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    pushed = command(hub, home, "push", policy, NAME, "--private")
    assert pushed.returncode == 0, pushed.stderr
    assert f"{REFERENCE}: complete" in pushed.stdout
    assert pushed.stdout.rstrip().endswith(f"weights.sh --checkpoint {REFERENCE}")
    checkpoint = policy / "checkpoint"
    ours = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.name != "notes.txt"}
    theirs = dict(hub.repositories[NAME])
    card = theirs.pop("README.md").decode()
    assert theirs == ours and hub.private == [NAME]
    assert "head, left_wrist, right_wrist" in card and "/home" not in card

    asked = command(hub, other, "instruct", "--policy.checkpoint", REFERENCE, "put it there")
    assert asked.returncode == 2
    assert (
        f"{REFERENCE}: is not on this machine; fetch it with ./launch/weights.sh --checkpoint {REFERENCE}"
        in asked.stderr
    )
    fetched = command(hub, other, "weights", "--checkpoint", REFERENCE, token="")
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout.rstrip().endswith(f"robot.sh --policy.checkpoint {REFERENCE}")
    encoded = command(hub, other, "instruct", "--policy.checkpoint", REFERENCE, "put it there")
    assert encoded.returncode == 0, encoded.stderr


def test_a_policy_goes_to_a_repository_that_is_there(hub: Hub, policy: Path, tmp_path: Path) -> None:
    hub.repositories[NAME] = {"model.safetensors": b"an older one"}
    assert command(hub, tmp_path, "push", policy / "checkpoint", NAME).returncode == 0
    assert hub.repositories[NAME]["model.safetensors"] == (policy / "checkpoint" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("token", "said"), [("", "nobody is logged in to the hub; set HF_TOKEN"), ("hf_other", "401")])
def test_who_may_not_push_is_refused_in_one_line(token: str, said: str, hub: Hub, policy: Path, tmp_path: Path) -> None:
    refused = command(hub, tmp_path, "push", policy, NAME, token=token)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert said in refused.stderr and hub.repositories == {}


def test_a_damaged_policy_goes_nowhere(hub: Hub, policy: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(policy / "checkpoint", tmp_path / "broken")
    weights = bytearray((broken / "model.safetensors").read_bytes())
    weights[-3] ^= 1
    (broken / "model.safetensors").write_bytes(weights)
    refused = command(hub, tmp_path, "push", broken, NAME)
    assert refused.returncode == 1 and hub.repositories == {}
    assert "is not what was written" in refused.stderr or "copy the checkpoint again" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("push", "{policy}", "cups"), "REPOSITORY cups: must be ORG/NAME"),
        (("push", "{policy}", "a/b/c"), "REPOSITORY a/b/c: must be ORG/NAME"),
        (("push", "/nowhere", NAME), "CHECKPOINT /nowhere: holds no checkpoint"),
        (("robot", "--policy.checkpoint", f"{NAME}@main"), f"{NAME}@main: is no policy of the hub; give ORG/NAME@COMMIT"),
        (("robot", "--policy.checkpoint", NAME), f"{NAME}: holds no checkpoint; give a folder"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused_at_once(
    words: tuple[str, ...], said: str, hub: Hub, policy: Path, tmp_path: Path
) -> None:
    refused = command(hub, tmp_path, *(word.format(policy=policy) for word in words))
    assert refused.returncode == 2 and said in refused.stderr, refused.stderr


def test_a_profile_may_name_a_policy_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """It is no path beside the profile."""
    profile = tmp_path / "lab.toml"
    profile.write_text(f'[policy]\ncheckpoint = "{REFERENCE}"\n')
    refused = command(hub, tmp_path, "robot", "--profile", profile)
    assert f"{REFERENCE}: is not on this machine" in refused.stderr, refused.stderr
