"""What a figure was measured on, and how much the machine was disturbed meanwhile.
Called by the benchmarks and by evaluation, beside their figures, and by runtime/policy/arithmetic.py.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from runtime.host.clock import robot_time_ns

_STEAL_FIELD = 8  # of a line "cpu user nice system idle iowait irq softirq steal ..." of /proc/stat (proc(5))


def processor() -> str:
    """The processor's name, or its architecture where it has none."""
    names = (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    return next(names, platform.machine())


def describe() -> str:
    """One line: processor, cores, memory, kernel, Python; no host name."""
    memory_kib = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    virtual = "virtual, " if any("hypervisor" in line for line in _lines("/proc/cpuinfo")) else ""
    cores = os.cpu_count()
    return (
        f"{processor()}, {virtual}{cores} cores, {memory_kib / (1 << 20):.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


@dataclass
class StealMeter:
    """Share of the processors' time that the hypervisor took away since this was made."""

    began_ns: int
    began_ticks: int

    @classmethod
    def start(cls) -> "StealMeter":
        """A meter that counts from now on."""
        return cls(robot_time_ns(), _steal_ticks())

    def percent(self) -> float:
        """The share so far, in percent of all cores' time; 0 on a machine of its own."""
        elapsed_s = (robot_time_ns() - self.began_ns) / 1e9 * (os.cpu_count() or 1)
        stolen_s = (_steal_ticks() - self.began_ticks) / os.sysconf("SC_CLK_TCK")
        return round(100 * stolen_s / elapsed_s, 2) if elapsed_s else 0.0


def _steal_ticks() -> int:
    return int(_lines("/proc/stat")[0].split()[_STEAL_FIELD])


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
