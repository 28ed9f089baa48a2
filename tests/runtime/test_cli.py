"""The command `video2act`: every script has its subcommand, and its list loads nothing heavy. Called by pytest."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import cli

ROOT = Path(__file__).parents[2]
NO_COMMANDS = {"setup", "test", "mutate"}  # of the repository, not of the installed program
HEAVY = {"torch", "diffusers", "transformers", "mujoco"}


def test_every_script_calls_its_subcommand_and_every_subcommand_has_its_script() -> None:
    scripts = {script.stem: script.read_text() for script in (ROOT / "launch").glob("*.sh")}
    assert scripts.keys() - NO_COMMANDS == set(cli.COMMANDS)
    for name in cli.COMMANDS:
        assert re.search(rf"-m runtime\.cli {name}\b", scripts[name]), name


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_subcommand_is_there(name: str) -> None:
    assert importlib.util.find_spec(cli.COMMANDS[name].module) is not None
    assert f"  {name} " in cli.overview()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from runtime import cli; sys.argv[0] = 'video2act'; status = cli.main(); "
    code += f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_the_list_loads_nothing_heavy() -> None:
    made = run("--help")
    assert (made.returncode, made.stderr) == (0, "[]\n")
    assert len(made.stdout.splitlines()) < 35


def test_an_unknown_command_is_one_line() -> None:
    made = run("dance")
    assert made.returncode == 2
    assert made.stderr.splitlines()[0] == "video2act: unknown command 'dance'; video2act --help lists all"
