"""A recorded movement once more: the way to it, along it, and to a stand at its end. Called by pytest; pure but for files."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import public_layouts
import pytest
import simplejpeg

from models.config.policy import CAMERAS
from models.data import hdf5, lerobot_writer
from models.data.episode import DEMONSTRATION_HZ, Episode
from models.data.reading import Reading
from runtime.arms import parking
from runtime.config.loading import settings_from_json, settings_to_json
from runtime.config.settings import Settings
from runtime.config.system_settings import Policy
from runtime.doctor import machine
from runtime.errors import RuntimeFault, SettingsError
from runtime.messaging import codec, messages
from runtime.process.fork_server import ForkServer
from runtime.process.role import Role
from runtime.replay import command as replay_command
from runtime.replay import on_robot, tracker_step
from runtime.replay.comparison import Report
from runtime.replay.tracker_step import Course, TrackerConfig, TrackerInputs, TrackerState, Way
from runtime.replay.what_if import Origin
from runtime.session import reader
from runtime.session.episodes import Log
from runtime.session.writer import SessionWriter
from runtime.supervisor import robot

Build = Callable[..., Any]
GOLDEN = Path(__file__).parents[1] / "golden" / "session-schema-1.mcap"
T0_NS = 1_000_000_000_000
DT_NS = 1_000_000_000 // DEMONSTRATION_HZ
PERIOD_NS = 150_000_000


def _wave(seconds: float) -> Way:
    """Every joint as a sine of its own, which begins and ends in motion."""
    times = np.arange(round(seconds * DEMONSTRATION_HZ) + 1) / DEMONSTRATION_HZ
    return Way(0.3 * np.sin(times[:, None] + np.arange(messages.JOINTS)), "wave")


def _course(begin: float = 0.0, place_s: float = 0.0, seconds: float = 8.0) -> Course:
    return Course(_wave(seconds), np.full(messages.JOINTS, begin), place_s)


def _moved(course: Course) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Places (N, J) every millisecond, from before its beginning to after its end, and their velocities."""
    times = np.arange(-0.5, course.duration_s + 0.5, 1e-3)
    q = course.at(times)
    return q, np.gradient(q, 1e-3, axis=0)


@pytest.mark.parametrize("place_s", [0.0, 3.3, 7.7, 8.0])
@pytest.mark.parametrize("begin", [0.0, -0.4])
def test_a_course_leads_from_standing_to_standing(begin: float, place_s: float) -> None:
    course = _course(begin, place_s)
    q, speed = _moved(course)
    assert np.array_equal(q[0], course.begin)
    assert np.allclose(q[-1], course.way.q[-1])
    assert np.abs(speed[[0, -1]]).max() == 0.0
    assert np.abs(np.diff(speed, axis=0)).max() < 8e-3, "8 rad/s2: no jump of the speed anywhere"


def test_on_the_way_to_the_movement_the_arms_are_slow_enough_to_watch() -> None:
    course = _course(-0.4, 2.0)
    times = np.arange(0.0, course.approach_s, 1e-3)
    speed = np.gradient(course.at(times), 1e-3, axis=0)
    acceleration = np.gradient(speed, 1e-3, axis=0)[2:-2]
    assert (np.abs(speed) <= parking.VELOCITY * 1.001).all()
    assert (np.abs(acceleration) <= parking.ACCELERATION * 1.01).all()
    assert np.abs(speed).max() > 0.0


def test_between_its_ends_a_movement_has_its_own_pace() -> None:
    course = _course()
    places = course.places(course.approach_s + np.array([2.0, 5.0]))
    assert places[1] - places[0] == pytest.approx(3.0)


@pytest.mark.parametrize(("speed", "pace"), [(1.0, 1.0), (3.8, 0.70**0.5 * 5.0**0.5 / 3.8), (30.0, 0.25)])
def test_a_movement_that_needs_most_of_the_limits_is_followed_more_slowly(
    settings: Settings, speed: float, pace: float
) -> None:
    """A sine of 1 rad: its speed in rad/s, and squared its acceleration; velocity limit 3, acceleration 5."""
    times = np.arange(8 * DEMONSTRATION_HZ + 1) / DEMONSTRATION_HZ
    config = TrackerConfig(settings, Way(np.sin(speed * times[:, None] + np.zeros(messages.JOINTS)), "fast"))
    assert config.pace == pytest.approx(pace, rel=0.1)
    course = config.course(TrackerState())
    q, moved = _moved(course)
    assert np.allclose(q[-1], config.way.q[-1])
    assert course.duration_s == pytest.approx(8.0 / config.pace + 1.0 + course.approach_s)
    assert np.abs(moved).max() < 0.75 * 3.0 or pace == 0.25


def test_what_is_shorter_than_the_ramps_is_followed_to_its_end() -> None:
    q, _ = _moved(_course(seconds=0.3))
    assert np.allclose(q[-1], _wave(0.3).q[-1])


class Driver:
    """The step on a clock of its own, with arms that take its chunks at once and follow perfectly."""

    def __init__(self, build: Build, settings: Settings, way: Way) -> None:
        self._build, self.config, self.state = build, TrackerConfig(settings, way), TrackerState()
        self.now_ns = T0_NS
        self.chunk: messages.ActionChunk | None = None
        self.began_ns = 0  # when the first target of `chunk` was due
        self.running, self.episode = False, 1
        self.q = np.zeros(messages.JOINTS)

    def inputs(self) -> TrackerInputs:
        """What the arms say now."""
        seq = self.chunk.seq if self.chunk is not None else -1
        consumed = max(0, (self.now_ns - self.began_ns) // DT_NS + 1) if self.chunk is not None else 0
        joints = self._build(
            messages.JointState,
            stamp_ns=self.now_ns,
            running=self.running,
            chunk_epoch=1,
            chunk_seq=seq,
            consumed=consumed,
        )
        return TrackerInputs(
            self._build(messages.Episode, number=self.episode),
            self._build(messages.Instruction),
            joints,
            self._build(messages.ArmTarget, stamp_ns=self.now_ns, q=self.q),
        )

    def step(self) -> messages.ActionChunk | messages.Skip:
        """One step; the chunk is taken, and followed for a period when the arms run."""
        made = tracker_step.step(self.config, self.state, self.inputs(), 1, self.now_ns)
        if isinstance(made, messages.ActionChunk):
            stood = not self.running or self.chunk is None
            self.chunk, self.began_ns = made, self.now_ns if stood else made.t0_ns
            self.now_ns += PERIOD_NS
            if self.running:
                index = (self.now_ns - self.began_ns) / DT_NS
                self.q = np.array([np.interp(index, np.arange(64), column) for column in made.q.T])
        return made

    def run(self, periods: int) -> list[messages.ActionChunk]:
        """So many steps, or as many as there are until it says that it is over."""
        chunks: list[messages.ActionChunk] = []
        for _ in range(periods):
            made = self.step()
            if not isinstance(made, messages.ActionChunk):
                assert made.reason == tracker_step.END
                break
            chunks.append(made)
        return chunks


@pytest.fixture
def driver(build: Build, settings: Settings) -> Driver:
    """Arms at zero before a movement of eight seconds."""
    return Driver(build, settings, _wave(8.0))


def test_while_the_arms_stand_every_chunk_begins_where_they_are_told_to_be(driver: Driver) -> None:
    for angle in (0.0, 0.2, -0.1):
        driver.q = np.full(messages.JOINTS, angle)
        (chunk,) = driver.run(1)
        assert np.allclose(chunk.q[0], angle)
        assert chunk.t0_ns > chunk.stamp_ns


def test_chunks_agree_on_the_way_and_end_at_its_end(driver: Driver) -> None:
    driver.run(2)
    driver.running = True
    chunks = driver.run(1000)
    for before, after in itertools.pairwise(chunks):
        shift = (after.t0_ns - before.t0_ns) / DT_NS
        index = np.arange(64 - round(shift) - 1)
        reported = [np.interp(index + shift, np.arange(64), column) for column in before.q.T]
        assert np.abs(np.array(reported).T - after.q[: len(index)]).max() < 2e-3
    assert np.allclose(driver.q, driver.config.way.q[-1], atol=1e-4)
    assert len({chunk.checkpoint_id for chunk in chunks}) == 1
    assert isinstance(driver.step(), messages.Skip)
    driver.running = False  # they hold, since there is no chunk any more: it does not begin again
    assert isinstance(driver.step(), messages.Skip)


def test_after_a_hold_it_goes_on_from_where_it_had_come_to(driver: Driver) -> None:
    driver.run(1)
    driver.running = True
    course = Course(driver.config.way, driver.state.begin, 0.0)
    driver.run(round((course.approach_s + 4.0) / (PERIOD_NS / 1e9)))
    driver.running = False
    (chunk,) = driver.run(1)
    place_s = driver.state.place_s
    assert place_s == pytest.approx(3.5, abs=0.3)
    assert np.allclose(chunk.q[0], driver.q)
    driver.run(5)
    assert driver.state.place_s == place_s, "it waits"
    driver.running = True
    driver.run(1000)
    assert np.allclose(driver.q, driver.config.way.q[-1], atol=1e-4)


def test_a_new_episode_begins_at_the_beginning(driver: Driver) -> None:
    driver.run(1)
    driver.running = True
    driver.run(60)
    driver.running = False
    driver.run(1)
    assert driver.state.place_s > 1.0
    driver.episode = 2
    (chunk,) = driver.run(1)
    assert driver.state.place_s == 0.0
    assert chunk.episode == 2
    assert np.allclose(chunk.q[0], driver.q)


def test_it_does_not_begin_anew_by_itself_when_it_was_started_again(driver: Driver) -> None:
    made = tracker_step.step(driver.config, TrackerState(), driver.inputs(), 2, driver.now_ns)
    assert isinstance(made, messages.Skip) and made.reason == tracker_step.LOST


def test_without_feedback_there_is_no_chunk(driver: Driver) -> None:
    inputs = driver.inputs()
    for lacking in (TrackerInputs(inputs.episode, inputs.instruction, None, inputs.target),
                    TrackerInputs(inputs.episode, inputs.instruction, inputs.joints, None)):  # fmt: skip
        made = tracker_step.step(driver.config, driver.state, lacking, 1, driver.now_ns)
        assert isinstance(made, messages.Skip) and made.reason == "no joint state yet"
    assert driver.state.skips == 2
    assert tracker_step.inputs_of({"episode": inputs.episode}) is None
    unheard = (
        inputs.joints.model_copy(update={"measured_ns": (messages.NEVER, messages.NEVER)}) if inputs.joints else None
    )
    held = {"episode": inputs.episode, "instruction": inputs.instruction, "joint_state": unheard}
    found = tracker_step.inputs_of({name: message for name, message in held.items() if message is not None})
    assert found is not None and unheard is not None and found.joints is None, "a pose that nobody told"


def test_a_movement_is_read_back_from_a_sessions_folder(tmp_path: Path) -> None:
    tracker_step.save(_wave(1.0).q, tmp_path)
    way = tracker_step.load(tmp_path / tracker_step.FILE_NAME)
    assert np.array_equal(way.q, _wave(1.0).q)
    assert len(way.id) == 16
    (tmp_path / tracker_step.FILE_NAME).write_bytes(b"no array")
    for path in (tmp_path / tracker_step.FILE_NAME, tmp_path / "nothing"):
        with pytest.raises(RuntimeFault, match=f"{path}: is not a recorded movement"):
            tracker_step.load(path)


def _session(build: Build, folder: Path, modes: str, settings: str = "", step_rad: float = 1e-3) -> Path:
    """A session of one tick a letter: R runs, H holds, D is disarmed, - is not recorded.

    The joints move on by `step_rad` a tick, and stand in the second of two H.
    """
    folder.mkdir(parents=True)
    writer = SessionWriter(folder / "session.mcap", 0)
    if settings:
        writer.metadata({"settings": settings})
    q, before = 0.0, ""
    arrived = [("episode", build(messages.Episode)), ("instruction", build(messages.Instruction))]
    for seq, mode in enumerate(modes):
        q += 0.0 if before + mode == "HH" else step_rad
        before = mode
        if mode == "-":
            continue
        mode_name = {"R": "RUNNING", "H": "HOLD", "D": "DISARMED"}[mode]
        values = {"mode": mode_name, "q": np.full(messages.JOINTS, q), "sent": mode != "D"}
        stamp = T0_NS + seq * 5_000_000
        arrived.append(("arm_target", build(messages.ArmTarget, seq=seq, stamp_ns=stamp, deadline_ns=stamp, **values)))
    for topic, message in arrived:
        writer.message(topic, message, codec.encode(message))
    writer.close()
    return folder


def _path(folder: Path) -> tuple[np.ndarray[Any, Any], str] | None:
    log = Log(reader.read(folder))
    return log.path(log.episodes[0])


def test_a_sessions_way_leaves_out_the_times_in_which_the_arms_stood(build: Build, tmp_path: Path) -> None:
    found = _path(_session(build, tmp_path / "s", "H" + "R" * 100 + "H" * 300 + "R" * 100 + "H" * 50))
    assert found is not None
    way, reported = found
    assert reported == "hand the block over"
    assert len(way) == pytest.approx(201 * 0.005 * DEMONSTRATION_HZ, abs=1)
    steps = np.diff(way[:, 0])
    assert np.allclose(steps[:-1], 1e-3 / 0.005 / DEMONSTRATION_HZ, atol=1e-9), "200 ticks a second, without a jump"
    assert _path(_session(build, tmp_path / "t", "HHH")) is None


@pytest.mark.parametrize("gap", ["D", "-"])
def test_of_a_way_with_a_gap_the_longest_part_is_followed_and_that_is_said(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str], gap: str
) -> None:
    """Arms that were led by hand, or a part of the file that is lost: nobody knows how they got on from there."""
    found = _path(_session(build, tmp_path / "s", "R" * 100 + gap * 200 + "R" * 300))
    assert found is not None
    assert len(found[0]) == pytest.approx(300 * 0.005 * DEMONSTRATION_HZ, abs=1)
    assert np.diff(found[0][:, 0]).max() < 0.01
    assert "used 1.5 to 3.0 s of 3.0 s" in capsys.readouterr().out.replace("\n", " ")


def _demonstrated(task: str) -> Episode:
    q = np.linspace(0.0, 0.05, 40, dtype=np.float32)[:, None] * np.ones(messages.JOINTS, np.float32)
    jpeg = simplejpeg.encode_jpeg(np.full((16, 32, 3), 90, np.uint8), 90)
    jpegs = {camera: [jpeg] * len(q) for camera in CAMERAS}
    return Episode(q, 0 * q, 0 * q, q + np.float32(0.01), jpegs, (f"do {task}",), task, 3)


def test_demonstrations_are_followed_as_they_were_commanded(tmp_path: Path) -> None:
    """A file, the first of a folder, and any of a LeRobot dataset."""
    (tmp_path / "files").mkdir()
    hdf5.write(tmp_path / "files" / "one.hdf5", _demonstrated("one"))
    lerobot_writer.write(tmp_path / "dataset", [_demonstrated("one"), _demonstrated("two")])
    found = {
        "one": on_robot.recorded(tmp_path / "files" / "one.hdf5", None),
        "files": on_robot.recorded(tmp_path / "files", None),
        "dataset 1": on_robot.recorded(tmp_path / "dataset", 1),
    }
    assert [(name, about.name) for name, about in found.items()] == [(name, name) for name in found]
    assert [about.task for about in found.values()] == ["one", "one", "two"]
    for about in found.values():
        assert np.array_equal(about.q, _demonstrated("").leader)
        assert (about.seed, about.instruction, about.settings) == (3, f"do {about.task}", None)
    assert "must be 0 to 1" in _refused([str(tmp_path / "dataset"), "--on-robot", "--episode", "2"])
    (tmp_path / "nothing").mkdir()
    assert "give a folder with session.mcap" in _refused([str(tmp_path / "nothing"), "--on-robot"])


def test_a_demonstration_in_other_units_is_followed_by_its_flags(build: Build, tmp_path: Path) -> None:
    path = public_layouts.degrees(tmp_path)
    refused = _refused([str(path), "--on-robot"])
    assert "give --data.unit deg if it is in degrees" in refused
    found = on_robot.recorded(path, None, Reading(unit="deg"))
    np.testing.assert_allclose(found.q, public_layouts.TARGETS, atol=1e-6)
    session = _session(build, tmp_path / "run", "HRRRRRRRRRRRRH")
    said = _refused([str(session), "--on-robot", "--data.unit", "deg"])
    assert said == "--data.unit deg: does not apply to a session; leave it out"


def _refused(arguments: list[str]) -> str:
    with pytest.raises((SettingsError, RuntimeFault)) as refusal:
        replay_command.main(arguments)
    return str(refusal.value)


def test_what_cannot_be_followed_is_refused_in_one_line(build: Build, tmp_path: Path) -> None:
    still, run = _session(build, tmp_path / "still", "HHHH"), _session(build, tmp_path / "run", "HRRRRRRRRRRRRH")
    short = _session(build, tmp_path / "short", "HRH")
    fast = _session(build, tmp_path / "fast", "R" * 7, step_rad=0.06)
    far = _session(build, tmp_path / "far", "R" * 2000, step_rad=0.004)
    assert "the arms never ran, and no demonstration was kept" in _refused([str(still), "--on-robot"])
    assert "got 1;" in _refused([str(short), "--on-robot"])
    assert f"--episode 7: must be an episode of {run} (1)" in _refused([str(run), "--on-robot", "--episode", "7"])
    assert "left j1 jumps by 0.36 rad after" in _refused([str(fast), "--on-robot"])
    assert "rad outside its range (limit" in _refused([str(far), "--on-robot"])
    for flags in (["--policy.size", "full"], ["--policy.checkpoint", "x"]):
        assert f"{flags[0]}: does not apply to --on-robot" in _refused([str(run), "--on-robot", *flags])
    assert "--out x: needs --what-if" in _refused([str(run), "--on-robot", "--out", "x"])
    assert "--episode 1: needs --on-robot" in _refused([str(run), "--lockstep", "--episode", "1"])
    assert "nowhere" in _refused([str(run), "--on-robot", "--profile", "nowhere"])
    assert "--task juggle: " in _refused([str(run), "--on-robot", "--task", "juggle"])
    assert "unplug the leaders" in _refused([str(run), "--on-robot", "--arms.leaders", "shared", "--can"])
    broken = tmp_path / "broken.hdf5"
    broken.write_bytes(b"none")
    assert str(broken) in _refused([str(broken), "--on-robot"])
    with pytest.raises(
        SettingsError, match=r"--follow: no longer a setting; run ./launch/replay.sh SESSION --on-robot"
    ):
        robot.main(["--follow", "something"])


def test_a_session_without_a_policy_is_not_asked_what_another_would_have_done(
    build: Build, settings: Settings, tmp_path: Path
) -> None:
    followed = json.dumps(settings.model_dump(mode="json") | {"follow": "that one"})
    session = reader.read(_session(build, tmp_path / "s", "HRRH", followed))
    with pytest.raises(Exception, match="followed that one without a policy"):
        Origin.of(session)


Ran = tuple[Settings, on_robot.Recorded]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Ran]:
    """What would have been run: settings and movements."""
    seen: list[Ran] = []

    class Following:
        """Instead of a run."""

        def __init__(self, settings: Settings, role: Role, server: ForkServer, movement: on_robot.Recorded) -> None:
            del server
            assert role.tracks == movement.name
            seen.append((settings, movement))

        def run(self) -> int:
            return 0

    monkeypatch.setattr(on_robot, "TrackingRobot", Following)
    return seen


def test_the_robot_is_the_sessions_own_unless_a_profile_is_named(
    build: Build, settings: Settings, tmp_path: Path, ran: list[Ran]
) -> None:
    system2 = settings.system2.model_copy(update={"remote": "tcp://0.0.0.0:5760", "keys": tmp_path / "gone"})
    changes = {
        "ratio": 3,
        "seconds": 5.0,
        "json_file": Path("old.json"),
        "instruction": "the first",
        "system2": system2,
    }
    own = settings.model_copy(update=changes)
    source = _session(build, tmp_path / "sessions" / "first", "H" + "R" * 100, own.model_dump_json())
    assert replay_command.main([str(source), "--on-robot", "--can", "--seconds", "3"]) == 0
    assert (
        replay_command.main([str(source), "--on-robot", "--profile", "sim", "--seed", "9", "--instruction", "mine"])
        == 0
    )
    assert replay_command.main([str(source), "--on-robot"]) == 0
    (first, recorded), (second, _), (third, _) = ran
    assert (first.ratio, first.can, first.seed, first.task) == (3, True, 0, "block_handover")
    assert (first.seconds, first.json_file, recorded.name) == (3.0, None, "first")
    assert first.instruction == recorded.instruction == "hand the block over", "what was told then, not at the start"
    assert first.sessions == tmp_path / "sessions"
    assert (first.policy.checkpoint, first.system2.remote, first.system2.keys) == (None, "", None)
    assert (second.ratio, second.can, second.seed, second.instruction) == (settings.ratio, False, 9, "mine")
    assert third.seconds is None


def test_a_session_of_another_version_needs_a_profile(
    build: Build, settings: Settings, tmp_path: Path, ran: list[Ran]
) -> None:
    old = settings.model_dump_json().replace('"ratio"', '"ratios"', 1)
    source = _session(build, tmp_path / "old", "R" * 100, old)
    assert "give --profile" in _refused([str(source), "--on-robot"])
    assert replay_command.main([str(source), "--on-robot", "--profile", "sim"]) == 0
    assert len(ran) == 1


def test_what_a_demonstration_says_of_itself_is_checked(tmp_path: Path, ran: list[Ran]) -> None:
    one = replace(_demonstrated("block_handover"), instructions=("", " x" * 900), seed=2**40)
    hdf5.write(tmp_path / "one.hdf5", one)
    assert replay_command.main([str(tmp_path / "one.hdf5"), "--on-robot"]) == 0
    ((settings, _),) = ran
    assert settings.instruction is not None
    assert 900 < len(settings.instruction) <= 1000
    assert settings.seed == 0
    assert settings_from_json(settings_to_json(settings)) == settings, "every process will read it"
    assert "is one demonstration" in _refused([str(tmp_path / "one.hdf5"), "--on-robot", "--episode", "5"])


def test_no_policy_is_asked_for_where_none_runs(settings: Settings) -> None:
    """Else a real robot could never be armed for it."""
    piper = settings.arms.model_copy(update={"kind": "piper"})
    real = settings.model_copy(update={"arms": piper, "policy": Policy()})
    assert "policy" in {row.name for row in machine.check(real) if row.verdict == "fail"}
    assert {"policy", "GPU"}.isdisjoint(row.name for row in machine.check(real, Role(tracks="that one")))


def test_a_report_without_chunks_is_not_called_identical() -> None:
    report = Report()
    report.count("ArmTarget").compared = 3
    assert not report.identical


def test_what_takes_system1s_place_builds_chunks_without_torch() -> None:
    code = "import sys; import runtime.replay.tracker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
