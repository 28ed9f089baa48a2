"""What a process asks before every round: shall it end?"""

import subprocess
import sys
import threading
import time

from runtime.host.shutdown import Ending

_STORM = """
import signal
from runtime.host.shutdown import Ending
signal.signal(signal.SIGALRM, lambda *_: ending.ask())
for _ in range(2000):
    ending = Ending()
    signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
    while not ending.wait(0.01):
        pass
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    ending.close()
print("ended")
"""


def test_an_end_asked_for_wakes_who_waits() -> None:
    """By another thread; whoever waits afterwards does not sleep."""
    ending = Ending()
    assert not ending.wait(0.0)
    assert not ending.asked
    asking = threading.Timer(0.01, ending.ask)
    asking.start()
    began = time.monotonic()
    assert ending.wait(60.0)
    assert ending.wait(60.0)
    assert time.monotonic() - began < 60.0
    assert ending.asked
    asking.join()
    ending.close()
    ending.ask()  # a signal that comes late


def test_a_wait_ends_by_itself() -> None:
    """Nobody asked."""
    ending = Ending()
    assert not ending.wait(0.001)
    assert not ending.wait(-1.0)
    ending.close()


def test_signals_that_interrupt_their_own_handler_do_no_harm() -> None:
    """As when a parent is killed: a signal for each of its threads. With a lock in the handler this waits for ever."""
    done = subprocess.run([sys.executable, "-c", _STORM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "ended\n", done.stderr
