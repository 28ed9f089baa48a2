"""Which policy the settings name, and where its networks go: sources, devices, number types. Called by pytest."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import save
from models.condition_maker import ConditionMaker
from models.config.policy import PolicyConfig
from models.config.source import Source
from models.graphs.lean_system2 import LeanGraphs
from models.graphs.system2 import SlowGraphs
from models.lean_system2 import LeanSystem
from models.placement import usual_type
from models.policy import EncodedVideo
from models.sizes import full, full_wan, small
from models.system1 import FastSystem
from models.system2 import SlowSystem
from runtime.config.loading import load_settings, settings_from_json
from runtime.config.policy import encoder_id, policy_id, video2act_config
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.run_folder import MEMORY_FOLDER, RUN_PREFIX
from runtime.policy.networks import computed_by, device_of, fast_system, open_video2act, slow_system
from runtime.supervisor import robot

COMMIT = "0123456789abcdef0123456789abcdef01234567"


UNTRAINED = ("--policy.size", "small")


def settings(*flags: str) -> Settings:
    return load_settings(["--profile", "sim", *flags])


def test_a_part_can_come_from_elsewhere() -> None:
    chosen = video2act_config(
        settings(
            "--policy.size",
            "full",
            "--policy.published.video",
            "/data/hunyuan",
            "--policy.published.text",
            f"lab/t5@{COMMIT}",
        )
    )
    assert chosen.published.video == Source(repo="/data/hunyuan")
    assert chosen.published.text == Source(repo="lab/t5", revision=COMMIT)
    assert chosen.published.image == full().published.image


@pytest.mark.parametrize("text", ["tencent/HunyuanVideo", "lab/t5@main", "/data/t5@" + COMMIT, ""])
def test_a_source_that_names_neither_folder_nor_commit_is_one_line(text: str) -> None:
    with pytest.raises(RuntimeFault, match=r"policy\.published\.video"):
        video2act_config(settings("--policy.published.video", text))


def test_a_transformer_may_come_from_a_file_beside_a_published_video_model() -> None:
    flags = ("--policy.published.transformer", "/data/wan-robot.safetensors")
    chosen = video2act_config(settings("--policy.size", "full-wan", *flags))
    assert chosen.published.transformer == Source(repo="/data/wan-robot.safetensors")
    assert chosen.published.video == full_wan().published.video
    with pytest.raises(RuntimeFault, match=r"^policy\.published\.transformer: needs published\.video"):
        video2act_config(settings("--policy.size", "small", *flags))


def test_encoded_instructions_serve_every_policy_with_the_same_encoders() -> None:
    whole, seeded = settings("--policy.size", "full"), settings("--policy.size", "full", "--seed", "9")
    assert policy_id(whole) != policy_id(seeded)
    assert encoder_id(whole) == encoder_id(seeded)
    others = (
        settings("--policy.size", "full", "--policy.published.text", f"lab/t5@{COMMIT}"),
        settings("--policy.size", "full-wan"),
    )
    assert len({encoder_id(whole), *map(encoder_id, others)}) == 3


def test_the_small_policys_own_encoder_follows_its_seed() -> None:
    assert encoder_id(settings(*UNTRAINED)) != encoder_id(settings(*UNTRAINED, "--seed", "9"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_networks_run_on_the_cpu_in_float32() -> None:
    assert device_of(settings().system1, small()) == (torch.device("cpu"), torch.float32)
    with pytest.raises(RuntimeFault, match=r"device cuda: torch finds 0 GPUs"):
        device_of(settings("--system1.device", "cuda").system1, small())


def test_only_published_weights_run_in_bfloat16_and_on_a_gpu_alone() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert (usual_type(full(), gpu), usual_type(full(), cpu)) == (torch.bfloat16, torch.float32)
    assert (usual_type(small(), gpu), usual_type(small(), cpu)) == (torch.float32, torch.float32)


def test_the_number_type_is_a_setting() -> None:
    chosen = settings("--system1.dtype", "bfloat16", "--system1.device", "cpu")
    fast = fast_system(chosen, open_video2act(chosen)).network
    assert isinstance(fast, FastSystem)
    assert {weight.dtype for weight in fast.parameters()} == {torch.bfloat16}


def test_float8_storage_is_a_setting() -> None:
    chosen = settings("--system2.storage", "float8", "--system2.device", "cpu")
    slow: Any = slow_system(chosen, open_video2act(chosen)).network
    assert slow.backbone.dual[0].image.attention.project.weight.dtype == torch.float8_e4m3fn
    assert slow.dtype == torch.float32


def test_numerics_are_a_setting_and_older_sessions_have_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = EncodedVideo(*[torch.zeros(1, 1)] * 4)
    monkeypatch.setattr(ConditionMaker, "warm_up", lambda _maker: nothing)  # which would write graphs
    for flags, kinds in ((UNTRAINED, (SlowSystem, LeanSystem)), ((), (SlowGraphs, LeanGraphs))):
        for numerics, kind in zip(("plain", "lean"), kinds, strict=True):
            chosen = settings(*flags, "--system2.numerics", numerics, "--system2.device", "cpu")
            assert type(slow_system(chosen, open_video2act(chosen)).network) is kind
    assert settings().system2.numerics == "lean"
    assert settings_from_json('{"system2": {}}').system2.numerics == "plain"


def test_modulation_on_the_host_needs_lean_numerics_in_torch() -> None:
    chosen = settings(*UNTRAINED, "--system2.modulation", "host", "--system2.device", "cpu")
    assert isinstance(slow_system(chosen, open_video2act(chosen)).network, LeanSystem)
    with pytest.raises(SettingsError, match=r"--system2\.modulation host: needs --system2\.numerics lean"):
        settings("--system2.modulation", "host", "--system2.numerics", "plain")


def test_a_start_says_what_it_does_and_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    chosen = settings(*UNTRAINED, "--system2.device", "cpu")
    with caplog.at_level(logging.INFO):
        slow_system(chosen, open_video2act(chosen))
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "System 2's weights: loading to cpu, float32"
    assert [line for line in said if re.fullmatch(r"System 2('s weights)?: done in \d+\.\d s", line)] == [
        said[1],
        said[3],
    ]


def test_a_checkpoint_runs_under_the_settings(tmp_path: Path) -> None:
    drawn = open_video2act(settings(*UNTRAINED))
    parts: dict[str, torch.nn.Module] = {"slow": drawn.slow(), "fast": drawn.fast(), "text": drawn.instructor()}
    save(tmp_path / "policy", drawn.config, drawn.statistics, parts)
    chosen = settings("--policy.checkpoint", str(tmp_path / "policy"), "--system1.engine", "torch")
    loaded = open_video2act(chosen)
    assert loaded.id == policy_id(chosen) != drawn.id
    fast = fast_system(chosen, loaded).network
    assert isinstance(fast, FastSystem)
    assert all(torch.equal(a, b) for a, b in zip(fast.parameters(), parts["fast"].parameters(), strict=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_small_trained_policy_is_computed_by_onnx_runtime_on_a_cpu() -> None:
    def engines(*flags: str) -> list[str]:
        chosen = settings(*flags)
        return [computed_by(system, open_video2act(chosen)) for system in (chosen.system1, chosen.system2)]

    assert engines() == ["onnx", "onnx"]
    assert engines("--system1.compile", "--system2.storage", "float8") == ["torch", "torch"]
    assert engines("--system1.dtype", "bfloat16", "--system2.engine", "torch") == ["torch", "torch"]
    assert engines(*UNTRAINED) == ["torch", "torch"], "a seed's graphs would be written for one run"
    assert engines(*UNTRAINED, "--system1.engine", "onnx") == ["onnx", "torch"]


@pytest.mark.parametrize(
    ("system", "flag", "value"),
    [
        ("system1", "compile", None),
        ("system1", "dtype", "bfloat16"),
        ("system2", "device", "cuda:1"),
        ("system2", "storage", "float8"),
        ("system2", "modulation", "host"),
    ],
)
def test_onnx_runtime_where_it_cannot_run_is_one_line(system: str, flag: str, value: str | None) -> None:
    given = [f"--{system}.{flag}", *([] if value is None else [value])]
    said = f"--{system}.engine onnx: runs on a CPU in float32; leave --{system}.{flag} out"
    with pytest.raises(SettingsError, match=re.escape(said)):
        settings(f"--{system}.engine", "onnx", *given)


@pytest.mark.parametrize("make", [slow_system, fast_system])
def test_missing_published_weights_are_one_line(make: Callable[..., object], tmp_path: Path) -> None:
    nowhere = ("--policy.published.video", str(tmp_path / "no"), "--policy.published.image", str(tmp_path / "no"))
    chosen = settings(*UNTRAINED, *nowhere)
    with pytest.raises(RuntimeFault, match="does not exist"):
        make(chosen, open_video2act(chosen))


def test_the_configuration_of_a_checkpoint_keeps_its_other_sources(tmp_path: Path) -> None:
    stored: PolicyConfig = full()
    (tmp_path / "config.json").write_text(stored.model_dump_json())
    chosen = video2act_config(
        settings("--policy.checkpoint", str(tmp_path), "--policy.published.image", "/data/siglip")
    )
    assert chosen.published == stored.published.model_copy(update={"image": Source(repo="/data/siglip")})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--policy.checkpoint", "/nowhere"], r"--policy.checkpoint /nowhere: holds no checkpoint; give a folder"),
        (["--json", "/nowhere/table.json"], r"--json /nowhere/table.json: its folder does not exist"),
        (["--console.certificate", "/nowhere"], r"--console.certificate /nowhere: .*create one with"),
        (
            ["--console.host", "192.0.2.1", "--console.token", "a" * 20, "--console.certificate", "TLS"],
            r"--console.host 192.0.2.1: .*; give an address of this machine",
        ),
    ],
)
def test_a_robot_that_cannot_do_what_is_asked_leaves_nothing(flags: list[str], said: str, tmp_path: Path) -> None:
    from runtime.console import certificate

    if "TLS" in flags:
        certificate.main([str(tmp_path / "tls"), "localhost"])
        flags = [str(tmp_path / "tls") if flag == "TLS" else flag for flag in flags]
    tmp_path = tmp_path / "sessions"
    tmp_path.mkdir()
    with pytest.raises((RuntimeFault, SettingsError), match=said):
        robot.main([*flags, "--sessions", str(tmp_path)])
    assert not list(tmp_path.iterdir())
    assert not list(MEMORY_FOLDER.glob(f"{RUN_PREFIX}{os.getpid()}-*"))
