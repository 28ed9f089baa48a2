"""What the page shows of a moment, the log of events, and the metrics; of messages made by hand. Called by pytest."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.arms.commands import STOPPED
from runtime.arms.reasons import HELD, WAITS
from runtime.config.loading import load_settings
from runtime.console import metrics
from runtime.console.app import STATIC
from runtime.console.events import Event, EventDetector
from runtime.console.view import ARRIVAL, STATES, view
from runtime.messaging import messages
from runtime.messaging.topics import TOPICS, topic_of

Build = Callable[..., Any]
MS = 1_000_000


@pytest.fixture
def held(build: Build) -> dict[str, messages.Message]:
    """One message a topic."""
    made = {name: build(TOPICS[name].message) for name in STATES if not name.startswith("frame.")}
    frames = [build(messages.Frame, camera=camera) for camera in ("head", "left_wrist", "right_wrist")]
    return made | {topic_of(frame): frame for frame in frames}


def shown(held: dict[str, messages.Message], after_ms: int = 0, **rates_hz: float) -> dict[str, Any]:
    now_ns = next(iter(held.values())).stamp_ns + after_ms * MS if held else after_ms * MS
    made = view(load_settings([]), held, [Event(now_ns, "fault", "x")], rates_hz, now_ns)
    return json.loads(json.dumps(made))


def test_arms_that_were_not_heard_have_no_pose_and_no_command(held: dict[str, messages.Message]) -> None:
    held["joint_state"] = held["joint_state"].model_copy(update={"measured_ns": (0, messages.NEVER)})
    made = shown(held)
    for part in ("joints", "arms"):
        assert made[part]["measured"] is made[part]["commanded"] is None


def test_before_anything_is_heard_there_is_a_page() -> None:
    empty = shown({})
    assert empty["safety"] is None and empty["chunk"] is None and empty["latency"] == []
    assert [camera["verdict"] for camera in empty["cameras"]] == ["no report"] * 3


@pytest.mark.parametrize(
    ("after_ms", "picture", "beyond"), [(120, b"first", False), (320, b"last", False), (900, b"last", True)]
)
def test_the_imagined_picture_is_the_one_of_the_moment(
    held: dict[str, messages.Message], build: Build, after_ms: int, picture: bytes, beyond: bool
) -> None:
    """200 ms apart. Beyond the last one that one stays, and is said to be old."""
    pictures = (b"first", b"last")
    held["imagined"] = build(messages.Imagined, capture_ns=next(iter(held.values())).stamp_ns, pictures=pictures)
    made = shown(held, after_ms)["imagined"]
    assert (base64.b64decode(made["jpeg"]), made["beyond"]) == (picture, beyond)
    assert (made["error"], made["still_error"]) == (0.125, None), "what was not compared is no number"


def test_a_policy_that_imagines_nothing_shows_no_picture(held: dict[str, messages.Message]) -> None:
    del held["imagined"]
    assert shown(held)["imagined"] is None


def test_everything_is_there(held: dict[str, messages.Message]) -> None:
    made = shown(held, 40, chunk=6.0, conditions=0.75)
    chunk, conditions = held["chunk"], held["conditions"]
    assert isinstance(chunk, messages.ActionChunk) and isinstance(conditions, messages.Conditions)
    assert np.asarray(made["chunk"]["q"]) == pytest.approx(chunk.q, abs=1e-4)
    assert np.shape(made["chunk"]["path"]) == (2, 64, 3)
    assert np.shape(made["arms"]["measured"]) == np.shape(made["arms"]["commanded"]) == (2, 10, 3)
    assert made["conditions"]["windows"][1] == {"name": "low", "camera": "head", "frames": [3, 6, 9]}
    assert made["maps"]["boundaries"]["width"] == 3
    assert made["cameras"][0]["age_ms"] == 40
    assert made["events"] == [{"at_ns": made["now_ns"], "kind": "fault", "text": "x"}]


def test_a_policy_server_is_named(held: dict[str, messages.Message]) -> None:
    now_ns = held["safety"].stamp_ns
    assert view(load_settings([]), held, [], {}, now_ns)["server"] == ""
    settings = load_settings(["--policy.server", "ws://127.0.0.1:8000"])
    assert view(settings, held, [], {}, now_ns)["server"] == "ws://127.0.0.1:8000"


def test_the_ratio_in_all_three_units(held: dict[str, messages.Message]) -> None:
    ratio = shown(held, 500, chunk=6.0, conditions=0.75)["ratio"]
    assert (ratio["wanted"], ratio["runs"], ratio["age_ms"]) == (8, 8.0, 500)
    assert ratio["actions"] == 40, "30 targets a second, 0.75 conditions a second"
    assert shown(held)["ratio"]["runs"] is None


def test_the_way_from_picture_to_arms_in_bars(held: dict[str, messages.Message], build: Build) -> None:
    chunk = build(
        messages.ActionChunk, seq=3, observation_ns=0, frame_returned_ns=10 * MS, stamp_ns=12 * MS,
        timing=messages.Timing(finished_ns=100 * MS, prepare_ns=5 * MS, forward_ns=80 * MS),
    )  # fmt: skip
    held["chunk"], held[ARRIVAL] = chunk, build(messages.ArmTarget, arrivals=((3, 102 * MS),), stamp_ns=105 * MS)
    bars = {bar["name"]: bar["ms"] for bar in shown(held)["latency"]}
    assert bars == {"camera": 10.0, "wait": 2.0, "prepare": 5.0, "forward": 80.0, "bus": 2.0, "command": 3.0}
    held[ARRIVAL] = build(messages.ArmTarget, arrivals=((2, 102 * MS),))
    assert "bus" not in {bar["name"] for bar in shown(held)["latency"]}, "that was another chunk"


def test_a_seam_is_where_a_chunk_was_spliced_in(held: dict[str, messages.Message], build: Build) -> None:
    assert shown(held)["seam_ns"] == 0
    held[ARRIVAL] = build(messages.ArmTarget, arrivals=((3, 1),), seam_jump_rad_s=0.0, stamp_ns=7 * MS)
    assert shown(held)["seam_ns"] == 7 * MS
    held[ARRIVAL] = build(messages.ArmTarget, arrivals=((4, 1),), seam_jump_rad_s=-1.0)
    assert shown(held)["seam_ns"] == 0, "that one was refused"


def test_nothing_old_is_told_as_if_it_were_so_now(held: dict[str, messages.Message], build: Build) -> None:
    held["safety"] = build(messages.SafetyState, mode="RUNNING", reasons=())
    held["joint_state"] = build(messages.JointState, dq=np.full(14, 0.5))
    fresh = shown(held, 600)
    assert (fresh["safety"]["mode"], fresh["safety"]["moves"]) == ("RUNNING", True)
    assert fresh["cameras"][0]["verdict"] == ""
    old = shown(held, 800)
    assert (old["safety"]["mode"], old["safety"]["moves"]) == ("SILENT", None)
    assert old["safety"]["reasons"] == [
        "arms process silent for 0.8 s (limit 0.7 s); the arms stay at their last target"
    ]
    assert old["cameras"][0]["verdict"] == "no report for 0.8 s (limit 0.7 s)"
    del held["joint_state"]
    assert shown(held)["safety"]["moves"] is None, "nobody knows"


@pytest.mark.parametrize(
    ("mode", "reasons", "flags", "todo"),
    [
        ("RUNNING", (), [], ""),
        ("HOLD", (WAITS,), [], ""),
        ("HOLD", ("camera head: frozen", WAITS), [], "fix this, then send `run`"),
        ("HOLD", ("camera head: frozen",), [], "resumes by itself when this ends"),
        ("HOLD", ("camera head: frozen",), ["--no-arms.auto_resume"], "fix this, then send `run`"),
        ("HOLD", (HELD,), [], ""),
        ("HOLD", ("moving to the rest pose",), [], "wait, or send `hold`"),
        ("FAULT", ("left j1 is blocked",), [], "check the robot, then send `clear` and `run`"),
        ("FAULT", (STOPPED,), [], "support the arms, then press `clear a stop`, `arm`, `run`"),
        (
            "FAULT",
            ("left arm: status 1: emergency stop",),
            [],
            "support the arms, then press `clear a stop`, `arm`, `run`",
        ),
        (
            "FAULT",
            ("left arm: `stop` not carried out: why", STOPPED),
            [],
            "support the arms, then use the power switch",
        ),
        ("DISARMED", ("not armed", "`clear` not carried out"), [], "support the arms, then use the power switch"),
        ("DISARMED", ("not armed",), [], "send `arm`, then `run`"),
        ("DISARMED", ("arming blocked: bus left: down",), [], "fix what blocks arming, then restart"),
        ("TAKEOVER", ("the leaders lead the arms",), [], "send `run` to return the arms to the policy"),
    ],
)
def test_it_says_what_to_do(mode: str, reasons: tuple[str, ...], flags: list[str], todo: str, build: Build) -> None:
    state = build(messages.SafetyState, mode=mode, reasons=reasons)
    assert view(load_settings(flags), {"safety": state}, [], {}, state.stamp_ns)["safety"]["todo"] == todo


def test_maps_lie_over_what_they_are_of(held: dict[str, messages.Message]) -> None:
    maps = shown(held)["maps"]
    assert maps["motion"]["covers"] == [0.125, 0.0, 0.75, 1.0]
    assert maps["boundaries"]["covers"] == [0, 0, 1, 1], "of the whole picture, where nothing else is said"


def test_stale_topics_are_named(held: dict[str, messages.Message]) -> None:
    assert shown(held)["stale"] == []
    assert "joint_state" in shown(held, 100)["stale"] and "episode" not in shown(held, 100)["stale"]


def test_what_was_judged_is_shown_with_its_episode_only(held: dict[str, messages.Message], build: Build) -> None:
    held["outcome"] = build(messages.Outcome, number=1, result="failure")
    assert shown(held)["episode"]["result"] == "failure"
    held["episode"] = build(messages.Episode, number=2, ratio=4, blend="none")
    assert shown(held)["episode"]["result"] is None
    assert (shown(held)["ratio"]["wanted"], shown(held)["episode"]["blend"]) == (4, "none")


def test_events_are_told_once(build: Build) -> None:
    detector = EventDetector()

    def reported(message: messages.Message) -> list[str]:
        return [f"{event.kind}: {event.text}" for event in detector.note(message)]

    assert reported(build(messages.SafetyState, mode="HOLD", reasons=("no chunk yet",))) == ["mode: HOLD; no chunk yet"]
    assert reported(build(messages.SafetyState, mode="HOLD", reasons=("other",))) == []
    assert reported(build(messages.SafetyState, mode="RUNNING", reasons=())) == ["mode: RUNNING"]
    assert reported(build(messages.Instruction, number=1, text="a")) == ["instruction: a"]
    assert reported(build(messages.Instruction, number=1, text="a")) == []
    assert reported(build(messages.Episode)) == ["episode: episode 1 begins: block_handover"]
    assert reported(build(messages.Episode, ratio=4)) == ["command: ratio 1:4"]
    assert reported(build(messages.Episode, ratio=4, blend="none")) == ["command: blend none"]
    assert reported(build(messages.OperatorCommand, command="hold", source="console")) == ["command: hold (console)"]
    assert reported(build(messages.Outcome)) == ["episode: episode 1: success: twice (console)"]
    assert reported(build(messages.Fault)) == ["fault: arms: left j1 is blocked"]
    assert reported(build(messages.ArmTarget, seam_jump_rad_s=0.2)) == ["seam: seam: 0.20 rad/s"]
    assert reported(build(messages.ArmTarget, seam_jump_rad_s=-1.0)) == []
    assert reported(build(messages.JointState)) == []
    assert reported(build(messages.Deadman, holder="", wanted=False)) == []
    assert reported(build(messages.Deadman, holder="Anna", wanted=True)) == [
        "operator: Anna holds the lease",
        "operator: deadman on",
    ]
    assert reported(build(messages.Deadman, holder="Anna", wanted=True)) == []
    assert reported(build(messages.Deadman, holder="", wanted=False)) == [
        "operator: nobody holds the lease",
        "operator: deadman off",
    ]


def test_processes_and_cameras_that_change_are_events(build: Build) -> None:
    detector = EventDetector()

    def supervision(state: Any) -> messages.Supervision:
        return build(messages.Supervision, processes=(messages.ProcessState(process="arms", state=state, restarts=0),))

    def health(verdict: str) -> messages.CameraHealth:
        state = messages.CameraState(camera="head", number=1, capture_ns=1, rate_hz=30.0, verdict=verdict)
        return build(messages.CameraHealth, cameras=(state,))

    assert [detector.note(supervision(state)) for state in ("starting", "starting")] == [[], []]
    assert detector.note(supervision("hung"))[0].text == "arms: hung"
    assert detector.note(health("")) == []
    assert detector.note(health("no new frame for 120 ms"))[0].text == "head: no new frame for 120 ms"
    assert detector.note(health("no new frame for 160 ms")) == []
    assert detector.note(health(""))[0].text == "head: well again"


def test_metrics_are_prometheus_text(held: dict[str, messages.Message]) -> None:
    lines = metrics.text(shown(held, 40, chunk=6.0, conditions=0.75)).splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert samples["video2act_up"] == "1.0" and samples['video2act_rate_hertz{of="chunk"}'] == "6.0"
    assert samples['video2act_age_milliseconds{of="head"}'] == "40.0"
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {sample.partition("{")[0] for sample in samples} <= typed
    families = {family.name: family for family in text_string_to_metric_families("\n".join(lines) + "\n")}
    assert families["video2act_holds"].type == "counter" and families["video2act_mode"].type == "gauge"
    assert all(family.documentation for family in families.values())
    assert "video2act_up 0.0" in metrics.text({})


def test_metrics_tell_of_each_process_what_it_sends_and_lost(held: dict[str, messages.Message], build: Build) -> None:
    row = messages.ProcessState(process="arms", state="hung", restarts=2, sent_hz=405.5, lost=3, faults=4)
    held["supervision"] = build(messages.Supervision, processes=(row,))
    samples = dict(line.rsplit(" ", 1) for line in metrics.text(shown(held)).splitlines() if "process_" in line)
    figures = {
        "alive": "0.0", "restarts_total": "2.0", "messages_hertz": "405.5", "lost_total": "3.0", "faults_total": "4.0",
    }  # fmt: skip
    for name, figure in figures.items():
        assert samples[f'video2act_process_{name}{{process="arms"}}'] == figure


def test_a_label_is_quoted() -> None:
    row = messages.ProcessState(process='a"b\\c\nd', state="alive", restarts=0)
    assert 'video2act_process_alive{process="a\\"b\\\\c\\nd"} 1.0' in metrics.text({"processes": [row.model_dump()]})


def test_the_dashboard_asks_for_metrics_that_there_are(held: dict[str, messages.Message]) -> None:
    dashboard = (Path(__file__).parents[3] / "deploy" / "grafana-dashboard.json").read_text()
    json.loads(dashboard)
    asked = set(re.findall(r"video2act_[a-z_]+", dashboard))
    assert asked and asked <= set(re.findall(r"video2act_[a-z_]+", metrics.text(shown(held))))


def test_vendored_files_are_those_of_their_packages() -> None:
    vendor = STATIC / "vendor"
    rows = json.loads((vendor / "vendor.json").read_text())
    for row in rows:
        assert hashlib.sha256((vendor / row["file"]).read_bytes()).hexdigest() == row["sha256"], row["file"]
        assert (vendor / row["licence"]).is_file()
        said = (row["file"], row["package"], row["version"], row["path"])
        assert all(said) and re.fullmatch(r"[0-9]+(\.[0-9]+){2}", row["version"]), said
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", row["integrity"]), f"npm's, of {said}; see tests/vendored.sh"
    of_package = {(row["package"], row["version"], row["integrity"]) for row in rows}
    assert len(of_package) == len({row["package"] for row in rows}), "one version of each package"
    reported = {row["file"] for row in rows} | {row["licence"] for row in rows} | {"vendor.json"}
    assert {path.name for path in vendor.iterdir()} == reported


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC.glob("*.*"):
        text = path.read_text()
        assert "http://" not in text and "https://" not in text.replace('"https:"', ""), path.name
