"""The settings tree. Read once by the command line (loading.py): defaults < profile TOML < flags; processes get one JSON file.
Every field is checked at start: an unknown key or a bad value is one line that names it (SettingsError, exit status 2).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from drivers.sim.shift_suites import Shift
from drivers.task_names import TASK_NAMES
from models.field import Says
from runtime.config.arms_settings import Arms, Trajectory
from runtime.config.bounds import Age, Disk, Duration, Patience
from runtime.config.safety_settings import Safety
from runtime.config.section import Section
from runtime.config.system_settings import LOOPBACK, Policy, System1, System2
from runtime.config.wire_settings import Wire


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
    max_frame_age_s: Age = 0.08
    """A camera without a new frame for this long has failed. At 30 frames/s one frame may be lost, not two."""
    max_lag_s: Age = 0.05
    """A camera whose frames arrive this much later after exposure than another's is reported as skewed."""
    max_skew_s: Age = 0.05
    """Largest difference of capture times within one set of frames."""

    def by_name(self) -> dict[str, Camera]:
        """The settings of each camera by name, in the order of the models' images."""
        return {"head": self.head, "left_wrist": self.left_wrist, "right_wrist": self.right_wrist}


class Supervisor(Section):
    """When the supervisor gives a process up and starts it again."""

    restart_after_s: Patience = 10.0
    """Time in which a stopped process may recover by itself before it is restarted."""
    start_timeout_s: Patience = 90.0
    """Longest time from start to RUNNING."""


class Recorder(Section):
    """Whether a session is recorded, and how much disk it must leave."""

    enabled: bool = True
    """Record the session."""
    reserve_gib: Disk = 1.0
    """Disk space that recording leaves free; below it recording stops and reports it."""


TOKEN = r"^$|^[A-Za-z0-9_-]{16,}$"


class Page(Section):
    """Where a page is served, and who may open it."""

    certificate: Path | None = None
    """Folder with certificate.pem, key.pem and token, written by certificate.sh."""
    host: Annotated[str, Says(expects="a host name or an address of this machine")] = Field(
        default="127.0.0.1", pattern=r"^[^\s/@]{1,253}$"
    )
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
    seconds: Duration | None = None
    """End this long after the arms first ran, or a recording could begin, pauses included; default: run until q or Ctrl-C."""
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
    """Simulation: change what no demonstration shows, in a variant drawn from the seed; all: objects, background and
    lighting at once; blackout: System 1's images are black for 0.8 s in every 3 s."""
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
        if self.policy.wire != Wire() and not self.policy.server:
            raise ValueError("--policy.wire: says what a policy server does not; give --policy.server, or leave it out")
        if self.policy.server and self.system2.remote:
            raise ValueError("--system2.remote: --policy.server has no System 2; leave one out")
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
