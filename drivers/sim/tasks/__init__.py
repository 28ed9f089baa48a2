"""The paper's tasks: what stands on the table, how it is strewn from a seed, what is said, what counts as success.

Made by name for the simulator, the cameras, evaluation and `demos.sh`. Rules are RoboTwin v1's; what was adapted is said there.
"""

from drivers.errors import DriverError
from drivers.sim import shift_suites
from drivers.sim.appearance import USUAL, Appearance
from drivers.sim.shift_suites import Shift
from drivers.sim.tasks.block_handover import BlockHandover
from drivers.sim.tasks.container_place import ContainerPlace
from drivers.sim.tasks.dual_bottles_pick import DualBottlesPickEasy, DualBottlesPickHard
from drivers.sim.tasks.empty_cup_place import EmptyCupPlace
from drivers.sim.tasks.pick_apple_messy import PickAppleMessy
from drivers.sim.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    kind.name: kind
    for kind in (
        BlockHandover,
        ContainerPlace,
        DualBottlesPickEasy,
        DualBottlesPickHard,
        EmptyCupPlace,
        PickAppleMessy,
    )
}


def named(text: str) -> list[str]:
    """The names in a list with commas, or all where it is `all`; raises DriverError that lists the known ones."""
    names = list(TASKS) if text == "all" else text.split(",")
    for name in names:
        if name not in TASKS:
            raise DriverError(f"unknown task {name!r}; choose one or more of {', '.join(sorted(TASKS))}, or all")
    return names


def make_task(name: str, appearance: Appearance = USUAL) -> Task:
    """A new task of that name in a world of that appearance; raises DriverError that lists the known ones."""
    if name not in TASKS:
        raise DriverError(f"unknown task {name!r}; choose one of {', '.join(sorted(TASKS))}")
    return TASKS[name](appearance)


def shifted_task(name: str, shift: Shift, seed: int) -> Task:
    """The task of a scene under one of the shifts, in the variant of the scene's seed; raises DriverError as make_task does."""
    return make_task(name, shift_suites.draw(name, shift, seed) if name in TASKS else USUAL)
