"""The plot of the hands' paths: a column a variant, a row a hand, all axes alike.
Called by hand_paths.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from drivers.cobot_magic import SIDES
from runtime.evaluation import hulls
from runtime.evaluation.distribution import Distribution
from runtime.evaluation.flags import PATHS_TASK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PATH, _GREY, _HULL, _START = "#1f4e79", "#808080", "#c0392b", "#2a7f3f"  # colours; chosen by eye
_FAINT = 0.3  # opacity of a path; chosen by eye
_OWN, _OTHER = "path of the hand that takes the fixed bottle", "path of the other hand"
_MARGIN_M = 0.02  # about all paths; chosen by eye
_PANEL_IN, _BESIDE_IN, _TITLE_IN, _ENDS_IN = 4.0, 1.2, 0.7, 1.5
"""Width of a panel, what its labels take beside it, its title's height, what stands above and below all; chosen by eye."""
_LEAST_M = np.array([[-0.2, 0.75], [0.2, 1.1]])  # X and Z that are shown at least, also without a path; chosen
_HEAD = f"Hands' paths in successes of {PATHS_TASK}, seen from the robot; in brackets 95 % intervals"


def plot(results: Sequence[Distribution]) -> "Figure":
    """The figure of all panels; each title has the hull's area and the success rate."""
    from matplotlib.figure import Figure

    variants = list(dict.fromkeys(one.variant for one in results))
    starts = list(dict.fromkeys(one.fixed.name for one in results))
    limits = _limits(results)
    height_in = _PANEL_IN * float(np.ptp(limits[1]) / np.ptp(limits[0]))
    size = (_BESIDE_IN + max(2, len(variants)) * _PANEL_IN, _ENDS_IN + len(starts) * (height_in + _TITLE_IN))
    figure = Figure(figsize=size, layout="constrained")
    panels: Any = figure.subplots(len(starts), len(variants), sharex=True, sharey=True, squeeze=False)
    for one in results:
        axes = panels[starts.index(one.fixed.name), variants.index(one.variant)]
        _draw(axes, one)
        axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    for row in panels:
        row[0].set_ylabel("Z (up), m")
    for axes in panels[-1]:
        axes.set_xlabel("X (to the robot's right), m")
    named = {
        name: line for axes in panels.ravel() for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    legend = figure.legend(named.values(), named, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    for line in legend.get_lines():
        line.set_alpha(1.0)
    figure.suptitle("\n".join([_HEAD, *_start_lines(results, starts)]), fontsize=10)
    return figure


def _draw(axes: Any, one: Distribution) -> None:
    """Both hands' paths, faint; of the hand that takes the fixed bottle the outline of their hull, and where that begins."""
    for side in SIDES:
        label, colour = (_OWN, _PATH) if side == one.side else (_OTHER, _GREY)
        for place, path in enumerate(one.hands_m(side)):
            axes.plot(*path.T, color=colour, alpha=_FAINT, linewidth=0.9, label="" if place else label)
    if one.areas[one.side] is not None:
        corners = hulls.outline(np.concatenate(one.hands_m(one.side)))
        axes.fill(*corners.T, fill=False, edgecolor=_HULL, linewidth=1.5, label="convex hull of the blue paths")
    axes.plot(one.fixed.at_m[0], one.fixed.at_m[2], "D", color=_START, markersize=6, label="start of the fixed bottle")
    axes.set_title(
        f"{one.variant}: {one.side} hand, {one.fixed.name.replace('_', ' ')} fixed\n{_figures(one)}", fontsize=9
    )
    axes.grid(alpha=0.3)


def _figures(one: Distribution) -> str:
    """The area, and the success rate, a line each."""
    low, high = one.interval
    rate = 100 * one.successes / len(one.outcomes)
    done = f"success {one.successes}/{len(one.outcomes)}, {rate:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    area = one.areas[one.side]
    if area is None:
        return f"too few paths for an area\n{done}"
    all_of_them = f"hull {area.all_cm2:.0f} cm² ({area.low_cm2:.0f} to {area.high_cm2:.0f})"
    return f"{all_of_them}, of one path alone {area.one_cm2:.0f}\n{done}"


def _start_lines(results: Sequence[Distribution], names: Sequence[str]) -> list[str]:
    """Where the fixed bottle of each row stands."""
    fixed = {one.fixed.name: one.fixed for one in results}
    rows = [""] if len(names) == 1 else ["Upper row: ", "Lower row: "]
    return [
        f"{row}{fixed[name]}; the other bottle's start varies".replace("_", " ")
        for row, name in zip(rows, names, strict=True)
    ]


def _limits(results: Sequence[Distribution]) -> list[tuple[float, float]]:
    """Of X and Z, with all paths of all panels within."""
    paths = [path for one in results for side in SIDES for path in one.hands_m(side)]
    points = np.concatenate([_LEAST_M, *paths])
    low, high = points.min(axis=0) - _MARGIN_M, points.max(axis=0) + _MARGIN_M
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
