"""Settings of the policy and of both systems: which networks run, where, and how often.
Read by settings.py, which has the tree.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.families import SizeName
from models.field import Says
from models.identity import checkpoint_folder
from runtime.config.section import Section
from runtime.config.wire_settings import Wire

_AUTO_PERIOD_S = (
    0.1  # with which an `auto` period begins; three frames at 30 Hz, as the paper's System 1 (10 chunks a second)
)
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
ADDRESS = rf"^tcp://([^:\[\]]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\]):{_PORT}$"
"""Of a machine by name, IPv4 or, in brackets, IPv6."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SERVER = rf"^wss?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\]):{_PORT}$"


_SOURCE = r"^[/.~].*$|^[^@]+@[0-9a-f]{40}$"
Source = Annotated[
    str,
    Says(
        metavar="DIR|REPO@COMMIT",
        expects="a folder (/..., ./... or ~...), or REPOSITORY@COMMIT with 40 hexadecimal digits",
    ),
    Field(pattern=_SOURCE),
]


class PublishedWeights(Section):
    """Where published parts lie, instead of where the policy says: a folder (/..., ./...), or REPOSITORY@COMMIT."""

    video: Source | None = None
    """Video model, VAE and their text encoders, in the folder layout of diffusers."""
    transformer: Source | None = None
    """The video model's transformer alone, such as one tuned on robot video; of Wan also a file in the original format."""
    image: Source | None = None
    """SigLIP image encoder."""
    text: Source | None = None
    """T5 text encoder with its tokenizer."""
    head: Source | None = None
    """RDT-1B action head."""
    video_unet: Source | None = None
    """Stable Video Diffusion of a Video Policy, in diffusers' folder layout."""
    clip_text: Source | None = None
    """CLIP's text tower of a Video Policy, with its tokenizer."""


class Policy(Section):
    """Which networks run: a checkpoint's, untrained ones of a size, or those of a server."""

    checkpoint: Path | None = None
    """Folder of a trained policy, or the --out of train.sh; in a profile, relative to its file. Or a policy of the hub,
    ORG/NAME@COMMIT, that weights.sh has fetched. A profile without one has random weights."""
    size: SizeName = "small"
    """Size of a policy with random weights; as a flag it replaces the profile's checkpoint."""
    published: PublishedWeights = PublishedWeights()
    server: Annotated[str, Says(expects="ws://HOST:PORT or wss://HOST:PORT")] = Field(
        default="", pattern=rf"^$|{_SERVER}"
    )
    """ws://HOST:PORT of a policy server that speaks openpi's protocol, in System 1's place; wss:// beyond this machine. As a
    flag it replaces the profile's checkpoint."""
    wire: Wire = Wire()

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if self.server and self.checkpoint is not None:
            raise ValueError(f"policy.server {self.server}: has the policy; leave out policy.checkpoint")
        return self

    @field_validator("checkpoint")
    @classmethod
    def _of_a_training(cls, given: Path | None) -> Path | None:
        return None if given is None else checkpoint_folder(given)

    @field_validator("server")
    @classmethod
    def _encrypted_beyond_this_machine(cls, server: str) -> str:
        scheme, _, place = server.partition("://")
        host = place.rpartition(":")[0].strip("[]")
        if scheme == "ws" and host not in LOOPBACK:
            raise ValueError(
                f"--policy.server {server}: others can read and change what goes to {host}; give wss://{place}, or a tunnel "
                "to 127.0.0.1"
            )
        return server


class System(Section):
    """What both systems can be told about device, number type and threads."""

    threads: int = Field(default=1, ge=1, le=64)
    """CPU threads of torch; a bit-exact replay needs the same number."""
    nice: int = Field(default=0, ge=0, le=19)
    """Niceness of the inference thread after loading."""
    device: Annotated[str, Says(expects="auto, cpu, cuda or cuda:N")] = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$"
    )
    """Where its networks run; auto: the first GPU, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of its weights; auto: bfloat16 where published weights run on a GPU, else float32."""
    engine: Literal["auto", "torch", "onnx"] = "auto"
    """What computes its networks; onnx: ONNX Runtime, which takes a quarter of the time for small networks on a CPU in float32;
    auto: onnx for a trained policy of up to 100 million weights there, else torch."""
    compile: bool = False
    """Use torch.compile for its transformer blocks; the first runs then take a minute."""

    @property
    def without_graphs(self) -> str:
        """The flag, without its system, by which ONNX Runtime cannot compute the networks; empty: no flag says so."""
        asked = {"compile": self.compile, "dtype": self.dtype == "bfloat16", "device": self.device.startswith("cuda")}
        return next((name for name, is_so in asked.items() if is_so), "")


class System1(System):
    """The fast system: how often it runs, and where."""

    period_s: Annotated[
        Annotated[float, Field(gt=0, le=10)] | Literal["auto"],
        Says(metavar="SECONDS|auto", expects="a number above 0 and at most 10, or auto"),
    ] = 0.1
    """Time from the start of one run to the next; auto: 0.1 s, or longer where the first second shows that runs take longer."""

    numerics: Literal["lean", "plain"] = "lean"
    """lean: half the operations, captured as CUDA graphs on a GPU, at the start and for each new instruction; plain: the
    operations with which older sessions were recorded. The two differ by rounding alone."""

    @property
    def first_period_s(self) -> float:
        """What the first runs keep to, s: where the period is auto, the shortest that it can become."""
        return _AUTO_PERIOD_S if self.period_s == "auto" else self.period_s


class System2(System):
    """The slow system: here or on a GPU box, and how its weights are stored."""

    nice: int = Field(default=10, ge=0, le=19)
    """Niceness of the inference thread after loading; above System 1's, so that System 1 goes first."""
    remote: Annotated[str, Says(expects="tcp://HOST:PORT")] = Field(default="", pattern=rf"^$|{ADDRESS}")
    """tcp://HOST:PORT on which the robot waits for system2.sh on a GPU box, IPv6 in brackets; empty: System 2 runs here."""
    keys: Path | None = None
    """Folder of the keys that keys.sh wrote; --system2.remote needs it."""
    windows: Literal["time", "frames"] = "time"
    """time: a video window holds the frames nearest to its times; frames: it counts frames, at whatever rate they come."""
    storage: Literal["same", "float8"] = "same"
    """float8: keep the video model's weights in half the memory and convert each layer to `dtype` when it runs."""
    numerics: Literal["lean", "plain"] = "lean"
    """lean: a third of the operations, captured as CUDA graphs on a GPU; plain: diffusers' own, with which older sessions
    were recorded. The two differ by rounding alone; a session replays with the one that it was recorded with."""
    modulation: Literal["device", "host"] = "device"
    """host: keep the weights that only a new instruction needs in the CPU's memory; encoding an instruction then takes
    longer."""

    @property
    def without_graphs(self) -> str:
        asked = {"storage": self.storage == "float8", "modulation": self.modulation == "host"}
        return super().without_graphs or next((name for name, is_so in asked.items() if is_so), "")
