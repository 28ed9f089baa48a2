"""LoRA for stage 1 (Hu et al. 2022): the video model's own weights stay, low-rank updates of its linear layers learn.

Called by runtime/training/stages.py. A checkpoint holds the sum of both, so that nothing else has to know.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from models.backbones.backbone import Backbone
from models.errors import ModelError
from models.system2 import SlowSystem

_BASE = ".base_layer."
_OWN = ".lora_"


def adapt(backbone: Backbone, rank: int) -> None:
    """Give every linear layer of the blocks an update of this rank, which begins at zero; only updates learn from then on.

    Raises ModelError when peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ModelError(
            '--filming.lora_rank needs the peft package; run .venv/bin/pip install -c requirements.lock -e ".[lora]"'
        ) from None
    transformer = backbone.transformer
    within = {id(layer) for blocks in backbone.blocks().values() for block in blocks for layer in block.modules()}
    names = [
        name for name, layer in transformer.named_modules() if isinstance(layer, nn.Linear) and id(layer) in within
    ]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), transformer)
    for name, weight in transformer.named_parameters():
        weight.requires_grad_(_OWN in name)


class Whole:
    """What stands for a System 2 with updates when it is stored: their sums with its weights."""

    def __init__(self, slow: SlowSystem) -> None:
        self._slow = slow

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """The tensors of a System 2 that never had updates, by the same names; those with an update are on the CPU."""
        from peft.tuners.lora import LoraLayer

        layers = {name: cast(Any, layer) for name, layer in self._slow.named_modules() if isinstance(layer, LoraLayer)}
        whole = {
            name.replace(_BASE, "."): weight for name, weight in self._slow.state_dict().items() if _OWN not in name
        }
        with torch.no_grad():
            for name, layer in layers.items():
                update = sum(layer.get_delta_weight(adapter) for adapter in layer.active_adapters)
                summed = layer.base_layer.weight + update
                whole[f"{name}.weight"] = summed.cpu()  # a GPU has no room for a second model
        return whole
