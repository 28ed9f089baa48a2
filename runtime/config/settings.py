"""The settings tree: defaults < profile TOML < flags. Read once by the command line; processes get it as one JSON file.

Every field is checked at start: an unknown key or a bad value is one line that names it (SettingsError, exit status 2).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from drivers.cobot_magic import (
    BASE_X_M,
    BASE_Y_M,
    BASE_YAW_RAD,
    HIGH,
    LOW,
    READY_Q_RAD,
    REST_Q_RAD,
    TABLE_TOP_M,
)
from drivers.sim.shift_suites import Shift
from drivers.task_names import TASK_NAMES
from models.identity import checkpoint_folder
from runtime.config import field, profile, refusal, renamed
from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says
from runtime.errors import SettingsError
from runtime.messaging.messages import Blend

_PIPER_RAD_S, _PIPER_RAD_S2 = 3.0, 5.0
"""What a Piper's firmware accepts at most (frames 0x473 and 0x47C); its data sheet's 180 to 225 degrees/s (Table 2) are
more."""
_AUTO_PERIOD_S = (
    0.1  # with which an `auto` period begins; three frames at 30 Hz, as the paper's System 1 (10 chunks a second)
)
_LONGEST_STROKE_M = 0.1  # of the maker's second gripper; the paper's opens 85 mm (appendix A), the SDK stops at 70 mm
_PORT = r"([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
ADDRESS = rf"^tcp://([^:\[\]]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\]):{_PORT}$"
"""Of a machine by name, IPv4 or, in brackets, IPv6."""
_EACH = "one per joint (j1 to j6, gripper)"
_Above0 = Annotated[float, Field(gt=0)]
_Limits = tuple[_Above0, _Above0, _Above0, _Above0, _Above0, _Above0, _Above0]
RangeEnds = Annotated[tuple[float, float, float, float, float, float, float], Says(unit="rad; gripper m", each=_EACH)]
Velocities = Annotated[_Limits, Says(unit="rad/s; gripper m/s", each=_EACH)]
Accelerations = Annotated[_Limits, Says(unit="rad/s²; gripper m/s²", each=_EACH)]
Jerks = Annotated[_Limits, Says(unit="rad/s³; gripper m/s³", each=_EACH)]
Angles = Annotated[tuple[float, float, float, float, float, float], Says(unit="rad", each="one per joint (j1 to j6)")]
Foot = Annotated[tuple[float, float, float, float], Says(unit="m, m, m, rad", each="x, y, z and yaw")]


class Section(BaseModel):
    """Base of every group of settings: frozen, without unknown keys, without NaN. Docstrings of its fields are their help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Camera(Section):
    """One camera: which driver serves it, and what its pictures are like."""

    kind: Literal["simulated", "realsense", "uvc", "file"] = "simulated"
    device: str = ""
    """realsense: serial number (empty: the only camera) or a recorded file; uvc: /dev/v4l/by-path/...; file: a video file."""
    width_px: int = Field(default=640, ge=16, le=4096)
    """Width of its frames."""
    height_px: int = Field(default=480, ge=16, le=4096)
    """Height of its frames."""
    rate_hz: float = Field(default=30, gt=0, le=240)
    """Frames per second."""


class Cameras(Section):
    """The three cameras, in the order of the models' images."""

    head: Camera = Camera()
    left_wrist: Camera = Camera()
    right_wrist: Camera = Camera()
    max_frame_age_s: float = Field(default=0.08, gt=0)
    """A camera without a new frame for this long has failed. At 30 frames/s one frame may be lost, not two."""
    max_lag_s: float = Field(default=0.05, gt=0)
    """A camera whose frames arrive this much later after exposure than another's is reported as skewed."""
    max_skew_s: float = Field(default=0.05, gt=0)
    """Largest difference of capture times within one set of frames."""

    def by_name(self) -> dict[str, Camera]:
        """The settings of each camera by name, in the order of the models' images."""
        return {"head": self.head, "left_wrist": self.left_wrist, "right_wrist": self.right_wrist}


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
    """Its transformer alone, as one tuned on robot video; Wan's also as a file in the original format."""
    image: Source | None = None
    """SigLIP image encoder."""
    text: Source | None = None
    """T5 text encoder with its tokenizer."""
    head: Source | None = None
    """RDT-1B action head."""


class Policy(Section):
    """Which networks run: a checkpoint's, or untrained ones of a size."""

    checkpoint: Path | None = None
    """Folder of a trained policy, or the --out of train.sh; in a profile, relative to its file. Without one: random weights."""
    size: Literal["small", "full", "full-wan"] = "small"
    """Size of a policy with random weights; as a flag it replaces the profile's checkpoint."""
    published: PublishedWeights = PublishedWeights()

    @field_validator("checkpoint")
    @classmethod
    def _of_a_training(cls, given: Path | None) -> Path | None:
        return None if given is None else checkpoint_folder(given)


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
    """lean: half the operations, captured as CUDA graphs on a GPU, at the start and for each new instruction; plain: those by
    which older sessions were recorded. The two differ by rounding alone."""

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
    """lean: a third of the operations, captured as CUDA graphs on a GPU; plain: diffusers' own, by which older sessions were
    recorded. The two differ by rounding alone; a session replays by the one that it was recorded with."""
    modulation: Literal["device", "host"] = "device"
    """host: leave the weights that only a new instruction needs in the CPU's memory; it then takes longer to be read."""

    @property
    def without_graphs(self) -> str:
        asked = {"storage": self.storage == "float8", "modulation": self.modulation == "host"}
        return super().without_graphs or next((name for name, is_so in asked.items() if is_so), "")


class Trajectory(Section):
    """How chunks become one trajectory (runtime/arms/trajectory.py)."""

    blend: Blend = "fade"
    """How the arms pass from one chunk to the next."""
    fade_s: float = Field(default=0.5, gt=0, le=2)
    """Time over which the offset between two chunks fades out."""
    smoothing: float = Field(default=10.0, ge=0, le=1e6)
    """Weight of third differences by which a chunk's targets are smoothed; 0: no smoothing."""


class Mount(Section):
    """Where the arms stand, measured on the robot at hand: fingertip height and the arms' distance are computed from it."""

    left: Foot = (BASE_X_M["left"], BASE_Y_M, TABLE_TOP_M, BASE_YAW_RAD)
    """Base of the left arm: x to the robot's right, y forward, z up (m), and yaw, 0 along x (rad)."""
    right: Foot = (BASE_X_M["right"], BASE_Y_M, TABLE_TOP_M, BASE_YAW_RAD)
    """Base of the right arm, in the same way."""
    table_m: float = Field(default=TABLE_TOP_M, ge=-5, le=5)
    """Height of the table top, along the same z."""
    measured: bool = False
    """Whether the mount was measured on this robot; the defaults are the simulated robot's."""


class Safety(Section):
    """Limits and ages; per joint in the order j1..j6, gripper, for one arm (both arms have the same)."""

    low: RangeEnds = LOW
    """Lower ends of the joints' ranges: the tightest of the paper's Table 2, the SDK and the arm."""
    high: RangeEnds = HIGH
    """Upper ends of the joints' ranges, from the same sources."""
    velocity: Velocities = (3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.25)
    """Highest speed of each joint."""
    acceleration: Accelerations = (5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 2.0)
    """Highest acceleration of each joint."""
    jerk: Jerks = (100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 60.0)
    """Highest jerk of each joint."""
    jump_rad: float = Field(default=0.35, gt=0)
    """A chunk that starts farther than this from the commanded pose is refused."""
    outside_rad: float = Field(default=0.5, gt=0)
    """A chunk with a target farther than this outside a joint's range is refused and latches a fault."""
    gripper_nm: float = Field(default=1.0, gt=0, le=5)
    """Highest torque of a gripper."""
    following_rad: float = Field(default=0.8, gt=0)
    """Largest difference between a commanded and a measured joint; beyond it a fault is latched."""
    mount: Mount = Mount()
    min_fingertip_m: float = Field(default=0.0, ge=0)
    """Lowest height of a fingertip above the table."""
    min_arm_distance_m: float = Field(default=0.01, gt=0)
    """Smallest distance between the links of the two arms."""
    min_link_height_m: float = Field(default=0.005, ge=0)
    """Lowest height above the table of any other link that moves; fingers have --safety.min_fingertip_m."""
    min_own_distance_m: float = Field(default=0.005, gt=0)
    """Smallest distance between links of the same arm, its base included, that are no neighbours."""
    max_feedback_age_s: float = Field(default=0.05, gt=0)
    """Oldest joint feedback with which the arms run."""
    max_chunk_age_s: float = Field(default=0.6, gt=0)
    """Oldest observation of a chunk with which the arms run."""
    max_condition_age_s: float = Field(default=4.0, gt=0)
    """Oldest condition of System 2 with which the arms run."""
    max_health_age_s: float = Field(default=0.15, gt=0)
    """Oldest report of the cameras with which the arms run."""
    max_supervision_age_s: float = Field(default=1.0, gt=0)
    """Oldest message of the supervisor with which the arms run; it sends five per second."""
    max_deadman_age_s: float = Field(default=0.3, gt=0)
    """Longest silence of the operator's page before a HOLD, where the operator asked for the deadman."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for joint, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if low >= high:
                raise ValueError(f"--safety.low {low}: must be below --safety.high {high} (joint {joint + 1})")
        return self

    def check_within_the_arms(self) -> None:
        """Raises ValueError where a limit is wider than a Piper's own; the gripper's stroke differs from arm to arm."""
        for name, allowed in (("velocity", _PIPER_RAD_S), ("acceleration", _PIPER_RAD_S2)):
            if (most := max(getattr(self, name)[:6])) > allowed:
                raise ValueError(f"--safety.{name} {most}: must be at most {allowed} on a Piper")
        for joint in range(6):
            if self.low[joint] < LOW[joint] or self.high[joint] > HIGH[joint]:
                raise ValueError(
                    f"--safety.low, --safety.high: joint {joint + 1} of a Piper must be {LOW[joint]} to {HIGH[joint]} rad, "
                    f"got {self.low[joint]} to {self.high[joint]}"
                )
        if self.high[6] > _LONGEST_STROKE_M:
            raise ValueError(f"--safety.high {self.high[6]}: a gripper must open to at most {_LONGEST_STROKE_M} m")


class Ready(Section):
    """Where work begins, for both arms."""

    left: Angles = READY_Q_RAD["left"]
    """Joint angles of the left arm."""
    right: Angles = READY_Q_RAD["right"]
    """Joint angles of the right arm."""


class Rest(Section):
    """Where the arms can be without power."""

    left: Angles = REST_Q_RAD
    """Joint angles of the left arm."""
    right: Angles = REST_Q_RAD
    """Joint angles of the right arm."""


Interface = Annotated[str, Field(min_length=1, max_length=15)]  # a name that Linux can give a network interface


class Arms(Section):
    """The loop that feeds the arms."""

    kind: Literal["simulated", "piper"] = "simulated"
    interfaces: tuple[Interface, Interface] = ("can_left", "can_right")
    """CAN interfaces of the left and the right arm."""
    leaders: Literal["unplugged", "own"] = "unplugged"
    """own: leaders on CAN buses of their own (four in all); `takeover` relays them through the safety layer."""
    leader_interfaces: tuple[Interface, Interface] = ("can_left_lead", "can_right_lead")
    """CAN interfaces of the left and the right leader, with --arms.leaders own."""
    usb_places: tuple[str, str] = ("", "")
    """USB ports of the left and the right CAN adapter (3-1.4:1.0), checked by doctor.sh; empty: any port."""
    rate_hz: float = Field(default=200, ge=20, le=1000)
    """Commands to the arms per second."""
    realtime: bool = True
    """Ask for SCHED_FIFO; without permission the loop runs on and reports it."""
    awake: bool = True
    """Keep idle processors awake; costs power."""
    ready: Ready = Ready()
    """Pose in which work begins, clear of the table; `ready` moves there, `rest` passes through it."""
    rest: Rest = Rest()
    """Pose in which the arms need no power: folded onto their stops."""
    start: Literal["disarmed", "hold", "run"] = "disarmed"
    """State to which the program goes by itself."""
    auto_resume: bool = False
    """Whether a HOLD for stale inputs ends by itself once they are fresh."""


class Supervisor(Section):
    """When the supervisor gives a process up and starts it again."""

    restart_after_s: float = Field(default=10.0, gt=0)
    """Time in which a stopped process may recover by itself before it is restarted."""
    start_timeout_s: float = Field(default=90.0, gt=0)
    """Longest time from start to RUNNING."""


class Recorder(Section):
    """Whether a session is recorded, and how much disk it must leave."""

    enabled: bool = True
    """Record the session."""
    reserve_gib: float = Field(default=1.0, ge=0)
    """Disk space that recording leaves free; below it recording stops and reports it."""


LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = r"^$|^[A-Za-z0-9_-]{16,}$"


class Page(Section):
    """Where a page is served, and who may open it."""

    certificate: Path | None = None
    """Folder with certificate.pem, key.pem and token, written by certificate.sh."""
    host: str = "127.0.0.1"
    """Address of the page; beyond loopback it needs a certificate."""
    port: int = Field(default=8770, ge=0, le=65535)
    """Port of the page; 0, or a port in use: any free port, which is printed."""
    token: Annotated[str, Says(expects="at least 16 letters, digits, - and _")] = Field(default="", pattern=TOKEN)
    """Token that opens the page; default: the one in the certificate's folder."""

    @field_validator("host")
    @classmethod
    def _loopback_or_certified(cls, host: str, info: ValidationInfo) -> str:
        if host not in LOOPBACK and not info.data.get("certificate"):
            raise ValueError(
                f"{host} can be reached by other machines and needs a certificate; "
                "create one with ./launch/certificate.sh DIR NAME, and give DIR"
            )
        return host


class Console(Page):
    """The page to watch, steer and look through sessions."""

    enabled: bool = True
    """Serve the console page."""


class Settings(Section):
    """The whole tree of a run."""

    profile: Annotated[str, Says(metavar="NAME|FILE")] = "sim"
    """sim, cobot_magic, or the path of a TOML file."""
    seconds: float | None = Field(default=None, gt=0)
    """End this long after the arms first ran, pauses included; default: run until q or Ctrl-C."""
    sessions: Annotated[Path, Says(metavar="DIR")] = Path("sessions")
    """Folder that holds the session folders."""
    ratio: int = Field(default=8, ge=1, le=1000)
    """Runs of System 1 for each run of System 2."""
    pacing: Literal["async", "serial", "free"] = "async"
    """async: System 2 runs once every --ratio runs of System 1; serial: System 1 waits for System 2 (simulation only); free:
    System 2 runs without pause."""
    task: Annotated[str, Says(metavar="NAME", listed=TASK_NAMES)] = Field(
        default="block_handover", min_length=1, max_length=64
    )
    """Simulated task; on a real robot any name, which its session folders carry."""
    can: bool = False
    """Simulation: drive the arms through the real piper_sdk on emulated CAN buses."""
    shift: Shift = "none"
    """Simulation: what no demonstration shows, in a variant drawn from the seed; all: objects, background and lighting at once;
    blackout: System 1's images are black for 0.8 s, once in 3 s."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the scene and of random weights."""
    instruction: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] | None = None
    """Instruction for the policy; default: the task's own."""
    json_file: Path | None = Field(default=None, validation_alias=AliasChoices("json", "json_file"))
    """Write the final table to this file as JSON."""

    cameras: Cameras = Cameras()
    policy: Policy = Policy()
    system1: System1 = System1()
    system2: System2 = System2()
    trajectory: Trajectory = Trajectory()
    safety: Safety = Safety()
    arms: Arms = Arms()
    supervisor: Supervisor = Supervisor()
    recorder: Recorder = Recorder()
    console: Console = Console()

    @model_validator(mode="after")
    def _check(self) -> Self:
        real = self.arms.kind != "simulated"
        mixed = [name for name, camera in self.cameras.by_name().items() if camera.kind == "simulated"]
        if real and mixed:
            raise ValueError(f"--cameras.{mixed[0]}.kind simulated: real arms need real cameras; give realsense or uvc")
        for name, system in (("system1", self.system1), ("system2", self.system2)):
            if system.engine == "onnx" and (other := system.without_graphs):
                raise ValueError(f"--{name}.engine onnx: runs on a CPU in float32; leave --{name}.{other} out")
        if self.system2.modulation == "host" and self.system2.numerics == "plain":
            raise ValueError("--system2.modulation host: needs --system2.numerics lean; leave --system2.numerics out")
        if self.system2.remote and self.system2.keys is None:
            raise ValueError("--system2.remote: needs --system2.keys DIR; create the keys with ./launch/keys.sh DIR")
        if self.arms.leaders == "own" and not (real or self.can):
            raise ValueError("--arms.leaders own: needs CAN buses; give --can or --arms.kind piper")
        if real and self.can:
            raise ValueError("--can: emulates arms, but --arms.kind is piper; leave one out")
        if real and self.shift != "none":
            raise ValueError(f"--shift {self.shift}: changes a simulation, but --arms.kind is piper; leave it out")
        if real and self.pacing == "serial":
            raise ValueError("--pacing serial: a real robot must not wait for System 2; give --pacing async")
        if real and self.arms.start != "disarmed":
            raise ValueError(
                f"--arms.start {self.arms.start}: real arms are armed by an operator; give --arms.start disarmed"
            )
        if real and self.arms.auto_resume:
            raise ValueError(
                "--arms.auto_resume: real arms resume by an operator's command; give --no-arms.auto_resume"
            )
        if real:
            self.safety.check_within_the_arms()
        for name, pose in (("ready", self.arms.ready), ("rest", self.arms.rest)):
            for joint, angle in enumerate((*pose.left, *pose.right)):
                low, high = self.safety.low[joint % 6], self.safety.high[joint % 6]
                if not low <= angle <= high:
                    raise ValueError(
                        f"--arms.{name}: joint {joint % 6 + 1} must be {low} to {high} rad (--safety.low and high), got {angle}"
                    )
        return self


def profile_values(arguments: Sequence[str]) -> dict[str, Any]:
    """All settings under the profile that a command line names, as plain values, for its --help. Raises SettingsError."""
    settings = settings_of({"profile": profile.profile_of(arguments)})
    return settings.model_dump(exclude={"json_file"}) | {"json": settings.json_file}


LINE = CommandLine("robot", Flags, Settings)
"""A line of settings alone."""


def load_settings(arguments: Sequence[str]) -> Settings:
    """Settings from a profile and flags. Raises SettingsError with one line."""
    return settings_of(LINE.read_tree(arguments))


def settings_of(given: dict[str, Any]) -> Settings:
    """Settings from what flags give, over the profile that they name. Raises SettingsError with one line."""
    renamed.refuse(given, "--")
    name = given.get("profile", "sim")
    values, file = profile.read_profile(name)
    values.pop("profile", None)
    _check_kinds(values, file)
    _check_size(given)
    if "size" in given.get("policy", {}):  # random weights of this size are asked for, not the profile's policy
        values.get("policy", {}).pop("checkpoint", None)
    return _checked(profile.merge(values, given | {"profile": name}), given, f"{file}: ")


def changed(settings: Settings, given: dict[str, Any]) -> Settings:
    """Other settings with what flags change. Raises SettingsError with one line."""
    _check_size(given)
    values = settings.model_dump()
    if "size" in given.get("policy", {}):
        values["policy"]["checkpoint"] = None
    if "json" in given:
        del values["json_file"]
    return _checked(profile.merge(values, given), given, "")


def _checked(values: dict[str, Any], given: dict[str, Any], elsewhere: str) -> Settings:
    """Raises SettingsError with one line: of a flag where it was `given`, else of what lies `elsewhere`."""

    def named(setting: field.Field) -> str:
        below: Any = given
        for name in setting.path:
            below = below.get(name) if isinstance(below, dict) else None
        return refusal.flag_of(setting) if below is not None else f"{elsewhere}{setting.name}"

    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(refusal.line(error, Settings, values, named)) from None


def settings_to_json(settings: Settings) -> str:
    """All settings, for the run file that every process reads (runtime/process/base.py); `settings_from_json` undoes it."""
    return settings.model_dump_json()


def public_settings_json(settings: Settings) -> str:
    """Settings for sessions, which are passed on: without what lets people in, and without where this machine serves."""
    console = Console(enabled=settings.console.enabled)
    return settings.model_copy(update={"console": console}).model_dump_json()


def settings_from_json(text: str) -> Settings:
    """Settings from the JSON of this version or a former one. Raises SettingsError."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise SettingsError(f"settings {refusal.shown(values)}: must be a table")
    return _checked(renamed.upgraded(values), {}, "")


def _check_kinds(values: dict[str, Any], file: Path) -> None:
    """A file has numbers where numbers belong: `true` would be 1, and "3" is a text. Raises SettingsError."""
    for setting in field.leaves(Settings):
        if not isinstance(refusal.given(values, setting.path[:-1]), dict):
            continue  # the group itself is wrong
        value = refusal.given(values, setting.path)
        items = cast(list[object], value) if isinstance(value, list) else [value]
        if setting.is_number and any(isinstance(item, bool | str) for item in items):
            raise SettingsError(refusal.refused(setting, value, lambda setting: f"{file}: {setting.name}"))


def _check_size(flags: dict[str, Any]) -> None:
    policy = flags.get("policy", {})
    if policy.get("checkpoint") and "size" in policy:
        size = policy["size"]
        raise SettingsError(
            f"--policy.size {size}: the checkpoint {policy['checkpoint']} has its own size; leave one out"
        )
