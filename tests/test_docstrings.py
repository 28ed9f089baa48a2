"""Docstrings say more than names do; arithmetic tells shapes and units; every number tells where it comes from.

Reads the sources of all three packages. Called by pytest.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("runtime", "models", "drivers") for path in (ROOT / room).rglob("*.py"))
_SAY_NOTHING = frozenset(
    re.findall(
        r"\w+",
        """
        a all an and any are as at be by do does each every for from get gets give gives given has have he how if in into is
        it its make makes of on one or other out set sets so some such that the their them there these they thing things this
        those to up was what when where whether which who with
        """,
    )
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ers", "ed", "er", "es", "s", "e", "y")
_SHORTEST_STEM = 3
_POINTER_WORDS = 5  # a docstring of "See ..." so short tells nothing itself
ARITHMETIC = (
    "runtime/arms/limits.py", "runtime/arms/joint_limits.py", "runtime/arms/trajectory.py",
    "models/filters.py", "models/action_dit.py", "models/layers.py", "models/diffusion.py", "models/qformer.py",
    "models/normalize.py", "models/images.py", "models/encoders/siglip.py", "models/encoders/keypoints.py",
    "models/grad_cam.py", "models/backbones/backbone.py", "models/backbones/hunyuan.py", "models/backbones/wan.py",
)  # fmt: skip
_ARRAYS = ("Tensor", "Array", "NDArray", "ndarray", "KeyValue")
"""Annotations of what has a shape; a parameter of such a type tells it in brackets."""
_CONSTANT = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class Documented:
    """A definition with its docstring, and the names that stand around it."""

    where: str  # file:line name
    names: tuple[str, ...]  # its own, its classes', its parameters'
    text: str


def stem(word: str) -> str:
    """A word without its ending, and without a doubled last letter: running, runs and run are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] == word[-2] else word


def words(text: str) -> set[str]:
    """The stems in a text or a name (snake or camel case), but for those that say nothing."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ").lower()
    return {stem(word) for word in re.findall(r"[a-z]+|\d+", apart) if word not in _SAY_NOTHING}


def definitions(tree: ast.Module) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Every class and function of a module, with the names of the classes and functions around it and its own."""
    open_nodes: list[tuple[ast.AST, tuple[str, ...]]] = [(tree, ())]
    while open_nodes:
        node, around = open_nodes.pop()
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            names = (*around, child.name) if named else around
            if named:
                yield child, names
            open_nodes.append((child, names))


def parameters(node: ast.AST) -> list[ast.arg]:
    """What a function is given, but for self and cls."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [one for one in every if one is not None and one.arg not in ("self", "cls")]


def documented(path: Path) -> Iterator[Documented]:
    """All docstrings of a file, the module's own included."""
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
    if (text := ast.get_docstring(tree)) is not None:
        yield Documented(f"{name}:1", path.relative_to(ROOT).with_suffix("").parts, text)
    for node, names in definitions(tree):
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if (text := ast.get_docstring(node)) is not None:
            around = (*names, *(one.arg for one in parameters(node)))
            yield Documented(f"{name}:{node.lineno} {'.'.join(names)}", around, text)


def says_nothing(docstring: Documented) -> bool:
    """Whether every word of a docstring stands in the names already, or it only points elsewhere (`See Body.`).

    Then the reader is better served by no docstring at all.
    """
    if docstring.text.startswith("See ") and len(docstring.text.split()) <= _POINTER_WORDS:
        return True
    return words(docstring.text) <= {word for name in docstring.names for word in words(name)}


def public(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a file that others call: no name around them begins with _, none is within a function.

    A method without a docstring that its base class documents, in this package, is left out: that docstring holds for it.
    """
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
    bodies: list[tuple[str, list[ast.stmt], set[str]]] = [("", tree.body, set())]
    for prefix, body, inherited in bodies:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {ast.unparse(base) for base in node.bases}
                bodies.append((f"{node.name}.", node.body, set().union(*(_methods(base) for base in bases))))
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                if node.name in inherited and not ast.get_docstring(node):
                    continue
                yield f"{name}:{node.lineno} {prefix}{node.name}", node


@cache
def _methods(base: str) -> frozenset[str]:
    """The methods that a class of this name documents, in any of the files of arithmetic."""
    trees = [ast.parse((ROOT / name).read_text()) for name in ARITHMETIC]
    bodies = [node.body for tree in trees for node in tree.body if isinstance(node, ast.ClassDef) and node.name == base]
    functions = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return frozenset(node.name for node in functions if ast.get_docstring(node))


def section(docstring: str, title: str) -> str:
    """The lines of a docstring under `title:`, up to the next section or blank line; empty: there is none."""
    found = re.search(rf"^{title}:\n((?:[ ]+\S[^\n]*\n?)+)", docstring, re.M)
    return found[1] if found else ""


def entry(lines: str, name: str) -> str:
    """What an Args section says of one parameter, its further lines included; empty: nothing."""
    found = re.search(rf"^( +)\**{name}: (.*(?:\n\1 +\S.*)*)", lines, re.M)
    return found[2] if found else ""


def is_property(node: ast.FunctionDef) -> bool:
    """Whether a function reads like a value: its docstring tells the value and needs no sections."""
    return any(isinstance(one, ast.Name) and one.id in ("property", "cached_property") for one in node.decorator_list)


def gaps(where: str, node: ast.FunctionDef) -> Iterator[str]:
    """What the docstring of a public function of arithmetic lacks."""
    text = ast.get_docstring(node) or ""
    given = section(text, "Args")
    for parameter in parameters(node):
        said = entry(given, parameter.arg)
        annotation = ast.unparse(parameter.annotation) if parameter.annotation else ""
        if not said:
            yield f"{where}: Args says nothing of {parameter.arg}"
        elif any(kind in annotation for kind in _ARRAYS) and "(" not in said:
            yield f"{where}: {parameter.arg} is an array; tell its shape in brackets"
    gives = node.returns is not None and ast.unparse(node.returns) not in ("None", "Never")
    if gives and not section(text, "Returns"):
        yield f"{where}: no Returns"


def constants(path: Path) -> Iterator[tuple[str, ast.stmt, ast.stmt | None]]:
    """Assignments to NAMES that hold a number, in a module and its classes, each with the statement that follows it."""
    tree, name = ast.parse(path.read_text()), path.relative_to(ROOT).as_posix()
    enumerations = {"Enum", "IntEnum", "StrEnum", "IntFlag"}
    bodies = [tree.body] + [
        node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not {ast.unparse(base) for base in node.bases} & enumerations
    ]
    for body in bodies:
        for node, following in zip(body, [*body[1:], None], strict=True):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)]
            value = getattr(node, "value", None)
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(value, ast.expr):
                continue
            converts = all("_PER_" in part for part in names)  # such a name says itself what its number is
            if names and all(map(_CONSTANT.fullmatch, names)) and not converts and holds_number(value):
                yield f"{name}:{node.lineno} {', '.join(names)}", node, following


def holds_number(value: ast.expr) -> bool:
    """Whether an expression holds a number that somebody has chosen; 0 and 1 as in `range(1, 7)` are none, nor is an index."""
    indices = {id(part) for node in ast.walk(value) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    return any(
        isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and node.value not in (0, 1)
        and id(node) not in indices
        for node in ast.walk(value)
    )


def is_explained(node: ast.stmt, following: ast.stmt | None, lines: Sequence[str]) -> bool:
    """Whether a comment stands in or directly above an assignment, or a docstring below it."""
    assert node.end_lineno is not None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return True
    within = lines[node.lineno - 1 : node.end_lineno]
    comments = (line.replace("# fmt: skip", "").replace("# noqa", "") for line in within)
    return lines[node.lineno - 2].lstrip().startswith("# ") or any(" # " in line for line in comments)


def test_stems_meet_across_endings() -> None:
    assert words("StatusLine") == words("status lines")
    assert stem("running") == stem("runs") == stem("run")
    assert words("What the camera is given") == words("camera")


def test_a_docstring_of_its_own_names_says_nothing() -> None:
    repeats = Documented("", ("Camera", "read_frame", "timeout_s"), "Reads a frame of the camera.")
    informs = Documented(
        "", ("Camera", "read_frame", "timeout_s"), "The next frame; None after `timeout_s` without one."
    )
    assert says_nothing(repeats)
    assert says_nothing(Documented("", ("Body", "advance"), "See Body."))
    assert says_nothing(Documented("", ("Handover",), "See the module's text."))
    assert not says_nothing(informs)


def test_no_docstring_only_repeats_names() -> None:
    found = [docstring for path in SOURCES for docstring in documented(path)]
    assert len(found) > 1000  # else nothing was read
    bad = [f"{docstring.where}: {docstring.text!r}" for docstring in found if says_nothing(docstring)]
    assert not bad, "delete these, or let them say something:\n" + "\n".join(bad)


def test_every_module_says_what_it_does_and_who_calls_it() -> None:
    """One sentence is enough for a package: its modules tell the rest."""
    bad: list[str] = []
    for path in SOURCES:
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        sentences = re.findall(r"[.:;](?=\s|$)", text)
        if not text or (len(sentences) < 2 and path.name != "__init__.py"):
            bad.append(f"{path.relative_to(ROOT)}: {text}")
    assert not bad, "begin each with what it does and who calls it:\n" + "\n".join(bad)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_tells_arguments_and_results(name: str) -> None:
    functions = [(where, node) for where, node in public(ROOT / name) if not is_property(node)]
    bad = [gap for where, node in functions for gap in gaps(where, node)]
    assert not bad, "\n".join(bad)


def test_arithmetic_has_functions() -> None:
    assert sum(1 for name in ARITHMETIC for _ in public(ROOT / name)) > 50  # else nothing was read


def test_a_gap_in_a_docstring_is_found() -> None:
    source = (
        '''def scale(x: Array, by: float) -> Array:\n    """Scaled.\n\n    Args:\n        x: what is scaled.\n    """'''
    )
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert list(gaps("here", node)) == [
        "here: x is an array; tell its shape in brackets",
        "here: Args says nothing of by",
        "here: no Returns",
    ]


def test_a_number_without_a_reason_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    source = (
        'BARE = 0.7\nSAID = 2  # measured\nTOLD = 2\n"""Chosen."""\nZERO = 0\nNS_PER_S = 10**9\nclass A:\n    LOW = 2\n'
    )
    (tmp_path / "module.py").write_text(source)
    found = constants(tmp_path / "module.py")
    bare = [where for where, node, following in found if not is_explained(node, following, source.splitlines())]
    assert bare == ["module.py:1 BARE", "module.py:8 LOW"]


def test_every_constant_tells_where_its_number_comes_from() -> None:
    bad = [
        where
        for path in SOURCES
        for where, node, following in constants(path)
        if not is_explained(node, following, path.read_text().splitlines())
    ]
    assert not bad, "say in a comment how each was derived, measured or chosen:\n" + "\n".join(bad)


def test_files_that_docstrings_name_are_there() -> None:
    named = re.compile(r"\b(?:runtime|models|drivers|tests|launch|deploy)/[\w/-]+\.(?:py|sh|md)\b")
    bad = [
        f"{docstring.where}: {name}"
        for path in SOURCES
        for docstring in documented(path)
        for name in named.findall(docstring.text)
        if not (ROOT / name).exists()
    ]
    assert not bad, "\n".join(bad)
