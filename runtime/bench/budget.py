"""What each process of the simulated robot takes of a core, beside its budget: a live run, seen from outside. For command.py.

The machine's own rates stand beside it, since shares of a slow core are larger.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.supervisor import run_client

BUDGET_PERCENT: dict[tuple[str, ...], float] = {
    ("arms",): 10,
    ("recorder",): 4,
    ("cameras",): 30,
    ("system1",): 30,
    ("system2",): 20,
    ("simulator", "console", "supervisor", "text"): 20,
}
"""Of one core, in the sim profile at 1:8 with the shipped policy. Chosen: together a little more than one core of two."""
_FAILS_AT = 1.8  # times a budget; chosen: shares of a slow or shared core are so much larger, a real regression is more
_START_S, _SETTLE_S, _END_S = 180.0, 5.0, 30.0  # longest start; from RUNNING to the first count; longest end; chosen
_MATRIX, _COPIED_BYTES = 512, 2_760_000  # rows of a square matrix; three pictures of 640x480


def run(seconds: float, task: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the simulated robot for `seconds` in RUNNING and print each process's share of a core."""
    rates = machine_rates()
    say(f"one core: {rates['gflops']:.0f} GFLOP/s in float32, 2.76 MB copied in {rates['copy_us']:.0f} us")
    with tempfile.TemporaryDirectory(prefix="video2act-budget-") as folder:
        table = Path(folder) / "table.json"
        flags = ["--profile", "sim", "--task", task, "--console.port", "0", "--sessions", folder, "--json", str(table)]
        robot = subprocess.Popen(
            [sys.executable, "-m", "runtime.cli", "robot", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            started_s = _until_running(robot)
            time.sleep(_SETTLE_S)
            shares = _measure(robot.pid, seconds)
        finally:
            robot.terminate()
            robot.wait(_END_S)
        ended = json.loads(table.read_text())
    return _reported(shares, started_s, ended, say) | {"machine": rates}


def machine_rates() -> dict[str, float]:
    """What one core does: the median of some tries."""
    a = np.random.default_rng(0).standard_normal((_MATRIX, _MATRIX), np.float32)
    block = np.zeros(_COPIED_BYTES, np.uint8)
    product_s = np.median([_took_s(lambda: a @ a) for _ in range(9)])
    copy_s = np.median([_took_s(block.copy) for _ in range(99)])
    return {"gflops": float(2 * _MATRIX**3 / product_s / 1e9), "copy_us": float(copy_s * 1e6)}


def _took_s(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def _until_running(robot: "subprocess.Popen[bytes]") -> float:
    """Seconds from the start to the first RUNNING."""
    began, operator = time.monotonic(), None
    try:
        while time.monotonic() - began < _START_S:
            if robot.poll() is not None:
                break
            time.sleep(0.05)
            try:
                operator = operator or run_client.Operator(run_client.run_folder(robot.pid))
            except RuntimeFault:
                continue
            if _mode(operator) == "RUNNING":
                return time.monotonic() - began
    finally:
        if operator is not None:
            operator.close()
    raise RuntimeFault(
        f"the simulated robot is not RUNNING within {_START_S:.0f} s; run ./launch/robot.sh --profile sim to see why"
    )


def _mode(operator: run_client.Operator) -> str:
    """The newest mode that was said; empty: nothing was."""
    heard = operator.hear()
    return heard[-1].mode if heard else ""


def _measure(supervisor: int, seconds: float) -> dict[str, float]:
    """Of each process the share of one core, in percent, over a time."""
    folder = run_client.run_folder(supervisor)
    processes = {"supervisor": supervisor, **run_client.children(folder)}
    before, began_ns = {name: _cpu_ticks(pid) for name, pid in processes.items()}, robot_time_ns()
    time.sleep(seconds)
    passed_s = (robot_time_ns() - began_ns) / 1e9
    ticks = {name: _cpu_ticks(pid) - before[name] for name, pid in processes.items()}
    return {name: 100 * count / os.sysconf("SC_CLK_TCK") / passed_s for name, count in ticks.items()}


def _cpu_ticks(pid: int) -> int:
    """Processor time of a process so far, in kernel and user mode (fields 14 and 15 of its stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        raise RuntimeFault(f"process {pid} of the run has ended; read its log") from None
    return int(fields[11]) + int(fields[12])


def _reported(
    shares: dict[str, float], started_s: float, ended: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    say(f"  {'process':<38}{'share %':>9}{'budget %':>10}")
    rows: dict[str, dict[str, float]] = {}
    for names, budget in BUDGET_PERCENT.items():
        share = sum(shares.get(name, 0.0) for name in names)
        rows[", ".join(names)] = {"share_percent": round(share, 1), "budget_percent": budget}
        say(f"  {', '.join(names):<38}{share:>9.1f}{budget:>10.0f}")
    total, budget = sum(shares.values()), sum(BUDGET_PERCENT.values())
    rows["all"] = {"share_percent": round(total, 1), "budget_percent": budget}
    say(f"  {'all':<38}{total:>9.1f}{budget:>10.0f}")
    reports = ended.get("fault_reports")
    say(f"from the start to RUNNING {started_s:.1f} s; holds {ended.get('holds')}, fault reports {reports}")
    names = ("overhead_ms", "condition_age_ms", "tick_late_us", "holds", "fault_reports")
    figures = {name: ended.get(name) for name in names}
    say("  ".join(f"{name} {value}" for name, value in figures.items()))
    kept = all(row["share_percent"] < _FAILS_AT * row["budget_percent"] for row in rows.values())
    return {"rows": rows, "started_s": round(started_s, 1), "run": figures, "kept": kept}
