"""Both stages of Video Policy: 1 tunes the video model, 2 trains adapter and action network on it. Called by command."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from models.data.demonstrations import Demonstration
from models.identity import stored_config
from models.tensors import StoredTensors
from models.train.prepared import Prepared
from models.train.recompute import recompute
from models.train.training_state import steps_done
from models.train.video_policy.acting import ActingLoss
from models.train.video_policy.clips import ClipBatches, Recording
from models.train.video_policy.imagining import ImaginingLoss, RunAutoencoderLoss, RunsOfPictures, measured_scaling
from models.train.video_policy.observations import Observations, Shard, statistics
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.checkpoint import ACTION, IMAGINATION, TEXT, VIDEO, VideoPolicyCheckpoint, save
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from runtime.host.worker_pool import WorkerPool
from runtime.training import ranks
from runtime.training.checks import Checks, held_out
from runtime.training.clip_preparation import ClipPreparation, open_video
from runtime.training.fitting import fit, table
from runtime.training.run import VideoPolicyRun, learnt_from


def video(run: VideoPolicyRun, pool: WorkerPool, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 1: the VAE if none is published, then the video U-Net."""
    config, base = run.config, None
    if not config.has_published:
        base = run.out / "autoencoder"
        config = _autoencoder(run, pool, demonstrations, base)
    chosen, folder = run.imagining, run.out / "checkpoint"
    preparation = ClipPreparation(pool, run.cache, config, base, run.prepares_on, run.seed, chosen.augmentation)
    recordings, tokens = _recordings(preparation, demonstrations, chosen.changed_versions)
    opened = open_video(config, base, run.seed)
    learner, instructor = opened.video_model(), opened.instructor()
    _learn(run, learner.network)

    def keep() -> dict[str, float]:
        networks = {VIDEO: learner, TEXT: instructor}
        save(folder, config, opened.statistics, networks, video_trained=True, data=learnt_from(run, demonstrations))
        return {}

    batches = ClipBatches(recordings, config, chosen, run.seed)
    fit(run, pool, ImaginingLoss(learner, tokens), batches, run.schedule, run.phase, keep)
    return folder


def _autoencoder(
    run: VideoPolicyRun, pool: WorkerPool, demonstrations: Sequence[Demonstration], folder: Path
) -> VideoPolicyConfig:
    """Train a VAE of our own. Returns the configuration that brings its latents to a spread of 1.

    Its folder is a checkpoint whose video U-Net nobody has trained: stage 2 may begin with it, for comparison.
    """
    if (folder / "config.json").is_file():
        return _stored(folder)
    preparation = ClipPreparation(pool, run.cache, run.config, None, run.prepares_on, run.seed)
    pictures = [Prepared(path) for path in preparation.make("samples", demonstrations)]
    opened = open_video(run.config, None, run.seed)
    model, instructor = opened.video_model(), opened.instructor()
    vae = cast(nn.Module, model.vae)
    vae.requires_grad_(True)
    averaged: dict[str, torch.Tensor] = {}

    def keep() -> dict[str, float]:
        averaged.update({name: tensor.detach().cpu().clone() for name, tensor in vae.state_dict().items()})
        return {}

    batches = RunsOfPictures(pictures, run.imagining, run.seed)
    fit(run, pool, RunAutoencoderLoss(vae, run.imagining), batches, run.autoencoder, "autoencoder", keep)
    vae.cpu().load_state_dict(averaged or vae.state_dict())  # only the first process is told
    vae.eval().requires_grad_(False)
    scaling = measured_scaling(model, pictures, run.seed)
    autoencoder = run.config.autoencoder.model_copy(update={"scaling": scaling})
    config = run.config.model_copy(update={"autoencoder": autoencoder})
    if ranks.chief():
        save(folder, config, opened.statistics, {VIDEO: model, TEXT: instructor}, video_trained=True)
    ranks.wait_for([folder / "config.json"])
    return _stored(folder)  # as the first process measured it: of the average, which the others do not have


def _stored(folder: Path) -> VideoPolicyConfig:
    found = stored_config(folder)
    assert isinstance(found, VideoPolicyConfig), "this run wrote it"
    return found


def action(run: VideoPolicyRun, pool: WorkerPool, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 2: the video model is frozen, unless both are trained jointly."""
    config, base, acting = run.config, run.begin or run.video, run.acting
    preparation = ClipPreparation(pool, run.cache, config, base, run.prepares_on, run.seed, acting.augmentation)
    recordings, tokens = _recordings(preparation, demonstrations, acting.changed_versions)
    joints = [Prepared(path) for path in preparation.make(f"joints_{acting.targets}", demonstrations)]
    tasks = [demonstration.task for demonstration in demonstrations]
    shards = [Shard(*parts) for parts in zip(joints, recordings, tasks, strict=True)]
    apart = held_out(demonstrations, acting.held_out_share, run.seed)
    learnt, held = ([shard for place, shard in enumerate(shards) if (place in apart) is kept] for kept in (False, True))
    instructor = open_video(config, base, run.seed).instructor()
    if run.begin:
        opened = VideoPolicyCheckpoint.load(run.begin, config)
        imagination, sampler, measured = opened.imaginer().imagination, opened.chunk_maker().sampler, opened.statistics
    else:
        imagination, sampler = _begun(run, base)
        measured = statistics([shard.joints for shard in learnt], config)
    rates = [(imagination.video.network, acting.video_rate)] if acting.video_loss else []
    for part in (imagination.adapter, sampler, *(part for part, _ in rates)):
        _learn(run, part)
    network, folder = ActingLoss(imagination, sampler, tokens, acting), run.out / "checkpoint"
    batches, tested = (
        Observations(some, config, measured, acting, run.seed) if some else None for some in (learnt, held)
    )
    assert batches is not None, "of each task something is learnt from"
    checks = Checks(run, network, tested, tasks)
    own = acting.video_loss > 0 or (base is not None and bool(StoredTensors(base).names(VIDEO)))
    parts = {IMAGINATION: imagination, ACTION: sampler, TEXT: instructor}

    def keep() -> dict[str, float]:
        save(folder, config, measured, parts, video_trained=own, data=learnt_from(run, demonstrations))
        return checks.found(folder, steps_done(run.out / run.phase))

    fit(run, pool, network, batches, run.schedule, run.phase, keep, rates)
    return folder


def _begun(run: VideoPolicyRun, base: Path | None) -> tuple[Imagination, ActionSampler]:
    """The video model as it is stored or published, adapter and action network drawn from the seed."""
    model = open_video(run.config, base, run.seed).video_model()
    torch.manual_seed(run.seed)
    return Imagination(run.config, model), ActionSampler(run.config)


def _recordings(
    preparation: ClipPreparation, demonstrations: Sequence[Demonstration], changed: int
) -> tuple[list[Recording], list[torch.Tensor]]:
    """Each demonstration's latents, as it is and in so many changed versions, and the tokens (1, 1, D) of all wordings."""
    wordings, rows = table(demonstrations)
    tokens = [embedding.video.states for embedding in preparation.texts(wordings)]
    versions = [
        [Prepared(path) for path in preparation.make("latents", demonstrations, version)]
        for version in range(1 + changed)
    ]
    return [Recording(*both) for both in zip(zip(*versions, strict=True), rows, strict=True)], tokens


def _learn(run: VideoPolicyRun, part: nn.Module) -> None:
    part.requires_grad_(True)
    if run.recompute:
        recompute(part)
