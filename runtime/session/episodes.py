"""The episodes of a recorded session, as demonstrations or as a movement alone. Used by export and by replay's --on-robot.

Of a policy's run an episode is the longest stretch in which the arms ran and all cameras saw, unless an operator called it a
failure; of a recording (record.sh) a demonstration that was kept. Whether its task was done is said by the operator, else by
the simulation. 30 steps a second: what each camera had seen by then, the joints measured then, and the target that the arms
were sent, or led to by their leaders, for the next step.
"""

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS
from models.data.episode import DEMONSTRATION_HZ, Episode, check
from models.data.foreign_files import REMOVE
from models.errors import ModelError
from runtime.host.clock import NS_PER_S
from runtime.host.terminal import say
from runtime.messaging import messages
from runtime.session import reader

Row = TypeVar("Row")
# Without a tick or a picture for so long a run's stretch ends; without a leader a demonstration is unfit. Chosen: six steps.
_LONGEST_GAP_NS = NS_PER_S // 5
_WORTH_A_LINE_S = 0.5  # of an episode that is missing; chosen: less is how every run begins and ends
_SHORTEST_TICK_S = 1e-4  # chosen: a fiftieth of the arms'; damaged times have none
_NOTHING = "the arms never ran"


def episodes(session: reader.Session, failures: bool = False, verbose: bool = True) -> list[Episode]:
    """A session's episodes, in order, ready to train on.

    Args:
        session: As it was read.
        failures: Take those too that an operator called failures.
        verbose: Say what is left out, and why.

    Raises:
        ModelError: None is left.
    """
    log = Log(session)
    some: list[Episode] = []
    unfit, parts = list[str](), list[str]()
    for about in log.episodes:
        if log.judged(about) == "failure" and not failures:
            unfit.append(f"{session.path} episode {about.number}: judged a failure; --failures includes it")
            continue
        try:
            found = log.episode(about)
        except ModelError as error:
            unfit.append(str(error).removesuffix(f"; {REMOVE}"))  # here nobody has to
            continue
        if found is None:
            unfit.append(f"{session.path} episode {about.number}: {log.why_none(about)}")
            continue
        some.append(found)
        if found.success is False and verbose:
            judge = "judged a failure" if log.judged(about) else "the task was not done"
            say(f"video2act: exported as a failure: {session.path} episode {about.number}: {judge}")
        if shorter := log.shorter(about, len(found)):
            parts.append(f"{session.path} episode {about.number}: {shorter}")
    if not some:
        nothing = f"{session.path}: the arms never ran, and no demonstration was kept; give another session"
        first = next((text for text in unfit if not text.endswith(_NOTHING)), nothing)
        raise ModelError(first if "; " in first else f"{first}; give another session")
    for text in (*unfit, *parts) if verbose else ():
        say(f"video2act: skipped: {text}")
    return some


@dataclass(frozen=True)
class Movement:
    """Targets (T, 14) of 30 steps a second in the arms' order, rad, grippers m, and when each was due."""

    q: NDArray[np.float32]
    times_ns: list[int]
    instruction: str


class Log:
    """A session's messages by what an episode needs of them."""

    def __init__(self, session: reader.Session) -> None:
        self._session = session
        self.episodes: list[messages.Episode] = []
        self._texts: list[messages.Instruction] = []
        self._joints: list[messages.JointState] = []
        self._targets: list[messages.ArmTarget] = []
        self._leaders: list[messages.LeaderState] = []
        self._kept: dict[int, messages.Demonstration] = {}
        self._takes: dict[int, str] = {}  # of each demonstration that began, its last state
        self._judged: dict[int, str] = {}  # by an operator
        self._done: dict[int, bool] = {}  # in simulation
        self._frames: dict[str, list[messages.Frame]] = {camera: [] for camera in CAMERAS}
        for _, message, _ in reader.decode_all(session):
            match message:
                case messages.Episode() if not self.episodes or self.episodes[-1].number != message.number:
                    self.episodes.append(message)
                case messages.Instruction():
                    self._texts.append(message)
                case messages.JointState():
                    self._joints.append(message)
                case messages.ArmTarget():
                    self._targets.append(message)
                case messages.LeaderState():
                    self._leaders.append(message)
                case messages.Outcome():  # the last word counts
                    self._judged[message.number] = message.result
                case messages.Scene():
                    self._done[message.episode] = message.success or self._done.get(message.episode, False)
                case messages.Demonstration() if message.state != "ready":
                    self._takes[message.number] = message.state
                    if message.state == "kept":
                        self._kept[message.number] = message
                case messages.Frame() if message.camera in self._frames:
                    self._frames[message.camera].append(message)
                case _:
                    pass

    def judged(self, about: messages.Episode) -> str:
        """How an operator judged an episode: success, failure, or empty."""
        result = self._judged.get(about.number, "ended")
        return "" if result == "ended" else result

    def success(self, about: messages.Episode) -> bool | None:
        """Whether its task was done: by the operator, who also keeps demonstrations, else by the simulation; None: unknown."""
        if judged := self.judged(about):
            return judged == "success"
        return True if about.number in self._kept else self._done.get(about.number)

    def movement(self, about: messages.Episode) -> Movement | None:
        """Where one episode led the arms; None when they did not run in it, and it is no demonstration that was kept.

        Raises:
            ModelError: It is a demonstration in which a leader was not heard for 0.2 s.
        """
        running = [t for t in self._targets if t.episode == about.number and t.mode == "RUNNING" and t.sent]
        kept = self._kept.get(about.number)
        if kept is not None:
            begin_ns, end_ns = kept.began_ns, kept.ended_ns
            rows = [(row.stamp_ns, row.q) for row in self._leaders if begin_ns <= row.stamp_ns <= end_ns]
            if not rows or max(np.diff([begin_ns, *(stamp for stamp, _ in rows), end_ns])) > _LONGEST_GAP_NS:
                raise ModelError(f"{self._session.path} demonstration {about.number}: leader feedback has gaps")
        elif running:
            begin_ns, end_ns = self._longest_seen([target.deadline_ns for target in running])
            rows = [(row.deadline_ns, row.q) for row in running]
        else:
            return None
        times = [int(time) for time in np.arange(begin_ns, end_ns, NS_PER_S / DEMONSTRATION_HZ)]
        ahead = [time + NS_PER_S // DEMONSTRATION_HZ for time in times]
        targets = [rows[_before(rows, time, lambda row: row[0])][1] for time in ahead]
        return Movement(np.array(targets, np.float32), times, self._instruction_at(end_ns))

    def why_none(self, about: messages.Episode) -> str:
        """Why there is no movement: the arms never ran in it, or the demonstration was not kept."""
        state = self._takes.get(about.number)
        return _NOTHING if state is None else f"the demonstration was {state}, not kept"

    def shorter(self, about: messages.Episode, steps: int) -> str:
        """What of an episode's run is missing in its `steps`; empty: nothing that is worth a line."""
        running = [t for t in self._targets if t.episode == about.number and t.mode == "RUNNING" and t.sent]
        if about.number in self._kept or not running:
            return ""
        whole_s, used_s = (running[-1].deadline_ns - running[0].deadline_ns) / NS_PER_S, steps / DEMONSTRATION_HZ
        if whole_s - used_s < _WORTH_A_LINE_S:
            return ""
        return f"{whole_s - used_s:.1f} of its {whole_s:.1f} s, in which the arms held or a camera failed"

    def path(self, about: messages.Episode) -> tuple[NDArray[np.float64], str] | None:
        """One episode's way (T, 14), 30 steps a second, without the times in which the arms stood in a HOLD.

        And what had been told by its end. None as for `movement`; of parts that do not join, the longest.
        """
        if about.number in self._kept:
            movement = self.movement(about)
            return None if movement is None else (movement.q.astype(np.float64), movement.instruction)
        sent = [t for t in self._targets if t.episode == about.number and t.sent]
        ran = [place for place, target in enumerate(sent) if target.mode in ("RUNNING", "TAKEOVER")]
        if not ran:
            return None
        sent = self._led(about, sent[ran[0] : ran[-1] + 1])
        if not sent:  # their times are not in order
            return None
        q = np.array([target.q for target in sent])
        moves = np.abs(np.diff(q, axis=0, prepend=q[:1])).max(axis=1) > 0.0
        moves |= [target.mode != "HOLD" for target in sent]
        q = q[moves]
        if len(q) > 1:  # from the loop's rate to 30 steps a second
            tick_s = max(_SHORTEST_TICK_S, float(np.median(np.diff([t.deadline_ns for t in sent]))) / NS_PER_S)
            places = np.arange(0.0, len(q), 1.0 / (DEMONSTRATION_HZ * tick_s))
            q = np.stack([np.interp(places, np.arange(len(q)), column) for column in q.T], axis=1)
        return q, self._instruction_at(sent[-1].deadline_ns)

    def _led(self, about: messages.Episode, sent: list[messages.ArmTarget]) -> list[messages.ArmTarget]:
        """The longest stretch in which the arms were led without a break: between two nobody knows how they got on."""
        begin_ns, end_ns = _longest([target.deadline_ns for target in sent])
        if (begin_ns, end_ns) != (sent[0].deadline_ns, sent[-1].deadline_ns):
            a, b = ((time - sent[0].deadline_ns) / NS_PER_S for time in (begin_ns, end_ns))
            whole = (sent[-1].deadline_ns - sent[0].deadline_ns) / NS_PER_S
            say(
                f"video2act: {self._session.path} episode {about.number}: the movement has gaps; "
                f"used {a:.1f} to {b:.1f} s of {whole:.1f} s"
            )
        return [target for target in sent if begin_ns <= target.deadline_ns <= end_ns]

    def episode(self, about: messages.Episode) -> Episode | None:
        """One episode as a demonstration; None where there is no movement."""
        movement = self.movement(about)
        if movement is None:
            return None
        if not self._joints:
            raise ModelError(f"{self._session.path} episode {about.number}: no joint states are left")
        times = movement.times_ns
        steps = [self._joints[_before(self._joints, time, lambda row: row.stamp_ns)] for time in times]
        episode = Episode(
            q=np.array([row.q for row in steps], np.float32),
            dq=np.array([row.dq for row in steps], np.float32),
            effort=np.array([row.effort for row in steps], np.float32),
            leader=movement.q,
            jpegs={camera: self._jpegs(camera, times) for camera in CAMERAS},
            instructions=(movement.instruction,),
            task=about.task,
            seed=about.seed,
            success=self.success(about),
        )
        return check(episode, f"{self._session.path} episode {about.number}")

    def _instruction_at(self, by_ns: int) -> str:
        texts = [row.text for row in self._texts if row.stamp_ns <= by_ns]
        return texts[-1] if texts else ""

    def _longest_seen(self, times: list[int]) -> tuple[int, int]:
        """First and last time of the longest stretch without a gap in which all cameras saw; of any, where they never did."""
        grouped = itertools.groupby(times, lambda time: all(self._picture(camera, time) for camera in CAMERAS))
        stretches = [_longest(list(group)) for seen, group in grouped if seen]
        return max(stretches, key=lambda stretch: stretch[1] - stretch[0], default=_longest(times))

    def _picture(self, camera: str, time_ns: int) -> messages.Frame | None:
        """What a camera had seen last at a time; None where that is too old."""
        frames = self._frames[camera]
        found = frames[_before(frames, time_ns, lambda row: row.capture_ns)] if frames else None
        return found if found is not None and time_ns - found.capture_ns <= _LONGEST_GAP_NS else None

    def _jpegs(self, camera: str, times: Sequence[int]) -> list[bytes]:
        """What the camera had seen last at each time."""
        found: list[bytes] = []
        for time in times:
            picture = self._picture(camera, time)
            if picture is None:
                raise ModelError(f"{self._session.path}: camera {camera} has no frame at {time / NS_PER_S:.2f} s")
            jpeg = self._session.jpeg(camera, picture.seq)
            if jpeg is None:
                raise ModelError(f"{self._session.path}: frame {picture.seq} of {camera} was not recorded")
            found.append(jpeg)
        return found


def _before(rows: Sequence[Row], time: int, stamp: Callable[[Row], int]) -> int:
    """The last row at or before a time, the first one when there is none."""
    return max(0, bisect.bisect_right(rows, time, key=stamp) - 1)


def _longest(times: Sequence[int]) -> tuple[int, int]:
    """First and last time of the longest stretch without a gap."""
    cuts = [place for place, (a, b) in enumerate(itertools.pairwise(times), start=1) if b - a > _LONGEST_GAP_NS]
    stretches = [times[a:b] for a, b in itertools.pairwise([0, *cuts, len(times)])]
    longest = max(stretches, key=lambda stretch: stretch[-1] - stretch[0])
    return longest[0], longest[-1]
