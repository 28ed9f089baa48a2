"""The published encoders that read instructions: T5, HunyuanVideo's and Wan's. Called by instructor. Legend: L tokens.

They are tens of gigabytes: each is loaded, reads all texts, and is gone again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import HunyuanVideoPipeline
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
from transformers.models.llama.modeling_llama import LlamaModel
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.umt5.modeling_umt5 import UMT5EncoderModel

from models.backbones.backbone import VideoText
from models.config.encoders import Text
from models.config.video import Hunyuan, Wan
from models.errors import ModelError
from models.published import transformers_model

_HUNYUAN_WORDS = 256  # tokens of the instruction that HunyuanVideo was trained to read; its pipeline's default
_WAN_WORDS = 512  # likewise Wan2.2
_DTYPE = torch.bfloat16  # of the published encoders; their states are stored in it


def t5_states(folder: Path, config: Text, texts: Sequence[str]) -> list[torch.Tensor]:
    """States (1, L, D) of each text under a published T5, without padding (RDT-1B: T5-v1.1-XXL)."""
    model, tokenizer = transformers_model(T5EncoderModel, folder, _DTYPE), _tokenizer(folder)
    _check_width(folder, model.config.d_model, config.width, "text.width")
    read = [tokenizer(text, truncation=True, max_length=config.max_tokens, return_tensors="pt") for text in texts]
    return [model(input_ids=ids.input_ids).last_hidden_state for ids in read]


def hunyuan_texts(folder: Path, config: Hunyuan, texts: Sequence[str]) -> list[VideoText]:
    """What HunyuanVideo reads: the third last states of LLaVA-LLaMA-3 under diffusers' template, and CLIP-L's pooled vector."""
    llama = transformers_model(LlamaModel, folder / "text_encoder", _DTYPE)
    clip = transformers_model(CLIPTextModel, folder / "text_encoder_2", _DTYPE)
    _check_width(folder / "text_encoder", llama.config.hidden_size, config.text_dim, "video.backbone.text_dim")
    _check_width(folder / "text_encoder_2", clip.config.hidden_size, config.pooled_dim, "video.backbone.pooled_dim")
    nothing: Any = None
    tokenizers = _tokenizer(folder / "tokenizer"), _tokenizer(folder / "tokenizer_2")
    pipeline = HunyuanVideoPipeline(llama, tokenizers[0], nothing, nothing, nothing, clip, tokenizers[1])

    def read(text: str) -> VideoText:
        encoded: Any = pipeline.encode_prompt(text, max_sequence_length=_HUNYUAN_WORDS, device=clip.device)
        states, pooled, valid = encoded
        return VideoText(states[:, valid[0].bool()], pooled)

    return [read(text) for text in texts]


def wan_texts(folder: Path, config: Wan, texts: Sequence[str]) -> list[VideoText]:
    """What Wan reads: UMT5-XXL's states (1, 512, D), filled up with zeros as in its training; its attention has no mask."""
    umt5 = transformers_model(UMT5EncoderModel, folder / "text_encoder", _DTYPE)
    _check_width(folder / "text_encoder", umt5.config.d_model, config.text_dim, "video.backbone.text_dim")
    nothing: Any = None
    pipeline = WanPipeline(_tokenizer(folder / "tokenizer"), umt5, nothing, nothing)

    def read(text: str) -> VideoText:
        states, _ = pipeline.encode_prompt(
            text, do_classifier_free_guidance=False, max_sequence_length=_WAN_WORDS, device=umt5.device
        )
        return VideoText(states, states.new_zeros(1, 0))

    return [read(text) for text in texts]


def clip_tokens(folder: Path, width: int, texts: Sequence[str]) -> list[torch.Tensor]:
    """The projected token (1, `width`) of each text under CLIP's text tower, as Video Policy reads it (OpenCLIP ViT-H/14)."""
    model, tokenizer = transformers_model(CLIPTextModelWithProjection, folder, torch.float32), _tokenizer(folder)
    _check_width(folder, model.config.projection_dim, width, "text.width")
    most = model.config.max_position_embeddings
    read = [tokenizer(text, truncation=True, max_length=most, return_tensors="pt") for text in texts]
    return [model(**ids).text_embeds for ids in read]


def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()[:20])
        raise ModelError(
            f"{folder}: the tokenizer cannot be read ({reason}); fetch it again with ./launch/weights.sh"
        ) from None


def _check_width(folder: Path, theirs: int, ours: int, name: str) -> None:
    if theirs != ours:
        raise ModelError(f"{folder}: hidden width: the policy's {name} expects {ours}, got {theirs}")
