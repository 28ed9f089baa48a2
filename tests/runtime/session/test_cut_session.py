"""Every command that reads a session says that the copy was cut, however far it then comes. Called by pytest."""

import importlib
from contextlib import suppress
from pathlib import Path

import pytest
from golden_sessions import NEWEST

from runtime.errors import RuntimeFault


@pytest.fixture(params=[0.3, 0.9, 0.9999])
def cut(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A part of a session."""
    data = NEWEST.read_bytes()
    path = tmp_path / "session" / "session.mcap"
    path.parent.mkdir()
    path.write_bytes(data[: int(len(data) * request.param)])
    return path


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("runtime.session.trace", ["--out", "OUT-trace.json"]),
        ("runtime.session.export", ["--to", "hdf5", "--out", "OUT"]),
        ("runtime.session.export", ["--to", "lerobot", "--out", "OUT"]),
        ("runtime.replay.command", ["--lockstep"]),
        ("runtime.replay.command", ["--what-if", "--ratio", "4", "--out", "OUT"]),
    ],
)
def test_a_cut_session_is_told_once(
    module: str, flags: list[str], cut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with suppress(RuntimeFault):
        importlib.import_module(module).main(
            [str(cut), *(word.replace("OUT", str(tmp_path / "out")) for word in flags)]
        )
    assert capsys.readouterr().out.count("session.mcap: the file ends early") == 1
