"""Who may open the console, who may steer, and what a page may say. Called by pytest; pure, and once over real TLS."""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, CookieJar, WSServerHandshakeError
from cryptography import x509

from runtime import cli
from runtime.config.loading import load_settings
from runtime.console import app, requests
from runtime.console.access import encryption, token, url
from runtime.console.guard import Guard
from runtime.console.lease import Lease
from runtime.console.recorded import SessionIndex
from runtime.errors import SettingsError
from runtime.messaging import messages

NAME = "2026-11-25T10-00-00_block_handover_8"
TOKEN = "a-very-long-token"
HERE = "127.0.0.1:8770"
S = 1_000_000_000


@pytest.mark.parametrize(
    ("guard", "host", "origin", "cookie", "authorization", "status"),  # with a token: over TLS
    [
        (Guard("127.0.0.1", ""), HERE, "https://127.0.0.1:8770", "", "", 403),
        (Guard("0.0.0.0", TOKEN), "robot:8770", "http://robot:8770", TOKEN, "", 403),
        (Guard("0.0.0.0", TOKEN), "robot:8770", "ftp://robot:8770", TOKEN, "", 403),
        (Guard("127.0.0.1", ""), HERE, None, "", "", None),
        (Guard("127.0.0.1", ""), "localhost:8770", "http://localhost:8770", "", "", None),
        (Guard("127.0.0.1", ""), "[::1]:8770", None, "", "", None),
        (Guard("127.0.0.1", ""), HERE, "http://evil.example", "", "", 403),
        (Guard("127.0.0.1", ""), HERE, "http://127.0.0.1:9999", "", "", 403),
        (Guard("127.0.0.1", ""), HERE, "null", "", "", 403),
        (Guard("127.0.0.1", ""), "rebound.example:8770", "http://rebound.example:8770", "", "", 403),
        (Guard("127.0.0.1", ""), "", None, "", "", 403),
        (Guard("127.0.0.1", ""), "[", None, "", "", 403),
        (Guard("127.0.0.1", ""), HERE, "http://[", "", "", 403),
        (Guard("0.0.0.0", TOKEN), "robot:8770", None, "\udce4", "\udcff", 401),
        (Guard("0.0.0.0", TOKEN), "robot:8770", "https://robot:8770", TOKEN, "", None),
        (Guard("0.0.0.0", TOKEN), "robot:8770", None, "", f"Bearer {TOKEN}", None),
        (Guard("0.0.0.0", TOKEN), "robot:8770", "https://robot:8770", "", "", 401),
        (Guard("0.0.0.0", TOKEN), "robot:8770", None, TOKEN + "x", "", 401),
        (Guard("0.0.0.0", TOKEN), "robot:8770", None, "", "Bearer ", 401),
        (Guard("0.0.0.0", TOKEN), "robot:8770", "https://evil.example", TOKEN, "", 403),
    ],
)
def test_who_is_let_in(
    guard: Guard, host: str, origin: str | None, cookie: str, authorization: str, status: int | None
) -> None:
    refused = guard.refuses(host, origin, cookie, authorization, secure=bool(guard.token))
    assert (None if refused is None else refused[0]) == status


def test_the_token_of_the_address_must_be_right() -> None:
    assert Guard("0.0.0.0", TOKEN).lets_in(TOKEN)
    assert not Guard("0.0.0.0", TOKEN).lets_in("")
    assert not Guard("127.0.0.1", "").lets_in("")


@pytest.mark.parametrize(
    "flags",
    [
        ["--console.host", "0.0.0.0"],
        ["--console.host", "0.0.0.0", "--console.token", TOKEN],
        ["--console.token", "short"],
    ],
)
def test_beyond_loopback_only_with_token_and_certificate(flags: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"console\.(host|token)"):
        load_settings(flags)


def test_the_token_lies_beside_the_certificate_where_ps_does_not_show_it(tmp_path: Path) -> None:
    flags = ["--console.host", "0.0.0.0", "--console.certificate", str(tmp_path)]
    with pytest.raises(SettingsError, match=r"token is missing; create one with \./launch/certificate\.sh"):
        token(load_settings(flags).console)
    assert token(load_settings([*flags, "--console.token", TOKEN]).console) == TOKEN
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(SettingsError, match="token: must hold one line of at least 16"):
        token(load_settings(flags).console)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert token(load_settings(flags).console) == TOKEN
    assert token(load_settings(["--console.certificate", str(tmp_path / "none")]).console) == "", "loopback needs none"
    (tmp_path / "token").write_bytes(b"\xff" * 20)
    with pytest.raises(SettingsError, match="token: cannot be read"):
        token(load_settings(flags).console)
    (tmp_path / "token").chmod(0o640)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with pytest.raises(SettingsError, match="other users can read"):
        token(load_settings(flags).console)


def test_a_token_is_added_to_a_certificate_and_nothing_is_overwritten(tmp_path: Path) -> None:
    from runtime.console import alone, certificate

    assert certificate.main([str(tmp_path), "localhost"]) == 0
    before = (tmp_path / "certificate.pem").read_bytes()
    (tmp_path / "token").unlink()
    with pytest.raises(SettingsError, match=r"--certificate .*: token is missing"):
        alone.main(["--sessions", str(tmp_path), "--host", "0.0.0.0", "--certificate", str(tmp_path)])
    assert certificate.main([str(tmp_path)]) == 0
    assert (tmp_path / "certificate.pem").read_bytes() == before and (tmp_path / "token").stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match=r"certificate\.pem: already exists"):
        certificate.main([str(tmp_path), "localhost"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "token").write_text("mine")
    with pytest.raises(SettingsError, match="token: already exists"):
        certificate.main([str(tmp_path / "other"), "localhost"])
    with pytest.raises(SettingsError, match="host names are missing"):
        certificate.main([str(tmp_path / "third")])
    assert (tmp_path / "other" / "token").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["robot", "Robot-2.lab.local", "my_box", "*.lab.local", "3d.lab", "10.0.0.1", "::1", "a" * 63]
)
def test_a_name_that_browsers_match_stands_in_the_certificate(name: str, tmp_path: Path) -> None:
    from runtime.console import certificate

    certificate.main([str(tmp_path / "new"), name])
    made = x509.load_pem_x509_certificate((tmp_path / "new" / "certificate.pem").read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(entry.value) for entry in names] == [name]


def test_one_steers_until_he_gives_it_back_or_is_not_heard() -> None:
    lease = Lease()
    assert "take the lease" in lease.allows("a", "run")
    assert lease.take("a", "Anna", 0) == "" and lease.allows("a", "run") == ""
    assert "Anna holds the lease" in lease.take("b", "Ben", S)
    assert "Anna holds the lease" in lease.allows("b", "run") and "Anna holds the lease" in lease.allows("b", None)
    lease.beat("b", 9 * S)
    assert "Anna" in lease.take("b", "Ben", 10 * S), "only the holder's beats count"
    lease.beat("a", 9 * S)
    assert "Anna" in lease.take("b", "Ben", 18 * S)
    assert lease.take("b", "Ben", 20 * S) == "", "a page that hangs is relieved"
    assert not lease.give("a") and lease.holder == "b"
    assert not lease.give("b") and lease.take("a", "Anna", 21 * S) == ""


def test_everybody_may_hold() -> None:
    lease = Lease()
    assert lease.allows("x", "hold") == ""
    lease.take("a", "Anna", 0)
    assert lease.allows("x", "hold") == "" and lease.allows("x", "stop") != ""


def test_a_holder_who_goes_with_the_deadman_on_holds_the_arms() -> None:
    lease = Lease()
    lease.take("a", "Anna", 0)
    lease.deadman = True
    assert lease.take("a", "Anna", S) == "" and lease.deadman, "asking again changes nothing"
    assert lease.give("a") and not lease.deadman
    lease.take("b", "Ben", 2 * S)
    assert not lease.deadman, "nobody inherits it"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"type": "fly"}', '{"type": "command", "command": "dance"}', '{"type": "command"}',
     '{"type": "beat", "x": 1}',
     '{"type": "steer", "ratio": 0}', '{"type": "steer", "ratio": "8"}', '{"type": "steer", "instruction": ""}',
     '{"type": "take", "name": ""}', '{"type": "deadman", "wanted": 1}',
     '{"type": "command", "command": "run", "confirmed": "yes"}',
     json.dumps({"type": "steer", "note": "x" * 1001}), json.dumps({"type": "steer", "note": "a\x1b[2Jb"}),
     json.dumps({"type": "take", "name": "a\nb"}),
     json.dumps({"type": "steer", "instruction": "a\x7f"}), json.dumps({"type": "steer", "instruction": "a\x9b31m"}),
     json.dumps({"type": "steer", "note": "a\u202eb"}), json.dumps({"type": "steer", "instruction": " "}),
     json.dumps({"type": "take", "name": " "}), "\x00", '{"type": "beat"} {}'],
)  # fmt: skip
def test_what_is_no_request_is_one_line(text: str) -> None:
    said = requests.parse(text)
    assert isinstance(said, str) and said.startswith("not a request: ") and said.isprintable()
    assert not any(leak in said for leak in ("Input should", "Field required", "Extra inputs", "Value error", "JSON:"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON; reload the page"),
        ('{"type": "fly"}', 'type "fly": must be one of take, give, beat, deadman, command, steer; reload the page'),
        ('{"type": "steer", "ratio": 0}', "ratio 0: must be a whole number from 1 to 1000"),
        ('{"type": "steer", "instruction": " "}', "instruction: must not be empty"),
        ('{"type": "beat", "x": 1}', "x: unknown field"),
        ('{"type": "take"}', "name is missing; give a text of 0 to 80 characters"),
    ],
)
def test_a_refused_request_says_what_is_wrong_with_it(text: str, said: str) -> None:
    assert requests.parse(text) == f"not a request: {said}"


def test_requests_are_understood() -> None:
    assert requests.parse('{"type": "command", "command": "hold"}') == requests.Command(type="command", command="hold")
    steer = requests.parse('{"type": "steer", "ratio": 4, "blend": "none"}')
    assert isinstance(steer, requests.Steer) and (steer.ratio, steer.blend, steer.instruction) == (4, "none", None)
    assert isinstance(
        messages.Steering(seq=0, epoch=1, stamp_ns=1, source="x", **steer.model_dump(exclude={"type", "seen_ns"})),
        messages.Steering,
    )


async def strangers_are_refused(base: str, context: ssl.SSLContext) -> None:
    async with ClientSession() as client:
        async with client.get(f"{base}/about", ssl=context) as answer:
            assert answer.status == 401 and "token" in await answer.text() and hardened(answer)
        async with client.get(f"{base}/?token=wrong-wrong-wrong", ssl=context) as answer:
            assert answer.status == 401


async def the_token_opens(entry: str, base: str, context: ssl.SSLContext) -> None:
    """By the cookie that the address gives, for the page's own origin alone."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:  # else none for a bare address
        async with client.get(entry, ssl=context) as answer:
            assert answer.status == 200 and 'content="0;url=/"' in await answer.text(), "it goes on by itself"
            assert answer.headers["Cache-Control"] == "no-store"
        async with client.get(f"{base}/", ssl=context) as answer:
            assert answer.status == 200 and "importmap" in await answer.text()
            assert "script-src 'self' 'sha256-" in answer.headers["Content-Security-Policy"]
        async with client.get(f"{base}/about", ssl=context) as answer:
            assert (await answer.json())["live"] is False
        async with client.get(f"{base}/about", ssl=context, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403 and hardened(answer)
        with pytest.raises(WSServerHandshakeError, match="403"):
            await opened(client, f"{base}/moments", context, "https://evil.example")
        socket = await opened(client, f"{base}/moments?source={NAME}", context, base)
        await socket.send_json({"at_ns": None})
        assert (await socket.receive_json())["joints"]["measured"], "over wss"
        await socket.close()
        await refuses_what_is_not_there(client, base, context)


async def refuses_what_is_not_there(client: ClientSession, base: str, context: ssl.SSLContext) -> None:
    async with client.get(f"{base}/static/../app.py", ssl=context) as answer:
        assert answer.status == 404
    for lacking in (
        "/operator",
        "/moments",
        "/pictures/head",
        "/sessions/none",
        "/sessions/../x",
        "/pictures/none",
    ):
        async with client.get(f"{base}{lacking}", ssl=context) as answer:
            assert answer.status == 404 and hardened(answer), lacking
    async with client.post(f"{base}/about", ssl=context) as answer:
        assert answer.status == 405 and hardened(answer)


def test_the_page_over_tls_with_a_token(tmp_path: Path) -> None:
    """The certificate that the command makes; the cookie that the address gives; a foreign origin and a wrong token."""
    folder = tmp_path / "tls"
    assert cli.COMMANDS["certificate"].module == "runtime.console.certificate"
    from runtime.console import certificate

    assert certificate.main([str(folder), "localhost", "127.0.0.1"]) == 0
    assert all((folder / name).stat().st_mode & 0o077 == 0 for name in ("key.pem", "token"))
    settings = load_settings(["--console.certificate", str(folder), "--console.port", "0"]).console
    assert len(token(settings)) >= 32 and token(settings) in url(settings, 1)
    (tmp_path / NAME).mkdir()
    shutil.copy(Path(__file__).parents[1] / "golden" / "session-schema-1.mcap", tmp_path / NAME / "session.mcap")
    console = app.Console(Guard("127.0.0.1", token(settings)), SessionIndex(tmp_path))
    found: list[int] = []
    client_context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    async def use() -> None:
        entry = url(settings, found[0])
        base = entry.partition("?")[0].rstrip("/")
        await strangers_are_refused(base, client_context)
        await the_token_opens(entry, base, client_context)

    app.run_forever(app.application(console), "127.0.0.1", 0, encryption(settings), found.append, use())


@pytest.mark.parametrize("terminal", [True, False])
def test_a_token_is_printed_on_a_terminal_alone(tmp_path: Path, terminal: bool) -> None:
    """What goes into a journal or a file is read by others."""
    line = [
        sys.executable,
        "-m",
        "runtime.cli",
        "console",
        "--sessions",
        str(tmp_path),
        "--port",
        "0",
        "--token",
        TOKEN,
    ]
    ours, theirs = os.openpty() if terminal else os.pipe()
    with (
        subprocess.Popen(line, stdout=theirs, env=os.environ | {"TERM": "xterm"}) as console,
        os.fdopen(ours) as output,
    ):
        os.close(theirs)
        shown = next(text for text in output if "sessions at" in text)
        console.terminate()
    assert (TOKEN in shown) == terminal
    assert terminal or "(add ?token= and the token of --console.token)" in shown


def hardened(answer: ClientResponse) -> bool:
    """Whether an answer, whatever it is, says what a browser may do with it."""
    headers = answer.headers
    return (
        "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        and headers["X-Content-Type-Options"] == "nosniff"
    )


def test_the_address_that_is_told_can_be_opened(tmp_path: Path) -> None:
    from runtime.console import certificate

    folder = tmp_path / "tls"
    certificate.main([str(folder), "robot.lab", "10.0.0.7"])

    def reported(host: str, *flags: str) -> str:
        return url(load_settings(["--console.host", host, *flags]).console, 8770).partition("?")[0]

    assert reported("127.0.0.1") == "http://127.0.0.1:8770/"
    assert reported("::1") == "http://[::1]:8770/"
    assert reported("0.0.0.0", "--console.certificate", str(folder)) == "https://robot.lab:8770/"


async def opened(client: ClientSession, url: str, context: ssl.SSLContext, origin: str) -> ClientWebSocketResponse:
    """A WebSocket as a page of that origin would open it."""
    return await asyncio.wait_for(client.ws_connect(url, ssl=context, origin=origin), 5)


def test_a_broken_certificate_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_text("x")
    settings = load_settings(["--console.certificate", str(tmp_path)]).console
    with pytest.raises(SettingsError, match=r"--console.certificate .*create one with"):
        encryption(settings)


def test_a_certificate_is_not_overwritten_and_needs_real_names(tmp_path: Path) -> None:
    from runtime.console import certificate

    names = (
        "ünicode",
        "1.2.3.4.5",
        "1.2.3",
        "a b",
        "*",
        "*.",
        "*.com",
        "",
        ".",
        "a..b",
        "a-",
        "robot.",
        "fe80::1%eth0",
    )
    for name in (*names, "a" * 64, "a." * 127, "https://robot", "robot:8770"):
        with pytest.raises(SettingsError, match=r"^NAMES: .* must be a host name"):
            certificate.main([str(tmp_path / "new"), "robot", name])
    assert not (tmp_path / "new").exists()
    (tmp_path / "key.pem").write_text("x")
    with pytest.raises(SettingsError, match=r"key\.pem: already exists"):
        certificate.main([str(tmp_path), "robot"])
