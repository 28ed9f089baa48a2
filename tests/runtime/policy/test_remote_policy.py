"""A policy behind a websocket, asked over a real one: pictures, units, and all that a server may do wrong. Called by pytest."""

import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policy_server_rig import READY, UNSAID, Answer, ForeignServer, chunk, standing

from models.config.policy import JOINT_LAYOUT
from runtime.config.loading import load_settings
from runtime.config.settings import Page, Settings
from runtime.console import access, certificate
from runtime.errors import RuntimeFault, SettingsError
from runtime.policy.patient_policy import PatientPolicy
from runtime.policy.protocols import NoChunk, Observation
from runtime.policy.remote_policy import RemotePolicy, within_bars
from runtime.policy.server_door import LARGEST_REPLY_BYTES, asked

REPLY_S = 0.5  # for a reply in these tests
_REACHED_S = 10.0  # for a chunk that must come at last, on a busy machine
PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
Q = READY.astype(np.float64)
SAID: dict[str, Any] = {
    "cameras": ["head", "left_wrist", "right_wrist"], "state": JOINT_LAYOUT, "action_horizon": 50, "dt_s": 0.04,
    "actions": "absolute", "pictures": "any", "takes": ["prefix"],
}  # fmt: skip


def observed(key: int = 1, prefix: int = 0) -> Observation:
    """An observation of the set of pictures `key`."""
    return Observation(((key,),), Q, "put the cup down", None, 0.0, np.tile(Q, (prefix, 1)), 1)


def settings_for(server: ForeignServer, *flags: str) -> Settings:
    usual = {"--policy.wire.reply_s": str(REPLY_S)}
    words = [word for name, value in usual.items() if name not in flags for word in (name, value)]
    return asked(load_settings(["--policy.server", server.address, *words, *flags]))


@contextmanager
def remote(
    server: ForeignServer, *flags: str, report: Callable[[str], None] = lambda _: None
) -> Generator[RemotePolicy]:
    """A policy with one set of pictures, its connection ended at the end."""
    policy = RemotePolicy(settings_for(server, *(flags or UNSAID)), report)
    cameras = len(policy.needs.cameras)
    policy.encode_images((1,), policy.prepare_images((PICTURE,) * cameras))
    try:
        yield policy
    finally:
        policy.close()


def refused(policy: RemotePolicy, within_s: float = _REACHED_S) -> str:
    """Why it has no chunk, one line, within so many seconds."""
    began_s = time.monotonic()
    with pytest.raises(NoChunk) as caught:
        policy.predict_chunk(observed())
    assert time.monotonic() - began_s < within_s and "\n" not in str(caught.value)
    return str(caught.value)


def comes_back(policy: RemotePolicy) -> None:
    """A chunk comes at last, that of `standing`."""
    deadline_s = time.monotonic() + _REACHED_S
    while True:
        try:
            np.testing.assert_array_equal(policy.predict_chunk(observed()), np.tile(READY, (50, 1)))
            return
        except NoChunk:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def test_an_observation_is_that_of_openpis_aloha_clients() -> None:
    with ForeignServer(lambda _: standing(7)) as server, remote(server) as policy:
        found = policy.predict_chunk(observed(prefix=3))
        np.testing.assert_array_equal(found, np.tile(READY, (7, 1)))
        (seen,) = server.seen
        assert set(seen) == {"images", "state", "prompt"}, "no prefix to a server that does not say it takes it"
        assert seen["images"]["cam_high"].shape == (3, 64, 64) and seen["state"].dtype == np.float32
        np.testing.assert_array_equal(seen["state"], READY)
        assert seen["prompt"] == "put the cup down"


def test_a_server_that_says_all_gets_prefix_cameras_and_whole_pictures() -> None:
    with ForeignServer(lambda _: standing(), SAID) as server, remote(server, "--seed", "1") as policy:
        policy.predict_chunk(observed(prefix=3))
        (seen,) = server.seen
        assert seen["prefix"].shape == (3, 14) and list(seen["images"]) == SAID["cameras"]
        np.testing.assert_array_equal(seen["images"]["head"], PICTURE.transpose(2, 0, 1))


def test_units_are_the_servers_on_the_wire() -> None:
    words = list(UNSAID)
    words[words.index("m")], words[words.index("absolute")] = "share", "relative"
    moved = np.zeros((5, 14), np.float32)
    moved[:, 6] = -0.5
    with ForeignServer(lambda _: chunk(moved)) as server, remote(server, *words) as policy:
        stroke_m = load_settings([]).safety.high[6]
        found = policy.predict_chunk(observed())
        assert server.seen[0]["state"][6] == pytest.approx(READY[6] / stroke_m)
        assert found[0, 6] == pytest.approx(READY[6] - 0.5 * stroke_m) and found[0, 0] == pytest.approx(READY[0])


def test_a_server_that_dies_and_returns_is_found_again() -> None:
    reports: list[str] = []
    with ForeignServer(lambda _: standing()) as server, remote(server, report=reports.append) as policy:
        policy.predict_chunk(observed())
        server.stop()
        assert server.address in refused(policy)
        while "Connection refused" not in refused(policy):
            time.sleep(0.02)
        assert any("Connection refused; start it" in text for text in reports)
        with ForeignServer(lambda _: standing(), port=server.port):
            comes_back(policy)
            assert reports[-1] == "", "the next reason is news again"


def test_a_late_reply_is_dropped_and_never_taken_for_another() -> None:
    slow_s = [2 * REPLY_S]
    late = np.tile(READY, (50, 1))
    late[:, 0] += 0.01

    def answer(_: dict[str, Any]) -> bytes:
        if not slow_s:
            return standing()
        time.sleep(slow_s.pop())
        return chunk(late)

    with ForeignServer(answer) as server, remote(server) as policy:
        assert f"no reply within {REPLY_S:g} s" in refused(policy, 1.5 * REPLY_S)
        assert "earlier question" in refused(policy, 0.4 * REPLY_S), "it does not wait, and asks nothing else"
        comes_back(policy)
        assert server.clients == 2, "one asked for the metadata; the connection stayed"
        assert len(server.seen) == 2


def test_a_server_that_stays_silent_is_connected_to_again() -> None:
    words = (*UNSAID, "--policy.wire.silent_s", "0.6")
    with (
        ForeignServer(lambda _: None if len(server.seen) < 2 else standing()) as server,
        remote(server, *words) as policy,
    ):
        assert "no reply within" in refused(policy)
        comes_back(policy)
        assert server.clients == 3


def once(first: bytes | str) -> Answer:
    """A wrong answer, then good ones."""
    left = [first]
    return lambda _: left.pop() if left else standing()


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (chunk(np.zeros((50, 7))), "wrong reply: `actions` must be numbers (targets, 14), got float64 (50, 7)"),
        (chunk(np.full((50, 14), np.nan)), "wrong reply: `actions` must be finite"),
        (chunk(np.zeros((200, 14))), "wrong reply: `actions` must be 1 to 128 targets, got 200"),
        (chunk(np.tile(READY + 9, (50, 1))), "outside its range"),
        (b"\xc1", "wrong reply: not a packet of openpi's format"),
        (b"\x81\xa7actions\x84\xc4\x0b__ndarray__\xc3\xc4\x05dtype\xa3|O8\xc4\x04data\xc4\x00\xc4\x05shape\x90", "'|O8'"),
        (b"\xdf\xff\xff\xff\xff", "wrong reply: not a packet"),
        ("Traceback (most recent call last):\n  ...\nValueError: no camera\x1b[2J", "refused: ValueError: no camera"),
    ],
)  # fmt: skip
def test_nothing_comes_of_a_wrong_reply_and_the_next_is_taken(frame: bytes | str, said: str) -> None:
    with ForeignServer(once(frame)) as server, remote(server) as policy:
        line = refused(policy)
        assert said in line and "\x1b" not in line
        comes_back(policy)


def test_a_huge_frame_is_refused_by_its_header_and_ends_the_connection_alone() -> None:
    with ForeignServer(once(bytes(LARGEST_REPLY_BYTES + 1))) as server, remote(server) as policy:
        assert f"wrong reply: larger than {LARGEST_REPLY_BYTES} bytes" in refused(policy)
        comes_back(policy)


def test_a_reply_too_many_is_not_taken_for_the_next_one() -> None:
    first, more = chunk(np.tile(READY, (50, 1))), chunk(np.tile(READY, (20, 1)))
    left: list[Any] = [(first, more)]
    with ForeignServer(lambda _: left.pop() if left else standing()) as server, remote(server) as policy:
        assert policy.predict_chunk(observed()).shape == (50, 14)
        while server.clients < 3:  # the command's, the first, and the one after it
            time.sleep(0.01)
        comes_back(policy)


def test_its_clients_are_not_sent_elsewhere() -> None:
    with (
        ForeignServer(lambda _: standing()) as other,
        ForeignServer(lambda _: standing(), elsewhere=other.address.replace("ws", "http")) as server,
        pytest.raises(RuntimeFault, match="it sends its clients elsewhere"),
    ):
        settings_for(server, *UNSAID)
    assert other.clients == 0


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"dt_s": 0.02}, "says 0.02 for dt_s, but --policy.wire.dt_s is 0.04"),
        (SAID, {"dt_s": 0.04}, "no longer says action_horizon, actions, cameras, pictures, state, takes, as it did at first"),
        (SAID | {"checkpoint": "a"}, SAID | {"checkpoint": "b"}, "says b for checkpoint, but --policy.wire.checkpoint is a"),
        ({"policy": "pi0"}, {"policy": "act"}, "says policy 'act', at first 'pi0'"),
    ],
)  # fmt: skip
def test_another_policy_at_the_same_address_moves_nothing(
    first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    words = ("--policy.wire.reply_s", "1") if "cameras" in first else UNSAID
    with ForeignServer(lambda _: standing(), first) as server, remote(server, *words) as policy:
        policy.predict_chunk(observed())
        server.stop()
        with ForeignServer(lambda _: standing(), second, port=server.port) as other:
            deadline_s = time.monotonic() + _REACHED_S
            while said not in refused(policy):
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            assert other.seen == []


def test_what_a_server_says_besides_may_change() -> None:
    """Its load or its build says nothing of the policy."""
    first, second = SAID | {"uptime_s": 4, "policy": "act"}, SAID | {"uptime_s": 1, "policy": "act"}
    with ForeignServer(lambda _: standing(), first) as server, remote(server, "--seed", "1") as policy:
        policy.predict_chunk(observed())
        server.stop()
        with ForeignServer(lambda _: standing(), second, port=server.port):
            comes_back(policy)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"cameras": ["cam_high", "head"]}, "its cameras must each be named once"),
        ("hello", "its first message is no metadata but TEXT"),
        (b"\xc1", "metadata: not a packet of openpi's format"),
        (bytes(LARGEST_REPLY_BYTES + 1), "its first message is no metadata but ERROR"),
        ({"dt_s": 5}, "its dt_s must be"),
    ],
)
def test_what_is_no_policy_server_stops_the_start(metadata: Any, said: str) -> None:
    with ForeignServer(lambda _: standing(), metadata) as server, pytest.raises(RuntimeFault) as caught:
        settings_for(server, *UNSAID)
    assert said in str(caught.value) and str(caught.value).startswith(f"--policy.server {server.address}: ")


def test_nobody_there_stops_the_start() -> None:
    with ForeignServer(lambda _: standing()) as server:
        pass
    with pytest.raises(RuntimeFault, match="Connection refused; start it"):
        settings_for(server)


def test_a_token_comes_from_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, words = tmp_path / "token", (*UNSAID, "--policy.wire.token")
    file.write_text("open-sesame\n")
    file.chmod(0o600)
    monkeypatch.setenv("OPENPI_TOKEN", "open-sesame")
    with ForeignServer(lambda _: standing(), token="open-sesame") as server:
        with pytest.raises(RuntimeFault, match=r"the token is missing or wrong; give --policy\.wire\.token FILE"):
            settings_for(server, *UNSAID)
        for place in (str(file), "env:OPENPI_TOKEN"):
            with remote(server, *words, place) as policy:
                assert policy.predict_chunk(observed()).shape == (50, 14)
        file.chmod(0o644)
        with pytest.raises(SettingsError, match="other users can read"):
            settings_for(server, *words, str(file))
        with pytest.raises(SettingsError, match="must hold one line"):
            settings_for(server, *words, "env:NOT_THERE")


def test_tls_is_checked(tmp_path: Path) -> None:
    folder = tmp_path / "certificate"
    assert certificate.main([str(folder), "127.0.0.1"]) == 0
    encryption = access.encryption(Page(certificate=folder))
    assert isinstance(encryption, ssl.SSLContext)
    with ForeignServer(lambda _: standing(), encryption=encryption) as server:
        with pytest.raises(RuntimeFault, match=r"not trusted; give --policy\.wire\.certificate FILE"):
            settings_for(server, *UNSAID)
        with remote(server, *UNSAID, "--policy.wire.certificate", str(folder / access.CERTIFICATE)) as policy:
            assert policy.predict_chunk(observed()).shape == (50, 14)


def test_chunks_shorter_than_the_period_are_told_once() -> None:
    reports: list[str] = []
    with ForeignServer(lambda _: standing(2)) as server, remote(server, report=reports.append) as policy:
        for _ in range(3):
            policy.predict_chunk(observed())
    assert [text for text in reports if text] == [reports[0]] and "its chunks of 2 targets last 0.08 s" in reports[0]


def test_another_episode_is_another_connection() -> None:
    with ForeignServer(lambda _: standing()) as server, remote(server) as policy:
        policy.clear()
        assert not policy.has_images((1,))
        policy.encode_images((1,), policy.prepare_images((PICTURE,)))
        assert policy.predict_chunk(observed()).shape == (50, 14) and server.clients == 3


def test_nothing_stays_behind() -> None:
    before = threading.active_count()
    with ForeignServer(lambda _: None) as server, remote(server) as policy:
        assert "no reply" in refused(policy)
    assert threading.active_count() == before


def patient(server: ForeignServer, *flags: str) -> AbstractContextManager[PatientPolicy]:
    @contextmanager
    def opened() -> Generator[PatientPolicy]:
        policy = PatientPolicy(settings_for(server, *UNSAID, *flags))
        policy.encode_images((1,), policy.prepare_images((PICTURE,)))
        try:
            yield policy
        finally:
            policy.close()

    return opened()


def test_an_evaluation_asks_once_where_the_server_refuses() -> None:
    with ForeignServer(lambda _: "Traceback\nKeyError: 'state'") as server, patient(server) as policy:
        with pytest.raises(RuntimeFault, match="refused: KeyError: 'state'"):
            policy.predict_chunk(observed())
        assert len(server.seen) == 1


def test_an_evaluation_waits_for_its_chunk_and_ends_without_a_server() -> None:
    left = [2 * REPLY_S]

    def answer(_: dict[str, Any]) -> bytes:
        if left:
            time.sleep(left.pop())
        return standing() if len(server.seen) == 1 else chunk(np.zeros((50, 7)))

    with ForeignServer(answer) as server, patient(server, "--policy.wire.silent_s", "3") as policy:
        assert policy.predict_chunk(observed()).shape == (50, 14), "later than a robot would take it"
        with pytest.raises(RuntimeFault, match="wrong reply"):
            policy.predict_chunk(observed())
    with (
        ForeignServer(lambda _: None) as server,
        patient(server, "--policy.wire.silent_s", "0.3") as policy,
        pytest.raises(RuntimeFault, match="no reply"),
    ):
        policy.predict_chunk(observed())


@pytest.mark.parametrize(("width", "height", "bars"), [(64, 64, (8, 0)), (32, 24, (0, 0)), (100, 48, (0, 18))])
def test_a_picture_within_bars(width: int, height: int, bars: tuple[int, int]) -> None:
    made = within_bars(np.full((48, 64, 3), 200, np.uint8), width, height)
    top, left = bars
    assert made.shape == (height, width, 3)
    assert (made[top : height - top, left : width - left] == 200).all() and made.sum() == 600 * (
        (height - 2 * top) * (width - 2 * left)
    )
