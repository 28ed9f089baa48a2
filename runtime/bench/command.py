"""The bench command: `bench.sh --json FILE`. Five repeats, the median run reported, steal time printed.
Called by runtime/cli.py.

`--models` measures the networks instead; `--suggest` turns their figures into the settings of a profile.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from drivers.task_names import TASK_NAMES
from runtime.bench import loop, transport
from runtime.bench.flags import BENCH, BenchFlags
from runtime.errors import RuntimeFault
from runtime.host import machine
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.realtime import AwakeProcessors
from runtime.host.terminal import say

_LOOP_S = 8.0  # of RUNNING in each repeat; chosen: 1600 ticks, so that a 99th percentile is of sixteen
_NOT_AWAKE = "no permission to keep processors awake; install deploy/cpu-latency.rules"
# Peers on a machine of this kind (two cores, idle), for comparison; see README.
_PEERS = {
    "overhead_ms": "openpi 10, LeRobot async 55",
    "conditions 512 KB": "dora 990, openpi 1630, LeRobot 1765, GR00T 2041",
    transport.FRAMES: "dora 1370, GR00T 3190, LeRobot 3750, openpi 6210",
}


def main(arguments: list[str]) -> int:
    """Measure, print, and write the same as JSON. Called by runtime/cli.py; returns 1 where a limit was not kept, else 0."""
    options, _ = BENCH.read(arguments)
    kinds = (
        ("models", _models),
        ("fuzz", _fuzz),
        ("console", _console),
        ("links", _links),
        ("budget", _budget),
        ("shapes", _shapes),
    )
    results = next((measure for name, measure in kinds if getattr(options, name)), _runtime)(options)
    _write(options, results)
    if options.models and options.json_file is not None:
        say_next("evaluate at these latencies", "evaluate", "--bench", options.json_file)
    else:
        say_next("check whether this machine is ready for the robot", "doctor")
    return 0 if results.get("kept", True) else 1


def _models(options: BenchFlags) -> dict[str, Any]:
    if options.count:
        if options.size == "middle":
            raise RuntimeFault("--count: counts small, full and full-wan, got middle; give one of them")
        return _count(options.size)
    import torch

    from runtime.bench import models, together
    from runtime.bench.systems import Choice

    name = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeFault("--device cuda: torch finds no GPU on this machine; give --device cpu")
    chosen = options.model_dump(include={"size", "threads", "dtype", "compile", "storage", "numerics", "modulation"})
    choice = Choice(device=name, **chosen)
    say(f"video2act bench: {machine.describe()}; {options.size} on {name}; at most {models.WHOLE_S:g} s")
    try:
        result = models.run(choice, say, lambda made: _write(options, made))
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise RuntimeFault(
            f"--size {options.size}: {reason:.200}; give --storage float8, --modulation host or a smaller --size"
        ) from None
    for line in model_lines(result):
        say(line)
    if options.suggest and "both_at_once_1_to_8" in result:
        result["suggestion"] = together.suggest(result["both_at_once_1_to_8"])
        say(_profile(result["suggestion"]))
    return result


def model_lines(result: dict[str, Any]) -> list[str]:
    """The results of `--models` as a table."""
    weights = ", ".join(f"{name} {count / 1e6:.1f} M" for name, count in result["weights"].items())
    lines = [f"on {result['device']}, {result['dtype']}; weights: {weights}"]
    lines.append(f"matrix product {result.get('matrix_rate_tflops', 'not measured')} TFLOP/s")
    lines += [f"peak GPU memory of {system} alone: {gib} GiB" for system, gib in result["memory_gib"].items()]
    lines.append(
        f"  {'part':<46}{'p50 ms':>10}{'p99 ms':>10}{'calls':>7}{'operations':>12}{'TFLOP':>10}{'share':>8}{'MiB':>9}"
    )
    for part, row in result["figures"].items():
        share = "" if row["share"] is None else f"{row['share']:.1%}"
        tflop = f"{row['gflop'] / 1000:.4f}"
        lines.append(
            f"  {part:<46}{row['p50_ms']:>10}{row['p99_ms']:>10}{row['calls']:>7}{row['operations']:>12}{tflop:>10}{share:>8}"
            f"{row['memory_mib'] or '':>9}"
        )
    if "system1_alone" in result:
        alone = result["system1_alone"]
        lines.append(f"System 1 alone: {alone['chunks_per_s']} chunks/s, {alone['actions_per_s']} actions/s")
    if "both_at_once_1_to_8" in result:
        lines.append("both systems in two processes, ratio 1:8")
        lines += [f"  {figure:<46}{value:>10}" for figure, value in result["both_at_once_1_to_8"].items()]
    return lines + [f"skipped, no time was left: {part}" for part in result["left_out"]]


def _write(options: BenchFlags, results: dict[str, Any]) -> None:
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(results, indent=1) + "\n")


def _console(options: BenchFlags) -> dict[str, Any]:
    from runtime.bench import console

    say(
        f"video2act bench: {machine.describe()}; the console on a live simulated robot, a browser without a GPU beside it"
    )
    return console.run(options.seconds, options.repeats, say) | {"machine": machine.describe()}


def _links(options: BenchFlags) -> dict[str, Any]:
    from runtime.bench import console_links

    say(f"video2act bench: {machine.describe()}; the console's page behind a proxy, a browser without a GPU beside it")
    return console_links.run(options.seconds, options.repeats, say) | {"machine": machine.describe()}


def _budget(options: BenchFlags) -> dict[str, Any]:
    from runtime.bench import budget

    say(f"video2act bench: {machine.describe()}; the simulated robot, a run of {options.seconds:g} s for each task")
    steal = machine.StealMeter.start()
    tasks = [TASK_NAMES[index % len(TASK_NAMES)] for index in range(options.repeats)]
    runs = {f"{index} {task}": budget.run(options.seconds, task, say) for index, task in enumerate(tasks)}
    say(f"steal {steal.percent()} %")
    return {"machine": machine.describe(), "runs": runs, "kept": all(run["kept"] for run in runs.values())}


def _fuzz(options: BenchFlags) -> dict[str, Any]:
    from runtime.bench import fuzz

    say(f"video2act bench: {machine.describe()}; hostile chunks, seed {options.seed}")
    result = fuzz.run(options.chunks, options.seed, options.workers or usable_processors())
    say(f"  {'kind':<24}{'chunks':>10}")
    for kind, count in result["chunks"].items():
        say(f"  {kind:<24}{count:>10}")
    for name in ("undecodable", "spliced", "ticks", "sent", "running", "faults", "travelled_rad", "wrong_bytes"):
        say(f"{name:<26}{result[name]:>10.6g}")
    say(f"  {'limit':<24}{'broken':>10}{'at most, of it':>17}")
    for name, broken in result["broken"].items():
        say(f"  {name:<24}{broken:>10}" + (f"{result['share'][name]:>17.6f}" if name in result["share"] else ""))
    return result


def _shapes(options: BenchFlags) -> dict[str, Any]:
    from runtime.bench import shapes

    say(f"video2act bench: {machine.describe()}; random poses, seed {options.seed}")
    result = shapes.run(options.poses, options.seed)
    for name in ("arms", "touch", "missed", "refused_though_clear", "refused_though_20_mm_clear"):
        say(f"{name:<28}{result[name]:>10}")
    for name, (least, median, most) in result["over_mm"].items():
        say(f"capsules make the {name} smaller by {least} mm at least, {median} at the median, {most} at p99")
    return result


def _count(size: str) -> dict[str, Any]:
    from runtime.bench import count

    result = count.run(size)
    say(f"video2act bench: {size}, counted without running a network")
    say("  both systems in two processes on one card, GiB")
    for what, figures in result["memory_gib"].items():
        say(f"    {what:<22}" + "  ".join(f"{name} {value}" for name, value in figures.items()))
    for what, figures in result.items():
        if isinstance(figures, dict) and what != "memory_gib":
            say(f"  {what:<26}" + "  ".join(f"{name} {value}" for name, value in figures.items()))
    return result


def _profile(suggestion: dict[str, float]) -> str:
    """The suggestion as lines of a profile."""
    age = f"{suggestion['expected_age_p50_ms']} ms p50, {suggestion['expected_age_p99_ms']} ms p99"
    return (
        f"# for a profile of this machine; expected age of a condition at use: {age}\n"
        f"ratio = {suggestion['ratio']}\n[system1]\nperiod_s = {suggestion['period_s']}"
    )


def _runtime(options: BenchFlags) -> dict[str, Any]:
    results: dict[str, Any] = {"machine": machine.describe(), "repeats": options.repeats}
    say(f"video2act bench: {results['machine']}; median run of {options.repeats}")
    results["transport, processors may sleep"] = _transport(options.repeats, transport.AIMED)
    awake = AwakeProcessors()
    say("from here on: " + ("processors are kept awake, as robot.sh does" if awake.granted else _NOT_AWAKE))
    results["transport"] = _transport(options.repeats, transport.PAYLOADS)
    results["loop"] = _median_run("loop, cores free", options.repeats, lambda: loop.run(_LOOP_S, True, 0), _by_overhead)
    say(f"    peers, overhead: {_PEERS['overhead_ms']} ms")
    for realtime in (True, False):
        name = f"loop, both cores busy, {'SCHED_FIFO' if realtime else 'without SCHED_FIFO'}"
        results[name] = _median_run(
            name, options.repeats, lambda realtime=realtime: loop.run(_LOOP_S, realtime, 2), _by_lateness
        )
    awake.release()
    return results


def _transport(repeats: int, names: Sequence[str]) -> dict[str, Any]:
    """Each payload's median repeat by its p50."""
    runs: list[dict[str, dict[str, float]]] = []
    steal = machine.StealMeter.start()
    for _ in range(repeats):
        runs.append(transport.run(names))
    say(f"one-way, paced at {transport.PICTURES_HZ} Hz, us (steal {steal.percent()} %)")
    say(f"  {'payload':<28}{'p50':>9}{'p99':>9}{'copy':>8}{'ZeroMQ':>9}   peers")
    results: dict[str, Any] = {}
    for name in runs[0]:
        rows = sorted((run[name] for run in runs), key=lambda row: row["p50_us"])
        row = rows[len(rows) // 2]
        results[name] = row
        figures = f"{row['p50_us']:>9}{row['p99_us']:>9}{row['copy_us']:>8}{row.get('bare_us', ''):>9}"
        say(f"  {name:<28}{figures}   {_PEERS.get(name, '')}")
    return results


def _median_run(
    name: str, repeats: int, run: Callable[[], dict[str, Any]], key: Callable[[dict[str, Any]], float]
) -> dict[str, Any]:
    """Run a loop bench several times and keep the median run."""
    runs: list[dict[str, Any]] = []
    for _ in range(repeats):
        steal = machine.StealMeter.start()
        runs.append(run() | {"steal_percent": steal.percent()})
    median = sorted(runs, key=key)[len(runs) // 2]
    say(name)
    for figure, value in median.items():
        text = "  ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        say(f"  {figure:<28}{text}")
    return median


def _by_overhead(run: dict[str, Any]) -> float:
    return run["overhead_ms"]["p50"] if run["overhead_ms"] else float("inf")


def _by_lateness(run: dict[str, Any]) -> float:
    return run["tick_late_us"]["p99"] if run["tick_late_us"] else float("inf")
