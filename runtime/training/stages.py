"""Both stages of training: 1 tunes the video model on robot video, 2 trains the policy on top of it. Called by command."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from models import normalize
from models.checkpoint import CPU, Checkpoint, Stored, save
from models.config.policy import PolicyConfig
from models.data.demonstrations import Demonstration
from models.identity import video2act_config
from models.instructor import Instructor
from models.placement import place, usual_type
from models.policy import InstructionEmbedding
from models.sources import PartName, sources
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.tensors import StoredTensors
from models.train import low_rank, statistics, token_statistics
from models.train.action import CloningLoss
from models.train.joint import JointLoss
from models.train.live_features import LiveFeatures
from models.train.prepared import Prepared
from models.train.recompute import recompute
from models.train.samples import Samples, Shard
from models.train.training_state import steps_done
from models.train.video import AutoencoderLoss, Film, FlowLoss, Pictures, Windows, latent_spread
from runtime.host.worker_pool import WorkerPool
from runtime.training import ranks
from runtime.training.checks import Checks, held_out
from runtime.training.fitting import fit, table
from runtime.training.preparation import Preparation, open_video
from runtime.training.run import Video2ActRun, learnt_from


def video(run: Video2ActRun, pool: WorkerPool, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 1: the VAE if none is published, then the video model."""
    config, base = run.config, None
    if "video" not in sources(config):
        base = run.out / "autoencoder"
        config = _autoencoder(run, pool, demonstrations, base)
    preparation = Preparation(pool, run.cache, config, base, run.prepares_on, run.seed)
    latents = [Prepared(path) for path in preparation.make("latents", demonstrations)]
    opened = open_video(config, base, run.seed)
    slow, instructor = opened.slow(), opened.instructor()
    wordings, rows = table(demonstrations)
    films = [Film(*both) for both in zip(latents, rows, strict=True)]
    network = FlowLoss(slow.backbone, [embedding.video for embedding in preparation.texts(wordings)])
    learner = _learning(slow, run)

    def keep() -> dict[str, float]:
        _save_video(run.out / "checkpoint", config, learner, instructor, learnt_from(run, demonstrations))
        return {}

    fit(run, pool, network, Windows(films, run.filming, run.seed), run.schedule, run.phase, keep)
    return run.out / "checkpoint"


def _learning(slow: SlowSystem, run: Video2ActRun) -> Stored:
    """Let the video model learn, all of it or updates of low rank. Returns what is to be stored of it."""
    if run.filming.lora_rank:
        torch.manual_seed(run.seed)
        low_rank.adapt(slow.backbone, run.filming.lora_rank)
    else:
        slow.backbone.transformer.requires_grad_(True)
    if run.recompute:
        recompute(slow.backbone.transformer)
    return low_rank.Whole(slow) if run.filming.lora_rank else slow


def _autoencoder(
    run: Video2ActRun, pool: WorkerPool, demonstrations: Sequence[Demonstration], folder: Path
) -> PolicyConfig:
    """Train a VAE of our own. Returns the configuration that brings its latents to a spread of 1."""
    if (folder / "config.json").is_file():
        return video2act_config(folder)
    preparation = Preparation(pool, run.cache, run.config, None, run.prepares_on, run.seed)
    pictures = [Prepared(path) for path in preparation.make("samples", demonstrations)]
    opened = open_video(run.config, None, run.seed)
    slow, instructor = opened.slow(), opened.instructor()
    torch.manual_seed(run.seed)
    vae = slow.backbone.new_autoencoder()
    network = AutoencoderLoss(vae, run.filming)
    averaged: dict[str, torch.Tensor] = {}

    def keep() -> dict[str, float]:
        averaged.update({name: tensor.detach().cpu().clone() for name, tensor in vae.state_dict().items()})
        return {}

    fit(run, pool, network, Pictures(pictures, run.filming, run.seed), run.autoencoder, "autoencoder", keep)
    vae.cpu().load_state_dict(averaged or vae.state_dict())  # only the first process is told
    slow.backbone.take_autoencoder(vae.eval().requires_grad_(False))
    measured = slow.backbone.measured(*latent_spread(slow.backbone, pictures, run.seed))
    backbone = run.config.video.backbone.model_copy(update=measured)
    video = run.config.video.model_copy(update={"backbone": backbone})
    config = run.config.model_copy(update={"video": video})
    if ranks.chief():
        _save_video(folder, config, slow, instructor)
    ranks.wait_for([folder / "config.json"])
    return video2act_config(folder)  # as the first process measured it: of the average, which the others do not have


def _save_video(folder: Path, config: PolicyConfig, slow: Stored, instructor: Instructor, data: str = "") -> None:
    """Write a checkpoint without System 1, for stage 2 to start from."""
    nothing = torch.zeros(config.joints).double().numpy()
    placeholder = normalize.untrained(config.horizon, nothing, nothing + 1)
    save(folder, config, placeholder, {"slow": slow, "text": instructor}, trained=frozenset({"video"}), data=data)


def action(run: Video2ActRun, pool: WorkerPool, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 2: the video model is frozen, unless both are trained jointly."""
    config, video = run.config, run.begin or run.video
    preparation = Preparation(pool, run.cache, config, video, run.prepares_on, run.seed, run.cloning.augmentation)
    joint = run.cloning.video_loss > 0
    live = joint or not run.cloning.prepared
    if config.hears_video and not live:
        preparation.check_room(demonstrations, 1 + run.cloning.changed_versions)
    wordings, rows = table(demonstrations)
    # All at once, before features need some: encoders load for minutes.
    *texts, empty = preparation.texts([*wordings, ""])
    pictures = [Prepared(path) for path in preparation.make("pictures", demonstrations)]
    features: list[tuple[Prepared, ...]] = [()] * len(pictures)
    if config.hears_video:
        features = _features(preparation, demonstrations, live, run.cloning.changed_versions)
    opened = open_video(config, video, run.seed)
    slow = opened.slow() if run.begin else opened.slow_to_train(run.seed)
    instructor = opened.instructor()
    tasks = [demonstration.task for demonstration in demonstrations]
    shards = [Shard(*parts) for parts in zip(pictures, features, tasks, rows, strict=True)]
    apart = held_out(demonstrations, run.cloning.held_out_share, run.seed)
    learnt, held = ([shard for place, shard in enumerate(shards) if (place in apart) is kept] for kept in (False, True))
    beginning = opened
    if not run.begin:
        learnt_pictures = [shard.pictures for shard in learnt]
        measured = statistics.of(learnt_pictures, config.horizon, config.targets)
        beginning = Checkpoint(config, measured, None, run.seed)
    measured, fast = beginning.statistics, beginning.fast_to_train()
    torch.manual_seed(run.seed)
    network = _cloning(run, fast, slow, texts, empty.language)
    folder = run.out / "checkpoint"
    parts = {"slow": slow, "fast": fast, "text": instructor}
    own: set[PartName] = {"image"}  # of the published parts, those that are no longer as they were published
    if joint or (video is not None and StoredTensors(video).names("slow.backbone.transformer.")):
        own.add("video")
    batches, tested = (
        Samples(some, config, measured, run.cloning, run.seed) if some else None for some in (learnt, held)
    )
    assert batches is not None, "of each task something is learnt from"
    checks = Checks(run, network, tested, tasks)

    def keep() -> dict[str, float]:
        with token_statistics.measured(network, batches):
            save(folder, config, measured, parts, trained=frozenset(own), data=learnt_from(run, demonstrations))
            return checks.found(folder, steps_done(run.out / "action"))

    rates = [(former, run.cloning.former_rate) for former in network.formers]
    fit(run, pool, network, batches, run.schedule, "action", keep, rates)
    return folder


def _features(
    preparation: Preparation, demonstrations: Sequence[Demonstration], live: bool, changed: int
) -> list[tuple[Prepared, ...]]:
    """What System 2 made of each demonstration as it is, and of so many changed versions.

    Live: what its video model is given, to compute the rest in training.
    """
    versions: list[list[Prepared]] = []
    for version in range(1 + changed):
        made = preparation.make("latents", demonstrations, version)
        made = made if live else preparation.make("features", demonstrations, version)
        versions.append([Prepared(path) for path in made])
    return list(zip(*versions, strict=True))


def _cloning(
    run: Video2ActRun, fast: FastSystem, slow: SlowSystem, texts: Sequence[InstructionEmbedding], empty: torch.Tensor
) -> CloningLoss:
    """Let System 1 and both formers learn, and the video model in joint training. Returns the loss."""
    languages, read = [text.language for text in texts], [text.video for text in texts]
    learning = [fast, slow.spatial_former, slow.motion_former]
    if run.cloning.video_loss:
        learning.append(slow.backbone.transformer)
        network = JointLoss(fast, slow, languages, empty, read, run.cloning, run.filming)
    elif run.config.hears_video and not run.cloning.prepared:
        beside, dtype = slow.backbone, usual_type(run.config, torch.device(run.device))
        if dtype != torch.float32:  # what is stored stays as it was
            beside = place(copy.deepcopy(slow.backbone), CPU, dtype)
        network = LiveFeatures(fast, slow, languages, empty, read, run.cloning, beside, dtype)
    else:
        network = CloningLoss(fast, slow if run.config.hears_video else None, languages, empty, run.cloning)
    for part in learning:
        part.requires_grad_(True)
        if run.recompute:
            recompute(part)
    return network
