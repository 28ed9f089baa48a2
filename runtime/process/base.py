"""What every process has around its one-page main: settings, bus, heartbeat thread, signals, and a safe edge.

Started by the supervisor as `python -m runtime.process.base NAME FOLDER EPOCH`.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from pydantic import BaseModel

from runtime.config.loading import settings_from_json
from runtime.host import clock
from runtime.host.child_process import die_with_parent
from runtime.host.clock import NS_PER_S, robot_time_ns, seconds
from runtime.host.shutdown import Ending
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.publisher import Publisher
from runtime.process.processes import row, running
from runtime.process.role import POLICY, Role

CONSOLE_FILE = "console.txt"  # in the run's folder: the address of its page
KEPT_FOLDER = "kept"  # in the run's folder: what the recorder attaches to the session
_HEARTBEAT_S = 0.05  # 20 Hz, as runtime/messaging/topics.py says of the topic
_RECORDER_WAIT_S = 5.0  # chosen: after it the robot works without a record rather than not at all

log = logging.getLogger("video2act")


class OnChange:
    """Says a text when it differs from the last one that it was given, so that what is retried for hours is one line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._last = say, ""

    def __call__(self, text: str) -> None:
        """Say the text if it is news. Empty: nothing is wrong; it is not said, but whatever comes after it is."""
        if text and text != self._last:
            self._say(text)
        self._last = text


class RunFile(BaseModel):
    """What the supervisor writes into the run's folder for all processes."""

    settings: str  # JSON of config.Settings
    session: Path  # the session's folder
    revision: str  # of the source, empty outside a checkout
    role: Role = POLICY

    def save(self, folder: Path) -> None:
        """Write it into the run's folder as run.json, where `load` reads it."""
        (folder / "run.json").write_text(self.model_dump_json())

    @classmethod
    def load(cls, folder: Path) -> "RunFile":
        """The file of a run's folder; called by each of its processes when it starts."""
        return cls.model_validate_json((folder / "run.json").read_text())


class Process:
    """Handed to a process's `main`. `epoch` counts the starts of this process within the run, from 1."""

    def __init__(self, name: str, folder: Path, epoch: int) -> None:
        self.name, self.folder, self.epoch = name, folder, epoch
        run = RunFile.load(folder)
        self.settings = settings_from_json(run.settings)
        self.session, self.revision, self.role = run.session, run.revision, run.role
        self.row = row(name, self.settings, self.role)
        others = running(self.settings, self.role)
        self.bus = Bus(folder, name, others, self.row.prompt and self.settings.arms.realtime)
        self._recorder_deadline_ns: int | None = None
        self.steps = 0
        self._last_step_ns = robot_time_ns()
        self._ending = Ending()
        self._faults = self.bus.publisher("fault")
        self._fault_count = 0
        self._heartbeats = self.bus.publisher("heartbeat")
        self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._beating.start()

    def publisher(self, name: str) -> Publisher:
        """A publisher of a topic, handed out once the recorder listens to it: not even the first message may be missing.

        All publishers of a process together wait at most _RECORDER_WAIT_S: without a recorder the robot works all the same.
        """
        if self._recorder_deadline_ns is None:  # not from the start: loading the networks may take longer than that
            self._recorder_deadline_ns = robot_time_ns() + seconds(_RECORDER_WAIT_S)
        publisher = self.bus.publisher(name)
        if self.settings.recorder.enabled and publisher.topic.logged:
            remaining_s = (self._recorder_deadline_ns - robot_time_ns()) / NS_PER_S
            if not publisher.wait_for_recorder(max(0.0, remaining_s)):
                log.warning("the recorder does not listen to %s yet", name)
        return publisher

    @property
    def running(self) -> bool:
        """False once the process was asked to end."""
        return not self._ending.asked

    def stop(self, *_: int | FrameType | None) -> None:
        """Ask the main loop to end (also the handler of SIGTERM)."""
        self._ending.ask()

    def pause(self, duration_s: float) -> None:
        """Sleep, but wake when the process is asked to end."""
        self._ending.wait(duration_s)

    def stepped(self) -> None:
        """Tell the heartbeat that the loop came round."""
        self.steps += 1
        self._last_step_ns = robot_time_ns()

    def keep(self, name: str, data: bytes) -> None:
        """Leave a file for the session, to which the recorder attaches it under this name; of several of one name the first."""
        place = self.folder / KEPT_FOLDER / name
        place.parent.mkdir(exist_ok=True)
        beside = place.with_name(f".{name}")  # whole or not at all; a name with a dot is not attached
        beside.write_bytes(data)
        beside.rename(place)

    def fault(self, name: str, text: str) -> None:
        """Tell the operator.

        Args:
            name: Short and stable, as `camera`.
            text: Value, limit and remedy; cut at 2000 letters.
        """
        log.error("%s: %s", name, text)
        message = messages.Fault(
            seq=self._fault_count,
            epoch=self.epoch,
            stamp_ns=robot_time_ns(),
            process=self.name,
            name=name,
            text=text[:2000],
        )
        self._fault_count += 1
        self._faults.send(message)

    def settle(self, nice: int = 0) -> None:
        """End of start-up: garbage is collected from here on, but what was allocated until now is not walked through.

        Args:
            nice: Of the calling thread from here on; loading is not slowed down by it.
        """
        gc.collect()
        gc.freeze()
        gc.enable()
        if nice:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)

    def close(self) -> None:
        """End the heartbeat and close the sockets."""
        self._ending.ask()
        self._beating.join()
        self._ending.close()
        self.bus.close()

    def _beat(self) -> None:
        count = 0
        while not self._ending.wait(_HEARTBEAT_S):
            beat = messages.Heartbeat(
                seq=count,
                epoch=self.epoch,
                stamp_ns=robot_time_ns(),
                process=self.name,
                pid=os.getpid(),
                steps=self.steps,
                last_step_ns=self._last_step_ns,
                sent=self.bus.sent,
                lost=self.bus.lost,
            )
            self._heartbeats.send(beat)
            count += 1


def main(name: str, folder: Path, epoch: int) -> int:
    """Run one process to its end; the broad catch here is its edge. Returns 1 after a crash, else 0."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s", stream=sys.stderr)
    die_with_parent(name)
    clock.follow()
    gc.disable()  # until `settle`: a fifth of the time that torch and transformers take to import
    process = Process(name, folder, epoch)
    signal.signal(signal.SIGTERM, process.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to answer
    try:
        importlib.import_module(process.row.module).main(process)
    except Exception as error:  # noqa: BLE001  the process's edge
        log.error("%s", traceback.format_exc())
        process.fault("crash", f"{type(error).__name__}: {error}")
        return 1
    finally:
        process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
