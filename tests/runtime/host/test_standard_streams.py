"""A program that was started without standard streams writes into nothing, and no file gets their numbers. Called by pytest."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

_PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from runtime.host import progress, standard_streams
standard_streams.ensure()
print("out", flush=True)
print("error", file=sys.stderr, flush=True)
assert sys.stdin.read() == ""
with progress.bar(2, "replay", "step") as bar, progress.waiting("export"):
    bar.update(2)
with Path(sys.argv[1]).open("w") as file:
    assert file.fileno() > 2
child = "import os; [os.fstat(number) for number in range(3)]; os.write(1, b'x'); os.write(2, b'x')"
raise SystemExit(subprocess.run([sys.executable, "-c", child]).returncode + 7)
"""


@pytest.mark.parametrize("closed", list(product(("", "<&-"), ("", ">&-"), ("", "2>&-"))), ids="".join)
def test_what_is_closed_takes_and_gives_nothing(closed: tuple[str, str, str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    line = f'"$0" "$1" "$2" {" ".join(closed)}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, program, tmp_path / "file"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert done.stdout == ("" if closed[1] else "out\nx")
    assert done.stderr == ("" if closed[2] else "error\nx")
