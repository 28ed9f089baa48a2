"""What the robot command refuses, before any process is started. Called by pytest."""

import signal
import sys
from collections.abc import Iterator

import pytest

from runtime import cli


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The command has handlers of its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ratio", "0"], "--ratio"),
        (["--task", "juggle"], "juggle"),
        (["--profile", "nowhere"], "nowhere"),
        (["--surprise", "1"], "surprise"),
        (["--safety.jump_rad", "nan"], "jump_rad"),
    ],
)
def test_a_bad_flag_is_one_line_and_status_2(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["video2act", "robot", *flags])
    with pytest.raises(SystemExit) as ended:
        sys.exit(cli.main())
    assert ended.value.code == 2
    reported = capsys.readouterr()
    assert said in reported.err and reported.out == ""
    assert len(reported.err.splitlines()) == 1
