"""What a setting wants, in words: for --help and for the line that refuses a value. Called by refusal.py and runtime/config.

Everything is read off the model itself: its types, its bounds, the unit at the end of its name, and `Says`.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

UNITS = {
    "s": "s", "ns": "ns", "rad": "rad", "m": "m", "px": "px", "hz": "Hz", "gib": "GiB", "nm": "Nm", "seconds": "s",
}  # fmt: skip
_NOUNS: dict[object, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "of true and false"),
    Path: ("a path", "paths"),
    str: ("a text", "texts"),
    bytes: ("bytes", "bytes"),
    dict: ("a table", "tables"),
    Mapping: ("a table", "tables"),
}
_ARRAY = ("an array", "arrays")


@dataclass(frozen=True)
class Says:
    """Beside a type, in Annotated: what its values cannot tell by themselves (unit, number of values, known words)."""

    unit: str = ""
    metavar: str = ""
    expects: str = ""
    """In place of everything that is read off the type."""
    each: str = ""
    """What each of several values stands for."""
    listed: tuple[str, ...] = ()
    """Values that --help lists, where others are possible too."""


@dataclass(frozen=True)
class Bounds:
    """Limits of a value or of a text's length."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    shortest: int | None = None
    longest: int | None = None


@dataclass(frozen=True)
class Field:
    """One setting by its place in a model: ("safety", "velocity")."""

    path: tuple[str, ...]
    info: FieldInfo
    others: tuple[FieldInfo, ...] = ()
    """The same of other kinds of its group: each kind has its own `kind`."""

    @property
    def name(self) -> str:
        """Dotted, as in a profile: safety.velocity."""
        return ".".join(self.path)

    @property
    def says(self) -> Says:
        """The words beside its type, or empty ones."""
        return next(
            (item for item in _notes(self.info.annotation, self.info.metadata) if isinstance(item, Says)), Says()
        )

    @property
    def unit(self) -> str:
        """From `Says`, or from the end of its name; empty where it has none."""
        whole, _, last = self.path[-1].rpartition("_")
        return self.says.unit or ("rad/s" if last == "s" and whole.endswith("_rad") else UNITS.get(last, ""))

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types that its values may have, None left out."""
        return _kinds(self.info.annotation)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have where they are few, as words; else empty."""
        kinds = [kind for info in (self.info, *self.others) for kind in _kinds(info.annotation)]
        literals = [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        return tuple(dict.fromkeys(literals)) or self.says.listed

    @property
    def is_several(self) -> bool:
        """Whether it takes values with commas between them."""
        return get_origin(self.kinds[0]) in (tuple, list)

    @property
    def of_numbers(self) -> bool:
        """Whether its values are several and all of them numbers."""
        return self.is_several and _kinds(get_args(self.kinds[0])[0])[0] in (int, float)

    @property
    def is_number(self) -> bool:
        """Whether it is a number, or several."""
        return self.of_numbers or self.kinds[0] in (int, float)

    @property
    def is_group(self) -> bool:
        """Whether it has settings of its own below it."""
        return all(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in self.kinds)

    def expected(self) -> str:
        """What it must be: "a number above 0 (s)"."""
        if self.says.expects:
            return self.says.expects
        if self.choices and not self.says.listed:
            return f"one of {', '.join(self.choices)}"
        words = _expected(self.kinds, bounds(self.info.annotation, self.info.metadata), self.says.each)
        return f"{words} ({self.unit})" if self.unit else words

    def metavar(self) -> str:
        """What stands for its value in --help."""
        if self.says.metavar:
            return self.says.metavar
        kind = self.kinds[0]
        if self.choices:
            return "|".join(self.choices)
        if self.is_several:
            return "X,X,..."
        return {int: "N", float: "X", Path: "PATH", bool: ""}.get(kind, "TEXT")


def check_text(value: Any, info: FieldInfo) -> Any:
    """A value before pydantic reads it, as it is. Raises PydanticCustomError for a text that is none.

    No file, name or device can have a NUL (POSIX), and an empty path would silently be the working directory.
    """
    texts = cast(list[object], value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(text, str) and "\0" in text for text in texts) or (
        value == "" and Path in _kinds(info.annotation)
    ):
        raise PydanticCustomError("unusable_text", "cannot be")
    return value


def find(model: type[BaseModel], path: tuple[str | int, ...]) -> Field | None:
    """The setting at the beginning of `path`, as deep as there are names; numbers and a union's tags are passed over."""
    found: Field | None = None
    models: tuple[Any, ...] = (model,)
    for part in path:
        hits = [hit for each in models if (hit := _named(each, part)) is not None]
        if not hits:
            continue
        (name, info), others = hits[0], tuple(info for _, info in hits[1:])
        found = Field((*(found.path if found else ()), name), info, others)
        models = tuple(kind for kind in _each(found.kinds) if isinstance(kind, type) and issubclass(kind, BaseModel))
        if not models:
            return found
    return found


def _each(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """Types of values, or of the items of those that are several."""
    items = [part for kind in kinds if get_origin(kind) in (tuple, list) for part in get_args(kind)]
    return (*kinds, *(kind for item in items for kind in _kinds(item)))


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Field]:
    """All settings of a model that have a value of their own; of several kinds of a group, those of each."""
    seen: set[tuple[str, ...]] = set()
    for name, info in model.model_fields.items():
        field = Field((*path, _flag(name, info)), info)
        if not field.is_group:
            yield field
            continue
        for kind in field.kinds:
            for below in leaves(kind, field.path):
                if below.path not in seen:
                    seen.add(below.path)
                    yield below


def bounds(annotation: Any, metadata: list[Any]) -> Bounds:
    """The limits that pydantic checks."""
    found: dict[str, Any] = {}
    names = {
        "gt": "above",
        "ge": "least",
        "lt": "below",
        "le": "most",
        "min_length": "shortest",
        "max_length": "longest",
    }
    for note in _notes(annotation, metadata):
        for theirs, ours in names.items():
            if (value := getattr(note, theirs, None)) is not None:
                found[ours] = value
    return Bounds(**found)


def _expected(kinds: tuple[Any, ...], limits: Bounds, each: str) -> str:
    kind = kinds[0]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (tuple, list):
        return _several(arguments, each)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "a table of settings"
    noun = _noun(kind)[0]
    return f"{noun}{_range(limits, kind)}"


def _several(arguments: tuple[Any, ...], each: str) -> str:
    """What a tuple must be: how many of what, and how they are written."""
    of_any_length = len(arguments) == 1 or Ellipsis in arguments
    kind, limits = _kinds(arguments[0])[0], bounds(arguments[0], [])
    one, many = _noun(kind)
    if many in ("lists", "tables"):
        return f"a list of {many}"
    count = "" if of_any_length else f"{len(arguments)} "
    numbers = "1,2" if len(arguments) == 2 and not of_any_length else "1,2,3"
    example = numbers if kind in (int, float) else "A,B"
    each = f", {each}" if each else ""
    return f"{count}{many or one}{_range(limits, kind)}{each}, written {example}"


def _noun(kind: Any) -> tuple[str, str]:
    """What a value of a type is called, and several of them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _NOUNS[dict]
    origin = get_origin(kind)
    if getattr(origin, "__name__", "") == "ndarray":  # by its name: numpy is not loaded for a flag
        return _ARRAY
    return ("a list", "lists") if origin in (tuple, list) else _NOUNS.get(origin or kind, _NOUNS[str])


def _range(limits: Bounds, kind: Any) -> str:
    """The limits in words, with a space before them; empty without any."""
    if limits.shortest is not None or limits.longest is not None:
        least = limits.shortest or 0
        return (
            f" of at least {least} characters"
            if limits.longest is None
            else f" of {least} to {limits.longest} characters"
        )
    most = limits.below - 1 if kind is int and limits.below is not None else limits.most
    if limits.least is not None and most is not None:
        return f" from {_number(limits.least, kind)} to {_number(most, kind)}"
    ends = (
        ("above", limits.above),
        ("of at least", limits.least),
        ("below", None if kind is int else limits.below),
        ("at most", most),
    )
    words = [f"{word} {_number(value, kind)}" for word, value in ends if value is not None]
    return f" {' and '.join(words)}" if words else ""


def _number(value: float, kind: Any) -> str:
    return str(int(value)) if kind is int or float(value).is_integer() else f"{value:g}"


def _kinds(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(kind for part in get_args(annotation) if part is not type(None) for kind in _kinds(part))
    return (annotation,)


def _notes(annotation: Any, metadata: list[Any]) -> Iterator[Any]:
    """Everything noted beside a type (Says, bounds), of its parts too."""
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        yield from _notes(inner, notes)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _notes(part, [])


def _named(model: type[BaseModel], part: str | int) -> tuple[str, FieldInfo] | None:
    for name, info in model.model_fields.items():
        if part in (name, _flag(name, info)):
            return _flag(name, info), info
    return None


def _flag(name: str, info: FieldInfo) -> str:
    """How users call it: a field whose name Python or pydantic keeps for itself has an alias."""
    alias = info.validation_alias
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return first if isinstance(first, str) else name
