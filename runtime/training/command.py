"""The command `train.sh video|action`: stage 1 tunes the video model on robot video, stage 2 trains the policy on top of it.
Called by runtime/cli.py, and by sweep for each policy.

OUT holds the run: `run.json` (every setting, the revision), `state/` to resume from, `curves/` for TensorBoard, and what
came out of it, `checkpoint/`. The same command again resumes where it was stopped.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from models.data.conventions import assumptions
from models.data.demonstrations import Demonstration, find, to_learn_from, unfit
from models.data.reading import Reading
from models.errors import ModelError
from models.families import Config
from models.video_policy.config import VideoPolicyConfig
from runtime.datasets.fitness import fit_ones
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.child_process import die_with_parent
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.terminal import counted, say
from runtime.host.worker_pool import WorkerPool
from runtime.training import claim, ranks, settings
from runtime.training.flags import TRAIN, TrainFlags
from runtime.training.ranks import Ranks
from runtime.training.run import Run, Video2ActRun, VideoPolicyRun, remember


def main(arguments: list[str]) -> int:
    """Train what the line says, and print what to do with it. Called by runtime/cli.py; returns 0."""
    if ranks.started():
        die_with_parent("train")  # a launcher that is killed ends nobody
    run = train(arguments)
    if ranks.started():  # one of several processes, whose parent tells it
        return 0
    out = run.out / "checkpoint"
    if run.stage == "video":
        say_next(
            "train the policy on it", "train", "action", "--data", run.data, "--video", out, "--out", "ANOTHER_DIR"
        )
    else:
        say_next("evaluate it", "evaluate", "--policy.checkpoint", out)
        say_next("watch it", "robot", "--policy.checkpoint", out)
    return 0


def train(arguments: list[str]) -> Run:
    """Do what a command line says, to the end. Returns which training that was; raises RuntimeFault with one line."""
    options, given = TRAIN.read(arguments)
    demonstrations = _demonstrations(options, settings.reading(given))
    import torch  # seconds, which nobody waits whose demonstrations are none

    from runtime.training import needs

    run = _understood(options, given)
    if run.success_every and run.ranks.several:  # the others would wait for the scenes, and give up
        raise SettingsError(
            f"--success-every {run.success_every}: needs one process; give --processes 1, or leave it out"
        )
    torch.set_num_threads(max(1, run.workers // run.ranks.processes))
    try:
        if not ranks.started():
            needs.check(run)
        # Machines that share --out meet through the launcher; a lock of the first one would refuse the others.
        with nullcontext() if ranks.started() or run.ranks.machines > 1 else claim.held(run.out):
            trained = _trained(run, arguments, demonstrations)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    except (RuntimeError, MemoryError) as error:
        if (said := needs.no_room(run, error)) is None:
            raise
        raise said from None
    if trained is not None and ranks.chief():
        say(f"{trained}: {run.stage} trained on {counted(len(demonstrations), 'demonstration')}")
    return run


def _trained(run: Run, arguments: list[str], demonstrations: list[Demonstration]) -> Path | None:
    """What came out; None: processes of their own have trained it. Raises ModelError, RuntimeFault."""
    if not ranks.started():
        remember(run, demonstrations)
    if run.ranks.several and not ranks.started():
        ranks.start(run.ranks, "runtime.cli", ["train", *arguments])
        return None
    with WorkerPool("train", run.workers, run.ray) as pool:
        return _stage(run, pool, demonstrations)


def _stage(run: Run, pool: WorkerPool, demonstrations: list[Demonstration]) -> Path:
    """Train the run's stage. What it imports takes seconds, which a launcher is not for: diffusers, accelerate's training."""
    if isinstance(run, VideoPolicyRun):
        from runtime.training import video_policy_stages

        of_family = video_policy_stages.video if run.stage == "video" else video_policy_stages.action
        return of_family(run, pool, demonstrations)
    from runtime.training import stages

    assert isinstance(run, Video2ActRun), "there are two families"
    stage = stages.video if run.stage == "video" else stages.action
    return stage(run, pool, demonstrations)


def _demonstrations(options: TrainFlags, reading: Reading) -> list[Demonstration]:
    """What the stage learns from. Raises RuntimeFault with one line."""
    say_here = (lambda _: None) if ranks.started() else say
    try:
        found = fit_ones(options.data, reading, say_here) if options.skip_bad else find(options.data, reading)
        left_out, kept = ("", found) if options.stage == "video" else (unfit(found), to_learn_from(found, options.data))
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    if left_out:
        say_here(f"video2act: skipped: {options.data}: {left_out}; a policy learns only from tasks that are done")
    if assumed := assumptions(one.conventions for one in kept):
        say_here(f"video2act: assumed, since no file says it: {assumed}; each has a flag --data.NAME")
    return kept


def _understood(options: TrainFlags, given: dict[str, Any]) -> Run:
    import torch

    config, gpus = settings.config(options.size, options.video, options.begin, given), torch.cuda.device_count()
    several = Ranks(options.processes or max(1, gpus), options.machines, options.meet)
    if gpus and several.processes > gpus:
        raise SettingsError(
            f"--processes {several.processes}: must be at most {gpus}, the GPUs of this machine; "
            + (
                f"give --processes 1 {_same_batch(config, given, several)}"
                if options.stage == "action"
                else "give fewer"
            )
        )
    schedule = settings.schedule(options.stage, options.steps, options.seed, given)
    common: dict[str, Any] = {
        "stage": options.stage,
        "data": options.data,
        "out": options.out,
        "cache": options.cache or options.out / "cache",
        "video": options.video,
        "begin": options.begin,
        "schedule": schedule,
        "autoencoder": schedule.model_copy(update={"steps": options.autoencoder_steps}),
        "reading": settings.reading(given),
        "workers": options.workers or (gpus if config.has_published else 0) or usable_processors(),
        "ray": options.ray,
        "seed": options.seed,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "ranks": several,
        "recompute": options.recompute,
        "tracker": options.tracker,
        "success_every": options.success_every,
        "success_scenes": options.success_scenes,
    }
    if isinstance(config, VideoPolicyConfig):
        return VideoPolicyRun(
            config=config, acting=settings.acting(given), imagining=settings.imagining(given), **common
        )
    return Video2ActRun(config=config, cloning=settings.cloning(given), filming=settings.filming(given), **common)


def _same_batch(config: Config, given: dict[str, Any], several: Ranks) -> str:
    """The flag by which one process makes the batch of several."""
    if isinstance(config, VideoPolicyConfig):
        return f"--acting.clips {settings.acting(given).clips * several.processes} for the same batch"
    return f"--cloning.samples {settings.cloning(given).samples * several.processes} for the same batch"
