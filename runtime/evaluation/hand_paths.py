"""The paper's action distributions (Figures 6 and 11): the hands' paths in successes of dual_bottles_pick_hard, where one
bottle's start is fixed and the other's varies. Called by command.py for `--sweep paths`.

The green bottle is shown with the right hand, which takes it, the red one with the left. All variants play the same scenes, in
the order of their seeds, each until it has its successes. Trained variants share policies with the other sweeps of one --out.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from drivers.sim.fixed_start import FixedStart
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task
from runtime.config.output_paths import make_folder
from runtime.evaluation import distribution
from runtime.evaluation.distribution import Distribution, Fixed, HandPath
from runtime.evaluation.flags import PATHS_TASK, EvaluateFlags
from runtime.evaluation.hand_paths_plot import plot
from runtime.evaluation.rollouts import Episode
from runtime.evaluation.sweep_training import trained, training_of
from runtime.evaluation.variants import PATHS, Variant, asked
from runtime.host.machine import describe
from runtime.host.processors import usable_processors
from runtime.host.progress import bar
from runtime.host.revision import revision
from runtime.host.terminal import say

_BOTTLES = ("green_bottle", "red_bottle")  # the paper's Figure 6, then 11
_DIGITS = 4  # of a start in m, and of a quaternion; chosen: far below what shows
_DPI = 120  # dots an inch of the plot, chosen


class Scenes(Protocol):
    """How variants are played, all alike."""

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        """Everything that what happens under these further settings depends on, as it would be read from JSON."""
        ...

    def episodes(self, more: Sequence[str], seeds: Sequence[int], fixed: FixedStart) -> Iterable[Episode]:
        """Play scenes under further settings, in any order."""
        ...


def run(options: EvaluateFlags, scenes: Scenes, data: Sequence[str] = ()) -> list[Distribution]:
    """Train what has to be trained, play, write `OUT/paths.json` (after each panel) and `.png`, and say what came out.

    What stands in that file already, of the same policy, settings and start, is taken over.
    """
    path = options.out / f"{PATHS}.json"
    rest = distribution.read(path)
    make_folder(options.out, "--out")
    starts = _starts(options)
    for start in starts:
        say(f"{PATHS}: {start}, in all scenes; the other bottle's start varies")
    results: list[Distribution] = []
    for variant, seed in asked(PATHS, options):
        folder = trained(variant, seed, options, data)
        flags = () if folder is None else ("--policy.checkpoint", str(folder / "checkpoint"))
        training = {} if folder is None else {"training": training_of(folder)}
        for start in starts:
            protocol = scenes.protocol(flags) | training | _own(options, start)
            found = next((one for one in rest if one.protocol == protocol), None)
            again = "" if found is None else f" (played before by {found.made_by})"
            if found is None:
                episodes = _played(flags, options, scenes, start)
                found = _distribution(_name(variant, protocol), start, protocol, episodes)
            say(f"{PATHS}: {found}{again}")
            rest = [one for one in rest if _key(one) != _key(found)]
            results.append(found)
            distribution.write(path, [*results, *rest])
    plot(results).savefig(options.out / f"{PATHS}.png", dpi=_DPI)
    say("\n".join([*lines(results), *warnings(results, options.successes)]))
    return results


def lines(results: Sequence[Distribution]) -> list[str]:
    """A table, a line a variant and fixed bottle, with the area of the hand that takes it."""
    widest = max(len(one.variant) for one in results)
    names = (
        f"{'fixed':<14}{'hand':<7}{'done':>9}{'success':>10}{'95 %':>12}{'area, cm^2':>13}{'95 %':>14}{'one path':>10}"
    )
    head = f"{'':<{widest}}  {names}"
    return [head, *(f"{one.variant:<{widest}}  {_figures(one)}" for one in results)]


def warnings(results: Sequence[Distribution], wanted: int) -> list[str]:
    """What keeps areas from being told or compared, a line each."""
    said: list[str] = []
    for one in results:
        if one.areas[one.side] is None:
            said.append(f"{one}: fewer than {distribution.FEWEST} successes give no area; raise --rollouts")
        elif one.successes < wanted:
            said.append(f"{one}: fewer than the {wanted} successes of --successes; raise --rollouts")
    counts = sorted({one.successes for one in results if one.areas[one.side] is not None})
    if len(counts) > 1:
        said.append(f"areas of {counts[0]} and of {counts[-1]} paths cannot be compared: a hull grows with each path")
    return said


def _figures(one: Distribution) -> str:
    low, high = one.interval
    done = f"{one.successes}/{len(one.outcomes)}"
    rate = f"{100 * one.successes / len(one.outcomes):.1f} %"
    text = f"{one.fixed.name:<14}{one.side:<7}{done:>9}{rate:>10}{f'{100 * low:.0f}..{100 * high:.0f} %':>12}"
    area = one.areas[one.side]
    if area is None:
        return f"{text}{'-':>13}"
    return f"{text}{area.all_cm2:>13.0f}{f'{area.low_cm2:.0f}..{area.high_cm2:.0f}':>14}{area.one_cm2:>10.0f}"


def _starts(options: EvaluateFlags) -> list[Fixed]:
    """Where each fixed bottle stands, in the usual world; under a shift a taller one stands higher."""
    physics = Physics(make_task(PATHS_TASK))
    scene = options.seed if options.fixed_scene is None else options.fixed_scene
    starts: list[Fixed] = []
    for name in _BOTTLES if options.fixed == "both" else [options.fixed]:
        pose = FixedStart(name, scene).pose(physics.task, physics.model)
        x_m, y_m, z_m, *turned = np.round(pose, _DIGITS).tolist()
        starts.append(Fixed(name=name, scene=scene, at_m=(x_m, y_m, z_m), quaternion=tuple(turned)))
    return starts


def _own(options: EvaluateFlags, start: Fixed) -> dict[str, Any]:
    """What a panel depends on beside what all evaluations do."""
    return {"fixed": start.name, "fixed_scene": start.scene, "wanted_successes": options.successes}


def _name(variant: Variant, protocol: dict[str, Any]) -> str:
    """A trained variant's own name; of what was given the policy's id, or that it is the expert."""
    if variant.policy is not None:
        return variant.name
    checkpoint = protocol["checkpoint"]
    return checkpoint if checkpoint == "expert" else f"policy {checkpoint}"


def _played(flags: Sequence[str], options: EvaluateFlags, scenes: Scenes, start: Fixed) -> list[Episode]:
    """Episodes in the order of their seeds, up to the last success that is wanted, however many are played at once."""
    fixed, seeds, wanted = FixedStart(start.name, start.scene), options.scenes, options.successes
    fewest = 2 * (options.workers or usable_processors())  # at once: all workers have something to do
    found: list[Episode] = []
    with bar(len(seeds), f"{PATHS}: {start.name} fixed", "scene") as progress:
        while (done := _done(found)) < wanted and len(found) < len(seeds):
            batch = seeds[len(found) : len(found) + max(wanted - done, fewest)]
            played: list[Episode] = []
            for episode in scenes.episodes(flags, batch, fixed):
                played.append(episode)
                progress.set_postfix_str(f"{_done(found) + _done(played)} of {wanted} successes", refresh=False)
                progress.update()
            found += sorted(played, key=lambda episode: episode.seed)
    while _done(found) > wanted or (_done(found) == wanted and not found[-1].outcome.success):
        found.pop()
    return found


def _done(episodes: Iterable[Episode]) -> int:
    return sum(episode.outcome.success for episode in episodes)


def _distribution(name: str, start: Fixed, protocol: dict[str, Any], episodes: Sequence[Episode]) -> Distribution:
    return Distribution(
        variant=name,
        fixed=start,
        protocol=protocol,
        made_by=f"{revision()}, {describe()}",
        outcomes="".join(str(int(episode.outcome.success)) for episode in episodes),
        paths=tuple(HandPath.of(episode) for episode in episodes if episode.outcome.success),
    )


def _key(one: Distribution) -> tuple[str, str]:
    """What there is one panel of in a file."""
    return one.variant, one.fixed.name
