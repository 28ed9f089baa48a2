"""What is compiled is compiled anew when a number changes that it has from another file. Called by pytest."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
USER = """
from numbers_of_it import LENGTH_M
from runtime.host.compiled import compiled

@compiled("f8(f8)")
def doubled(value):
    return value * LENGTH_M
"""


def answer(folder: Path) -> str:
    """Of a process of its own, as after an update."""
    line = "import user_of_it; print(user_of_it.doubled(1.0), len(user_of_it.doubled.stats.cache_hits))"
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", line], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_a_number_from_another_file_is_the_one_that_stands_there(tmp_path: Path) -> None:
    (tmp_path / "user_of_it.py").write_text(USER)
    numbers = tmp_path / "numbers_of_it.py"
    numbers.write_text("LENGTH_M = 2.0\n")
    assert answer(tmp_path) == "2.0 0\n"
    assert answer(tmp_path) == "2.0 1\n", "it is kept"
    numbers.write_text("LENGTH_M = 3.0\n")
    assert answer(tmp_path) == "3.0 0\n"
    assert answer(tmp_path) == "3.0 1\n"
