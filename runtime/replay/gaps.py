"""What a session lacks of the inputs of its outputs, as lines: which messages, from when, and where a replay begins again.
Filled in by stretch.py; told by command.py and by the command `faults`.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from runtime.host.clock import NS_PER_S
from runtime.messaging import messages


@dataclass
class Gap:
    """Outputs in a row that cannot be made again, since something that the first of them consumed was not recorded."""

    process: str
    epoch: int
    from_ns: int  # when the first of them was made
    outputs: int = 0
    until_ns: int | None = None  # when the first output behind them was made; None: there is none
    lacks: dict[str, set[tuple[int, int]]] = field(default_factory=dict[str, set[tuple[int, int]]])
    """By topic the messages that are missing, by epoch and seq."""

    def add(
        self, output: messages.Message, following: messages.Message | None, recorded: Container[messages.InputRef]
    ) -> None:
        """Count an output, and what it consumed that is not among the recorded. `following`: the next one, if there is one."""
        self.outputs += 1
        self.until_ns = None if following is None else following.stamp_ns
        for topic, epoch, seq in output.inputs if isinstance(output, messages.Episodic) else ():
            if (topic, epoch, seq) not in recorded:
                self.lacks.setdefault(topic, set()).add((epoch, seq))

    def line(self, began_ns: int) -> str:
        """What is missing since when, and what that costs.

        Args:
            began_ns: When the session began, CLOCK_MONOTONIC.
        """
        lacks = (
            ", ".join(f"{len(found)} of {topic}" for topic, found in sorted(self.lacks.items())) or "outputs before it"
        )
        again = (
            "to the end"
            if self.until_ns is None
            else f"replay resumes at {(self.until_ns - began_ns) / NS_PER_S:.1f} s"
        )
        life = f" (start {self.epoch})" if self.epoch > 1 else ""
        return (
            f"{self.process}{life}: messages missing at {(self.from_ns - began_ns) / NS_PER_S:.1f} s ({lacks}): "
            f"{self.outputs} outputs not comparable, {again}"
        )
