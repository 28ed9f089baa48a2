"""The command that is to be typed next: as it would be typed from here. Called by pytest."""

from pathlib import Path

import pytest

from runtime import cli
from runtime.host import next_step

ROOT = Path(__file__).parents[3]


def test_in_the_checkout_it_is_the_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    next_step.say_next(
        "look at it", "replay", ROOT / "sessions" / "my run", "--what-if", "--instruction", "put it down"
    )
    reported = "./launch/replay.sh 'sessions/my run' --what-if --instruction 'put it down'"
    assert capsys.readouterr().out == f"video2act: next, to look at it: {reported}\n"


def test_from_elsewhere_the_paths_are_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert next_step.typed("robot", tmp_path / "policy") == f"{ROOT}/launch/robot.sh policy"
    assert next_step.typed("robot", Path("/elsewhere")) == f"{ROOT}/launch/robot.sh /elsewhere"


def test_where_the_program_is_installed_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(next_step, "_SCRIPTS", tmp_path / "launch")
    assert next_step.typed("robot", "--profile", "sim") == "video2act robot --profile sim"


_UNTIL_ENDED = {"console", "serve", "system2"}  # they serve until they are ended, and show what they serve


_ENDS_IN = {"robot": "runtime.supervisor.end_table"}  # where it is not the command's own module that says it


@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - _UNTIL_ENDED))
def test_every_command_ends_by_naming_the_next_one(name: str) -> None:
    """What it says is tested with each command; this finds one that was forgotten."""
    module = ROOT / f"{_ENDS_IN.get(name, cli.COMMANDS[name].module).replace('.', '/')}.py"
    assert "say_next(" in module.read_text()
