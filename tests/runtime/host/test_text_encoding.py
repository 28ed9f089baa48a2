"""Whatever the locale says, texts are UTF-8 and no letter is an exception. Called by pytest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TEXT = "Größe 大"
_PROGRAM = """
import sys
from pathlib import Path
from runtime.host import text_encoding
text_encoding.ensure()
Path(sys.argv[1]).write_text(sys.argv[2])
assert Path(sys.argv[1]).read_text() == sys.argv[2]
print(sys.argv[2], flush=True)
"""


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, _TEXT.encode()),
        ({"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"}, _TEXT.encode("ascii", "backslashreplace")),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, _TEXT.encode("ascii", "backslashreplace")),
    ],
)
def test_a_foreign_locale_changes_no_file_and_ends_nothing(
    environment: dict[str, str], shown: bytes, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    path = tmp_path / "text"
    given = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, program, path, _TEXT],
        capture_output=True, timeout=60, env=given | {"PYTHONPATH": str(Path(__file__).parents[3])} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip() == shown and path.read_bytes() == _TEXT.encode()
