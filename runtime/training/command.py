"""The command `train.sh video|action`: stage 1 tunes the video model on robot video, stage 2 trains the policy on top of it.

OUT holds the run: `run.json` (every setting, the revision), `state/` to go on with, `curves/` for TensorBoard, and what
came out of it, `checkpoint/`. The same command again goes on where it was stopped.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from models import sizes
from models.config import PolicyConfig
from models.data.demonstrations import find
from models.errors import ModelError
from models.identity import stored_config
from models.sources import sources
from models.train.action import Cloning
from models.train.loop import Schedule
from models.train.video import Filming
from runtime.config import command_line, overrides
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool
from runtime.training import needs, ranks, stages
from runtime.training.ranks import Ranks
from runtime.training.run import Run, remember

_STEPS = {"video": 20_000, "action": 100_000}
_AUTOENCODER_STEPS = 10_000
_OF_STATISTICS = (
    "action_source",
    "targets",
    "horizon",
)  # a training that goes on keeps the statistics of its checkpoint
_OF_STAGE_1 = ("video", "text", "cameras", "colour_order", "resize", "published")  # stage 2 takes them as they are


def main(arguments: list[str]) -> int:
    """The command."""
    run = _understood(arguments)
    torch.set_num_threads(max(1, run.workers // run.ranks.processes))
    try:
        demonstrations = find(run.data)
        if not ranks.started():
            needs.check(run)
            remember(run, demonstrations)
        if run.ranks.several and not ranks.started():
            ranks.start(run.ranks, "runtime.cli", ["train", *arguments])
            return 0
        with WorkerPool("train", run.workers, run.ray) as pool:
            stage = stages.video if run.stage == "video" else stages.action
            trained = stage(run, pool, demonstrations)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    except (RuntimeError, MemoryError) as error:
        if (said := needs.no_room(run, error)) is None:
            raise
        raise said from None
    if ranks.chief():
        say(f"{trained}: {run.stage} trained on {len(demonstrations)} demonstrations")
    return 0


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
    filming = overrides.over(Filming(), values["filming"], "filming")
    if filming.lora_rank and options.stage == "action":
        raise SettingsError(f"--filming.lora_rank {filming.lora_rank}: of stage 1, train.sh video; leave it out")
    several = Ranks(options.processes, options.machines, options.meet)
    several.check()
    gpus = torch.cuda.device_count()
    if gpus and several.processes > gpus:
        same = f"--cloning.samples {cloning.samples * several.processes}"
        raise SettingsError(
            f"--processes {several.processes}: each needs a GPU of its own, and this machine has {gpus}; "
            + (f"{same} with --processes 1 is as large a batch" if options.stage == "action" else "give fewer")
        )
    trained = options.stage == "action" and options.video is None and options.begin is None
    if trained and config.hears_video and "video" not in sources(config):
        size = options.profile or "small"
        raise SettingsError(
            f"--video: of size {size} no video model is published; give stage 1's checkpoint (train.sh video), "
            "--policy.inputs no_video, or --policy.published.video DIR"
        )
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
        filming=filming,
        workers=options.workers or (gpus if config.published.video else 0) or os.cpu_count() or 1,
        ray=options.ray,
        seed=options.seed,
        device="cuda" if torch.cuda.is_available() else "cpu",
        ranks=several,
        recompute=options.recompute,
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
        help="processes that prepare demonstrations; default: a core each, for a published video model on a GPU a GPU each",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="prepare them on a Ray cluster; local: a new one on this machine"
    )
    parser.add_argument(
        "--recompute",
        action="store_true",
        help="activations within blocks, in the backward pass: less memory, more time",
    )
    parser.add_argument("--seed", type=command_line.whole(0, 2**31 - 1), default=0)
    parser.add_argument("--processes", type=command_line.whole(1, 64), default=max(1, gpus), help="default: a GPU each")
    parser.add_argument("--machines", type=command_line.whole(1, 1024), default=1, help="each runs this very command")
    parser.add_argument("--meet", default="", metavar="HOST:PORT", help="several machines: of the first one")
    return parser


def _check(options: argparse.Namespace) -> None:
    command_line.check_folder(options.out, "--out")
    if options.cache is not None:
        command_line.check_folder(options.cache, "--cache")
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
    made = overrides.over(config, values, "policy")
    if options.begin is not None:
        for name in _OF_STATISTICS:
            before, now = getattr(config, name), getattr(made, name)
            if before != now:
                raise SettingsError(
                    f"--policy.{name} {now}: the statistics of {options.begin} are of {before}; leave it out, or train anew"
                )
    return made
