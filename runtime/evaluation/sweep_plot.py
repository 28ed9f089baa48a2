"""Plots of sweeps that a stranger can read: what was played, how often, and how sure the rates are.
Called by sweep.py.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drivers.task_names import TASK_NAMES
from runtime.evaluation.variants import SWEEPS, Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runtime.evaluation.sweep import Result

_MARKS, _APART, _LABEL_LETTERS = "osD^vP*X", 0.6, 13
"""A mark a task, how wide they stand apart (bars are 1), and letters in a line of a label; chosen by eye."""
_BAR, _LINE = "#c3d2df", "#1f4e79"  # colours; chosen by eye


def plot(name: str, results: "Sequence[Result]") -> "Figure":
    """The plot of a sweep: curves over a number, as of latencies, else bars; with System 1's rates where that is the point."""
    by_name = {variant.name: variant for variant in SWEEPS[name]}
    if any(by_name[result.variant].series for result in results):
        return _curves(name, [(by_name[result.variant], result) for result in results])
    return _bars(name, results)


def _bars(name: str, results: "Sequence[Result]") -> "Figure":
    """Bars with their intervals and numbers of scenes, and a mark a task that the legend names."""
    from matplotlib.figure import Figure

    tasks = [row.task for row in results[0].rows]
    rated = name == "ratio" and all(result.runs_per_s for result in results)
    width = 2.6 + 1.5 * len(results) + 1.2 * (len(tasks) > 1)
    figure = Figure(figsize=(width, 4.2 + 2.2 * rated), layout="constrained")
    parts: Any = figure.subplots(1 + rated, 1, sharex=False, squeeze=False, height_ratios=[2, 1][: 1 + rated])
    axes = parts[0, 0]
    places = range(len(results))
    axes.bar(places, _rates(results), yerr=_around(results), capsize=4, color=_BAR, zorder=1, label="_all")
    if len(tasks) > 1:
        _mark_tasks(axes, results, tasks)
    axes.set_xticks(list(places), [f"{_wrapped(result.variant)}\n{_count(result)}" for result in results], fontsize=9)
    axes.set_xlim(-0.6, len(results) - 0.4)
    axes.set_ylim(0, 105)
    axes.set_ylabel("success, %")
    axes.set_title(f"{name}, {_whole(tasks)}: success rate with 95 % Wilson intervals", fontsize=10)
    if rated:
        _draw_rates(parts[1, 0], results)
    return figure


def _mark_tasks(axes: Any, results: "Sequence[Result]", tasks: Sequence[str]) -> None:
    for index, task in enumerate(tasks):
        beside = (index - (len(tasks) - 1) / 2) * _APART / len(tasks)  # else equal rates hide each other
        shares = [100 * result.rows[index].rate for result in results]
        axes.scatter(
            [place + beside for place in range(len(results))], shares, s=30, marker=_MARKS[index % len(_MARKS)], zorder=3,
            clip_on=False, label=task,
        )  # fmt: skip
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _draw_rates(axes: Any, results: "Sequence[Result]") -> None:
    """System 1's runs a second, with its actions a second on the other side."""
    runs = [result.runs_per_s or 0.0 for result in results]
    each = (results[0].actions_per_s or 0.0) / runs[0]
    axes.plot(range(len(results)), runs, marker="o", color=_LINE)
    axes.set_xticks(range(len(results)), [_wrapped(result.variant) for result in results], fontsize=9)
    axes.set_xlim(-0.6, len(results) - 0.4)
    axes.set_ylim(0, 1.2 * max(runs))
    axes.set_ylabel("System 1, runs/s")
    axes.set_xlabel("ratio, conditions of System 2 : runs of System 1", fontsize=9)
    other = axes.secondary_yaxis("right", functions=(lambda rate: rate * each, lambda rate: rate / each))
    other.set_ylabel(f"actions/s ({each:.0f} a run)")


def _curves(name: str, pairs: Sequence[tuple[Variant, "Result"]]) -> "Figure":
    """A panel a series, its success over the number that it varies; thin lines are the tasks."""
    from matplotlib.figure import Figure

    series = list(dict.fromkeys(variant.series for variant, _ in pairs))
    tasks = [row.task for row in pairs[0][1].rows]
    figure = Figure(figsize=(1.2 + 5.6 * len(series), 4.4), layout="constrained")
    panels: Any = figure.subplots(1, len(series), sharey=True, squeeze=False)
    for axes, varied in zip(panels[0], series, strict=True):
        own = sorted(((v.value, result) for v, result in pairs if v.series == varied), key=lambda pair: pair[0])
        _draw_curve(axes, [value for value, _ in own], [result for _, result in own], tasks)
        axes.set_xlabel(f"{varied}; below: successes/scenes\n{_others(own[0][1], varied)}")
    panels[0][0].set_ylabel("success, %")
    panels[0][0].set_ylim(0, 105)
    if len(tasks) > 1:
        panels[0][-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    policy = pairs[0][1].protocol.get("checkpoint")
    of = "" if policy is None else f", policy {policy}"
    figure.suptitle(f"{name}, {_whole(tasks)}{of}: success rate with 95 % Wilson intervals", fontsize=10)
    return figure


def _draw_curve(axes: Any, values: Sequence[float], results: "Sequence[Result]", tasks: Sequence[str]) -> None:
    if len(tasks) > 1:
        for index, task in enumerate(tasks):
            rates = [100 * result.rows[index].rate for result in results]
            axes.plot(
                values, rates, linewidth=0.8, alpha=0.7, marker=_MARKS[index % len(_MARKS)], markersize=4, label=task
            )
    axes.errorbar(
        values, _rates(results), yerr=_around(results), capsize=4, marker="o", color=_LINE, label="all", zorder=3
    )
    axes.set_xscale("log")
    axes.minorticks_off()
    labels = [f"{value:g}\n{_count(result)}" for value, result in zip(values, results, strict=True)]
    axes.set_xticks(list(values), labels, fontsize=8)
    axes.grid(axis="y", alpha=0.3)


def _others(result: "Result", varied: str) -> str:
    """The latency of the system that is not varied here, as the figures were made with."""
    latencies: dict[str, float] = result.protocol.get("latencies", {})
    kept = {"System 1": "system1_s", "System 2": "system2_s"}
    said = [
        f"{system} at {1e3 * latencies[key]:.0f} ms"
        for system, key in kept.items()
        if key in latencies and system not in varied
    ]
    return ", ".join(said)


def _rates(results: "Sequence[Result]") -> list[float]:
    return [100 * result.rate for result in results]


def _around(results: "Sequence[Result]") -> tuple[list[float], list[float]]:
    """How far the intervals reach below and above the rates, %; a rate is never outside its own but by rounding."""
    below = [max(0.0, 100 * (result.rate - result.interval[0])) for result in results]
    return below, [max(0.0, 100 * (result.interval[1] - result.rate)) for result in results]


def _count(result: "Result") -> str:
    return f"{sum(result.outcomes)}/{len(result.outcomes)}"


def _whole(tasks: Sequence[str]) -> str:
    return "all six tasks" if set(tasks) == set(TASK_NAMES) else f"{len(tasks)} tasks" if len(tasks) > 1 else tasks[0]


def _wrapped(name: str) -> str:
    """A variant's name in lines that fit under its bar."""
    return "\n".join(textwrap.wrap(name, _LABEL_LETTERS))
