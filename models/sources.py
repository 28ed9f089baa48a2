"""What has to be there of each published part: the files of its repository. No torch, so that fetching needs none.

Called by runtime/policy/weights.py, which fetches, and by models/published.py, which looks for them.
"""

from pathlib import Path
from typing import Literal

from models.config.source import Source
from models.data import foreign_files
from models.families import Config

PartName = Literal["video", "transformer", "image", "text", "head", "video_unet", "clip_text"]
OF_TORCH = (".pt", ".pth", ".bin")
"""How the files end that torch.save writes, as trainers name them."""

_TOKENIZER = ("*.json", "spiece.model", "tokenizer.model", "*.txt")
FILES: dict[PartName, tuple[str, ...]] = {
    "video": (
        *(f"{folder}/{kind}" for folder in ("transformer", "vae", "text_encoder", "text_encoder_2")
          for kind in ("config.json", "*.safetensors", "*.safetensors.index.json")),
        *(f"{folder}/{kind}" for folder in ("tokenizer", "tokenizer_2") for kind in _TOKENIZER),
    ),
    "transformer": ("config.json", "*.safetensors", "*.safetensors.index.json"),
    "image": ("config.json", "model.safetensors"),
    "text": ("config.json", "*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", *_TOKENIZER),
    "head": ("config.json", "model.safetensors", "pytorch_model.bin"),
    "video_unet": tuple(  # of Video Policy; the repository also holds each file in half precision
        f"{folder}/{file}" for folder in ("unet", "vae") for file in ("config.json", "diffusion_pytorch_model.safetensors")
    ),
    "clip_text": ("config.json", "model.safetensors", *_TOKENIZER),
}  # fmt: skip


def holds_weights(folder: Path) -> bool:
    """Whether any file below a folder may be weights, by its name alone."""
    return foreign_files.holds(folder, lambda path: path.suffix in (".safetensors", *OF_TORCH))


def sources(config: Config) -> dict[PartName, Source]:
    """Where each published part of a policy comes from; parts of its own are left out."""
    found = dict(config.published)
    return {part: found[part] for part in FILES if found.get(part) is not None}
