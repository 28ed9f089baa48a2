"""Every line that a user may see, in one file, lines.txt: a change of wording shows there and is read as a stranger reads it.

Renew it with `.venv/bin/python tests/test_lines.py`. Called by pytest.
"""

import ast
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from runtime.config.settings import Settings

ROOT = Path(__file__).parents[1]
LINES = ROOT / "tests/lines.txt"
_LEAST_WORDS = 3  # a shorter text is a key, a unit or a label


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


def settings_help(group: type[BaseModel], prefix: str = "--") -> Iterator[str]:
    """What --help says of every setting."""
    for name, field in group.model_fields.items():
        if field.description:
            yield f"{prefix}{name}: {' '.join(field.description.split())}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_help(field.annotation, f"{prefix}{name}.")


def collected() -> str:
    """The whole file."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = sorted(name for name in listed.stdout.splitlines() if "/vendor/" not in name and (ROOT / name).is_file())
    rows = ["## settings", *settings_help(Settings)]
    for name in names:
        if name.startswith(("runtime/", "drivers/", "models/")) and name.endswith((".py", ".js", ".html")):
            source = (ROOT / name).read_text()
            found = list(dict.fromkeys(texts(source) if name.endswith(".py") else labels(source)))
            rows += [f"## {name}", *found] if found else []
    return "\n".join(rows) + "\n"


def test_every_line_that_a_user_may_see_is_the_one_that_was_read() -> None:
    assert collected() == LINES.read_text(), (
        "renew tests/lines.txt: .venv/bin/python tests/test_lines.py, and read the difference"
    )


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


def test_labels_of_a_page_are_found() -> None:
    script = 'html`<button title="slowly to the pose">give back the lease</button>`; // a comment of words'
    assert set(labels(script)) == {"slowly to the pose", "give back the lease"}


if __name__ == "__main__":
    LINES.write_text(collected())
