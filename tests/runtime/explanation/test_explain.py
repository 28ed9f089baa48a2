"""The explain command on the golden session: what it writes, prints, and refuses. Called by pytest."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoint
import tiny_policy
from golden_sessions import GOLDEN
from PIL import Image

from models.checkpoint import Checkpoint, save
from models.explanation import TARGETS
from runtime.errors import RuntimeFault, SettingsError
from runtime.explanation import command, strip
from runtime.explanation.flags import ExplainFlags
from runtime.messaging import messages

POLICY = [
    "--policy.checkpoint",
    str(GOLDEN / "policy"),
]  # it recorded the session, and hears no picture: its head is too short
LAYERS = [
    "eyes head", "eyes left_wrist", "eyes right_wrist",
    "video short raw", "video short sobel", "video long raw", "video long fft",
]  # fmt: skip


def explained(tmp_path: Path, *words: str | Path) -> dict[str, Any]:
    """The figures that the command leaves, of another policy than the recorded one."""
    figures, policy = tmp_path / "figures.json", str(tiny_checkpoint.policy())
    assert command.main([*map(str, words), "--policy.checkpoint", policy, "--json", str(figures)]) == 0
    return json.loads(figures.read_text())


def test_a_session_without_a_scene_has_a_strip_and_no_shares(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = explained(tmp_path, session, "--moments", "2")["sessions"]
    out = capsys.readouterr().out
    assert "so the place of the object is unknown; shares on it are left out" in out
    assert list(one["layers"]) == LAYERS and all(row["area"] is None for row in one["layers"].values())
    assert all(row["share"] is None for row in one["layers"].values())
    assert any(row["stability"] is not None and -1 <= row["stability"] <= 1 for row in one["layers"].values())
    with Image.open(session / "explanation.png") as image:
        height = 5 * 20 + len(LAYERS) * (192 + strip.GAP_PX)  # pictures of 4 to 3
        assert image.size == (strip.GUTTER_PX + 2 * (strip.WIDTH_PX + strip.GAP_PX), height)
    assert [line.split("  ")[0] for line in out.splitlines() if line.startswith(("eyes", "video "))] == LAYERS


def test_of_a_simulated_scene_the_share_on_the_object_is_known(written: Any, tmp_path: Path) -> None:
    folder = written("simulated", scene=True)
    (one,) = explained(tmp_path, folder, "--moments", "1")["sessions"]
    head = one["layers"]["video short sobel"]
    assert one["object_unknown"] == "" and 0.001 < head["area"] < 0.1, "a block on the table, seen from above"
    assert head["share"] is None or 0 <= head["share"] <= 1


def test_several_sessions_make_one_table(
    session: Path, written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "strips"
    made = explained(tmp_path, session, written("simulated", scene=True), "--at", "8", "--out", out)
    assert [one["session"] for one in made["sessions"]] == ["recorded", "simulated"]
    assert all(len(one["moments"]) == 1 and one["moments"][0]["at_s"] <= 8 for one in made["sessions"])
    assert sorted(path.name for path in out.iterdir()) == ["recorded.png", "simulated.png"]
    assert capsys.readouterr().out.count("on object") == 1


def test_the_recorded_policy_is_explained_unless_another_is_given(session: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    assert command.main([str(session), *POLICY, "--moments", "1", "--json", str(figures)]) == 0
    (one,) = json.loads(figures.read_text())["sessions"]
    assert one["checkpoint"] == Checkpoint.load(GOLDEN / "policy").id
    assert all(row["stability"] is None for row in one["layers"].values()), "it hears no picture: no map is above 0"
    (other,) = explained(tmp_path, session, "--moments", "1")["sessions"]
    assert other["checkpoint"] == Checkpoint.load(tiny_checkpoint.policy()).id


def refused(*words: str | Path, by_flag: bool = False) -> str:
    """The one line of a refusal: by a flag, which is known before a session is read, with status 2; else with status 1."""
    with pytest.raises(RuntimeFault) as caught:
        command.main([*map(str, words)])
    assert isinstance(caught.value, SettingsError) is by_flag
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_session_without_pictures_is_refused(written: Any) -> None:
    assert "holds no pictures; give a session" in refused(written("blind", pictures=False), *POLICY)


def test_a_session_without_a_policy_is_refused(written: Any) -> None:
    folder = written("idle", keep=lambda message: not isinstance(message, messages.ActionChunk))
    assert "holds no chunk of a policy" in refused(folder, *POLICY)


def test_a_lost_picture_is_named(written: Any) -> None:
    """Of one camera, all notices but the first few: the chunk's own frames are not among them."""
    folder = written("cut", keep=lambda message: getattr(message, "camera", "") != "left_wrist" or message.seq < 3)
    assert "is missing for the chunk at" in refused(folder, *POLICY)


@pytest.mark.parametrize("moment", ["0", "1e5"])
def test_a_moment_outside_the_session_is_refused_with_those_inside(session: Path, moment: str) -> None:
    line = refused(session, *POLICY, "--at", moment)
    assert "has chunks from" in line
    proposed = line.split("has chunks from ")[1].split()[0]
    assert command.main([str(session), *POLICY, "--at", proposed]) == 0, "what the line proposes is accepted"


def test_where_nothing_can_be_written_is_said_before_anything_is_computed(session: Path) -> None:
    assert "--out /proc/nowhere" in refused(session, *POLICY, "--out", "/proc/nowhere", by_flag=True)
    (session / "explanation.png").mkdir()
    assert "give --out DIR" in refused(session, *POLICY)


def test_a_foreign_folder_is_no_policy(session: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    assert "holds no checkpoint" in refused(session, "--policy.checkpoint", tmp_path / "foreign", by_flag=True)


def test_a_policy_without_video_is_refused(session: Path, tmp_path: Path) -> None:
    stored = tiny_policy.store(tmp_path / "whole")
    whole = Checkpoint.load(stored)
    config = whole.config.model_copy(update={"inputs": "no_video"})
    parts = {"slow": whole.slow(), "fast": whole.fast(), "text": whole.instructor()}
    save(tmp_path / "alone", config, whole.statistics, parts)
    assert "uses no video features" in refused(session, "--policy.checkpoint", tmp_path / "alone")


def test_help_says_how_many_targets_count() -> None:
    assert f"first {TARGETS} free targets" in " ".join((ExplainFlags.__doc__ or "").split())


def test_settings_that_a_run_cannot_change_any_more_are_refused(session: Path) -> None:
    with pytest.raises(SettingsError, match="--ratio: cannot be changed after the run"):
        command.main([str(session), "--ratio", "4"])
