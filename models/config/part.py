"""What all groups of model settings have in common: their base, the bounds of their numbers, and checks across two of them.

Called by the other files here, models/requirements.py and models/train/choices.py. The upper bounds are chosen: several times
what any published model has. A number above them is a slip or a damaged file, and would fill the machine before it failed.
"""

from collections.abc import Iterable
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST_WIDTH = 65536  # the widest layer of T5-XXL has 10240
Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]
Depth = Annotated[int, Field(ge=1, le=256)]  # T5-XXL has 24, HunyuanVideo 60
Blocks = Annotated[int, Field(ge=0, le=256)]  # of one of several kinds, so perhaps none
Heads = Annotated[int, Field(ge=1, le=1024)]  # T5-XXL has 64
Count = Annotated[int, Field(ge=1, le=4096)]
NORM_GROUPS = 8  # of channels, which a residual block normalises; chosen: 8 channels each, of 64
Pixels = Annotated[int, Field(ge=8, le=8192)]  # the VAEs halve a side three times


class Part(BaseModel):
    """Base of all groups of model settings: frozen, no unknown field, every number finite and none of them true or false."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_no_flag(cls, values: Any) -> Any:
        """Refuse true and false where they do not belong: pydantic takes them for 1 and 0."""
        given = cast(dict[str, Any], values) if isinstance(values, dict) else {}
        for name, info in cls.model_fields.items():
            value = given.get(name)
            several: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
            if info.annotation is not bool and any(isinstance(one, bool) for one in several):
                raise ValueError(f"{name}: must not be true or false, got {str(value).lower()}")
        return values


def check_divides(what: str, count: int, whole: str, of: int) -> None:
    """Refuse a number that does not divide another.

    Args:
        what: the name of the number.
        count: the number, above 0.
        whole: the name of what it must divide.
        of: that.

    Raises:
        ValueError: one line with both.
    """
    if of % count:
        raise ValueError(f"{what}: must divide {whole} {of}, got {count}")


def check_each(what: str, values: Iterable[float], least: float, most: float, length: int | None = None) -> None:
    """Refuse several numbers of which one is out of bounds, or which are not as many as they must be.

    Args:
        what: their name.
        values: the numbers.
        least: the smallest that each may be.
        most: the largest.
        length: how many there must be; None: as many as there are.

    Raises:
        ValueError: one line with them and the bounds.
    """
    found = tuple(values)
    if length is not None and len(found) != length:
        raise ValueError(f"{what}: expected {length} values, got {len(found)}")
    if not all(least <= value <= most for value in found):
        raise ValueError(f"{what}: each must be {least:g} to {most:g}, got {f'{found}':.80}")
