"""Reads RDT-1B's published weights into the action head, which has its shape. Called when a policy is put together.

Source: the names and shapes of the `rdt-1b` checkpoint (RDTRunner: adaptors, and `model.` for the transformer).
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from models.action_dit import ActionTransformer
from models.errors import ModelError
from models.rdt_files import read
from models.weight_check import check_finite

RDT_CAMERAS = ("head", "right_wrist", "left_wrist")  # RDT's order within each of its two time steps
_WHOLE = {
    "time.0": "model.t_embedder.mlp.0",
    "time.2": "model.t_embedder.mlp.2",
    "frequency.0": "model.freq_embedder.mlp.0",
    "frequency.2": "model.freq_embedder.mlp.2",
    "action.0": "state_adaptor.0",
    "action.2": "state_adaptor.2",
    "action.4": "state_adaptor.4",
    "language.0": "lang_adaptor.0",
    "language.2": "lang_adaptor.2",
    "image.0": "img_adaptor.0",
    "image.2": "img_adaptor.2",
    "final_norm": "model.final_layer.norm_final",
    "final.0": "model.final_layer.ffn_final.fc1",
    "output": "model.final_layer.ffn_final.fc2",
}
_BLOCK = {
    "self_norm": "norm1",
    "self_attention.query_norm": "attn.q_norm",
    "self_attention.key_norm": "attn.k_norm",
    "self_attention.out": "attn.proj",
    "cross_norm": "norm2",
    "cross.query": "cross_attn.q",
    "cross.key_value": "cross_attn.kv",
    "cross.query_norm": "cross_attn.q_norm",
    "cross.key_norm": "cross_attn.k_norm",
    "cross.out": "cross_attn.proj",
    "feed_norm": "norm3",
    "feed_forward.0": "ffn.fc1",
    "feed_forward.2": "ffn.fc2",
}
_POSITIONS = {
    "sequence_position": "model.x_pos_embed",
    "language_position": "model.lang_cond_pos_embed",
    "image_position": "model.img_cond_pos_embed",
}


def load(head: ActionTransformer, folder: Path) -> None:
    """Put the weights of a folder into `head`; what RDT-1B does not have keeps its values.

    Raises ModelError that names the first tensor that is missing or has another shape, or a head of another norm.
    """
    if head.config.head.norm != "variance":
        raise ModelError(
            f"{folder}: RDT-1B was trained with head.norm variance, got {head.config.head.norm}; set head.norm"
        )
    path, theirs = read(folder)
    for name, tensor in theirs.items():
        check_finite(path, name, tensor, "give RDT-1B as it was published, or another checkpoint")
    wanted = dict(head.named_parameters())
    with torch.no_grad():
        for name, tensor in translate(head, theirs, path):
            if wanted[name].shape != tensor.shape:
                raise ModelError(
                    f"{path}: {name}: the policy expects shape {tuple(wanted[name].shape)}, "
                    f"got {tuple(tensor.shape)}; give RDT-1B"
                )
            wanted[name].copy_(tensor)


def translate(
    head: ActionTransformer, theirs: dict[str, torch.Tensor], path: Path
) -> Iterator[tuple[str, torch.Tensor]]:
    """(our name, tensor) for every weight that RDT-1B has. Raises ModelError for one that `theirs` lacks."""

    def take(name: str) -> torch.Tensor:
        if name not in theirs:
            raise ModelError(f"{path}: {name} is missing; give RDT-1B")
        return theirs[name]

    layers = dict(_WHOLE)
    for index in range(head.config.head.depth):
        layers |= {f"blocks.{index}.{ours}": f"model.blocks.{index}.{name}" for ours, name in _BLOCK.items()}
    for ours, name in layers.items():
        yield f"{ours}.weight", take(f"{name}.weight")
        if not ours.endswith("norm"):
            yield f"{ours}.bias", take(f"{name}.bias")
    width = head.config.head.width
    for index in range(head.config.head.depth):
        for kind in ("weight", "bias"):  # one projection there, two here: keys and values of a context are made apart
            query, key_value = take(f"model.blocks.{index}.attn.qkv.{kind}").split([width, 2 * width])
            yield f"blocks.{index}.self_attention.query.{kind}", query
            yield f"blocks.{index}.self_attention.key_value.{kind}", key_value
    for ours, name in _POSITIONS.items():
        position = take(name)
        yield ours, _reordered(position, head.config.cameras) if ours == "image_position" else position


def _reordered(position: torch.Tensor, cameras: tuple[str, ...]) -> torch.Tensor:
    """Image positions (1, 2 x cameras x N, D) from RDT's order of cameras to ours, in both sets of the history."""
    if set(cameras) != set(RDT_CAMERAS) or position.shape[1] % (2 * len(RDT_CAMERAS)):
        raise ModelError(f"RDT-1B: expected the cameras {', '.join(RDT_CAMERAS)}, got {', '.join(cameras)}")
    blocks = position.unflatten(1, (2, len(RDT_CAMERAS), -1))
    return blocks[:, :, [RDT_CAMERAS.index(camera) for camera in cameras]].flatten(1, 3)
