"""Base of all groups of settings. Read by the modules of this folder that have one."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from models import field


class Section(BaseModel):
    """Base of every group of settings: frozen, without unknown keys, without NaN. Docstrings of its fields are their help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any, info: ValidationInfo) -> Any:
        return field.check_text(value, cls.model_fields[info.field_name or ""])
