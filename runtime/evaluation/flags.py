"""The command lines of `evaluate` and `influence`. Read by runtime/cli.py before torch or a simulator is loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import CliPositionalArg

from drivers.task_names import KEPT_FROM, TASK_NAMES
from models.field import Says
from runtime.config import data_flags, input_paths
from runtime.config.command_line import CommandLine, Flags
from runtime.config.data_flags import SettingsAndData
from runtime.config.input_paths import check_settings
from runtime.config.loading import profile_values, settings_of
from runtime.config.output_paths import check_folder, check_json
from runtime.errors import SettingsError
from runtime.evaluation import results
from runtime.evaluation.clock_rates import check_rates
from runtime.evaluation.latencies import Latencies, of_bench
from runtime.training.flags import tasks

Folder = Annotated[Path, Says(metavar="DIR", expects="a folder")]
File = Annotated[Path, Says(metavar="FILE", expects="a file")]
Scene = Annotated[int, Field(ge=KEPT_FROM, le=2 * 10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
SweepName = Literal[
    "ratio", "shift", "blend", "latency", "features", "filter", "depth", "eyes", "inputs", "window", "paths"
]  # fmt: skip
PATHS_TASK = "dual_bottles_pick_hard"  # of the paper's Figures 6 and 11
Latency = Annotated[float, Field(gt=0, le=60)]
_MOST_SCENES = 200  # of a panel of paths; chosen: 40 successes at a fifth


class EvaluateFlags(Flags):
    """Measure success rates of a policy in simulation, on a virtual clock; with --sweep the paper's ablations.

    Settings of the robot may follow: --ratio, --policy.checkpoint, --trajectory.blend. The same command gives the same results
    again on one machine and build.
    """

    files: CliPositionalArg[Annotated[tuple[Path, ...], Says(expects="two files of evaluate --json")]] = ()
    """With --compare: the two files."""
    task: Annotated[str, Says(metavar="NAME,...", listed=("all", *TASK_NAMES))] = "all"
    """Tasks, separated by commas, or all."""
    rollouts: int | None = Field(default=None, ge=1, le=10_000)
    """Rollouts per repeat; default: 50, in a sweep 20. With --sweep paths: most scenes of a panel; default: 200."""
    repeats: int | None = Field(default=None, ge=1, le=100)
    """Repeats; default: 3, in a sweep 1."""
    seed: int = Field(default=KEPT_FROM, ge=KEPT_FROM, le=10**9)
    """Seed of the first scene."""
    expert: bool = False
    """Play the scripted expert instead of a policy."""
    json_file: File | None = Field(default=None, validation_alias="json")
    """Write all results to this file, task by task."""
    compare: bool = False
    """Compare two files that --json wrote, on the scenes that both played: --compare A.json B.json. Plays nothing."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Worker processes; default: one per core."""
    ray: Annotated[str | None, Says(metavar="ADDRESS")] = None
    """Run rollouts on a Ray cluster; local starts one on this machine."""
    system1_s: Latency | None = None
    """Latency of System 1 on the virtual clock."""
    system2_s: Latency | None = None
    """Latency of System 2 on the virtual clock."""
    bench: File | None = None
    """Take both latencies from a record of bench.sh --models --json."""
    swap: Literal["none", "system2"] = "none"
    """system2: System 1 is given another scene's conditions, of the same task, instruction and time since the start. That scene
    is played first."""
    film: int = Field(default=0, ge=0, le=10_000)
    """Film this many episodes of each task, from the first."""
    film_seeds: tuple[Scene, ...] = ()
    """Film the episodes of these scene seeds."""
    film_examples: bool = False
    """Film the first success and the first failure of each task."""
    films: Folder = Path("films")
    """Folder of the films."""
    sweep: SweepName | None = None
    """Ablation of the paper to run."""
    out: Folder = Path("sweeps")
    """With --sweep: folder for tables, plots and policies."""
    data: Folder | None = None
    """With --sweep: demonstrations to train on."""
    video: Folder | None = None
    """With --sweep: checkpoint of stage video."""
    cache: Folder | None = None
    """With --sweep: folder for prepared demonstrations; default: OUT/cache."""
    train_steps: int = Field(default=6000, ge=1, le=10**8)
    """With --sweep: training steps of each policy."""
    train_seeds: tuple[Seed, ...] = (0,)
    """With --sweep: train each variant once with each of these seeds."""
    variants: tuple[str, ...] = ()
    """With --sweep: only these variants."""
    processes: int = Field(default=1, ge=1, le=64)
    """With --sweep: training processes."""
    successes: int = Field(default=40, ge=1, le=1000)
    """With --sweep paths: successful rollouts of each panel."""
    fixed: Literal["both", "green_bottle", "red_bottle"] = "both"
    """With --sweep paths: bottle whose start is fixed; both: each in turn, as a row of the plot."""
    fixed_scene: Scene | None = None
    """With --sweep paths: scene that gives the fixed start; default: --seed."""

    @property
    def of_repeat(self) -> int:
        """Rollouts of one repeat: as given, else the paper's 50, or 20 in a sweep; the most that a panel of paths takes."""
        return self.rollouts or (50 if self.sweep is None else _MOST_SCENES if self.sweep == "paths" else 20)

    @property
    def played(self) -> list[str]:
        """The tasks that are played."""
        return [PATHS_TASK] if self.sweep == "paths" else tasks(self.task)

    @property
    def times(self) -> int:
        """How often all rollouts are repeated, with new seeds: as given, else the paper's 3, or once in a sweep."""
        return self.repeats or (3 if self.sweep is None else 1)

    @property
    def scenes(self) -> range:
        """The seeds of all scenes of a task, one repeat after the other."""
        return range(self.seed, self.seed + self.of_repeat * self.times)

    @property
    def filmed(self) -> bool:
        """Whether any episode is to be filmed."""
        return bool(self.film or self.film_seeds or self.film_examples)

    @model_validator(mode="after")
    def _check(self) -> Self:
        tasks(self.task)
        if self.compare and len(self.files) != 2:
            raise ValueError(
                f"--compare: takes two files of --json, got {len(self.files)}; give --compare A.json B.json"
            )
        if self.files and not self.compare:
            raise ValueError(f"{self.files[0]}: unexpected word; a flag begins with --, and --help lists the flags")
        if self.expert and self.swap != "none":
            raise ValueError(f"--swap {self.swap}: does not apply to --expert; leave it out")
        if self.expert and self.filmed:
            raise ValueError("--film, --film-seeds, --film-examples: do not apply to --expert; leave them out")
        for seed in self.film_seeds:
            if seed not in self.scenes:
                raise ValueError(
                    f"--film-seeds {seed}: must be {self.scenes[0]} to {self.scenes[-1]}, the scenes of this run"
                )
        if self.sweep is not None and self.json_file is not None:
            raise ValueError(f"--json {self.json_file}: --sweep writes OUT/{self.sweep}.json; leave it out")
        self._check_paths()
        return self

    def _check_paths(self) -> None:
        """Raises ValueError for what paths do not take, and for what only they take."""
        given = self.model_fields_set
        if self.sweep != "paths":
            for name in sorted(given & {"successes", "fixed", "fixed_scene"}):
                raise ValueError(f"--{name.replace('_', '-')}: applies to --sweep paths; leave it out")
            return
        if self.task not in ("all", PATHS_TASK):
            raise ValueError(f"--task {self.task}: --sweep paths plays {PATHS_TASK}; leave it out")
        for name in sorted(given & {"repeats", "film", "film_seeds", "film_examples"}):
            raise ValueError(f"--{name.replace('_', '-')}: does not apply to --sweep paths; leave it out")
        if len(self.train_seeds) > 1:
            raise ValueError("--train-seeds: --sweep paths draws one training of each variant; give one seed")
        if "successes" in given and self.successes > self.of_repeat:
            raise ValueError(f"--successes {self.successes}: must be at most the {self.of_repeat} scenes of --rollouts")


class InfluenceFlags(Flags):
    """Measure how far a policy's chunks depend on System 2's tokens, on images and on committed targets.

    Each is replaced by that of another scene with the same task, instruction and step, while all else stays. A policy
    understands the tokens if its chunk errs less with its own scene's than with their mean. Settings of the robot may
    follow: --policy.checkpoint, --shift.
    """

    task: Annotated[str, Says(metavar="NAME,...", listed=("all", *TASK_NAMES))] = "all"
    """Tasks, separated by commas, or all; with --data: tasks of these demonstrations."""
    data: Folder | None = None
    """Demonstrations to read; default: what the scripted expert does in simulated scenes."""
    scenes: int = Field(default=16, ge=2, le=10_000)
    """Scenes of each task."""
    steps: tuple[Annotated[int, Field(ge=0, le=100_000)], ...] = (20, 40, 60)
    """Steps of a demonstration at which chunks are compared; 30 per second."""
    lag_s: float = Field(default=0.7, ge=0, le=60)
    """How much older System 2's newest frame is than System 1's; evaluate.sh --ratio 8 has 0.7."""
    others: int = Field(default=3, ge=1, le=100)
    """Number of other scenes that each scene is compared with."""
    seed: Scene = KEPT_FROM
    """Without --data: seed of the first scene."""
    json_file: File | None = Field(default=None, validation_alias="json")
    """Write all figures to this file, those of each scene too."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Worker processes; default: one per core."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.data is None:
            tasks(self.task)
        if not self.steps:
            raise ValueError("--steps: must be at least one step; leave it out for 20,40,60")
        return self


def _check_influence(flags: InfluenceFlags, given: dict[str, Any]) -> None:
    data_flags.check_used(given, flags.data is not None, "--data")
    reading, given = data_flags.parted(given)
    check_json(flags.json_file)
    input_paths.check_demonstrations(flags.data, "--data")
    check_settings(given)
    if settings_of(given).shift == "blackout":
        raise SettingsError("--shift blackout: changes no scene; give objects, background, lighting or all")
    if flags.data is not None and flags.task != "all":
        input_paths.check_tasks(flags.data, flags.task.split(","), "--task", reading)  # last, for it opens every file


INFLUENCE = CommandLine(
    "influence",
    InfluenceFlags,
    SettingsAndData,
    ("policy.checkpoint", "shift"),
    ("workers",),
    profile_values,
    _check_influence,
)


def _check(flags: EvaluateFlags, given: dict[str, Any]) -> None:
    data_flags.check_used(given, flags.data is not None, "--data")
    _, given = data_flags.parted(given)
    if flags.filmed:
        check_folder(flags.films, "--films")
    check_json(flags.json_file)
    check_settings(given)
    check_rates(settings := settings_of(given))
    if settings.policy.server and flags.swap != "none":
        raise SettingsError(f"--swap {flags.swap}: --policy.server has no System 2; leave one out")
    input_paths.check_file(flags.bench, "--bench", "create one with ./launch/bench.sh --models --json FILE")
    for path in flags.files:
        input_paths.check_file(path, "--compare", "create one with ./launch/evaluate.sh --json FILE")
    if flags.bench is not None:
        Latencies.of(of_bench(flags.bench))
    if flags.compare:
        results.check_fit(*map(results.read, flags.files))
    input_paths.check_folder(flags.data, "--data", "create demonstrations with ./launch/demos.sh")
    input_paths.check_checkpoint(flags.video, "--video")
    if flags.sweep is not None:
        from runtime.evaluation import variants  # only a sweep has to wait for it

        variants.asked(flags.sweep, flags)
        check_folder(flags.out, "--out")
        check_folder(flags.cache or flags.out, "--cache" if flags.cache else "--out")
    input_paths.check_demonstrations(flags.data, "--data")  # last, for it looks through the folder


_RARE = (
    "films", "film_seeds", "cache", "train_steps", "train_seeds", "variants", "processes", "system1_s", "system2_s",
    "successes", "fixed", "fixed_scene",
)  # fmt: skip
EVALUATE = CommandLine(
    "evaluate",
    EvaluateFlags,
    SettingsAndData,
    ("ratio", "policy.checkpoint", "trajectory.blend"),
    _RARE,
    profile_values,
    _check,
)
