"""Gives a running robot an order from another terminal: `order.sh hold`, and tells what became of it.

`stop`, `release`, and `clear` after a stop take the power from arms that may fall: they ask for a confirmation.
"""

import os
import sys
import time
from pathlib import Path

from runtime import command_line, wire
from runtime.bus import Bus
from runtime.clock import now_ns
from runtime.errors import RuntimeFault, SettingsError
from runtime.process import MEMORY_FOLDER, RUN_PREFIX
from runtime.terminal import say
from runtime.topics import OPERATOR

_CONFIRMED = ("stop", "release")
_AGAIN_S, _GIVE_UP_S, _POLL_S = 0.2, 3.0, 0.02


def main(arguments: list[str]) -> int:
    """The command: 0 when the order was obeyed, 1 when it was refused or nobody answered."""
    parser = command_line.parser("order.sh", __doc__)
    parser.add_argument("order", metavar="|".join(wire.ORDERS))
    parser.add_argument("--confirm", action="store_true", help="somebody stands beside the arms and supports them")
    parser.add_argument("--run", type=int, metavar="PID", help="of robot.sh, where several run")
    options = command_line.parse(parser, arguments)
    if options.order not in wire.ORDERS:
        raise SettingsError(f"unknown order {options.order!r}; choose of {', '.join(wire.ORDERS)}")
    order: wire.OrderName = wire.ORDERS[wire.ORDERS.index(options.order)]
    folder = run_folder(options.run)
    confirmed = options.confirm or (order in _CONFIRMED and _confirms(order))
    operator = Operator(folder)
    try:
        answer = operator.give(order, confirmed)
    finally:
        operator.close()
    say(f"{order}: {answer.answer or 'obeyed'}; now {'; '.join((answer.mode, *answer.reasons))}")
    return 1 if answer.answer else 0


def run_folder(pid: int | None) -> Path:
    """The folder of the run to talk to. Raises RuntimeFault when there is none, or not just one."""
    found = {path.name.split("-")[1]: path for path in MEMORY_FOLDER.glob(f"{RUN_PREFIX}*-*")}
    running = {int(number): path for number, path in found.items() if Path(f"/proc/{number}/stat").exists()}
    if pid is not None:
        running = {number: path for number, path in running.items() if number == pid}
    if len(running) == 1:
        return next(iter(running.values()))
    if running:
        raise RuntimeFault(f"several robots run here; choose one with --run: {', '.join(map(str, sorted(running)))}")
    raise RuntimeFault("no robot runs here" + (f" as {pid}" if pid is not None else "") + "; start ./launch/robot.sh")


class Operator:
    """Somebody who gives orders to one run, from outside of it."""

    def __init__(self, folder: Path) -> None:
        self.bus = Bus(folder, OPERATOR)
        self._safety, self._orders = self.bus.subscriber("safety"), self.bus.publisher("order")

    def give(self, order: wire.OrderName, confirmed: bool = False) -> wire.SafetyState:
        """Send an order until the arms have answered it. Raises RuntimeFault when they do not."""
        epoch = now_ns()  # nobody else's
        message = wire.Order(seq=0, epoch=epoch, stamp_ns=epoch, order=order, source=OPERATOR, confirmed=confirmed)
        deadline = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < deadline:
            self._orders.send(message)  # it is obeyed once; the first may be sent before anybody listens
            if answer := self._answer(epoch):
                return answer
        raise RuntimeFault(f"{order}: the arms process gave no answer within {_GIVE_UP_S:.0f} s; is it running?")

    def _answer(self, epoch: int) -> wire.SafetyState | None:
        until = time.monotonic() + _AGAIN_S
        while time.monotonic() < until:
            self.bus.wait(_POLL_S)
            for received in self._safety.take():
                if isinstance(received.message, wire.SafetyState) and received.message.answered[0] == epoch:
                    return received.message
        return None

    def close(self) -> None:
        """Close all sockets."""
        self.bus.close()


def _confirms(order: str) -> bool:
    """Ask the person at the terminal; without one the order goes unconfirmed, and is refused."""
    if not sys.stdin.isatty():
        return False
    say(f"{order}: the arms may fall. Somebody must stand beside them. Type {order} to confirm:")
    return os.fsdecode(sys.stdin.buffer.readline()).strip() == order
