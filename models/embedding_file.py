"""Encoded instructions as files: made once, read by both systems. Called by runtime/policy and by training."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.backbones.backbone import VideoText
from models.errors import ModelError
from models.policy import InstructionEmbedding
from models.weight_check import check_finite


def save_embedding(path: Path, embedding: InstructionEmbedding) -> None:
    """Write an encoded instruction as safetensors, whole or not at all."""
    tensors = {
        "language": embedding.language,
        "video_states": embedding.video.states,
        "video_pooled": embedding.video.pooled,
    }
    beside = path.with_suffix(".part")
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, beside)
    beside.rename(path)


def load_embedding(path: Path) -> InstructionEmbedding:
    """Read what `save_embedding` wrote. Raises ModelError for a file that is not one."""
    try:
        tensors = load_file(path)
        for name, tensor in tensors.items():
            check_finite(path, name, tensor, "delete it; it is written again at the next start")
        return InstructionEmbedding(tensors["language"], VideoText(tensors["video_states"], tensors["video_pooled"]))
    except (SafetensorError, KeyError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); delete it; it is written again at the next start"
        ) from None
