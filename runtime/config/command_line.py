"""The command line of every command: its flags are a model's fields, made and read by pydantic-settings. Called by every main.

A command has flags of its own (`Flags`) and, where it takes settings, a tree of them besides (`--safety.jump_rad`). What is
wrong is one line; --help shows the flags that matter, with the chosen profile's values, --help-all everything.
"""

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from models import field as fields
from models import refusal
from models.field import Field
from runtime.config import flag_words, help_text
from runtime.config.flag_words import Flag
from runtime.errors import SettingsError
from runtime.host import terminal

_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"


class Flags(BaseSettings):
    """A command's own flags, with a hyphen for each underscore; docstrings are their help."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, cli_kebab_case=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any, info: ValidationInfo) -> Any:
        return fields.check_text(value, cls.model_fields[info.field_name or ""])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing comes from the environment: a forgotten variable must not change what a command does."""
        return (init_settings,)

    def check_one_of(self, names: Iterable[str]) -> None:
        """Raises ValueError where several flags are given that exclude each other."""
        chosen = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{', '.join(chosen)}: exclude each other; give one of them")


Own = TypeVar("Own", bound=Flags)


def _no_values(_arguments: Sequence[str]) -> None:
    """No values: they lie elsewhere, with a session or with a robot."""


def _no_check(_flags: Flags, _tree: dict[str, Any]) -> None:
    """Accept any combination of flags."""


@dataclass(frozen=True)
class CommandLine(Generic[Own]):
    """What a command's line may hold. `flags`' docstring is its --help."""

    name: str
    flags: type[Own]
    tree: type[BaseModel] | None = None
    shown: tuple[str, ...] = ()
    """Settings of the tree that --help shows; --help-all shows all."""
    rare: tuple[str, ...] = ()
    """Flags of its own that only --help-all shows."""
    values: Callable[[Sequence[str]], dict[str, Any] | None] = _no_values
    """The tree's values where no flag changes them, for a command line; None: they are not known."""
    check: Callable[[Own, dict[str, Any]], object] = _no_check
    """Raises SettingsError for flags that do not fit together, or for a tree that is wrong."""

    def read(self, arguments: Sequence[str]) -> tuple[Own, dict[str, Any]]:
        """The flags, and what is given of the tree. Raises SettingsError with one line; for --help prints it and leaves."""
        if any(word in (*_HELP, _HELP_ALL) for word in arguments):
            terminal.write_page(_Parser(self, self.values(arguments), _HELP_ALL in arguments).format_help())
            sys.exit(0)
        parser = _parser(self)
        own, tree = parser.read(arguments)
        try:
            flags = self.flags.model_validate(own)
        except ValidationError as error:
            raise SettingsError(refusal.line(error, self.flags, own, parser.written)) from None
        self.check(flags, tree)
        return flags, tree

    def read_tree(self, arguments: Sequence[str]) -> dict[str, Any]:
        """What flags of the tree give. Raises SettingsError with one line, also for other flags."""
        own, tree = _parser(self).read(arguments)
        for name in own:
            raise SettingsError(f"--{name.replace('_', '-')}: is not a setting; leave it out")
        return tree

    def tree_words(self, arguments: Sequence[str], but: Collection[str] = ()) -> list[str]:
        """The part of a good command line that sets the tree, for another command that has it too.

        Args:
            arguments: The line, which `read` accepts.
            but: Names of settings to leave out.

        Returns:
            Flags and their values, a word each.
        """
        return _parser(self).tree_words(arguments, but)


class _Parser(argparse.ArgumentParser):
    """argparse as pydantic-settings adds flags to it: it only sorts words; values are checked by the models."""

    def __init__(
        self, command: CommandLine[Any], values: dict[str, Any] | None = None, everything: bool = False
    ) -> None:
        super().__init__(
            prog=f"video2act {command.name}",
            description=" ".join((command.flags.__doc__ or "").split()),
            add_help=False,
            allow_abbrev=False,
            formatter_class=help_text.Formatter,
        )
        self._command, self._values, self._everything = command, values, everything
        self._known: dict[str, Flag] = {}
        self._alone: dict[str, Field] = {}  # without a flag's name
        self._model: type[BaseModel] = command.flags
        self._words: Any = self.add_argument_group("words")
        self._group: Any = self.add_argument_group("flags")
        self._sources = [self._source(model) for model in (command.flags, command.tree) if model is not None]
        self.usage = " ".join([self.prog, *map(self._word, self._alone.values()), "[flags]"])
        self._group.add_argument(*_HELP, action="store_true", default=argparse.SUPPRESS, help="show this")
        if command.tree is not None:
            what = "show every flag"
            self._group.add_argument(_HELP_ALL, action="store_true", default=argparse.SUPPRESS, help=what)

    def _source(self, model: type[BaseModel]) -> CliSettingsSource[Any]:
        """Adds a model's fields as flags."""
        self._model = model
        own = model is self._command.flags
        settings: Any = model if own else create_model(model.__name__, __base__=(model, BaseSettings))
        return CliSettingsSource[Any](
            settings,
            root_parser=self,
            add_argument_method=self._add_flag,
            add_argument_group_method=self._add_group if self._everything else lambda parser, **_: self._group,
            cli_implicit_flags="toggle" if own else "dual",
            cli_hide_none_type=True,
            cli_avoid_json=True,
            cli_kebab_case=own,
        )

    def _add_group(self, parser: argparse.ArgumentParser, **options: Any) -> Any:
        """A heading of --help-all: --safety.*."""
        name = str(options["title"]).removesuffix(" options")
        setting = fields.find(self._model, tuple(name.split(".")))
        described = (setting.info.description if setting else None) or options.get("description") or ""
        return self.add_argument_group(f"--{name}.*", " ".join(described.split()))

    def _add_flag(self, group: Any, *names: str, **options: Any) -> None:
        """Called by pydantic-settings for each field. Values are checked by the model, which also knows what is missing."""
        positional = not names[0].startswith("-")
        dest = names[0] if positional else options["dest"]
        setting = fields.find(self._model, tuple(dest.split(".")))
        assert setting is not None
        if self._model is not self._command.flags and any(name in self._known for name in names):
            return  # the command has a flag of its own of this name
        group = self._group if group is self else group
        metavar = dest.upper() if positional else setting.metavar()
        options |= {"help": self._help(setting, metavar), "metavar": metavar}
        if positional:
            self._alone[dest] = setting
            group = self._words
            options["nargs"] = "*" if setting.is_several else "?"
            options["default"] = argparse.SUPPRESS
        elif setting.kinds == (bool,):
            del options["metavar"]
        group.add_argument(names[0], **options)  # others are names in files
        switch = setting.kinds == (bool,)
        both = options.get("action") is argparse.BooleanOptionalAction
        for name in () if positional else names[:1]:
            for spelling in (name, f"--no-{name[2:]}") if both else (name,):
                self._known[spelling] = Flag(spelling, setting, switch, both)

    def _help(self, setting: Field, metavar: str) -> str:
        own = self._model is self._command.flags
        shown = setting.name not in self._command.rare if own else setting.name in self._command.shown
        if setting.is_group or not (self._everything or shown):
            return argparse.SUPPRESS
        return help_text.of(setting, {} if own else self._values, metavar)

    def _word(self, setting: Field) -> str:
        """A word of the usage: SESSION, or [NAME ...] where it may be left out."""
        name = f"{setting.name.upper()}{' ...' if setting.is_several else ''}"
        return name if setting.info.is_required() else f"[{name}]"

    def read(self, arguments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of the command's own flags, and of the tree. Raises SettingsError."""
        given = vars(self.parse_args(self._sorted(arguments)))
        texts = {name: value for name in list(given) if (value := self._texts(name, given[name])) is not None}
        given = {name: value for name, value in given.items() if name not in texts}
        own_names = self._own_names()
        own = {name: value for name, value in given.items() if name in own_names}
        tree = {name: value for name, value in given.items() if name not in own}
        found = [source(parsed_args=part)() for source, part in zip(self._sources, (own, tree), strict=False)]
        for name, value in texts.items():
            _put(found[0 if name in own_names or name in self._alone else 1], name.split("."), value)
        return found[0], found[1] if len(found) > 1 else {}

    def _texts(self, name: str, value: Any) -> str | list[str] | None:
        """Words without a flag as they stand, and several texts parted at commas; None for what pydantic-settings reads.

        It takes quotes, commas and brackets within a text for JSON.
        """
        if name in self._alone:
            return value
        setting = next((flag.setting for flag in self._known.values() if flag.setting.name == name), None)
        if setting is None or not setting.is_several or setting.of_numbers:
            return None
        return flag_words.parted(value[-1] if isinstance(value, list) else value)

    def tree_words(self, arguments: Sequence[str], but: Collection[str]) -> list[str]:
        left_out = {*self._own_names(), *but}
        flags = [word.split("=", 1) for word in self._sorted(arguments) if word.partition("=")[0] in self._known]
        return [word for flag in flags if self._known[flag[0]].setting.name not in left_out for word in flag]

    def _sorted(self, arguments: Sequence[str]) -> list[str]:
        room = None if any(setting.is_several for setting in self._alone.values()) else len(self._alone)
        return flag_words.sorted_words(arguments, self._known, room)

    def _own_names(self) -> set[str]:
        return {setting.name for setting in fields.leaves(self._command.flags)}

    def written(self, setting: Field) -> str:
        """How one of the command's own flags stands on the line."""
        return setting.name.upper() if setting.name in self._alone else f"--{setting.name.replace('_', '-')}"

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError. Words are checked before; what argparse still finds is a surplus one."""
        raise SettingsError(f"{message}; --help lists the flags")


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value in a tree, whose groups on the way are made where they are missing."""
    for group in path[:-1]:
        tree = tree.setdefault(group, {})
    tree[path[-1]] = value


@lru_cache
def _parser(command: CommandLine[Any]) -> _Parser:
    """Reading leaves it as it is, so that it is made once."""
    return _Parser(command)
