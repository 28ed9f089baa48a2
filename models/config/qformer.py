"""The token compressor of a branch, a Q-Former: how many tokens of which width, and how it is told of places.

Part of a policy's configuration; read by models/qformer.py and models/requirements.py.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import NORM_GROUPS, Count, Depth, Heads, Part, check_divides

_WIDEST_TOKEN = 16384  # chosen: with the most tokens still 0.5 GB in memory, and 32 times the default


class QFormer(Part):
    """The token compressor, one for each branch. The paper calls them lightweight (section 3.2.1) and gives no sizes."""

    tokens: Count = 224  # as many as the Video Former of the Video Prediction Policy gives
    # chosen, with depth and heads: both branches' tokens are 0.44 MiB in bfloat16, features 42 MiB
    width: int = Field(default=512, ge=1, le=_WIDEST_TOKEN)
    depth: Depth = 3
    heads: Heads = 8
    positions: Literal["apart", "summed"] = "apart"
    """How a feature's place is encoded. apart: frame, row and column have channels of their own. summed: frame and place share
    theirs, so that different places look alike (policies trained before this setting)."""
    scaled: bool = False
    """Standardise the tokens: subtract their mean over the training data and divide by their spread there. Differences
    between scenes are then as large as the tokens. false: leave them (policies trained before this setting)."""

    blocks: int = Field(default=0, ge=0, le=64)
    """Residual blocks over each frame's grid before the queries read it; 0: none, as in the paper. Queries alone do not find
    an object among others (models/shipped/README.md)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        if self.blocks and self.width % NORM_GROUPS:
            raise ValueError(f"width: must be a multiple of {NORM_GROUPS} with blocks, got {self.width}")
        return self
