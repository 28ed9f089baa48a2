"""Base of all groups of settings. Read by the modules of this folder that have one."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every group of settings: frozen, without unknown keys, without NaN. Docstrings of its fields are their help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
