"""Wan's transformer in the original file format, as those tuned on robot video are published.

Called by models/backbones/wan.py. diffusers' class holds the weights; here are the names that they have in such a file (Wan2.2,
`wan/modules/model.py`), also behind what a trainer's wrappers put in front of them. Only the blocks that are kept are read.
"""

import re
from pathlib import Path

import torch
from torch import nn

from models.errors import ModelError
from models.foreign_weights import Stored, stored_in
from models.placement import number_types
from models.weight_check import check_finite

_WHOLE = {  # diffusers' name of a layer: the original one
    "patch_embedding": "patch_embedding",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "proj_out": "head.head",
}
_BLOCK = {  # likewise within a block
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn1.norm_q": "self_attn.norm_q",
    "attn1.norm_k": "self_attn.norm_k",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "attn2.norm_q": "cross_attn.norm_q",
    "attn2.norm_k": "cross_attn.norm_k",
    "norm2": "norm3",  # in front of the cross-attention: the second to run, the third to be made
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}
_TABLE, _BLOCK_TABLE = "head.modulation", "modulation"  # both are `scale_shift_table` in diffusers
_FIRST = "patch_embedding.weight"  # what stands in front of it stands in front of all
_OF_DIFFUSERS = "condition_embedder.time_proj.weight"
_PLACE = re.compile(r"blocks\.(\d+)\.(.+)")
_ANOTHER = "give another published.transformer"


def load(transformer: nn.Module, path: Path, dtype: torch.dtype) -> None:
    """Put the weights of a file or folder into the first blocks that diffusers' `transformer` has.

    Args:
        transformer: diffusers' WanTransformer3DModel; its weights may be hollow.
        path: the file, or the folder that holds it.
        dtype: what the weights are brought to, but those that diffusers keeps in float32.

    Raises:
        ModelError: names the first tensor that is missing, of no such model, of another shape or not finite.
    """
    stored = stored_in(path)
    prefix = _prefix(stored, path)
    theirs = {name: prefix + original_name(name) for name, _ in transformer.named_parameters()}
    _check_names(stored, prefix, list(theirs.values()), path)
    types = number_types(transformer, dtype)
    tensors: dict[str, torch.Tensor] = {}
    for name, weight in transformer.named_parameters():
        tensors[name] = _checked(stored[theirs[name]](), theirs[name], weight.shape, types[name], path)
    transformer.load_state_dict(tensors, assign=True)


def original_name(name: str) -> str:
    """The original name of a weight that diffusers calls `name`, as `blocks.3.self_attn.q.weight`."""
    block = _PLACE.fullmatch(name)
    number, inner = ("", name) if block is None else (f"blocks.{block[1]}.", block[2])
    if inner == "scale_shift_table":
        return number + (_TABLE if block is None else _BLOCK_TABLE)
    layer, _, kind = inner.rpartition(".")
    return f"{number}{(_WHOLE if block is None else _BLOCK)[layer]}.{kind}"


def _prefix(names: Stored, path: Path) -> str:
    """What a trainer put in front of the names, as `module.`; nothing in a published file."""
    found = sorted({name.removesuffix(_FIRST) for name in names if f".{name}".endswith(f".{_FIRST}")})
    if not found:
        raise ModelError(f"{path}: {_FIRST} is missing: not a transformer of Wan; {_ANOTHER}")
    if len(found) > 1:
        raise ModelError(
            f"{path}: holds {len(found)} transformers, {found[0]}* and {found[1]}*; save the one to be used"
        )
    if found[0] + _OF_DIFFUSERS in names:
        raise ModelError(f"{path}: its tensors have diffusers' names; give its folder with diffusers' config.json")
    return found[0]


def _check_names(stored: Stored, prefix: str, wanted: list[str], path: Path) -> None:
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise ModelError(f"{path}: {missing[0]} is missing ({len(missing)} of {len(wanted)} weights are); {_ANOTHER}")
    foreign = sorted(name for name in stored if not _is_ours(name, prefix))
    if foreign:
        raise ModelError(
            f"{path}: {foreign[0]} is no weight of Wan's text-to-video transformer ({len(foreign)} such); save that "
            "transformer alone, with low-rank updates merged into it"
        )


def _is_ours(name: str, prefix: str) -> bool:
    """Whether the model has such a weight, in any of its blocks."""
    inner = name.removeprefix(prefix)
    block = _PLACE.fullmatch(inner)
    layers, table, rest = (_WHOLE, _TABLE, inner) if block is None else (_BLOCK, _BLOCK_TABLE, block[2])
    layer, _, kind = rest.rpartition(".")
    return name.startswith(prefix) and (rest == table or (kind in ("weight", "bias") and layer in layers.values()))


def _checked(tensor: torch.Tensor, name: str, shape: torch.Size, dtype: torch.dtype, path: Path) -> torch.Tensor:
    """A stored tensor in memory of its own (a file's offsets are not aligned, and kernels' last bits depend on that)."""
    if tensor.shape != shape:
        raise ModelError(
            f"{path}: {name}: the policy expects shape {tuple(shape)}, got {tuple(tensor.shape)}; "
            "give the model that the policy names"
        )
    if not tensor.is_floating_point():
        raise ModelError(f"{path}: {name}: expected floats, got {tensor.dtype}; give weights that are not quantised")
    copied = tensor.to(dtype, copy=True)
    check_finite(path, name, copied, "copy the file again")
    return copied
