"""The command lines of `train` and `demos`. Read by runtime/cli.py before torch or a simulator is loaded."""

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import CliPositionalArg

from drivers.task_names import KEPT_FROM, TASK_NAMES
from models import families
from models.config.part import Part
from models.config.policy import PolicyConfig
from models.data.episode import DEMONSTRATION_HZ, JOINTS
from models.data.reading import AS_IT_COMES
from models.errors import ModelError
from models.field import Says
from models.identity import checkpoint_folder, stored_config
from models.refusal import nearest
from models.sources import sources
from models.train.choices import Cloning, Filming, Schedule
from models.train.video_policy.choices import Acting, Imagining
from models.video_policy.config import VideoPolicyConfig
from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_demonstrations, check_source
from runtime.config.output_paths import check_folder
from runtime.errors import SettingsError
from runtime.training import settings
from runtime.training.ranks import Ranks
from runtime.training.settings import STEPS, Tree, VideoPolicyTree

_AUTOENCODER_STEPS = 10_000  # of a VAE of our own, where none is published; chosen: half of stage 1
_SAME_HZ = 0.01  # rates closer than that are one
Folder = Annotated[Path, Says(metavar="DIR", expects="a folder")]


class TrainFlags(Flags):
    """Train a policy in two stages: video tunes the video model on robot video, action trains the policy on top of it.

    OUT holds the run: its settings, its state, curves for TensorBoard, and what came out of it, OUT/checkpoint. The same
    command again resumes where it was stopped.
    """

    stage: CliPositionalArg[Literal["video", "action"]]
    """Stage of the training."""
    data: Folder
    """Demonstrations to train on; --data.rate_hz and others say what their files do not (--help-all)."""
    skip_bad: bool = False
    """Leave out demonstrations that cannot be learnt from, each named; all are read before the training begins."""
    out: Folder
    """Folder of this run."""
    size: Literal["small", "full", "full-wan", "video-policy-small", "video-policy-full"] | None = None
    """Size of the policy, and so its family; default: small, or that of --video; not with --from."""
    video: Folder | None = None
    """action: checkpoint of stage video, or its --out; default: the published video model; size small has none."""
    begin: Folder | None = Field(default=None, validation_alias="from")
    """action: checkpoint of a whole policy, or its --out, to train further."""
    cache: Folder | None = None
    """Folder for prepared demonstrations; default: OUT/cache."""
    steps: int | None = Field(default=None, ge=1, le=10**8)
    """Training steps; default: 20000 for video, 100000 for action."""
    autoencoder_steps: int = Field(default=_AUTOENCODER_STEPS, ge=1, le=10**8)
    """video: steps of the VAE."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that prepare demonstrations; default: one per core, or one per GPU for a published video model."""
    ray: Annotated[str | None, Says(metavar="ADDRESS")] = None
    """Prepare demonstrations on a Ray cluster; local starts one on this machine."""
    recompute: bool = False
    """Compute activations again in the backward pass: less memory, more time."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of weights and samples."""
    tracker: Literal["tensorboard", "wandb", "trackio"] = "tensorboard"
    """Where the curves go: OUT/curves for tensorboard; wandb and trackio are packages of their own."""
    success_every: int | None = Field(default=None, ge=1, le=10**8)
    """action: steps after which scenes of the simulator are played, a multiple of --schedule.save_every; their success is among
    the curves. Default: never."""
    success_scenes: int = Field(default=10, ge=1, le=10_000)
    """With --success-every: scenes of each task."""
    processes: int | None = Field(default=None, ge=1, le=64)
    """Training processes on this machine; default: one per GPU."""
    machines: int = Field(default=1, ge=1, le=1024)
    """Machines that train together; run the same command on each."""
    meet: Annotated[str, Says(metavar="HOST:PORT")] = ""
    """With --machines: HOST:PORT of the first machine."""

    @field_validator("video", "begin")
    @classmethod
    def _of_a_training(cls, given: Path | None) -> Path | None:
        return None if given is None else checkpoint_folder(given)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stage == "video" and self.video is not None:
            raise ValueError(f"--video {self.video}: applies to train.sh action; leave it out")
        if self.video is not None and not (self.video / "config.json").is_file():
            raise ValueError(f"--video {self.video}: holds no checkpoint; create one with ./launch/train.sh video")
        if self.begin is not None:
            self._check_begin(self.begin)
        return self

    def _check_begin(self, begin: Path) -> None:
        if self.stage == "video" or self.video is not None:
            raise ValueError(f"--from {begin}: applies to train.sh action without --video; leave one out")
        if self.size is not None:
            raise ValueError(f"--size {self.size}: does not apply to --from, which has its own; leave it out")
        if not (begin / "config.json").is_file():
            raise ValueError(f"--from {begin}: holds no checkpoint; create one with ./launch/train.sh action")


def _check_train(flags: TrainFlags, given: dict[str, Any]) -> None:
    check_folder(flags.out, "--out")
    if flags.cache is not None:
        check_folder(flags.cache, "--cache")
    for part, source in given.get("policy", {}).get("published", {}).items():
        check_source(source.get("repo"), f"--policy.published.{part}.repo")
    Ranks(flags.processes or 1, flags.machines, flags.meet).check()
    _check_tracker(flags.tracker)
    planned = settings.schedule(flags.stage, flags.steps, flags.seed, given)
    _check_success(flags, planned)
    settings.reading(given)
    chosen = settings.config(flags.size, flags.video, flags.begin, given)
    if isinstance(chosen, VideoPolicyConfig):
        _check_video_policy(flags, chosen, given)
    else:
        _check_video2act(flags, chosen, given)
    check_demonstrations(flags.data, "--data")


def _check_video2act(flags: TrainFlags, chosen: PolicyConfig, given: dict[str, Any]) -> None:
    losses, films = settings.cloning(given), settings.filming(given)
    if losses.video_loss and not chosen.hears_video:
        raise SettingsError(
            f"--cloning.video_loss {losses.video_loss}: does not apply to --policy.inputs {chosen.inputs}; leave it out"
        )
    published = "video" in sources(chosen)
    if flags.stage == "action" and flags.video is None and flags.begin is None and chosen.hears_video and not published:
        raise SettingsError(
            f"--video is missing: no video model of size {flags.size or 'small'} is published; give the checkpoint of "
            "train.sh video, --policy.inputs no_video, or --policy.published.video.repo DIR"
        )
    if films.lora_rank and flags.stage == "action":
        raise SettingsError(f"--filming.lora_rank {films.lora_rank}: applies to train.sh video; leave it out")


def _check_video_policy(flags: TrainFlags, chosen: VideoPolicyConfig, given: dict[str, Any]) -> None:
    for check in (settings.acting, settings.imagining):
        check(given)
    for name, rate_hz in (("clip.rate_hz", chosen.clip.rate_hz), ("action.dt_s", 1 / chosen.action.dt_s)):
        if abs(rate_hz - DEMONSTRATION_HZ) > _SAME_HZ:
            wanted = DEMONSTRATION_HZ if name == "clip.rate_hz" else f"1/{DEMONSTRATION_HZ}"
            raise SettingsError(f"--policy.{name}: must be {wanted}, the rate of demonstrations; leave it out")
    if chosen.action.joints != JOINTS:
        raise SettingsError(f"--policy.action.joints {chosen.action.joints}: must be {JOINTS}, as in demonstrations")
    if flags.stage == "action" and flags.video is None and flags.begin is None and not chosen.has_published:
        raise SettingsError(
            f"--video is missing: no video model of size {flags.size} is published; give the checkpoint of train.sh video, "
            "or --policy.published.video_unet.repo DIR"
        )


def _check_tracker(tracker: str) -> None:
    if tracker != "tensorboard" and importlib.util.find_spec(tracker) is None:
        raise SettingsError(f"--tracker {tracker}: is not installed; pip install {tracker}, or leave it out")


def _check_success(flags: TrainFlags, planned: Schedule) -> None:
    every = flags.success_every
    if every is None:
        return
    if flags.stage == "video":
        raise SettingsError(f"--success-every {every}: applies to train.sh action; leave it out")
    if every % planned.save_every:
        raise SettingsError(
            f"--success-every {every}: must be a multiple of --schedule.save_every ({planned.save_every}); give a multiple, or "
            "another --schedule.save_every"
        )


def _values(arguments: Sequence[str]) -> dict[str, Any]:
    """The tree's values under the size that a command line names, for its --help."""
    named = _named(arguments, "--size") or ("small" if _tree(arguments) is Tree else "video-policy-small")
    stage = "video" if "video" in arguments else "action"
    try:
        policy = families.by_name(named)
    except ModelError as error:
        raise SettingsError(f"--size {named:.60}: {error}") from None
    groups: dict[str, Part] = {"policy": policy, "schedule": Schedule(steps=STEPS[stage]), "data": AS_IT_COMES}
    if isinstance(policy, VideoPolicyConfig):
        groups |= {"acting": Acting(), "imagining": Imagining()}
    else:
        groups |= {"cloning": Cloning(), "filming": Filming()}
    return {name: group.model_dump() for name, group in groups.items()}


def _named(arguments: Sequence[str], flag: str) -> str | None:
    """What follows a flag on a line, before the line is understood."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return next((after for word, after in pairwise(words) if word == flag), None)


def _tree(arguments: Sequence[str]) -> type[Part]:
    """The settings of the family that a line names, by --size, or by the checkpoint that it begins with."""
    if (size := _named(arguments, "--size")) is not None:
        return VideoPolicyTree if size.startswith("video-policy") else Tree
    for flag in ("--from", "--video"):
        folder = _named(arguments, flag)
        with suppress(ModelError, OSError, ValueError):  # what is wrong with it is said when it is read
            if folder is not None and isinstance(stored_config(checkpoint_folder(Path(folder))), VideoPolicyConfig):
                return VideoPolicyTree
    return Tree


@dataclass(frozen=True)
class TrainLine(CommandLine[TrainFlags]):
    """The line of `train`, whose tree is that of the family that it names."""

    def read(self, arguments: Sequence[str]) -> tuple[TrainFlags, dict[str, Any]]:
        """As the base."""
        tree = _tree(arguments)
        return super().read(arguments) if tree is self.tree else replace(self, tree=tree).read(arguments)


class DemosFlags(Flags):
    """Write demonstrations of the scripted experts, one HDF5 file per episode. Episodes that exist are kept."""

    task: Annotated[str, Says(metavar="NAME,...", listed=("all", *TASK_NAMES))] = "all"
    """Tasks, separated by commas, or all."""
    episodes: int = Field(default=100, ge=1, le=100_000)
    """Episodes of each task."""
    out: Folder = Path("demonstrations")
    """Folder to write to."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the first scene; scenes from 1000000 on are kept for evaluation."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Worker processes; default: one per core."""
    after_failure: bool = False
    """Begin each episode where a failed attempt left the scene; use other seeds than for other demonstrations."""
    cut_after: int | None = Field(default=None, ge=1, le=10_000)
    """Keep only this many steps of each episode, and the targets after them. A scene of three steps takes a tenth of the
    time."""
    randomise: bool = False
    """Draw each episode's world from its seed: colours, textures, lamps, cameras, objects' thickness, further objects on the
    table, and where the arms begin."""
    kind: Literal["expert", "disturbed", "chance"] = "expert"
    """disturbed: the expert, pushed hard; chance: motions to random places. Both are films from the head camera for train.sh
    video, whether or not the task succeeds; train.sh action leaves them out."""
    all_cameras: bool = False
    """With --kind disturbed or chance: film from the wrist cameras too, which Video Policy imagines."""
    ray: Annotated[str | None, Says(metavar="ADDRESS")] = None
    """Run the experts on a Ray cluster; local starts one on this machine."""
    width_px: int = Field(default=256, ge=32, le=1280)
    """Width of the images."""
    height_px: int = Field(default=192, ge=32, le=960)
    """Height of the images."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        tasks(self.task)
        if self.after_failure and self.kind != "expert":
            raise ValueError(f"--kind {self.kind}: does not go with --after-failure; leave one out")
        if self.cut_after is not None and self.kind != "expert":
            raise ValueError(f"--kind {self.kind}: does not go with --cut-after; leave one out")
        if self.all_cameras and self.kind == "expert":
            raise ValueError("--all-cameras: applies to --kind disturbed or chance; experts are seen by all of them")
        if self.seed > (most := KEPT_FROM - self.episodes):
            raise ValueError(
                f"--seed {self.seed}: must be 0 to {most}; scenes from {KEPT_FROM} on are kept for evaluation"
            )
        return self


def tasks(text: str) -> list[str]:
    """The tasks that a text names, with commas between them, or all. Raises ValueError that names the known ones."""
    names = list(TASK_NAMES) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in TASK_NAMES:
            known = f"all, or one or more of {', '.join(TASK_NAMES)}"
            raise ValueError(f"--task {name[:60] or '(empty)'}: must be {known}{nearest(name, TASK_NAMES)}")
    return list(dict.fromkeys(names))


def _check_demos(flags: DemosFlags, _given: dict[str, Any]) -> None:
    check_folder(flags.out, "--out")


TRAIN = TrainLine("train", TrainFlags, Tree, values=_values, check=_check_train)
DEMOS = CommandLine("demos", DemosFlags, check=_check_demos)
