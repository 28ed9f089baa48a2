"""deploy/: what the install script writes, and that it names what is there. Called by pytest; all of it below tmp_path."""

import configparser
import os
import pwd
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.config.loading import load_settings
from runtime.errors import SettingsError

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def install(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the script."""
    environment = {name: value for name, value in os.environ.items() if name != "SUDO_USER"}
    return subprocess.run(
        [str(DEPLOY / "install.sh"), *arguments], capture_output=True, text=True, check=False, env=environment
    )


def unit(path: Path) -> configparser.RawConfigParser:
    """A systemd unit."""
    made = configparser.RawConfigParser(strict=False, interpolation=None)
    made.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    made.read_string(path.read_text())
    return made


def test_a_robots_machine(tmp_path: Path) -> None:
    done = install("robot", "--user", "lab", "--profile", "/home/lab/our robot & rest.toml", "--root", str(tmp_path))
    assert done.returncode == 0, done.stderr
    service = unit(tmp_path / "etc/systemd/system/video2act.service")
    assert service["Service"]["User"] == "lab"
    assert service["Service"]["Type"] == "notify" and service["Service"]["NotifyAccess"] == "all"
    command = shlex.split(service["Service"]["ExecStart"])
    assert command[0] == str(ROOT / "launch" / "robot.sh") and os.access(command[0], os.X_OK)
    assert command[1:3] == ["--profile", "/home/lab/our robot & rest.toml"]
    assert float(service["Service"]["WatchdogSec"]) > 10 + 60, "the supervisor comes first, and a first reading"
    assert service["Service"]["RestartPreventExitStatus"] == "2"
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == [
        "etc/security/limits.d/video2act.conf",
        "etc/systemd/system/video2act-can@.service",
        "etc/systemd/system/video2act.service",
        "etc/udev/rules.d/60-video2act-latency.rules",
        "etc/udev/rules.d/60-video2act-realsense.rules",
        "etc/udev/rules.d/70-video2act-can.rules",
        "etc/video2act/robot.env",
    ]
    assert not re.search(r"@[A-Z]+@", "".join((tmp_path / name).read_text() for name in written))


def test_a_gpu_box(tmp_path: Path) -> None:
    done = install(
        "system2", "--user", "lab", "--robot", "tcp://robot:5760", "--keys", "keys", "--root", str(tmp_path)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    service = unit(tmp_path / "etc/systemd/system/video2act-system2.service")
    command = shlex.split(service["Service"]["ExecStart"])
    assert command[1:5] == ["--robot", "tcp://robot:5760", "--keys", str(Path("keys").resolve())]
    assert os.access(command[0], os.X_OK)


def test_flags_of_an_earlier_installation_stay(tmp_path: Path) -> None:
    line = ("robot", "--user", "lab", "--root", str(tmp_path))
    install(*line)
    flags = tmp_path / "etc/video2act/robot.env"
    flags.write_text("VIDEO2ACT_FLAGS=--ratio 4\n")
    install(*line)
    assert flags.read_text() == "VIDEO2ACT_FLAGS=--ratio 4\n"


def test_the_places_of_the_adapters_stay(tmp_path: Path) -> None:
    line = ("robot", "--user", "lab", "--root", str(tmp_path))
    install(*line)
    config = tmp_path / "etc/udev/rules.d/70-video2act-can.rules"
    config.write_text(own := config.read_text().replace("3-1.4:1.0", "1-2:1.0"))
    install(*line)
    assert config.read_text() == own


def test_names_of_interfaces_are_names_that_linux_can_give() -> None:
    text = (DEPLOY / "can-names.rules").read_text()
    named = re.findall(r"\bcan_(?:left|right)\w*", text)
    arms = load_settings([]).arms
    assert {*arms.interfaces, *arms.leader_interfaces} == set(named)
    assert max(map(len, named)) <= 15
    with pytest.raises(SettingsError, match=r"interfaces.*1 to 15 characters"):
        load_settings(["--arms.interfaces", '["can_left", "can_right_puppet"]'])


_AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="others are told to run it as root")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "ROLE must be robot or system2"),
        (["console"], "got console"),
        (["robot"], "--user"),
        (["robot", "--user"], "--user needs a value"),
        (["robot", "--surprise", "1"], "unknown flag --surprise"),
        (["system2", "--user", "lab"], "--robot tcp://HOST:PORT and --keys DIR"),
        (["robot", "--user", "root", "--root", "/nowhere"], "--user root: must not be root"),
        pytest.param(["robot", "--user", "n0body"], "--user n0body: does not exist", marks=_AS_ROOT),
    ],
)
def test_a_bad_flag_is_one_line_and_nothing_is_written(arguments: list[str], said: str) -> None:
    done = install(*arguments)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


HARDENED = {
    "NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "SystemCallArchitectures": "native",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("video2act.service", {"CapabilityBoundingSet": "CAP_SYS_NICE", "ProtectSystem": "full"}),
        (
            "video2act-system2.service",
            {"CapabilityBoundingSet": "", "ProtectSystem": "full", "RestrictRealtime": "yes"},
        ),
        ("video2act-can@.service", {"CapabilityBoundingSet": "CAP_NET_ADMIN", "ProtectSystem": "strict"}),
    ],
)
def test_a_service_has_no_more_rights_than_it_needs(name: str, own: dict[str, str]) -> None:
    service = unit(DEPLOY / name)["Service"]
    assert {key: service.get(key) for key in HARDENED | own} == HARDENED | own
    families = set(service["RestrictAddressFamilies"].split())
    assert families >= {"AF_UNIX", "AF_NETLINK"} and ("AF_CAN" in families) == (name == "video2act.service")


def test_the_robots_service_keeps_what_it_needs() -> None:
    """Real time, locked memory, cameras; numba and torch compile while they run."""
    service = unit(DEPLOY / "video2act.service")["Service"]
    assert service["LimitRTPRIO"] == "90" and service["LimitMEMLOCK"] == "infinity"
    assert not {"RestrictRealtime", "PrivateDevices", "MemoryDenyWriteExecute", "ProtectHome", "ProtectClock"} & set(
        service
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    (user,) = {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == os.geteuid()} or {"root"}
    for path in DEPLOY.glob("*.service"):
        text = path.read_text().replace("@USER@", user).replace("@FOLDER@", str(ROOT))
        (tmp_path / path.name.replace("@.", "@can_left.")).write_text(re.sub(r"@[A-Z]+@", "x", text))
    files = sorted(map(str, tmp_path.iterdir()))
    said = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, timeout=60).stderr
    assert not re.search(r"Unknown (key|section|lvalue)|Failed to parse|not executable", said), said


def test_the_image_is_no_roots() -> None:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    user = lines.index("USER video2act")
    assert any(line.startswith("RUN bash -c 'extras=") for line in lines[user:]), "what is installed is the user's own"
    assert not any(line.startswith("USER") for line in lines[user + 1 :])


def test_every_file_that_the_texts_name_is_there() -> None:
    text = "".join(
        path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".png", ".md")
    )
    named = set(re.findall(r"(?:\./)?((?:launch|deploy)/[\w@.-]+\.(?:sh|rules|conf|service|md|toml))", text))
    assert len(named) >= 5
    assert all((ROOT / name).exists() for name in named), sorted(name for name in named if not (ROOT / name).exists())
