"""The small commands' flags: every refusal is one line that names the value or shows a whole command."""

from collections.abc import Callable

import pytest

from runtime.bench import command
from runtime.errors import SettingsError
from runtime.evaluation import command as evaluation
from runtime.policy import instruct
from runtime.replay import command as replay_command

Main = Callable[[list[str]], int]


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (replay_command.main, [], "replay.sh"),
        (replay_command.main, ["somewhere"], "--lockstep"),
        (replay_command.main, ["somewhere", "--lockstep", "--paced"], "--paced"),
        (replay_command.main, ["somewhere", "--paced", "--speed", "fast"], "--speed"),
        (replay_command.main, ["somewhere", "--paced", "--speed", "0"], "0.01 to 100"),
        (replay_command.main, ["somewhere", "--lockstep", "--surprise"], "--surprise"),
        (replay_command.main, ["somewhere", "--lockstep", "--ratio", "4"], "unknown --ratio; --lockstep takes"),
        (replay_command.main, ["somewhere", "--paced", "--policy.checkpoint", "x"], "unknown --policy.checkpoint"),
        (command.main, ["--json"], "--json"),
        (command.main, ["--json", "/nowhere/x"], "--json /nowhere/x: there is no such folder; make it first"),
        (evaluation.main, ["--film", "1", "--films", "/proc/films"], "--films /proc/films: cannot make this folder"),
        (command.main, ["--json", "/tmp"], "--json /tmp: is a folder; name a file in it"),
        (command.main, ["--console", "--seconds", "nan"], "--seconds: must be 0.1 to 86400, got nan"),
        (command.main, ["--repeats", "0"], "1 to 100, got 0"),
        (command.main, ["--models", "--threads", "0"], "1 to 64, got 0"),
        (command.main, ["stray"], "stray"),
        (instruct.main, [], "instruct.sh"),
    ],
)
def test_a_wrong_flag_is_one_line(main: Main, arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        main(arguments)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("main", [replay_command.main, command.main, instruct.main])
def test_help_is_no_refusal(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out
