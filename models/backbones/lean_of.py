"""Which lean video model takes the weights of which whole one; imports only its own part of diffusers.

Called by models/lean_system2.py and models/graphs/lean_system2.py.
"""

from typing import cast

from models.backbones.backbone import Backbone
from models.backbones.lean import LeanBackbone
from models.config.video import Hunyuan, Wan


def lean_of(whole: Backbone, config: Hunyuan | Wan) -> LeanBackbone:
    """The lean form of a video model.

    Args:
        whole: its weights are taken over; it computes nothing any more but with what is left of its VAE.
        config: of the video model.
    """
    if config.kind == "wan":
        from models.backbones.lean_wan import LeanWan
        from models.backbones.wan import WanBackbone

        return LeanWan(cast(WanBackbone, whole))
    from models.backbones.hunyuan import HunyuanBackbone
    from models.backbones.lean_hunyuan import LeanHunyuan

    return LeanHunyuan(cast(HunyuanBackbone, whole))
