"""The wheel, installed by itself into an empty place: it holds all that a simulated run needs. Called by pytest."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START_S = 180.0


def installed(folder: Path) -> Path:
    """A venv with the wheel alone, which finds the dependencies where this Python has them; its interpreter."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*build, "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)], check=True
    )
    place = folder / "venv"
    venv.create(place, symlinks=True)
    packages = next(place.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    # Appended as a path, not as a site folder: the editable installation of this checkout is not followed.
    (packages / "dependencies.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n")
    return place / "bin" / "python"


@pytest.mark.live
def test_the_wheel_runs_the_simulated_robot_from_an_empty_folder(tmp_path: Path) -> None:
    interpreter, empty = installed(tmp_path), tmp_path / "empty"
    empty.mkdir()
    command = [str(interpreter), "-c", "import sys; from runtime import cli; sys.exit(cli.main())"]
    flags = ["robot", "--profile", "sim", "--seconds", "3", "--no-console.enabled", "--json", "table.json"]
    made = subprocess.run([*command, *flags], cwd=empty, capture_output=True, text=True, timeout=START_S, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    table = json.loads((empty / "table.json").read_text())
    assert table["system1_runs"] > 0 and table["fault_reports"] == 0
    assert str(empty) in table["session"]
    shown = [str(interpreter), "-c", "import runtime, models, drivers; print(runtime.__file__, models.__file__)"]
    places = subprocess.run(shown, cwd=empty, capture_output=True, text=True, check=True).stdout
    assert str(ROOT) not in places and places.count(str(tmp_path)) == 2
