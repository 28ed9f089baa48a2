"""What both families' stages have in common: training with a progress bar and curves, and the table of instructions.

Called by stages.py and video_policy_stages.py.
"""

from collections.abc import Callable, Sequence

from torch import nn
from torch.utils.data import Dataset

from models.data.demonstrations import Demonstration
from models.train.choices import Schedule
from models.train.loop import fit as steps
from models.train.prepared import Tensors
from models.train.training_state import steps_done
from runtime.host.progress import bar
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool
from runtime.training import ranks
from runtime.training.curves import Curves
from runtime.training.run import Run

_PLOT_EVERY = 20  # steps between the points of a curve; chosen: a thousand points of a usual training


def fit(
    run: Run, pool: WorkerPool, network: nn.Module, batches: Dataset[Tensors], schedule: Schedule, name: str,
    keep: Callable[[], dict[str, float]], own_rates: Sequence[tuple[nn.Module, float]] = (),
) -> None:  # fmt: skip
    """Train with a progress bar and curves; `keep` writes what has been learnt, and measures it."""
    pool.release()  # else its workers' video models would lie on the card throughout
    chief = ranks.chief()
    curves = Curves(run if chief else None, name)

    def kept(_: nn.Module) -> None:
        if figures := keep():
            curves.write(figures, steps_done(run.out / name) - 1)

    with bar(schedule.steps, name, "step", disable=not chief) as shown:
        mean: float | None = None
        for news in steps(network, batches, schedule, run.out / name, kept, own_rates):
            shown.update(news.step + 1 - shown.n)
            mean = news.loss if mean is None else mean + (news.loss - mean) / 100
            shown.set_postfix(loss=f"{mean:.4f}", refresh=False)
            if news.step % _PLOT_EVERY == 0:
                figures = {"loss": news.loss, "learning rate": news.learning_rate, "gradient": news.gradient}
                curves.write(figures, news.step)
    curves.close()
    if mean is None and chief:
        say(f"{name}: already trained for {schedule.steps} steps; give more --steps to continue")


def table(demonstrations: Sequence[Demonstration]) -> tuple[list[str], list[tuple[int, ...]]]:
    """All wordings, each once, and each demonstration's rows among them."""
    wordings = list(dict.fromkeys(text for demonstration in demonstrations for text in demonstration.texts))
    place = {text: row for row, text in enumerate(wordings)}
    return wordings, [tuple(place[text] for text in demonstration.texts) for demonstration in demonstrations]
