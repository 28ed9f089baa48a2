"""Every line that a user may see, in one file, lines.txt: a change of wording shows there and is read as a stranger reads it.

Renew it with `.venv/bin/python tests/test_lines.py`. Called by pytest.
"""

import ast
import importlib
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from models import field
from runtime.config.command_line import CommandLine
from runtime.config.data_flags import SettingsAndData
from runtime.config.settings import Settings

ROOT = Path(__file__).parents[1]
LINES = ROOT / "tests/lines.txt"
_LEAST_WORDS = 3  # a shorter text is a key, a unit or a label
_MOST_WORDS = 25  # of a sentence
_OTHERWISE = {
    r"no such|there is no |there are no ": "does not exist, or is missing",
    r"is there already|there already": "already exists",
    r"\bmend|see to it|see to the": "fix, check",
    r"take (it|the file|them) away": "delete",
    r"\banew\b|gone on with|goes on by": "again, resume, continue",
    r"not heard|was heard|says nothing|last word": "silent for, no feedback yet",
    r"pictures a second|frames a second|targets a second": "per second",
    r"[,(] ?at most \{|at least \{[^}]*\} (is|are) needed": "(limit X), or must be at least X",
    r"asked for \{|, is one of|none of a": "expected X, got Y",
    r"make (one|some|them|it) (with|first)": "create",
    r"exchanged": "swapped",
    r"off and on\b": "power-cycle",
    r"by hand, or have": "set",
    r"without it (one|a|the|OUT|[0-9])": "default: X",
}
"""What a condition is not called, and what it is: one wording for each (CONTRIBUTING.md, How lines are worded)."""


def literal(node: ast.expr) -> str | None:
    """The text of a string in a source, its expressions in braces; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return None


def texts(source: str) -> Iterator[str]:
    """The sentences in a Python source that are no docstrings: errors, reasons, remedies, help."""
    tree = ast.parse(source)
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings stand alone
    left_out |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
    }
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr) and id(node) not in left_out]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        text = literal(node)
        if text is not None and is_sentence(text):
            yield " ".join(text.split())


def is_sentence(text: str) -> bool:
    """Whether a text has words enough for a person, and is no pattern, query or code."""
    words = re.findall(r"(?<![\w-])[A-Za-z][a-z]+(?![\w(])", re.sub(r"\{[^{}]*\}", "", text))
    return len(words) >= _LEAST_WORDS and not text.startswith(("^", "(?"))


def labels(script: str) -> Iterator[str]:
    """What a page shows: texts between tags, titles, and sentences."""
    script = re.sub(r"^\s*//[^\n]*|\s//\s[^\n]*", "", script, flags=re.M)
    for text in re.findall(r">([^<>${}`;=]*[A-Za-z]{3}[^<>${}`;=]*)<", script):
        yield " ".join(text.split())
    for text in re.findall(r'"([^"\n]*)"', script):
        if is_sentence(text):
            yield text


def echoed(script: str) -> Iterator[str]:
    """What a shell script tells: the sentences that it echoes, or refuses with."""
    for text in re.findall(r'(?:echo|refuse) "((?:[^"\\\n]|\\.)*)"', script):
        if is_sentence(text):
            yield text


def settings_help(group: type[BaseModel], own: bool = False) -> Iterator[str]:
    """What --help says of every setting; `own`: of a command's own flags, which are written with hyphens."""
    for setting in field.leaves(group):
        if text := " ".join((setting.info.description or "").split()):
            yield f"--{setting.name.replace('_', '-') if own else setting.name}: {text}"


def commands_help() -> Iterator[str]:
    """What --help says of every command, of its own flags, and of a tree that is not the robot's (or it with --data.*)."""
    modules = sorted(path.parent.name for path in ROOT.glob("runtime/*/flags.py"))
    found = {
        line.name: line
        for module in modules
        for line in vars(importlib.import_module(f"runtime.{module}.flags")).values()
        if isinstance(line, CommandLine)
    }
    for name, line in sorted(found.items()):
        yield f"## {name} --help"
        yield " ".join((line.flags.__doc__ or "").split())
        yield from settings_help(line.flags, own=True)
        if line.tree not in (None, Settings, SettingsAndData):
            yield from settings_help(line.tree)


def collected() -> str:
    """The whole file."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = sorted(name for name in listed.stdout.splitlines() if "/vendor/" not in name and (ROOT / name).is_file())
    rows = ["## settings", *settings_help(Settings), *commands_help()]
    for name in names:
        if name.startswith(("runtime/", "drivers/", "models/")) and name.endswith((".py", ".js", ".html")):
            source = (ROOT / name).read_text()
            found = list(dict.fromkeys(texts(source) if name.endswith(".py") else labels(source)))
            rows += [f"## {name}", *found] if found else []
        if name.startswith(("launch/", "deploy/")) and name.endswith(".sh"):
            found = list(echoed((ROOT / name).read_text()))
            rows += [f"## {name}", *found] if found else []
    return "\n".join(rows) + "\n"


def test_every_line_that_a_user_may_see_is_the_one_that_was_read() -> None:
    assert collected() == LINES.read_text(), (
        "renew tests/lines.txt: .venv/bin/python tests/test_lines.py, and read the difference"
    )


def sentences(line: str) -> list[str]:
    """The sentences of a line; a semicolon or a colon ends one too."""
    return re.split(r"(?<=[.;:]) ", re.sub(r"\{[^{}]*\}", "X", line))


def test_no_sentence_is_long() -> None:
    long = [
        part for line in LINES.read_text().splitlines() for part in sentences(line) if len(part.split()) > _MOST_WORDS
    ]
    assert long == []


def test_one_condition_has_one_wording() -> None:
    lines = [line for line in LINES.read_text().splitlines() if not line.startswith("##")]
    found = [(line, better) for line in lines for old, better in _OTHERWISE.items() if re.search(old, line)]
    assert found == []


def test_sentences_are_found_and_docstrings_keys_and_patterns_are_not() -> None:
    source = textwrap.dedent('''
        """A docstring of many words."""
        PATTERN, KEY = r"^one two three four$", "max_age_s"
        raise Error(f"{name}: too old by {age_s:.1f} s (limit {LIMIT}); check the cable")
        return "the arms do not hold" " yet"
    ''')
    assert list(texts(source)) == [
        "{name}: too old by {age_s} s (limit {LIMIT}); check the cable",
        "the arms do not hold yet",
    ]


def test_what_a_script_tells_is_found() -> None:
    script = 'echo "$stamp" >file; echo "video2act: write \\"TEXT\\" into the profile" >&2'
    assert list(echoed(script)) == ['video2act: write \\"TEXT\\" into the profile']


def test_labels_of_a_page_are_found() -> None:
    script = 'html`<button title="slowly to the pose">give back the lease</button>`; // a comment of words'
    assert set(labels(script)) == {"slowly to the pose", "give back the lease"}


if __name__ == "__main__":
    LINES.write_text(collected())
