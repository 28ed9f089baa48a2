"""The command `video2act`: every script has its subcommand; help and refusals load nothing heavy. Called by pytest."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.tasks import TASKS
from drivers.task_names import TASK_NAMES
from models.data import hdf5
from models.data.episode import Episode
from runtime import cli

ROOT = Path(__file__).parents[2]
NO_COMMANDS = {
    "setup",
    "find_python",
    "test",
    "mutate",
    "policy_server",
}  # of the repository, not of the installed program
HEAVY = ("torch", "diffusers", "transformers", "mujoco", "onnxruntime", "numba", "h5py", "pyarrow")
WIDTH = 90
# Each line of the command, in one process, for it takes a second to start: status, output, and what was loaded until then.
ASKED = """
import contextlib, io, json, os, sys
from runtime import cli
os.environ["COLUMNS"] = sys.argv[2]
for line in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), None
    sys.argv[:] = ["video2act", *line]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main()
        except SystemExit as ended:
            status = ended.code
    heavy = [name for name in HEAVY if name in sys.modules]
    print(json.dumps([status, out.getvalue(), err.getvalue(), heavy]))
"""

Answer = tuple[int, str, str, list[str]]


def asked(*lines: list[str]) -> list[Answer]:
    """What the command answers to each line."""
    code = f"HEAVY = {HEAVY!r}\n{ASKED}"
    arguments = [sys.executable, "-c", code, json.dumps(lines), str(WIDTH)]
    made = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT)
    answers: list[Answer] = []
    for line in made.stdout.splitlines():
        status, out, err, heavy = json.loads(line)
        answers.append((status, out, err, heavy))
    return answers


@pytest.fixture(scope="module")
def short() -> dict[str, Answer]:
    """Each command's --help."""
    return dict(zip(cli.COMMANDS, asked(*([name, "--help"] for name in cli.COMMANDS)), strict=True))


@pytest.fixture(scope="module")
def whole() -> dict[str, Answer]:
    """Each command's --help-all."""
    return dict(zip(cli.COMMANDS, asked(*([name, "--help-all"] for name in cli.COMMANDS)), strict=True))


@pytest.fixture(scope="module")
def wrong() -> dict[str, Answer]:
    """Each command's answer to a flag that there is not."""
    return dict(zip(cli.COMMANDS, asked(*([name, "--nosuchflag", "3"] for name in cli.COMMANDS)), strict=True))


def flags(text: str) -> list[str]:
    """The flags that a help lists."""
    return re.findall(r"^  (--[\w.-]+|-h)", text, re.MULTILINE)


def test_every_script_calls_its_subcommand_and_every_subcommand_has_its_script() -> None:
    scripts = {script.stem: script.read_text() for script in (ROOT / "launch").glob("*.sh")}
    assert scripts.keys() - NO_COMMANDS == set(cli.COMMANDS)
    for name in cli.COMMANDS:
        assert re.search(rf"-m runtime\.cli {name}\b", scripts[name]), name


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_subcommand_is_there(name: str) -> None:
    assert importlib.util.find_spec(cli.COMMANDS[name].module) is not None
    assert cli.flags_of(name).name == name
    assert f"  {name} " in cli.overview()


def test_the_list_loads_nothing_heavy() -> None:
    ((status, out, err, heavy),) = asked(["--help"])
    assert (status, err, heavy) == (0, "", [])
    assert len(out.splitlines()) < 35


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_tells_what_a_command_does_and_its_flags(name: str, short: dict[str, Answer]) -> None:
    status, out, err, heavy = short[name]
    assert (status, err, heavy) == (0, "", [])
    assert out.startswith(f"usage: video2act {name} ")
    assert len(flags(out)) <= 22, "the rest stands in --help-all"
    assert max(map(len, out.splitlines())) < WIDTH, "it fits the terminal"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_wrong_flag_is_one_line_and_loads_nothing(name: str, wrong: dict[str, Answer]) -> None:
    status, out, err, heavy = wrong[name]
    assert (status, out, heavy) == (2, "", [])
    assert err.startswith("video2act: unknown flag --nosuchflag") and len(err.splitlines()) == 1


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_all_has_every_flag_of_help_and_the_tree(
    name: str, short: dict[str, Answer], whole: dict[str, Answer]
) -> None:
    status, out, err, heavy = whole[name]
    assert (status, err, heavy) == (0, "", [])
    line = cli.flags_of(name)
    if line.tree is None and not line.rare:
        assert out == short[name][1]
        return
    assert set(flags(short[name][1])) < set(flags(out))
    if name in ("robot", "record", "doctor", "evaluate", "instruct", "replay"):
        assert {"--safety.velocity", "--arms.auto_resume", "--cameras.head.rate_hz"} < set(flags(out))


def test_help_all_of_training_has_its_tree(whole: dict[str, Answer]) -> None:
    found = set(flags(whole["train"][1]))
    assert {
        "--policy.horizon",
        "--policy.video.backbone.heads",
        "--schedule.learning_rate",
        "--cloning.samples",
    } < found
    assert "--filming.lora_rank" in found


def test_help_all_of_training_has_the_tree_of_the_family_that_the_line_names() -> None:
    ((status, out, err, heavy),) = asked(["train", "--size", "video-policy-small", "--help-all"])
    assert (status, err, heavy) == (0, "", [])
    found = set(flags(out))
    assert {"--policy.clip.stride", "--policy.diffusion.steps", "--acting.chunks", "--imagining.dropout"} < found
    assert not found & {"--cloning.samples", "--filming.windows", "--policy.horizon"}
    assert "(default 8)" in out and "(default 0.1)" in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_is_plain_english(name: str, short: dict[str, Answer], whole: dict[str, Answer]) -> None:
    """No sentence of more than 25 words, of what a command does and of each of its flags."""
    for text in (short[name][1], whole[name][1]):
        for paragraph in re.split(r"\n\n|\n  (?=\S)|  +(?=[A-Z])", text):
            words = " ".join(re.sub(r"\([^()]*default[^()]*\)", "", paragraph).split())
            for sentence in re.split(r"(?<=[.:;])\s", words):
                assert len(sentence.split()) <= 25, sentence


def test_help_shows_the_chosen_profiles_values() -> None:
    sim, real, own = asked(
        ["robot", "--profile", "sim", "--help"],
        ["robot", "--help-all", "--profile", "cobot_magic"],
        ["robot", "--help"],
    )
    assert "(default run)" in " ".join(sim[1].split()) and sim[1] == own[1]
    words = " ".join(real[1].split())
    assert "(default disarmed)" in words and "(default 0.3 rad)" in words


def test_help_lists_the_six_tasks(short: dict[str, Answer]) -> None:
    assert tuple(TASKS) == TASK_NAMES
    for name in ("robot", "demos", "evaluate", "record"):
        assert all(task in short[name][1] for task in TASK_NAMES)


CHECKED: list[tuple[list[str], str]] = [
    (["dance"], "unknown command dance; video2act --help lists the commands"),
    (["robt"], "unknown command robt; did you mean robot?"),
    (["robot", "--ratio", "0"], "--ratio 0: must be a whole number from 1 to 1000"),
    (["robot", "--task", "block_hanover"], "did you mean block_handover?"),
    (
        ["robot", "--profile", "cobot_magic"],
        '--instruction is missing; give --instruction "TEXT"',
    ),
    (["robot", "--profile", "nowhere", "--help"], "--profile nowhere: does not exist"),
    (
        ["record", "--can", "--arms.leaders", "own"],
        "--arms.leaders own: record.sh needs leaders on the followers' CAN buses",
    ),
    (["operator", "dance"], "COMMAND dance: must be one of arm, run, "),
    (["operator"], "COMMAND is missing; give one of arm, run, "),
    (["operator", "hold", "hold"], "hold: unexpected word"),
    (["operator", "hold", "--run", "x"], "--run x: must be a whole number"),
    (["doctor", "--json", "/nowhere/x"], "--json /nowhere/x: its folder does not exist; create it first"),
    (["doctor", "--arms.interfaces", "a"], "--arms.interfaces a: must be 2 texts"),
    (["system2", "--robot", "here", "--keys", "k"], "--robot here: must be tcp://HOST:PORT"),
    (["system2", "--robot", "tcp://a:1", "--keys", "k", "--system2.threads", "0"], "--system2.threads 0: must be"),
    (["system2", "--robot", "tcp://a:1"], "--keys is missing; give the folder of the keys"),
    (["replay", "s"], "SESSION s: give one of --lockstep, --what-if, --on-robot, --paced"),
    (["replay", "s", "--paced", "--speed", "nan"], "--speed nan: must be a number from 0.01 to 100"),
    (["replay", "s", "--what-if", "--seed", "3"], "--what-if: --seed cannot be changed after the run"),
    (["console", "--port", "x"], "--port x: must be a whole number from 0 to 65535"),
    (["console", "--host", ""], "--host (empty): must be a host name or an address of this machine"),
    (["robot", "--console.host", "a b"], "--console.host a b: must be a host name or an address"),
    (["console", "--sessions", "/nowhere"], "--sessions /nowhere: does not exist"),
    (["trace"], "SESSION is missing"),
    (["explain"], "SESSIONS is missing; give one or more"),
    (["serve", "--port", "x"], "--port x: must be a whole number from 0 to 65535"),
    (["serve", "--every", "0"], "--every 0: must be a whole number from 1 to 1000"),
    (["serve", "--arms.rate_hz", "100"], "--arms: belongs to a robot"),
    (["serve", "--host", "0.0.0.0"], "--host: 0.0.0.0 can be reached by other machines and needs a certificate"),
    (["explain", "s", "--moments", "0"], "--moments 0: must be a whole number from 1 to 24"),
    (
        ["export", "s", "--to", "hdf", "--out", "o"],
        "--to hdf: must be one of hdf5, lerobot, act, rdt, robotwin; did you mean hdf5?",
    ),
    (["export", "--to", "hdf5", "--out", "o"], "SESSIONS is missing; give one or more"),
    (
        ["data", "chck", "d"],
        "ACTION chck: must be one of check, convert, merge, split, delete, relabel; did you mean check?",
    ),
    (["data", "check"], "FOLDERS is missing; give one or more folders of demonstrations"),
    (["data", "check", "/nowhere"], "FOLDERS /nowhere: does not exist; create demonstrations with ./launch/demos.sh"),
    (["data", "convert", "."], "--out is missing; give a new folder to write to"),
    (["data", "delete", ".", "--out", "o"], "--episodes is missing; give the numbers that data.sh check lists"),
    (
        ["data", "delete", ".", "--out", "o", "--episodes", "3-x"],
        "--episodes 3-x: must be numbers of episodes, written 0,3,5-9",
    ),
    (["data", "relabel", ".", "--out", "o"], "--instruction is missing; give it, or --task, or both"),
    (["data", "check", ".", "--share", "0.5"], "--share: applies to data.sh split; leave it out"),
    (["data", "check", ".", "--picture", "x.txt"], "--picture x.txt: must end in .png or .jpg"),
    (["data", "convert", "a", "b", "--out", "o"], "b: data.sh convert takes one folder; merge takes several"),
    (["data", "check", ".", "--data.unit", "grad"], "--data.unit grad: must be one of rad, deg"),
    (
        ["train", "video", "--data", ".", "--out", "o", "--data.rate_hz", "0"],
        "--data.rate_hz 0: must be a number from 1 to 1000",
    ),
    (
        ["train", "video", "--data", ".", "--out", "o", "--data.cameras", "a=b"],
        "--data.cameras a=b: must be THEIRS=OURS with",
    ),
    (
        ["train", "video", "--data", ".", "--out", "o", "--data.gripper_scale", "1,1,1"],
        "--data.gripper_scale: must be 1, 2 or 4",
    ),
    (["influence", "--data.unit", "deg"], "--data.unit: needs --data; give it, or leave --data.unit out"),
    (["replay", "s", "--lockstep", "--data.unit", "deg"], "--data.unit: needs --on-robot; give it, or leave"),
    (["demos", "--task", "juggle"], "--task juggle: must be all, or one or more of block_handover"),
    (["demos", "--seed", "999999", "--episodes", "5"], "--seed 999999: must be 0 to 999995"),
    (["train"], "STAGE is missing; give one of video, action"),
    (["train", "video", "--out", "o"], "--data is missing; give a folder"),
    (["train", "video", "--data", "/nowhere", "--out", "o"], "--data /nowhere: does not exist; create demonstrations"),
    (["train", "action", "--data", ".", "--out", "/proc/x"], "--out /proc/x: cannot be written there"),
    (
        ["train", "action", "--data", ".", "--out", "o", "--policy.image.kind", "eyes"],
        "must be one of siglip, keypoints",
    ),
    (["train", "action", "--data", ".", "--out", "o", "--cloning.samples", "x"], "--cloning.samples x: must be"),
    (
        ["train", "action", "--data", ".", "--out", "o", "--cloning.augmentation.gain", "1"],
        "--cloning.augmentation.gain 1: must be 2 numbers above 0 and at most 10, written 1,2",
    ),
    (
        ["train", "action", "--data", ".", "--out", "o", "--cloning.prefixes.delay_steps", "129"],
        "--cloning.prefixes.delay_steps 129: must be a whole number from 1 to 128",
    ),
    (["train", "action", "--data", ".", "--out", "o", "--schedule.stes", "1"], "did you mean --schedule.steps?"),
    (["train", "action", "--data", ".", "--out", "o", "--machines", "2"], "--meet: 2 machines need HOST:PORT"),
    (["train", "action", "--data", ".", "--out", "o"], "--video is missing: no video model of size small is published"),
    (
        ["train", "action", "--size", "video-policy-small", "--data", ".", "--out", "o"],
        "--video is missing: no video model of size video-policy-small is published",
    ),
    (
        ["train", "action", "--size=video-policy-full", "--data", ".", "--out", "o", "--acting.chunks", "0"],
        "--acting.chunks 0: must be a whole number above 0 and at most 1024",
    ),
    (
        ["train", "video", "--size", "video-policy-small", "--data", ".", "--out", "o", "--filming.windows", "3"],
        "unknown flag --filming.windows",
    ),
    (["evaluate", "--rollouts", "0"], "--rollouts 0: must be a whole number from 1 to 10000"),
    (["evaluate", "--sweep", "rato"], "--sweep rato: must be one of ratio, shift, blend, latency, features, "),
    (["evaluate", "--ratio", "x"], "--ratio x: must be a whole number"),
    (
        ["influence", "--data", "/nowhere"],
        "--data /nowhere: does not exist; create demonstrations with ./launch/demos.sh",
    ),
    (["weights", "--size", "huge"], "--size huge: must be one of small, full, full-wan"),
    (["push", "models/shipped/small", "cups"], "REPOSITORY cups: must be ORG/NAME"),
    (["instruct"], "TEXTS is missing; give one or more instructions"),
    (["instruct", " "], "TEXTS (empty): must be one or more instructions"),
    (["bench", "--suggest"], "--suggest: needs --models"),
    (["bench", "--poses", "5"], "--poses: needs --shapes; give it, or leave --poses out"),
    (["bench", "--fuzz", "--device", "cpu"], "--device: needs --models"),
    (["bench", "--models", "--seconds", "5"], "--seconds: needs --console or --links or --budget"),
    (["bench", "--models", "--fuzz"], "--models, --fuzz: exclude each other"),
    (["faults", "--repeats", "0"], "--repeats 0: must be a whole number from 1 to 100"),
    (["faults", "--only", "camera froze n"], "; did you mean camera frozen"),
    (["keys"], "FOLDER is missing; give a new folder"),
    (["certificate"], "FOLDER is missing; give a folder"),
]


@pytest.fixture(scope="module")
def refused() -> list[Answer]:
    """What the command answers to all these lines."""
    return asked(*(line for line, _ in CHECKED))


@pytest.mark.parametrize("number", range(len(CHECKED)), ids=lambda number: " ".join(CHECKED[number][0]))
def test_what_is_wrong_is_one_line_and_loads_nothing(number: int, refused: list[Answer]) -> None:
    status, out, err, heavy = refused[number]
    assert (status, out, heavy) == (2, "", []), err
    assert err.startswith("video2act: ") and len(err.splitlines()) == 1
    assert CHECKED[number][1] in err


def episode(success: bool) -> Episode:
    """Arms that stand still, without pictures."""
    still = np.zeros((4, 14), np.float32)
    return Episode(still, still, still, still, {}, ("stand the book up",), "stand_book", success=success)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files that are there, and are not what they are given for."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "empty").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "config.json").write_text("{}")
    (folder / "text").write_text("a text")
    for name, success in (("data", True), ("failures", False)):
        (folder / name).mkdir()
        hdf5.write(folder / name / "0.hdf5", episode(success))
    return folder


UNFIT: list[tuple[str, str]] = [
    (
        "train video --data empty --out out",
        "--data empty: holds no demonstrations (*.hdf5, *.h5 or a LeRobot dataset); create some",
    ),
    ("train action --data empty --out out --policy.inputs no_video", "--data empty: holds no demonstrations"),
    ("train video --data text --out out", "--data text: is no folder; create demonstrations with ./launch/demos.sh"),
    ("influence --data empty", "--data empty: holds no demonstrations"),
    (
        "influence --policy.checkpoint damaged",
        "--policy.checkpoint: checkpoint damaged: config.json cannot be read (name is",
    ),
    (
        "evaluate --policy.checkpoint damaged",
        "--policy.checkpoint: checkpoint damaged: config.json cannot be read (name is",
    ),
    ("evaluate --sweep ratio --data empty", "--data empty: holds no demonstrations"),
    (
        "evaluate --sweep ratio --video damaged",
        "--video: checkpoint damaged: config.json cannot be read (name is missing",
    ),
    ("evaluate --bench text", "--bench text: not a record of ./launch/bench.sh --models (not JSON: Expecting value"),
    ("evaluate --compare text text", "--compare text: not a file of evaluate --json"),
    ("evaluate --arms.rate_hz 100", "--arms.rate_hz 100: must be 200 on the virtual clock; leave it out"),
    ("weights --checkpoint damaged", "--checkpoint: checkpoint damaged: config.json cannot be read (name is missing"),
    ("weights --transformer empty", "--transformer empty: holds no weights (*.safetensors, *.pt, *.pth, *.bin); give"),
    ("robot --policy.published.image damaged", "--policy.published.image damaged: holds no weights (*.safetensors, "),
    ("train video --data data --out out --policy.published.head.repo empty", "head.repo empty: holds no weights"),
]
OPENED: list[tuple[str, str]] = [
    (
        "influence --data data --task stand_hook",
        "--task stand_hook: must be all, or one or more of stand_book, the tasks in data; did you mean stand_book?",
    ),
    ("influence --data data --task stand_book,sit", "--task sit: must be all, or one or more of stand_book"),
    ("influence --data failures --task stand_book", "failures: holds only 1 failure, which train.sh video may use"),
]
"""Which tasks demonstrations do stands in the files: only what reads them may be loaded."""
READERS = ["h5py", "pyarrow"]


@pytest.fixture(scope="module")
def unfit(given: Path) -> list[Answer]:
    """What the command answers to what is there and is unfit."""
    return asked_within(given, UNFIT)


@pytest.fixture(scope="module")
def opened(given: Path) -> list[Answer]:
    """The same of what has to be opened to be judged."""
    return asked_within(given, OPENED)


def asked_within(folder: Path, lines: list[tuple[str, str]]) -> list[Answer]:
    """What the command answers to lines that name what lies in a folder."""
    there = {path.name: str(path) for path in folder.iterdir()} | {"out": str(folder / "out")}
    return asked(*([there.get(word, word) for word in line.split()] for line, _ in lines))


@pytest.mark.parametrize("number", range(len(UNFIT)), ids=lambda number: UNFIT[number][0])
def test_what_is_unfit_is_one_line_and_loads_nothing(number: int, unfit: list[Answer], given: Path) -> None:
    status, out, err, heavy = unfit[number]
    assert (status, out, heavy) == (2, "", []), err
    assert len(err.splitlines()) == 1
    assert UNFIT[number][1] in err.replace(f"{given}/", "")


@pytest.mark.parametrize("number", range(len(OPENED)), ids=lambda number: OPENED[number][0])
def test_what_demonstrations_show_is_one_line_and_loads_only_their_readers(
    number: int, opened: list[Answer], given: Path
) -> None:
    status, out, err, heavy = opened[number]
    assert (status, out, heavy) == (2, "", READERS), err
    assert len(err.splitlines()) == 1
    assert OPENED[number][1] in err.replace(f"{given}/", "")


def test_every_command_is_refused_something() -> None:
    assert {line[0] for line, _ in CHECKED} >= set(cli.COMMANDS)


def shown(name: str) -> Any:
    return cli.flags_of(name).shown


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_what_help_shows_is_in_the_tree(name: str, short: dict[str, Answer]) -> None:
    """A setting that is renamed must not silently leave the help."""
    assert {f"--{setting}" for setting in shown(name)} <= set(flags(short[name][1]))


def command(*words: str | Path) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    line, pipe = [sys.executable, "-m", "runtime.cli", *words], subprocess.PIPE
    return subprocess.Popen(
        line, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


@pytest.mark.parametrize("words", [["--help"], ["robot", "--help-all"]], ids=" ".join)
def test_a_help_that_nobody_reads_ends_without_a_word(words: list[str]) -> None:
    asked_for = command(*words)
    assert asked_for.stdout is not None and asked_for.stderr is not None
    asked_for.stdout.close()
    with asked_for:
        assert asked_for.stderr.read() == ""
    assert asked_for.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("words", [["--help"], ["robot", "--help-all"]], ids=" ".join)
def test_a_help_that_cannot_be_written_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "runtime.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (1, "video2act: No space left on device; free disk space there\n")


def test_ctrl_c_while_the_command_is_loaded_is_one_line() -> None:
    """The signal comes as soon as the first module that takes long is read."""
    code = """
import os, signal, sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "pydantic":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
sys.argv[:] = ["video2act", "robot", "--profile", "nowhere"]
from runtime import cli
sys.exit(cli.main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "video2act: stopped\n")


ODD_VALUES = ("a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\u2028b", "x" * 5000, "/" + "x" * 5000)
TAKE_ANY_TEXT = [["robot", "--task"], ["train", "action", "--out", "o", "--data"], []]


def test_a_value_with_line_breaks_or_without_end_is_one_short_line() -> None:
    lines = [[*words, f"{value}"] for words in TAKE_ANY_TEXT for value in ODD_VALUES]
    for line, (status, out, err, _) in zip(lines, asked(*lines), strict=True):
        assert status in (1, 2) and out == "", line
        assert err.startswith("video2act: ") and err.endswith("\n") and err[:-1].isprintable(), line
        assert len(err) < 700, line
