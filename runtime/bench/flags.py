"""The command line of `bench`. Read by runtime/cli.py before torch is loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.field import Says
from runtime.config.command_line import CommandLine, Flags
from runtime.config.output_paths import check_json

_KINDS = ("models", "fuzz", "console", "links", "budget", "shapes")
_OF_MODELS = (
    "suggest", "size", "device", "count", "dtype", "storage", "numerics", "modulation", "compile", "threads",
)  # fmt: skip
# By flag, the kinds of bench that it goes with.
_WITH: dict[str, tuple[str, ...]] = dict.fromkeys(_OF_MODELS, ("models",)) | {
    "poses": ("shapes",),
    "seconds": ("console", "links", "budget"),
    "chunks": ("fuzz",),
    "seed": ("fuzz", "shapes"),
    "workers": ("fuzz",),
}


class BenchFlags(Flags):
    """Measure this machine: the runtime, or with a flag the networks, hostile chunks, console or load."""

    json_file: Annotated[Path | None, Says(metavar="FILE", expects="a file")] = Field(
        default=None, validation_alias="json"
    )
    """Write all results to this file."""
    repeats: int = Field(default=5, ge=1, le=100)
    """Runs; the median is reported."""
    models: bool = False
    """Measure the networks."""
    fuzz: bool = False
    """Send hostile chunks, judged by what reaches the emulated arms."""
    console: bool = False
    """Measure the console page in a browser: ages, hold, slow viewers."""
    links: bool = False
    """Measure the console page over long and lossy links: HOLD, pictures, ages."""
    budget: bool = False
    """Measure the share of a core that each process of the simulated robot needs; every repeat runs another task."""
    shapes: bool = False
    """Compare the capsules that the collision limits use with the exact shapes of the simulated arm."""
    poses: int = Field(default=100_000, ge=1, le=10**8)
    """With --shapes: number of poses."""
    seconds: float = Field(default=60.0, ge=0.1, le=86_400)
    """With --console, --links (each link) and --budget: length of a quiet run in seconds."""
    chunks: int = Field(default=1_000_000, ge=1, le=10**9)
    """With --fuzz: number of chunks."""
    seed: int = Field(default=0, ge=0, le=10**9)
    """With --fuzz and --shapes: seed of the chunks or poses."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """With --fuzz: worker processes; default: one per core."""
    suggest: bool = False
    """With --models: print settings that suit this machine."""
    size: Literal["small", "middle", "full", "full-wan"] = "small"
    """With --models: size of the policy; middle: the networks of full, narrower, to try the bench on a CPU."""
    device: Literal["cpu", "cuda"] | None = None
    """With --models: device; default: a GPU if there is one."""
    count: bool = False
    """With --models: only count memory and TFLOP; no network runs."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """With --models: type of the weights."""
    storage: Literal["same", "float8"] = "same"
    """With --models: storage type of the video model's weights."""
    numerics: Literal["lean", "plain"] = "lean"
    """With --models: how both systems compute, as --system1.numerics and --system2.numerics."""
    modulation: Literal["device", "host"] = "device"
    """With --models: where System 2's weights that only an instruction needs are, as --system2.modulation."""
    compile: bool = False
    """With --models: use torch.compile too."""
    threads: int = Field(default=1, ge=1, le=64)
    """With --models: CPU threads."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.check_one_of(_KINDS)
        for name in sorted(self.model_fields_set & set(_WITH)):
            if not any(getattr(self, kind) for kind in _WITH[name]):
                kinds = " or ".join(f"--{kind}" for kind in _WITH[name])
                raise ValueError(f"--{name}: needs {kinds}; give it, or leave --{name} out")
        return self


def _check(flags: BenchFlags, _given: dict[str, Any]) -> None:
    check_json(flags.json_file)


BENCH = CommandLine("bench", BenchFlags, rare=("numerics", "modulation"), check=_check)
