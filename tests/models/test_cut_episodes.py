"""Episodes that were cut: little to see, and everything that was commanded afterwards. Called by pytest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch

from models.config.encoders import Keypoints
from models.config.policy import CAMERAS, PolicyConfig
from models.data import hdf5
from models.data.episode import Episode, check
from models.errors import ModelError
from models.train import prepared, statistics
from models.train.choices import Cloning
from models.train.prepared import Prepared
from models.train.samples import Samples, Shard

STEPS, KEPT = 60, 3


def whole() -> Episode:
    """Every joint goes its own way, evenly; the pictures are grey."""
    way = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None] * np.linspace(-0.5, 0.5, 14, dtype=np.float32)
    way[:, [6, 13]] = 0.05
    grey = simplejpeg.encode_jpeg(np.full((24, 32, 3), 90, np.uint8), 90)
    return Episode(way, way, way, way + 0.01, {name: [grey] * STEPS for name in CAMERAS}, ("go",), "a_task", 1)


def cut() -> Episode:
    """The same, as it is kept after three steps."""
    one = whole()
    jpegs = {name: pictures[:KEPT] for name, pictures in one.jpegs.items()}
    return replace(
        one, q=one.q[:KEPT], dq=one.dq[:KEPT], effort=one.effort[:KEPT], leader=one.leader[:KEPT], jpegs=jpegs,
        ahead=one.leader[KEPT:],
    )  # fmt: skip


@pytest.fixture
def config(tiny: PolicyConfig) -> PolicyConfig:
    eyes = Keypoints(image_px=16, width=16, points=4, channels=(8, 8), grid=2)
    return tiny.model_copy(update={"image": eyes, "action_source": "master", "inputs": "no_video"})


def samples(one: Episode, config: PolicyConfig, folder: Path) -> Samples:
    """Batches of the episode alone, at its first steps, nothing left out or put off."""
    prepared.write(folder / "pictures.safetensors", prepared.pictures(one, config))
    pictures = Prepared(folder / "pictures.safetensors")
    cloning = Cloning(
        samples=6, of_window=1, early_share=1.0, no_prefix_share=1.0, state_noise=0.0, grip_loss=1.0, state_dropout=0.0
    )
    return Samples([Shard(pictures, (), "a_task", (0,))], config, statistics.of([pictures], config.horizon), cloning, 0)


def test_a_file_keeps_what_was_commanded_afterwards(tmp_path: Path) -> None:
    hdf5.write(tmp_path / "opening.hdf5", cut())
    found = hdf5.read(tmp_path / "opening.hdf5")
    assert (len(found), len(found.ahead)) == (KEPT, STEPS - KEPT)
    np.testing.assert_array_equal(np.concatenate([found.leader, found.ahead]), whole().leader)
    assert hdf5.about(tmp_path / "opening.hdf5").steps == KEPT


def test_its_chunks_go_on_where_the_pictures_end(config: PolicyConfig, tmp_path: Path) -> None:
    batch = samples(cut(), config, tmp_path)[0]
    (tmp_path / "whole").mkdir()
    every = whole().leader
    assert batch["demonstration"].shape == (6, config.horizon, 14)
    measured = statistics.of([Prepared(tmp_path / "pictures.safetensors")], config.horizon)
    for chunk, state in zip(batch["demonstration"].numpy(), batch["state"].numpy(), strict=True):
        q = state * measured.state_spread + measured.state_mean
        targets = chunk * measured.spread + measured.mean + q
        step = int(np.abs(every[:, 0] - targets[0, 0]).argmin())
        assert step < KEPT
        np.testing.assert_allclose(targets, every[step : step + config.horizon], atol=1e-5)


def test_cut_episodes_are_drawn_as_often_as_asked(config: PolicyConfig, tmp_path: Path) -> None:
    for name, one in (("whole", whole()), ("cut", cut())):
        prepared.write(tmp_path / f"{name}.safetensors", prepared.pictures(one, config))
    both = [Prepared(tmp_path / f"{name}.safetensors") for name in ("whole", "cut", "cut")]
    shards = [Shard(pictures, (), "a_task", (row,)) for row, pictures in enumerate(both)]
    for share in (0.0, 0.4, 1.0):
        cloning = Cloning(samples=600, of_window=1, cut_share=share)
        batch = Samples(shards, config, statistics.of(both, config.horizon), cloning, 0)[0]
        assert float((batch["text"] > 0).float().mean()) == pytest.approx(share, abs=0.07)


def test_it_tells_targets_of_a_follower_too(config: PolicyConfig) -> None:
    found = prepared.targets(cut(), config.model_copy(update={"action_source": "next_puppet"}))
    np.testing.assert_array_equal(found, np.concatenate([whole().q[1:KEPT], whole().leader[KEPT:]]))


def test_what_is_ahead_must_be_as_good_as_what_was_seen() -> None:
    one = cut()
    with pytest.raises(ModelError, match="at least 32 steps, got 3"):
        check(replace(one, ahead=one.ahead[:0]), "file")
    with pytest.raises(ModelError, match=r"ahead: expected shape \(57, 14\), got \(57, 13\)"):
        check(replace(one, ahead=one.ahead[:, 1:]), "file")
    for value, said in (
        (np.nan, "ahead of joint 1 is nan at step 5"),
        (9.0, "leader of joint 7, a gripper, must be in m"),
    ):
        bad = one.ahead.copy()
        bad[5, 6 if value == 9.0 else 0] = value
        with pytest.raises(ModelError, match=said):
            check(replace(one, ahead=bad), "file")
    assert torch.from_numpy(check(one, "file").ahead).isfinite().all()
