"""`train.sh` as it is called: both stages on two real demonstrations, what resumes and what is refused.
Called by pytest; everything is small. All of it happens in this process, which has loaded torch already, but for one refusal
by a real worker; test_processes.py has the others.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from training_rig import command, losses

from models.checkpoint import Checkpoint
from models.data import hdf5
from models.tensors import StoredTensors
from models.train.training_state import steps_done
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.processors import usable_processors
from runtime.training import claim, needs, prepared_files, stages
from runtime.training import command as train
from runtime.training.flags import TRAIN

pytestmark = pytest.mark.usefixtures("fresh_accelerator", "here")


def test_stage_1_leaves_a_video_model_its_curves_and_its_settings(video: Path) -> None:
    run = json.loads((video.parent / "run.json").read_text())
    assert run["settings"]["stage"] == "video"
    assert [len(revision) >= 7 for revision in run["revisions"]] == [True]
    assert run["settings"]["autoencoder"]["steps"] == 2
    assert set(losses(video.parent, "flow")) == {0}
    assert Checkpoint.load(video).slow().backbone.blocks()["dual-stream"]


def test_the_video_model_learns_too_when_asked_to(data: Path, video: Path, action: Path, tmp_path: Path) -> None:
    flags = ["--video", str(video), "--steps", "2", "--schedule.average", "0", "--schedule.warmup_steps", "0"]
    flags += ["--cache", str(action / "cache"), "--cloning.video_loss", "1"]
    train.main(command("action", data, tmp_path / "joint", *flags))
    kept = [StoredTensors(folder / "checkpoint") for folder in (video.parent, action, tmp_path / "joint")]
    before, frozen, joint = (stored.digest("slow.backbone.transformer.") for stored in kept)
    assert before == frozen != joint
    assert len({stored.digest("slow.backbone.vae.") for stored in kept}) == 1


def test_a_frozen_video_model_may_run_beside_the_training(data: Path, video: Path, tmp_path: Path) -> None:
    """No features are kept: those of a few hundred demonstrations at the paper's size are a terabyte."""
    cache = shutil.copytree(video.parent / "cache", tmp_path / "cache")
    line = ["--video", str(video), "--steps", "2", "--cache", str(cache), "--cloning.prepared", "false"]
    assert train.main(command("action", data, tmp_path / "live", *line)) == 0
    kinds = {folder.name.split("-")[0] for folder in cache.iterdir()}
    assert kinds == {"samples", "latents", "pictures", "texts"}
    kept = [StoredTensors(folder) for folder in (video, tmp_path / "live" / "checkpoint")]
    assert len({stored.digest("slow.backbone.") for stored in kept}) == 1


def test_stage_1_may_learn_updates_of_low_rank(data: Path, video: Path, tmp_path: Path) -> None:
    """What comes out is a checkpoint like any other, and a run of another rank is another run."""
    shutil.copytree(video.parent / "autoencoder", tmp_path / "out" / "autoencoder")
    steps = ["--steps", "2", "--cache", str(video.parent / "cache"), "--schedule.warmup_steps", "0"]
    line = command("video", data, tmp_path / "out", *steps)
    assert train.main([*line, "--filming.lora_rank", "2", "--recompute"]) == 0
    begun, trained = (
        StoredTensors(tmp_path / "out" / name).read("slow.backbone.", torch.device("cpu"))
        for name in ("autoencoder", "checkpoint")
    )
    assert begun.keys() == trained.keys()
    changed = [name for name in begun if not torch.equal(begun[name], trained[name])]
    assert changed and all("transformer_blocks" in name for name in changed)
    assert Checkpoint.load(tmp_path / "out" / "checkpoint").slow()
    with pytest.raises(RuntimeFault, match=r"begun with filming\.lora_rank 2, now 3"):
        train.main([*line, "--filming.lora_rank", "3"])
    assert train.main([*line, "--filming.lora_rank", "2"]) == 0, "recomputing is no part of what a run is"
    with pytest.raises(SettingsError, match=r"--filming.lora_rank 2: applies to train.sh video"):
        train.main(command("action", data, tmp_path / "action", "--video", str(video), "--filming.lora_rank", "2"))


def test_a_run_of_before_is_gone_on_with_though_settings_were_added(data: Path, video: Path, tmp_path: Path) -> None:
    run = shutil.copytree(video.parent, tmp_path / "run")
    reported = json.loads((run / "run.json").read_text())
    del reported["settings"]["filming"]["lora_rank"], reported["settings"]["cloning"]["prepared"]
    (run / "run.json").write_text(json.dumps(reported))
    del reported["settings"]["contents"], reported["settings"]["autoencoder"]["rate"], reported["changes"]
    (run / "run.json").write_text(json.dumps(reported))
    line = command("video", data, run, "--autoencoder-steps", "2", "--steps")
    assert train.main([*line, "2"]) == 0
    with pytest.raises(RuntimeFault, match=r"begun with filming.divergence 0.0001, now 0.1;"):
        train.main([*line, "2", "--filming.divergence", "0.1"])


def test_a_training_is_made_longer_at_another_rate_and_writes_that_down(
    data: Path, video: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(video.parent, tmp_path / "run")
    line = command("video", data, run, "--autoencoder-steps", "2", "--steps", "3", "--schedule.learning_rate", "2e-4")
    assert train.main(line) == 0
    changes = json.loads((run / "run.json").read_text())["changes"]
    assert changes == ["from step 2: schedule.steps 2, now 3", "from step 2: schedule.learning_rate 0.001, now 0.0002"]
    assert steps_done(run / "flow") == 3
    assert train.main(line) == 0
    assert json.loads((run / "run.json").read_text())["changes"] == changes, "nothing has changed since"
    with pytest.raises(RuntimeFault, match=r"begun with autoencoder.steps 2, now 4;"):
        train.main([*command("video", data, run, "--steps", "3"), "--autoencoder-steps", "4"])


@pytest.mark.parametrize(
    ("flags", "free_gib", "said"),
    [
        (["video", "--size", "full"], 80, r"7865.* M weights learn, .* 146.* GiB .* has 80.0 GiB: give --filming.lora_rank"),
        (["action", "--size", "full", "--cloning.video_loss", "1"], 80, "leave out --cloning.video_loss, so that the"),
        (["action", "--size", "full", "--processes", "3"], 80, "GiB .* has 80.0 GiB: give --processes 1"),
        (["action", "--size", "full", "--cloning.prepared", "false"], 24, "has 24.0 GiB: use a larger one"),
        (["action", "--size", "full"], 24, "needs 6[01].* GiB .* has 24.0 GiB: use a larger one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_anything_is_fetched(
    flags: list[str], free_gib: int, said: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_memory_bytes", lambda _: free_gib * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeFault, match=said) as caught:
        train.main([*flags, "--data", str(data), "--out", str(tmp_path / "out"), "--workers", "1"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_states_that_do_not_fit_the_disk_are_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "_free_bytes", lambda _: 1000)
    with pytest.raises(RuntimeFault, match=r"states and checkpoints need .* GiB, --out .* free; give another"):
        train.main(command("video", data, tmp_path / "out"))


def test_features_that_do_not_fit_the_disk_are_not_begun(
    data: Path, video: Path, action: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_free_bytes", lambda folder: 1000 if folder.name == "cache" else 10**12)
    line = command("action", data, tmp_path / "out", "--video", str(video), "--steps", "1", "--cache")
    with pytest.raises(
        RuntimeFault, match=r"features of 2 demonstrations need .* has 0.0 GiB free; .*--cloning.prepared false"
    ):
        train.main([*line, str(tmp_path / "cache")])
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(needs, "_free_bytes", lambda folder: 0 if folder.name == "cache" else 10**12)
    assert train.main([*line, str(action / "cache")]) == 0, "they are there"


def test_memory_that_runs_out_is_a_line_with_what_to_change(
    data: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(make: Callable[[], Any]) -> Callable[..., Path]:
        return lambda *_: make()

    def killed() -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    line = command("action", data, tmp_path / "out", "--video", str(video), "--steps", "1")
    line[line.index("--cloning.samples") + 1] = "96"
    for make in (killed, full, lambda: torch.empty(10**15), lambda: np.empty(10**15)):
        monkeypatch.setattr(stages, "action", fails(make))
        with pytest.raises(
            RuntimeFault, match=r"out of memory .*resume with --recompute .*--cloning\.samples 96"
        ) as caught:
            train.main(line)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(stages, "action", fails(lambda: torch.zeros(2) + torch.zeros(3)))
    with pytest.raises(RuntimeError, match="must match the size"):  # anything else is not called that
        train.main(line)


def test_stage_2_draws_its_formers_even_from_a_whole_policy(data: Path, action: Path, tmp_path: Path) -> None:
    """Else a policy with video would begin with formers that somebody trained, and one without would not."""
    first = action / "checkpoint"
    names = ("slow.spatial_former.queries", "slow.motion_former.queries")
    line = ["--steps", "1", "--schedule.learning_rate", "1e-30", "--cache", str(action / "cache"), "--seed", "1"]
    tokens = ["--policy.spatial_former.tokens", "7"]
    train.main(command("action", data, tmp_path / "second", *line, *tokens, "--video", str(first)))
    before, after = (
        StoredTensors(folder).read("slow.", torch.device("cpu"))
        for folder in (first, tmp_path / "second" / "checkpoint")
    )
    assert after[names[0].removeprefix("slow.")].shape[0] == 7
    assert not torch.equal(before[names[1].removeprefix("slow.")], after[names[1].removeprefix("slow.")])


def test_a_trained_policy_is_trained_further(data: Path, action: Path, tmp_path: Path) -> None:
    """It begins where the other one ended, in its units, and its video model's features are not made again."""
    cache = shutil.copytree(action / "cache", tmp_path / "cache")
    made = sorted(cache.iterdir())
    first = shutil.copytree(action / "checkpoint", tmp_path / "first")
    stats = json.loads((first / "stats.json").read_text())
    stats["mean"] = (np.array(stats["mean"]) + 0.25).tolist()
    (first / "stats.json").write_text(json.dumps(stats))
    line = ["action", "--data", str(data), "--workers", "1", "--cloning.samples", "6", "--from", str(first)]
    line += ["--steps", "2", "--cache", str(cache)]
    train.main([*line, "--out", str(tmp_path / "still"), "--schedule.learning_rate", "1e-30"])
    train.main([*line, "--out", str(tmp_path / "second"), "--schedule.warmup_steps", "0"])
    assert sorted(cache.iterdir()) == made
    still, second = (tmp_path / name / "checkpoint" for name in ("still", "second"))
    np.testing.assert_allclose(json.loads((still / "stats.json").read_text())["mean"], stats["mean"], rtol=1e-6)
    before, same, other = (StoredTensors(folder).read("", torch.device("cpu")) for folder in (first, still, second))
    for name, tensor in before.items():
        torch.testing.assert_close(same[name], tensor, rtol=1e-5, atol=1e-7)
    assert not torch.equal(other["fast.head.output.weight"], before["fast.head.output.weight"])
    assert torch.equal(
        other["slow.backbone.transformer.x_embedder.proj.weight"],
        before["slow.backbone.transformer.x_embedder.proj.weight"],
    )


def test_a_policy_may_keep_fewer_blocks_of_the_video_model(
    data: Path, video: Path, action: Path, tmp_path: Path
) -> None:
    """And reads the same latents: only features and texts are of its own."""
    cache = shutil.copytree(action / "cache", tmp_path / "cache")
    kinds = sorted(folder.name.split("-")[0] for folder in cache.iterdir())
    flags = ["--video", str(video), "--steps", "2", "--policy.video.backbone.single_blocks", "0", "--cache", str(cache)]
    train.main(command("action", data, tmp_path / "shallow", *flags))
    kept = StoredTensors(tmp_path / "shallow" / "checkpoint").read("slow.backbone.transformer.", torch.device("cpu"))
    whole = StoredTensors(video).read("slow.backbone.transformer.", torch.device("cpu"))
    assert not any(name.startswith("slow.backbone.transformer.single_") for name in kept)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in kept.items())
    again = sorted(folder.name.split("-")[0] for folder in cache.iterdir())
    assert again == sorted([*kinds, "features", "texts"])


def test_cores_prepare_what_a_small_video_model_reads_and_gpus_what_a_published_one_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    line = ["video", "--data", str(data), "--out", str(tmp_path)]
    small, full = (train._understood(*TRAIN.read([*line, "--size", size])) for size in ("small", "full"))  # pyright: ignore[reportPrivateUsage]
    assert (small.prepares_on, full.prepares_on) == ("cpu", "cuda")
    assert (small.workers, full.workers) == (usable_processors(), 1)


def test_more_processes_than_gpus_are_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    line = ["--data", str(data), "--out", str(tmp_path / "out"), "--processes", "2"]
    same = "--processes 2: must be at most 1, the GPUs of this machine; give --processes 1 --cloning.samples 96"
    with pytest.raises(SettingsError, match=same):
        train.main(["action", "--policy.inputs", "no_video", *line])
    with pytest.raises(SettingsError, match=r"must be at most 1, .*; give fewer"):
        train.main(["video", *line])
    assert not (tmp_path / "out").exists()


def test_workers_share_the_gpus_out(monkeypatch: pytest.MonkeyPatch) -> None:
    own = prepared_files.own_device
    assert own("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, device in (("SpawnProcess-1", "cuda:1"), ("SpawnProcess-4", "cuda:0"), ("MainProcess", "cuda:0")):
        monkeypatch.setattr(multiprocessing.current_process(), "name", name)
        assert own("cuda") == device


@pytest.mark.parametrize("name", ["short", "a camera is missing", "NaN", "a picture is cut off"])
def test_an_unfit_demonstration_is_refused_with_file_and_reason(
    data: Path, tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """By a worker, of which one case is enough."""
    if name == "NaN":
        request.getfixturevalue("workers")
    copied = tmp_path / "demonstrations"
    shutil.copytree(data, copied)
    path = sorted(copied.rglob("*.hdf5"))[1]
    with h5py.File(path, "r+") as opened:
        file: Any = opened
        if name == "NaN":
            file["observations/qpos"][3, 2] = np.nan
        elif name == "a picture is cut off":
            file["observations/images/cam_high"][0, 300:] = 0
        elif name == "short":
            for key in ("observations/qpos", "action"):
                rows = file[key][:3]
                del file[key]
                file[key] = rows
        else:
            del file["observations/images/cam_left_wrist"]
    with pytest.raises(RuntimeFault, match=path.name):
        train.main(command("action", copied, tmp_path / "out", "--policy.inputs", "no_video", "--steps", "1"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--video", "/nowhere"], "--video /nowhere: holds no checkpoint"),
        (["--machines", "2"], "--meet: 2 machines need HOST:PORT"),
        (["--meet", "a:1"], "--meet a:1: needs --machines"),
        (["--processes", "0"], "--processes"),
        (["--cloning.video_loss", "1", "--policy.inputs", "no_video"], "--cloning.video_loss 1"),
        (["--steps", "0"], "--steps"),
        ([], "--video is missing: no video model of size small is published; give the checkpoint"),
        (["--policy.inputs", "no_video", "--schedule.learning_rate", "inf"], "learning_rate"),
        (["--seed", "-1"], "--seed -1: must be a whole number from 0"),
        (["--cloning.lag_s", "[2, 1]"], "the shorter first"),
        (["--from", "/nowhere"], "--from /nowhere: holds no checkpoint"),
        (["--from", "/nowhere", "--size", "full"], "--size full: does not apply to --from"),
        (["--from", "/", "--video", "/"], "--video /: holds no checkpoint"),
        (["--size", "huge"], "--size"),
    ],
)
def test_a_wrong_flag_is_one_line(tmp_path: Path, flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        train.main(command("action", tmp_path, tmp_path / "out", *flags))


@pytest.mark.parametrize("out", ["a_file", "a_file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_written_is_one_line(out: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    with pytest.raises(SettingsError, match="--out"):
        train.main(command("action", data, tmp_path / out, "--policy.inputs", "no_video", "--steps", "1"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 3, "revisions": []}'])
def test_a_damaged_record_is_one_line(text: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RuntimeFault, match=r"run\.json: not a record of a training; give another --out"):
        train.main(command("action", data, tmp_path, "--policy.inputs", "no_video", "--steps", "1"))


def test_what_was_changed_in_place_is_read_again(data: Path, tmp_path: Path) -> None:
    """Same name, same size: the prepared file of before must not stand for it."""
    copied, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(data, copied)
    flags = ["--policy.inputs", "no_video", "--steps", "1", "--cache", str(cache)]
    assert train.main(command("action", copied, tmp_path / "first", *flags)) == 0
    path = next(copied.rglob("*.hdf5"))
    size_bytes = path.stat().st_size
    with h5py.File(path, "r+") as file:
        stored = file["observations/qpos"]
        assert isinstance(stored, h5py.Dataset)
        stored[3, 2] = np.nan
    assert path.stat().st_size == size_bytes
    with pytest.raises(RuntimeFault, match=path.name):
        train.main(command("action", copied, tmp_path / "second", *flags))


def test_a_scene_of_evaluation_is_not_trained_on(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    path = next((tmp_path / "data").rglob("*.hdf5"))
    with h5py.File(path, "r+") as file:
        file.attrs["seed"] = 1_000_003
    with pytest.raises(RuntimeFault, match=rf"{path.name}: scene 1000003 is kept for evaluation"):
        train.main(
            command("action", tmp_path / "data", tmp_path / "out", "--policy.inputs", "no_video", "--steps", "1")
        )


def test_statistics_of_other_targets_are_not_gone_on_with(data: Path, action: Path, tmp_path: Path) -> None:
    line = ["action", "--data", str(data), "--out", str(tmp_path), "--from", str(action / "checkpoint")]
    with pytest.raises(SettingsError, match=r"--policy\.action_source next_puppet: must be master, as in"):
        train.main([*line, "--steps", "1", "--policy.action_source", "next_puppet"])


def test_another_runs_folder_is_refused(data: Path, video: Path) -> None:
    with pytest.raises(RuntimeFault, match=r"run.json: begun with .*, now .*; give another --out"):
        train.main(command("video", data, video.parent, "--steps", "2", "--autoencoder-steps", "3"))


def test_an_error_of_the_training_itself_is_not_blamed_on_another(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="of its own"), claim.held(tmp_path):
        raise BlockingIOError("of its own")
    with claim.held(tmp_path):
        pass


def test_two_trainings_in_one_folder_are_refused(data: Path, tmp_path: Path) -> None:
    hold = "from runtime.training import claim\nfrom pathlib import Path\n"
    hold += f"with claim.held(Path({str(tmp_path)!r})):\n print(flush=True); input()"
    words = [sys.executable, "-c", hold]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RuntimeFault, match=r"another training writes there; end it, or give another --out"):
            train.main(command("video", data, tmp_path, "--steps", "2"))
        other.communicate("\n")
    assert not (tmp_path / "run.json").exists()


def test_other_demonstrations_than_those_it_began_with_are_refused(data: Path, video: Path, tmp_path: Path) -> None:
    fewer, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, fewer)
    reported = (video.parent / "run.json").read_text().replace(str(data), str(fewer))
    out.mkdir()
    (out / "run.json").write_text(reported)
    next(fewer.rglob("*.hdf5")).unlink()
    with pytest.raises(RuntimeFault, match=r"begun with demonstrations 2, \w+, now 1, \w+;"):
        train.main(command("video", fewer, out, "--steps", "2", "--autoencoder-steps", "2"))


def test_demonstrations_that_were_changed_in_place_are_noticed(data: Path, video: Path, tmp_path: Path) -> None:
    """One number of one file, which keeps its name, length and times."""
    copy, run = shutil.copytree(data, tmp_path / "data"), shutil.copytree(video.parent, tmp_path / "run")
    reported = json.loads((run / "run.json").read_text())
    reported["settings"]["data"] = str(copy)
    (run / "run.json").write_text(json.dumps(reported))
    line = command("video", copy, run, "--steps", "2", "--autoencoder-steps", "2")
    assert train.main(line) == 0, "the same contents elsewhere"
    path = next(copy.rglob("*.hdf5"))
    times = path.stat()
    with h5py.File(path, "r+") as file:
        dataset = file["action"]
        assert isinstance(dataset, h5py.Dataset)
        dataset[3, 1] = dataset[3, 1] + 0.01
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(RuntimeFault, match=r"files of --data .* have changed since it was begun; restore"):
        train.main(line)


def test_the_demonstrations_used_here_are_sound(data: Path) -> None:
    assert all(len(hdf5.read(path)) > 20 for path in data.rglob("*.hdf5"))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("video", ["train.sh action --data data --video out/checkpoint --out ANOTHER_DIR"]),
        ("action", ["evaluate.sh --policy.checkpoint out/checkpoint", "robot.sh --policy.checkpoint out/checkpoint"]),
    ],
)
def test_a_training_ends_by_naming_what_is_done_with_it(
    stage: str, said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = SimpleNamespace(stage=stage, out=tmp_path / "out", data=tmp_path / "data")
    monkeypatch.setattr(train, "train", lambda _: done)
    assert train.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("/launch/")[2] for line in lines] == said
