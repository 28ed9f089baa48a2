"""What the documents name is there: files, links, commands, flags, rooms, tasks, rows. README's sentences are short."""

import importlib
import io
import re
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from drivers.sim.tasks import TASKS
from models.config.policy import PolicyConfig
from models.train.action import Cloning
from models.train.loop import Schedule
from models.train.video import Filming
from models.train.video_policy.choices import Acting, Imagining
from models.video_policy.config import VideoPolicyConfig
from runtime.cli import COMMANDS
from runtime.config.settings import Settings
from runtime.lerobot import flags as lerobot_flags

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "deploy/*.md", "drivers/*.md", "launch/*.md", "models/**/*.md", "runtime/**/*.md")
    for path in ROOT.glob(pattern)
)
LONGEST_SENTENCE = 25  # words
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_OURS = re.compile(r"^(sudo )?(\./launch/|\w+\.sh|video2act |deploy/install\.sh|--[a-z])")
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*\w")
_TOP = ("runtime", "models", "drivers", "launch", "deploy", "tests", ".ci")


def prose(text: str) -> str:
    """A document without its fenced and indented blocks."""
    return "\n".join(line for line in _FENCE.sub("", text).splitlines() if not line.startswith("    "))


def code(text: str) -> list[str]:
    """What stands as code: lines of indented blocks without their comments, and spans."""
    blocks = [line.strip().partition(" #")[0] for line in text.splitlines() if line.startswith("    ")]
    return blocks + [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text))]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def flags_of(group: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every flag of a tree of settings; a group itself too."""
    for name, field in group.model_fields.items():
        yield f"{prefix}{name}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from flags_of(kind, f"{prefix}{name}.")


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """All flags of all commands but for those that a command prints itself."""
    trees = (Settings, "--"), (PolicyConfig, "--policy."), (Cloning, "--cloning.")
    more = (Filming, "--filming."), (Schedule, "--schedule.")
    other = (VideoPolicyConfig, "--policy."), (Acting, "--acting."), (Imagining, "--imagining.")
    known = {flag for group, prefix in (*trees, *more, *other) for flag in flags_of(group, prefix)}
    switched_off = {f"--no-{flag[2:]}" for flag in known}
    installed = set(_FLAG.findall((ROOT / "deploy" / "install.sh").read_text()))
    return known | switched_off | installed | {"--help", "--json"}


def test_the_documents_are_there() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert names >= {
        "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "drivers/README.md",
        "launch/README.md", "deploy/README.md", "models/README.md", "models/shipped/README.md", "runtime/bench/README.md",
    }  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text())):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        place = path.parent / name if name else path
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path: Path) -> None:
    if path.name == "CHANGELOG.md":  # it tells of what was, too
        return
    words = {word for span in code(path.read_text()) for word in span.split()}
    for word in words:
        name = word.removeprefix("./").rstrip(".,;:")
        if name.split("/")[0] in _TOP and "/" in name and not re.search(r"[A-Z*{]", name.removesuffix("README.md")):
            assert (ROOT / name).exists(), word


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_flags_that_are_named_exist(path: Path, flags: set[str]) -> None:
    scripts = {script.stem for script in (ROOT / "launch").glob("*.sh")} | {"install"}
    for span in filter(_OURS.match, code(path.read_text())):
        called = re.search(r"([a-z0-9_]+)\.sh|video2act ([a-z0-9]+)", span)
        name = (called[1] or called[2]) if called else ""
        assert name in scripts | set(COMMANDS) | {""} or path.name == "CHANGELOG.md", span
        unknown = set(_FLAG.findall(span)) - flags
        if unknown and name != "test":  # test.sh hands its words on to pytest
            reported = {
                flag
                for command in ([name] if name else (*COMMANDS, "policy_server"))
                for flag in flags_in_help(command)
            }
            assert unknown <= reported, span


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_are_named_exist(path: Path) -> None:
    named = {span for span in code(path.read_text()) if re.fullmatch(r"test_\w+", span)}
    assert named <= names_of_tests()


@cache
def names_of_tests() -> frozenset[str]:
    """The names of all tests."""
    texts = (file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))


@cache
def flags_in_help(command: str) -> frozenset[str]:
    """Those that a command tells of."""
    if command not in COMMANDS and command != "policy_server":
        return frozenset()
    with redirect_stdout(io.StringIO()) as reported, suppress(SystemExit):
        if command == "policy_server":  # a script alone: it runs in lerobot's environment
            lerobot_flags.read(["--help"])
        importlib.import_module(COMMANDS[command].module).main(["--help-all"])
    return frozenset(_FLAG.findall(reported.getvalue()))


def test_every_command_and_script_is_in_the_documents() -> None:
    readme, launch = (ROOT / "README.md").read_text(), (ROOT / "launch" / "README.md").read_text()
    for name in {*COMMANDS, *(script.stem for script in (ROOT / "launch").glob("*.sh"))}:
        assert f"`{name}`" in readme, name
        assert f"`{name}.sh" in launch, name


def test_readme_names_the_tasks() -> None:
    assert all(f"`{task}`" in (ROOT / "README.md").read_text() for task in TASKS)


def test_the_drawn_rooms_are_the_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = re.findall(r"^\| \d+ \| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert rooms == [layer for layer in layers if layer not in ("cli", "errors")]


def test_the_glossary_has_25_terms() -> None:
    glossary = (ROOT / "ARCHITECTURE.md").read_text().partition("# Glossary")[2].partition("\n# ")[0]
    assert len(re.findall(r"^\| (?!term|---)", glossary, re.MULTILINE)) == 25


def sentences(text: str) -> Iterator[str]:
    """Of a document's prose; a cell, an item and a heading end one too."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", prose(text))
    blocks = re.split(r"\n\s*\n|\n(?=[*#|\-]|\d+\. )|\|", plain)
    for block in blocks:
        yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


def test_readme_has_no_long_sentence() -> None:
    long = [text for text in sentences((ROOT / "README.md").read_text()) if len(text.split()) > LONGEST_SENTENCE]
    assert long == []
