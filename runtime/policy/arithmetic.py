"""By what a system's networks are computed here: all that decides the last bits of what they give.
Both systems leave it for the session when they have loaded; a replay that differs compares it with its own.

Nothing is chosen by timing: torch tunes no kernels here, and its compiler, where it is asked for, follows from what is named.
"""

import importlib.metadata
import json

import torch

from runtime.config.system_settings import System, System2
from runtime.host.machine import processor
from runtime.policy.networks import AnyCheckpoint, computed_by, device_of
from runtime.process.base import Process

SUFFIX = ".arithmetic.json"  # of what is attached to a session, after the system's name


def of(system: System, checkpoint: AnyCheckpoint) -> dict[str, str]:
    """What computes a system.

    Args:
        system: Its settings.
        checkpoint: The policy; where the engine is `auto` its size decides.

    Returns:
        Engine, its version, numerics, number type, threads, whether it is compiled, and the processor or GPU, as texts by name.

    Raises:
        RuntimeFault: There is no such device.
    """
    device, dtype = device_of(system, checkpoint.config)
    engine = computed_by(system, checkpoint)
    found = {
        "engine": engine,
        "version": torch.__version__ if engine == "torch" else importlib.metadata.version("onnxruntime"),
        "numerics": getattr(system, "numerics", "plain"),
        "type": str(dtype).removeprefix("torch."),
        "threads": str(system.threads),
        "compiled": "yes" if system.compile else "no",
    }
    if isinstance(system, System2) and system.storage != "same":
        found["storage"] = system.storage
    if device.type == "cuda":
        name, cudnn = torch.cuda.get_device_name(device), torch.backends.cudnn.version()
        return found | {"device": name, "cuda": str(torch.version.cuda), "cudnn": str(cudnn)}
    return found | {"device": processor(), "instructions": torch.backends.cpu.get_cpu_capability()}


def keep(process: Process, system: System, checkpoint: AnyCheckpoint) -> None:
    """Leave it for the session."""
    process.keep(f"{process.name}{SUFFIX}", json.dumps(of(system, checkpoint)).encode())


def differences(recorded: bytes, here: dict[str, str]) -> str:
    """In what a session's arithmetic differs from that of this machine; empty: in nothing that decides a bit.

    Args:
        recorded: What is attached to the session; something else counts as unknown.
        here: Of `of`.

    Returns:
        As "version 2.13.0+cpu, here 2.14.1; device AMD EPYC, here Intel(R) Xeon(R) Processor".
    """
    try:
        then = json.loads(recorded)
    except (ValueError, RecursionError):
        then = None
    if not isinstance(then, dict):
        return "unknown, here " + ", ".join(here.values())
    names = dict.fromkeys((*here, *then))
    apart = ((name, str(then.get(name, "none"))[:80], here.get(name, "none")) for name in names)
    return "; ".join(f"{name} {before}, here {now}" for name, before, now in apart if before != now)
