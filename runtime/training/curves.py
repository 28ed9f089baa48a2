"""The curves of a training: TensorBoard's files in OUT/curves, or a service's. Called by stages.py."""

from collections.abc import Mapping

from accelerate.tracking import GeneralTracker, TensorBoardTracker, TrackioTracker, WandBTracker

from runtime.training.run import Run

_PROJECT = "video2act"  # under which a service lists the trainings


class Curves:
    """Of one network: figures by name and step. Without a `run` they go nowhere."""

    def __init__(self, run: Run | None, name: str) -> None:
        """`name` says which of the run's networks it is."""
        self._run, self._name = run, name
        self._tracker: GeneralTracker | None = None

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Add figures of a step, numbered from 0."""
        if self._run is None:
            return
        if self._tracker is None:  # only now: accelerate has to know by then which process this is
            self._tracker = _opened(self._run, self._name)
        self._tracker.log(dict(values), step=step)

    def close(self) -> None:
        """Write what has not been written yet."""
        if self._tracker is not None:
            self._tracker.finish()


def _opened(run: Run, name: str) -> GeneralTracker:
    folder = run.out / "curves"
    if run.tracker == "tensorboard":
        tracker = TensorBoardTracker(name, logging_dir=folder)
    elif run.tracker == "wandb":
        tracker = WandBTracker(_PROJECT, name=f"{run.out.name}-{name}", dir=str(run.out))
    else:
        tracker = TrackioTracker(_PROJECT, name=f"{run.out.name}-{name}")
    tracker.start()
    return tracker
