"""The paper's tasks: what stands on the table, how it is strewn from a seed, what is said, what counts as success."""

from drivers.errors import DriverError
from drivers.sim.tasks.block_handover import BlockHandover
from drivers.sim.tasks.task import Task

TASKS: dict[str, type[Task]] = {"block_handover": BlockHandover}


def make_task(name: str) -> Task:
    """The task called `name`; raises DriverError that lists the known ones."""
    if name not in TASKS:
        raise DriverError(f"unknown task {name!r}; choose one of: {', '.join(sorted(TASKS))}")
    return TASKS[name]()
