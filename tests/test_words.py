"""One word, one meaning: no identifier, file, setting, command or name of the console bears a word that was replaced.

Prose (comments, docstrings, sentences in strings, the names of tests) is everyday English and free. Called by pytest.
"""

import io
import keyword
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from runtime import cli
from runtime.config.settings import Settings

ROOT = Path(__file__).parents[1]
INSTEAD = {
    "master": "leader", "puppet": "follower", "slave": "follower",
    "order": "operator command", "told": "what it is: a command, a report", "drives": "motor commands",
    "trouble": "warning or fault",
    "memory": "the state, named after its owner", "rules": "the config, named after its owner",
    "look": "check, advance or encode_images", "perceive": "encode_video", "act": "predict_chunk", "pure": "deterministic",
    "spread": "worker pool", "shelf": "session index", "desk": "operator session", "skeleton": "link points",
    "watch": "monitor", "far": "GPU side", "near": "robot side", "anew": "again",
}  # fmt: skip
PLURALS = {f"{word}s": word for word in ("master", "puppet", "order", "shelf", "desk", "skeleton")}
OTHER_SENSES = {
    "order": "in_order colour_order solver_order",  # of a sequence, of colours, of a formula
    "memory": "memory_gb memory_mb memory_kib memory_bytes total_memory shared_memory max_memory_reserved memory_format "
    "reset_peak_memory_stats _memory_bytes memory_mib _memory_mib _memory_gib memory_allocated max_memory_allocated "
    " _memory_folder MEMORY_FOLDER MemoryFolder "
    "MemoryError OutOfMemoryError fill_uninitialized_memory pin_memory",  # of a computer
    "act": "FastVideo2Act SlowVideo2Act Video2ActRun",  # of the project
    "spread": "_spread latent_spread state_spread next_spread _SPREAD _WAN_SPREAD",  # of numbers
    "look": "_look_quat",  # of a camera
    "near": "_is_near _NEAR_RAD near_rad",  # of places
    "far": "far_m far_rad",
    "now": "_now",
}
PLAIN_SENSES = {  # identifiers that are such a word and nothing else, by file
    "order": (
        "drivers/sim/experts/script.py",
        "models/train/loop.py",
        "runtime/console/recorded.py",
        "tests/runtime/faults/",
    ),
    "memory": ("runtime/bench/",),
    "spread": (
        "models/",
        "drivers/plausible.py",
        "tests/models/",
        "runtime/evaluation/table.py",
        "tests/runtime/evaluation/",
    ),
    "near": ("drivers/sim/", "runtime/arms/", "runtime/bench/hostile.py", "runtime/systems/system1.py", "tests/"),
    "far": ("runtime/replay/tracker_step.py", "tests/"),
    "master": ("models/",),  # a value of stored configurations
}
FORMER = {"tests/test_words.py", "runtime/messaging/upgrades.py", "runtime/config/renamed.py"}
"""Files that must name what was before."""


def parts(name: str) -> list[str]:
    """An identifier's words, in lower case: wantsRun, WANTS_RUN and WantsRun are wants, run."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", name)]


def old_word(name: str, file: str = "") -> str:
    """The replaced word in an identifier; empty: none."""
    if file in FORMER:
        return ""
    for part in parts(name):
        word = PLURALS.get(part, part)
        if word not in INSTEAD or name in OTHER_SENSES.get(word, "").split():
            continue
        if name.lower() == part and any(file.startswith(place) for place in PLAIN_SENSES.get(word, ())):
            continue
        return word
    return ""


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every name in a Python source; those of tests are sentences and left out."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string) and not token.string.startswith("test_"):
            yield token.start[0], token.string


def sources(*patterns: str) -> list[str]:
    """Files of the repository, those that somebody else wrote aside."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if "/vendor/" not in name and (ROOT / name).is_file()]


def script_names(source: str) -> set[str]:
    """The identifiers of a script, without its comments and plain texts; what templates hold between tags is kept."""
    source = re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S)
    source = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', source)
    return set(re.findall(r"[A-Za-z_$][\w$]*", re.sub(r">[^<>{}$]*<", "><", source)))


def settings_names(group: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting by its full name."""
    for name, field in group.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_names(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize("folder", ["runtime", "models", "drivers", "tests"])
def test_no_identifier_bears_an_old_word(folder: str) -> None:
    found = {
        f"{file}:{line} {name}: say {INSTEAD[old_word(name, file)]}"
        for file in sources(f"{folder}/*.py")
        for line, name in identifiers((ROOT / file).read_text())
        if old_word(name, file)
    }
    assert sorted(found) == []


def test_no_file_bears_an_old_word() -> None:
    names = {part for file in sources() for part in Path(file).with_suffix("").parts if "golden" not in file}
    assert sorted(name for name in names if old_word(name.replace("-", "_")) and not name.startswith("test_")) == []


def test_no_setting_or_command_bears_an_old_word() -> None:
    names = [*settings_names(Settings), *cli.COMMANDS]
    assert [name for name in names if any(old_word(part.replace("-", "_")) for part in name.split("."))] == []


def test_no_name_of_the_console_bears_an_old_word() -> None:
    found = {
        f"{file}: {name}"
        for file in sources("runtime/console/static/*.js", "runtime/console/static/*.html")
        for name in script_names((ROOT / file).read_text())
        if old_word(name, file) and name not in ("renderOrder", "lookAt")
    }
    assert sorted(found) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("master_left", "master"), ("PiperMaster", "master"), ("_orders", "order"), ("in_order", ""), ("JOINTS_TOLD", "told"),
        ("Memory", "memory"), ("MEMORY_FOLDER", ""), ("recorder", ""), ("folder", ""), ("actual", ""), ("Watch", "watch"),
    ],
)  # fmt: skip
def test_words_are_found_within_identifiers(name: str, word: str) -> None:
    assert old_word(name) == word


def test_names_of_a_script_are_found_and_its_texts_are_not() -> None:
    names = script_names('// the master\nconst shelf = "order"; /* desk */ html`<b desk=${far}>master</b>`;')
    assert {"shelf", "far", "desk"} <= names and {"master", "order", "the"}.isdisjoint(names)
