"""The token compressor of a branch, a Q-Former: how many tokens of which width, and how it is told of places.

Part of a policy's configuration; read by models/qformer.py and models/requirements.py.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import Count, Depth, Heads, Part, check_divides

_WIDEST_TOKEN = 16384  # chosen: with the most tokens still 0.5 GB in memory, and 32 times the default


class QFormer(Part):
    """The token compressor, one for each branch. The paper calls them lightweight (section 3.2.1) and gives no sizes."""

    tokens: Count = 224  # as many as the Video Former of the Video Prediction Policy gives
    # chosen, with depth and heads: both branches' tokens are 0.44 MiB in bfloat16, features 42 MiB
    width: int = Field(default=512, ge=1, le=_WIDEST_TOKEN)
    depth: Depth = 3
    heads: Heads = 8
    positions: Literal["apart", "summed"] = "apart"
    """How a feature's place is told. apart: frame, row and column have channels of their own. summed: frame and place share
    theirs, so that different places look alike (policies trained before this setting)."""
    scaled: bool = False
    """Tokens less their mean over the training data, divided by their spread there: what tells scenes apart is then as large as
    the tokens. false: as they are (policies trained before this setting)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        return self
