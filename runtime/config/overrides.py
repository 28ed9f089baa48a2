"""Values from flags like `--cloning.samples 64` over a group of checked values.
Used by training and by the GPU box.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models import refusal
from runtime.config.profile import merge
from runtime.errors import SettingsError

Group = TypeVar("Group", bound=BaseModel)


def over(group: Group, values: dict[str, Any], name: str) -> Group:
    """The group `name` with some values changed, checked again. Raises SettingsError that names the flag."""
    if not values:
        return group
    changed = merge(group.model_dump(), values, kinds=True)
    try:
        return type(group).model_validate(changed)
    except ValidationError as error:
        above = f"{name}." if name else ""
        said = refusal.line(error, type(group), changed, lambda setting: f"--{above}{setting.name}")
        raise SettingsError(said if said.startswith("--") else f"--{name}: {said}") from None
