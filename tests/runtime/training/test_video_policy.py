"""`train.sh` for Video Policy: both stages on two real demonstrations, what comes out of them, and what is refused.
Called by pytest; everything is small and happens in this process.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_rig import command, losses, video_policy_command
from worker_rig import Here

from models.identity import stored_config
from models.tensors import StoredTensors
from models.train.prepared import Prepared
from models.train.training_state import steps_done
from models.video_policy.checkpoint import VideoPolicyCheckpoint
from models.video_policy.config import VideoPolicyConfig
from runtime.errors import RuntimeFault, SettingsError
from runtime.training import command as train
from runtime.training import needs

pytestmark = pytest.mark.usefixtures("fresh_accelerator", "here")
MadeOnce = Callable[[str, Callable[[Path], None]], Path]
VIDEO, VAE = "imagination.video.network.", "imagination.video.vae."


@pytest.fixture(scope="module")
def films(data: Path, made_once: MadeOnce) -> Path:
    """Stage 1's checkpoint."""

    def make(out: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "WorkerPool", Here)
            line = ["--steps", "2", "--autoencoder-steps", "2", "--schedule.warmup_steps", "0"]
            assert train.main(video_policy_command("video", data, out, *line)) == 0

    return made_once("video-policy-video", make) / "checkpoint"


@pytest.fixture(scope="module")
def acted(data: Path, films: Path, made_once: MadeOnce) -> Path:
    """Stage 2's run on top of it."""

    def make(out: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "WorkerPool", Here)
            line = ["--video", str(films), "--cache", str(films.parent / "cache"), "--steps", "2"]
            line += ["--schedule.average", "0", "--schedule.warmup_steps", "0"]
            assert train.main(video_policy_command("action", data, out, *line)) == 0

    return made_once("video-policy-action", make)


def digests(folder: Path, *prefixes: str) -> list[str]:
    """Of a checkpoint's tensors under each prefix."""
    return [StoredTensors(folder).digest(prefix) for prefix in prefixes]


def test_stage_1_leaves_a_video_model_whose_latents_have_a_spread_of_1(films: Path) -> None:
    run = json.loads((films.parent / "run.json").read_text())["settings"]
    assert (run["family"], run["stage"], run["autoencoder"]["steps"]) == ("video-policy", "video", 2)
    assert set(run) >= {"acting", "imagining"} and not set(run) & {"cloning", "filming"}
    assert set(losses(films.parent, "imagination")) == {0}
    config = stored_config(films)
    assert isinstance(config, VideoPolicyConfig)
    files = (films.parent / "cache").glob("latents-*/*/*.safetensors")
    clean = torch.cat([Prepared(path)["clean"].float() for path in files])
    assert config.autoencoder.scaling != 0.18215 and float(clean.std()) == pytest.approx(1, abs=0.2)
    begun, trained = digests(films.parent / "autoencoder", VIDEO, VAE), digests(films, VIDEO, VAE)
    assert begun[0] != trained[0] and begun[1] == trained[1], "the U-Net has learnt, on latents of this very VAE"


def test_stage_2_freezes_the_video_model_and_its_checkpoint_makes_chunks(films: Path, acted: Path) -> None:
    """And holds the weights of the last step, where they are not averaged."""
    folder = acted / "checkpoint"
    assert digests(films, "imagination.video.", "text.") == digests(folder, "imagination.video.", "text.")
    opened = VideoPolicyCheckpoint.load(folder)
    maker, imaginer = opened.chunk_maker(), opened.imaginer()
    state = load_file(acted / "action" / "state" / "model.safetensors")
    for part, network in (("sampler.", maker.sampler), ("imagination.adapter.", imaginer.imagination.adapter)):
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(state[part + name], tensor)
    assert not any("video" in name for name in state), "what is frozen is not kept with every state"
    imaginer.warm_up()
    chunk = maker.warm_up()
    assert chunk.shape == (8, 14) and np.isfinite(chunk).all()


def test_both_stages_are_resumed_and_made_longer(data: Path, films: Path, acted: Path, tmp_path: Path) -> None:
    run = shutil.copytree(films.parent, tmp_path / "video")
    line = ["--autoencoder-steps", "2", "--schedule.warmup_steps", "0", "--steps", "3"]
    assert train.main(video_policy_command("video", data, run, *line)) == 0
    assert steps_done(run / "imagination") == 3
    assert "from step 2: schedule.steps 2, now 3" in json.loads((run / "run.json").read_text())["changes"]
    run = shutil.copytree(acted, tmp_path / "action")
    line = ["--video", str(films), "--cache", str(films.parent / "cache"), "--schedule.average", "0"]
    line += ["--schedule.warmup_steps", "0", "--steps", "2"]
    assert train.main(video_policy_command("action", data, run, *line)) == 0
    with pytest.raises(RuntimeFault, match=r"begun with acting.chunks 4, now 2; give another --out"):
        train.main(video_policy_command("action", data, run, *line, "--acting.chunks", "2"))


def test_the_video_model_learns_too_when_asked_to(data: Path, films: Path, tmp_path: Path) -> None:
    line = ["--video", str(films), "--cache", str(films.parent / "cache"), "--steps", "2", "--acting.video_loss", "1"]
    line += ["--schedule.warmup_steps", "0"]
    assert train.main(video_policy_command("action", data, tmp_path, *line)) == 0
    before, after = digests(films, VIDEO, VAE), digests(tmp_path / "checkpoint", VIDEO, VAE)
    assert before[0] != after[0] and before[1] == after[1]


def test_a_video_model_that_nobody_trained_may_be_begun_with(data: Path, films: Path, tmp_path: Path) -> None:
    """Stage 1 leaves one beside its VAE."""
    untrained = films.parent / "autoencoder"
    line = ["--video", str(untrained), "--cache", str(films.parent / "cache"), "--steps", "1"]
    assert train.main(video_policy_command("action", data, tmp_path, *line)) == 0
    assert digests(untrained, VIDEO, VAE) == digests(tmp_path / "checkpoint", VIDEO, VAE) != digests(films, VIDEO, VAE)


def test_a_whole_policy_is_trained_further_on_its_own_statistics(data: Path, acted: Path, tmp_path: Path) -> None:
    begin = acted / "checkpoint"
    line = ["--from", str(acted), "--steps", "1", "--schedule.learning_rate", "1e-30", "--recompute"]
    line += ["--schedule.weight_decay", "0", "--acting.held_out_share", "0.5"]
    assert train.main(video_policy_command("action", data, tmp_path, *line)) == 0
    first, further = (VideoPolicyCheckpoint.load(folder) for folder in (begin, tmp_path / "checkpoint"))
    assert first.statistics.to_json() == further.statistics.to_json()
    for name, tensor in first.chunk_maker().sampler.state_dict().items():
        torch.testing.assert_close(further.chunk_maker().sampler.state_dict()[name], tensor)


def test_eyes_and_changed_versions_and_held_out_demonstrations(
    data: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = shutil.copytree(films.parent / "cache", tmp_path / "cache")
    line = ["--video", str(films), "--cache", str(cache), "--steps", "1", "--acting.held_out_share", "0.5"]
    line += ["--acting.changed_versions", "1", "--acting.augmentation.share", "1", "--acting.targets", "follower"]
    line += ["--policy.action.eyes.image_px", "32", "--policy.action.eyes.width", "8"]
    assert train.main(video_policy_command("action", data, tmp_path / "out", *line)) == 0
    assert "step 1: validation loss" in capsys.readouterr().out
    kinds = {folder.name.split("-")[0]: len(list(folder.rglob("*.safetensors"))) for folder in cache.iterdir()}
    assert kinds["latents"] == 4 and kinds["joints_follower"] == 2
    assert VideoPolicyCheckpoint.load(tmp_path / "out" / "checkpoint").chunk_maker().warm_up().shape == (8, 14)


def test_a_film_without_wrist_cameras_is_refused_with_file_and_remedy(data: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(data, tmp_path / "data")
    path = next(copied.rglob("*.hdf5"))
    with h5py.File(path, "r+") as file:
        del file["observations/images/cam_left_wrist"]
        file.attrs["kind"] = "chance"
    with pytest.raises(RuntimeFault, match=rf"{path.name}: camera left_wrist is missing.*--policy.clip.cameras head,"):
        train.main(video_policy_command("video", copied, tmp_path / "out", "--steps", "1"))


@pytest.mark.parametrize(
    ("stage", "flags", "said"),
    [
        ("action", ["--size", "video-policy-small"], r"--video is missing: no video model of size video-policy-small"),
        ("action", ["--size", "video-policy-small", "--cloning.samples", "3"], "unknown flag --cloning.samples"),
        ("action", ["--size", "small", "--acting.clips", "3"], "unknown flag --acting.clips"),
        ("action", ["--size", "video-policy-small", "--video", "SHIPPED"], r"--video: .*is of family video2act, --size"),
        ("action", ["--video", "FILMS", "--acting.age_s", "1,0"], "--acting: age_s: must be two times in s"),
        ("action", ["--video", "FILMS", "--policy.clip.rate_hz", "20"], "--policy.clip.rate_hz: must be 30, the rate of"),
        ("action", ["--video", "FILMS", "--policy.action.joints", "7"], "--policy.action.joints 7: must be 14, as in"),
        ("video", ["--imagining.dropout", "0.7"], "--imagining.dropout 0.7: must be a number"),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_one_line(
    stage: str, flags: list[str], said: str, data: Path, films: Path, tmp_path: Path
) -> None:
    places = {"FILMS": str(films), "SHIPPED": "models/shipped/small"}
    words = [places.get(word, word) for word in flags]
    with pytest.raises(SettingsError, match=said) as caught:
        train.main(video_policy_command(stage, data, tmp_path / "out", *words))
    assert "\n" not in str(caught.value)


def test_a_video_model_of_the_other_family_is_refused(data: Path, films: Path, tmp_path: Path) -> None:
    said = r"--video: .*is of family video-policy, --size small of video2act; change one"
    with pytest.raises(SettingsError, match=said):
        train.main(command("action", data, tmp_path, "--size", "small", "--video", str(films)))


def test_the_chunks_of_a_policy_that_is_trained_further_stay_as_they_were(
    data: Path, acted: Path, tmp_path: Path
) -> None:
    line = ["--from", str(acted), "--policy.action.frame", "absolute"]
    with pytest.raises(SettingsError, match=r"--policy.action.frame absolute: must be relative, as in"):
        train.main(video_policy_command("action", data, tmp_path, *line))


@pytest.mark.parametrize(
    ("flags", "free_gib", "said"),
    [
        (["video"], 16, r"1524\.6 M weights learn, .* has 16.0 GiB: use a larger one"),
        (["action", "--acting.video_loss", "1"], 20, "leave out --acting.video_loss, so that the video model stays"),
        (["action", "--processes", "3"], 20, "has 20.0 GiB: give --processes 1"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_fetched(
    flags: list[str], free_gib: int, said: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_memory_bytes", lambda _: free_gib * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = [*flags, "--size", "video-policy-full", "--data", str(data), "--out", str(tmp_path / "out")]
    with pytest.raises(RuntimeFault, match=said):
        train.main(line)
    assert not (tmp_path / "out").exists()
