"""The process table: the whole deployment at a glance.
Read by the supervisor, which starts what it lists, and by every process for its own row.

Modules are named as strings, so the supervisor never loads torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from runtime.config.settings import Settings
from runtime.process.role import POLICY, Role


@dataclass(frozen=True)
class ProcessRow:
    """One process: where its `main` is, when it runs, and how long one of its steps may take."""

    name: str
    module: str
    runs: Callable[[Settings, Role], bool]
    progress_s: float  # no step for this long means hung
    prompt: bool = False  # on the way from picture to arm: its messages pass before ordinary work
    loads: bool = False  # for seconds, with a processor of its own
    waits: bool = (
        False  # until those have loaded, where processors are few: it would take half of them from the two systems
    )


def _always(settings: Settings, role: Role) -> bool:
    return True


def _by_policy(settings: Settings, role: Role) -> bool:
    return role.by_policy


def _recorded(settings: Settings, role: Role) -> bool:
    return bool(role.tracks)


def _simulated(settings: Settings, role: Role) -> bool:
    return settings.arms.kind == "simulated"


def _emulated(settings: Settings, role: Role) -> bool:
    return settings.can


def _by_networks(settings: Settings, role: Role) -> bool:
    """Whether the policy's networks are ours to run: a server has no System 2, and reads instructions as they are."""
    return role.by_policy and not settings.policy.server


def _beside(settings: Settings, role: Role) -> bool:
    return _by_networks(settings, role) and not settings.system2.remote


def _elsewhere(settings: Settings, role: Role) -> bool:
    return _by_networks(settings, role) and bool(settings.system2.remote)


def _led_by_nobody(settings: Settings, role: Role) -> bool:
    return settings.can and (role.recording or settings.arms.leaders == "own")


def _with_leaders(settings: Settings, role: Role) -> bool:
    return settings.arms.leaders == "own"


def _on_can(settings: Settings, role: Role) -> bool:
    return settings.can or settings.arms.kind == "piper"


TABLE: tuple[ProcessRow, ...] = (
    ProcessRow("recorder", "runtime.session.recorder", lambda settings, _: settings.recorder.enabled, 5.0),
    ProcessRow("system2", "runtime.systems.system2", _beside, 30.0, prompt=True, loads=True),
    ProcessRow(
        "system2", "runtime.remote.robot_side", _elsewhere, 1.0, prompt=True
    ),  # in its place, for one on a GPU box
    ProcessRow("system1", "runtime.systems.system1", _by_policy, 10.0, prompt=True, loads=True),
    ProcessRow(
        "system1", "runtime.replay.tracker", _recorded, 1.0, prompt=True
    ),  # in its place, under replay.sh --on-robot
    ProcessRow("text", "runtime.policy.text_encoder", _by_networks, 120.0),
    ProcessRow("simulator", "runtime.devices.simulator", _simulated, 1.0, waits=True),
    ProcessRow("emulator", "runtime.devices.can_emulator", _emulated, 1.0, waits=True),
    ProcessRow("leaders", "runtime.devices.leader_emulator", _led_by_nobody, 5.0, waits=True),
    ProcessRow("can_left", "runtime.devices.can_bus", _on_can, 5.0, prompt=True, waits=True),
    ProcessRow("can_right", "runtime.devices.can_bus", _on_can, 5.0, prompt=True, waits=True),
    ProcessRow("leader_left", "runtime.devices.leader_bus", _with_leaders, 5.0, prompt=True, waits=True),
    ProcessRow("leader_right", "runtime.devices.leader_bus", _with_leaders, 5.0, prompt=True, waits=True),
    ProcessRow("cameras", "runtime.devices.cameras", _always, 1.0, prompt=True, waits=True),
    ProcessRow("arms", "runtime.arms.process", _always, 0.5, prompt=True, waits=True),
    ProcessRow("console", "runtime.console.process", lambda settings, _: settings.console.enabled, 5.0, waits=True),
)

PROCESSES: tuple[str, ...] = ("supervisor", *dict.fromkeys(row.name for row in TABLE))
"""The names of all: who may send a heartbeat or tell a fault. The supervisor, which starts the others, has no row."""


def running(settings: Settings, role: Role = POLICY) -> tuple[str, ...]:
    """The names of those that a run has. Whoever listens to every process waits for no other: ZeroMQ would look for it, some
    sixty times a second, as long as the run lasts.
    """
    return ("supervisor", *dict.fromkeys(row.name for row in TABLE if row.runs(settings, role)))


def row(name: str, settings: Settings, role: Role = POLICY) -> ProcessRow:
    """The row called `name` that runs under these settings in this role."""
    return next(row for row in TABLE if row.name == name and row.runs(settings, role))
