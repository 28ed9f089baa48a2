"""The command `train.sh video|action`: stage 1 tunes the video model on robot video, stage 2 trains the policy on top of it.

OUT holds the run: `run.json` (every setting, the revision), `state/` to go on with, `curves/` for TensorBoard, and what
came out of it, `checkpoint/`. The same command again goes on where it was stopped.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard.writer import SummaryWriter
from tqdm import tqdm

from models import normalize, sizes
from models.checkpoint import Checkpoint, save
from models.config import PolicyConfig
from models.data.demonstrations import Demonstration, find
from models.errors import ModelError
from models.identity import checkpoint_id, stored_config
from models.instructor import Instructor
from models.slow import SlowSystem
from models.sources import PartName, sources
from models.tensors import StoredTensors
from models.train import statistics
from models.train.action import Cloning, CloningLoss, Samples, Shard
from models.train.joint import JointLoss
from models.train.loop import Progress, Schedule, fit
from models.train.prepared import Prepared
from models.train.video import AutoencoderLoss, Film, Filming, FlowLoss, Pictures, Windows, latent_spread
from runtime import command_line, overrides, ranks
from runtime.errors import RuntimeFault, SettingsError
from runtime.preparation import Preparation, open_video
from runtime.ranks import Ranks
from runtime.revision import revision
from runtime.spread import Spread
from runtime.terminal import say

_STEPS = {"video": 20_000, "action": 100_000}
_AUTOENCODER_STEPS = 10_000
_OF_STAGE_1 = ("video", "text", "cameras", "colour_order", "resize", "published")  # stage 2 takes them as they are


@dataclass(frozen=True)
class Run:
    """One call of the command, understood."""

    stage: str
    config: PolicyConfig
    data: Path
    out: Path
    cache: Path
    video: Path | None
    begin: Path | None
    schedule: Schedule
    autoencoder: Schedule
    cloning: Cloning
    filming: Filming
    workers: int
    ray: str | None
    seed: int
    device: str
    ranks: Ranks

    def describe(self) -> dict[str, Any]:
        """Every setting, for run.json and to compare with an earlier one's."""
        plain: dict[str, Any] = {name: str(getattr(self, name)) for name in ("stage", "data", "video", "seed")}
        groups = {
            name: getattr(self, name).model_dump(mode="json") for name in ("config", "schedule", "cloning", "filming")
        }
        plain["from"] = None if self.begin is None else str(self.begin)
        for name, folder in (("video_id", self.video), ("from_id", self.begin)):
            plain[name] = None if folder is None else checkpoint_id(stored_config(folder), folder, 0)
        if self.stage == "video":
            plain["autoencoder"] = self.autoencoder.model_dump(mode="json")
        return plain | groups | {"processes": self.ranks.processes * self.ranks.machines}


def main(arguments: list[str]) -> int:
    """The command."""
    run = _understood(arguments)
    torch.set_num_threads(max(1, run.workers // run.ranks.processes))
    try:
        demonstrations = find(run.data)
        if not ranks.started():
            _remember(run, demonstrations)
        if run.ranks.several and not ranks.started():
            ranks.start(run.ranks, "runtime.cli", ["train", *arguments])
            return 0
        with Spread("train", run.workers, run.ray) as spread:
            trained = (
                _video(run, spread, demonstrations) if run.stage == "video" else _action(run, spread, demonstrations)
            )
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    if ranks.chief():
        say(f"{trained}: {run.stage} trained on {len(demonstrations)} demonstrations")
    return 0


def _video(run: Run, spread: Spread, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 1: the VAE if none is published, then the video model."""
    config, base = run.config, None
    if "video" not in sources(config):
        base = run.out / "autoencoder"
        config = _autoencoder(run, spread, demonstrations, base)
    preparation = Preparation(spread, run.cache, config, base, run.device, run.seed)
    latents = [Prepared(path) for path in preparation.make("latents", demonstrations)]
    opened = open_video(config, base, run.seed)
    slow, instructor = opened.slow(), opened.instructor()
    wordings, rows = _table(demonstrations)
    films = [Film(*both) for both in zip(latents, rows, strict=True)]
    network = FlowLoss(slow.backbone, [embedding.video for embedding in preparation.texts(wordings)])
    slow.backbone.transformer.requires_grad_(True)
    _fit(
        run,
        network,
        Windows(films, run.filming, run.seed),
        run.schedule,
        "flow",
        lambda: _save_video(run.out / "checkpoint", config, slow, instructor),
    )
    return run.out / "checkpoint"


def _autoencoder(run: Run, spread: Spread, demonstrations: Sequence[Demonstration], folder: Path) -> PolicyConfig:
    """A VAE of our own; the configuration that brings its latents to a spread of 1."""
    if (folder / "config.json").is_file():
        return stored_config(folder)
    preparation = Preparation(spread, run.cache, run.config, None, run.device, run.seed)
    pictures = [Prepared(path) for path in preparation.make("samples", demonstrations)]
    opened = open_video(run.config, None, run.seed)
    slow, instructor = opened.slow(), opened.instructor()
    torch.manual_seed(run.seed)
    vae = slow.backbone.new_autoencoder()
    network = AutoencoderLoss(vae, run.filming)
    averaged: dict[str, torch.Tensor] = {}

    def keep() -> None:
        averaged.update({name: tensor.detach().cpu().clone() for name, tensor in vae.state_dict().items()})

    _fit(run, network, Pictures(pictures, run.filming, run.seed), run.autoencoder, "autoencoder", keep)
    vae.cpu().load_state_dict(averaged or vae.state_dict())  # only the first process is told
    slow.backbone.take_autoencoder(vae.eval().requires_grad_(False))
    measured = slow.backbone.measured(*latent_spread(slow.backbone, pictures, run.seed))
    backbone = run.config.video.backbone.model_copy(update=measured)
    video = run.config.video.model_copy(update={"backbone": backbone})
    config = run.config.model_copy(update={"video": video})
    if ranks.chief():
        _save_video(folder, config, slow, instructor)
    ranks.wait_for([folder / "config.json"])
    return config


def _save_video(folder: Path, config: PolicyConfig, slow: SlowSystem, instructor: Instructor) -> None:
    """A checkpoint without System 1: stage 2 starts from it."""
    nothing = torch.zeros(config.joints).double().numpy()
    placeholder = normalize.untrained(config.horizon, nothing, nothing + 1)
    save(folder, config, placeholder, {"slow": slow, "text": instructor}, trained=frozenset({"video"}))


def _action(run: Run, spread: Spread, demonstrations: Sequence[Demonstration]) -> Path:
    """Stage 2: the video model is frozen, unless both are trained jointly."""
    config, video = run.config, run.begin or run.video
    preparation = Preparation(spread, run.cache, config, video, run.device, run.seed)
    pictures = [Prepared(path) for path in preparation.make("pictures", demonstrations)]
    features: list[Prepared] | list[None] = [None] * len(pictures)
    joint = run.cloning.video_loss > 0
    if config.hears_video:
        made = preparation.make("latents", demonstrations)
        made = made if joint else preparation.make("features", demonstrations)
        features = [Prepared(path) for path in made]
    opened = open_video(config, video, run.seed)
    slow, instructor = opened.slow(), opened.instructor()
    wordings, rows = _table(demonstrations)
    tasks = [demonstration.task for demonstration in demonstrations]
    shards = [Shard(*parts) for parts in zip(pictures, features, tasks, rows, strict=True)]
    beginning = opened if run.begin else Checkpoint(config, statistics.of(pictures, config.horizon), None, run.seed)
    measured, fast = beginning.statistics, beginning.fast_to_train()
    torch.manual_seed(run.seed)
    texts = preparation.texts(wordings)
    languages, read = [text.language for text in texts], [text.video for text in texts]
    for former in (slow.spatial_former, slow.motion_former):
        former.requires_grad_(True)
    if joint:
        slow.backbone.transformer.requires_grad_(True)
        network = JointLoss(fast, slow, languages, read, run.cloning, run.filming)
    else:
        network = CloningLoss(fast, slow if config.hears_video else None, languages, run.cloning)
    folder = run.out / "checkpoint"
    parts = {"slow": slow, "fast": fast, "text": instructor}
    own: set[PartName] = {"image"}  # of the published parts, those that are no longer as they were published
    if joint or (video is not None and StoredTensors(video).names("slow.backbone.transformer.")):
        own.add("video")
    _fit(
        run,
        network,
        Samples(shards, config, measured, run.cloning, run.seed),
        run.schedule,
        "action",
        lambda: save(folder, config, measured, parts, trained=frozenset(own)),
    )
    return folder


def _fit(run: Run, network: nn.Module, batches: Any, schedule: Schedule, name: str, keep: Any) -> None:
    """Train with a progress bar and curves; `keep` writes what has been learnt."""
    chief = ranks.chief()
    curves = SummaryWriter(str(run.out / "curves" / name)) if chief else None
    with tqdm(total=schedule.steps, desc=name, unit="step", disable=not chief) as bar:
        mean: float | None = None
        for news in fit(network, batches, schedule, run.out / name, lambda _: keep()):
            bar.update(news.step + 1 - bar.n)
            mean = news.loss if mean is None else mean + (news.loss - mean) / 100
            if news.step % 20 == 0 and curves is not None:
                bar.set_postfix(loss=f"{mean:.4f}")
                _plot(curves, news)
    if curves is not None:
        curves.close()


def _plot(curves: SummaryWriter, news: Progress) -> None:
    curves.add_scalar("loss", news.loss, news.step)
    curves.add_scalar("learning rate", news.learning_rate, news.step)


def _table(demonstrations: Sequence[Demonstration]) -> tuple[list[str], list[tuple[int, ...]]]:
    """All wordings, each once, and each demonstration's rows among them."""
    wordings = list(dict.fromkeys(text for demonstration in demonstrations for text in demonstration.texts))
    place = {text: row for row, text in enumerate(wordings)}
    return wordings, [tuple(place[text] for text in demonstration.texts) for demonstration in demonstrations]


def _remember(run: Run, demonstrations: Sequence[Demonstration]) -> None:
    """Write run.json; refuse to go on with another run's state under other settings or with other demonstrations."""
    path, wanted = run.out / "run.json", run.describe() | {"demonstrations": _identity(run.data, demonstrations)}
    revisions: list[str] = []
    if path.is_file():
        before = json.loads(path.read_text())
        revisions = before["revisions"]
        other = _difference(before["settings"], wanted)
        if other is not None:
            raise RuntimeFault(
                f"{path}: was begun with another {other}; give another --out, or the settings and data of that run"
            )
    run.out.mkdir(parents=True, exist_ok=True)
    if revision() not in revisions:
        revisions.append(revision())  # of the source that began it, and of those that went on with it
    path.write_text(json.dumps({"settings": wanted, "revisions": revisions}, indent=1))


def _identity(folder: Path, demonstrations: Sequence[Demonstration]) -> str:
    """Which demonstrations they are: how many, and a mark of their names, lengths and wordings."""
    rows = [(str(one.path.relative_to(folder)), one.index, one.task, one.steps, one.texts) for one in demonstrations]
    return f"{len(rows)}, {hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]}"


def _difference(before: Any, now: Any, place: str = "") -> str | None:
    """The first place where two trees differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            found = _difference(before.get(name), now.get(name), f"{place}.{name}" if place else name)
            if found is not None:
                return found
        return None
    return None if before == now else f"{place} ({before}, now {now})"


def _understood(arguments: list[str]) -> Run:
    parser = _parser()
    own, flags = command_line.without_settings(parser, arguments)
    options = command_line.parse(parser, own)
    _check(options)
    values = overrides.parse(flags, ("policy", "schedule", "cloning", "filming"))
    steps = options.steps or _STEPS[options.stage]
    cloning = overrides.over(Cloning(), values["cloning"], "cloning")
    config = _config(options, values["policy"])
    if cloning.video_loss and not config.hears_video:
        raise SettingsError(
            f"--cloning.video_loss {cloning.video_loss}: a policy with inputs {config.inputs} has no video"
        )
    several = Ranks(options.processes, options.machines, options.meet)
    several.check()
    schedule = overrides.over(Schedule(steps=steps, seed=options.seed), values["schedule"], "schedule")
    return Run(
        stage=options.stage,
        config=config,
        data=options.data,
        out=options.out,
        cache=options.cache or options.out / "cache",
        video=options.video,
        begin=options.begin,
        schedule=schedule,
        autoencoder=schedule.model_copy(update={"steps": options.autoencoder_steps}),
        cloning=cloning,
        filming=overrides.over(Filming(), values["filming"], "filming"),
        workers=options.workers,
        ray=options.ray,
        seed=options.seed,
        device="cuda" if torch.cuda.is_available() else "cpu",
        ranks=several,
    )


def _parser() -> command_line.Parser:
    parser = command_line.parser("train.sh", __doc__)
    gpus = torch.cuda.device_count()
    parser.add_argument("stage", choices=("video", "action"))
    parser.add_argument("--profile", help="size of the policy: small (default), full or full-wan; not with --from")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="demonstrations")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of this run")
    parser.add_argument(
        "--video", type=Path, metavar="DIR", help="action: checkpoint of stage 1; default: published weights"
    )
    parser.add_argument(
        "--from", dest="begin", type=Path, metavar="DIR", help="action: checkpoint of a whole policy to train further"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="of prepared demonstrations; default OUT/cache")
    parser.add_argument("--steps", type=int, help=f"default {_STEPS['video']} for video, {_STEPS['action']} for action")
    parser.add_argument("--autoencoder-steps", type=int, default=_AUTOENCODER_STEPS, help="video: of the VAE")
    parser.add_argument(
        "--workers",
        type=int,
        default=gpus or os.cpu_count(),
        help="processes that prepare demonstrations; default: a GPU each, or a core each",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="prepare them on a Ray cluster; local: a new one on this machine"
    )
    parser.add_argument("--seed", type=command_line.whole(0, 2**31 - 1), default=0)
    parser.add_argument("--processes", type=command_line.whole(1, 64), default=max(1, gpus), help="default: a GPU each")
    parser.add_argument("--machines", type=command_line.whole(1, 1024), default=1, help="each runs this very command")
    parser.add_argument("--meet", default="", metavar="HOST:PORT", help="several machines: of the first one")
    return parser


def _check(options: argparse.Namespace) -> None:
    if not options.data.is_dir():
        raise SettingsError(f"--data {options.data}: no such folder; make demonstrations with ./launch/demos.sh")
    if options.stage == "video" and options.video is not None:
        raise SettingsError("--video: stage 1 makes that checkpoint; give --video to train.sh action")
    if options.video is not None and not (options.video / "config.json").is_file():
        raise SettingsError(f"--video {options.video}: no checkpoint; make one with ./launch/train.sh video")
    if options.begin is not None and (options.stage == "video" or options.video is not None):
        raise SettingsError("--from: a whole policy with its video model, for train.sh action without --video")
    if options.begin is not None and options.profile is not None:
        raise SettingsError(f"--profile {options.profile}: --from tells the size already; leave it out")
    if options.begin is not None and not (options.begin / "config.json").is_file():
        raise SettingsError(f"--from {options.begin}: no checkpoint; make one with ./launch/train.sh action")
    for name, low, high in (("steps", 1, 10**8), ("autoencoder_steps", 1, 10**8), ("workers", 1, 256)):
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise SettingsError(f"--{name.replace('_', '-')}: must be {low} to {high}, got {value}")


def _config(options: argparse.Namespace, values: dict[str, Any]) -> PolicyConfig:
    """The size of the profile with what the flags change, and all of System 2 as stage 1 left it; or as it is stored."""
    try:
        config = sizes.by_name(options.profile or "small") if options.begin is None else stored_config(options.begin)
        if options.video is not None:
            stored = stored_config(options.video)
            config = config.model_copy(update={name: getattr(stored, name) for name in _OF_STAGE_1})
    except ModelError as error:
        wrong = "--from" if options.begin else "--video" if options.video else "--profile"
        raise SettingsError(f"{wrong}: {error}") from None
    return overrides.over(config, values, "policy")
