"""The small text encoder that is trained with a policy: T5 on bytes. Made by models/instructor.py. L tokens, D width."""

import torch
from torch import nn
from transformers.models.byt5.tokenization_byt5 import ByT5Tokenizer
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel

from models.config.encoders import Text

_BYT5_VOCABULARY = 384  # ByT5Tokenizer: 3 special tokens, 256 bytes, 125 sentinels


class ByteEncoder(nn.Module):
    """T5's encoder on ByT5's byte tokens, trained with the policy: reads any text without a vocabulary file."""

    def __init__(self, config: Text) -> None:
        super().__init__()
        self.max_tokens = config.max_tokens
        self.tokenizer = ByT5Tokenizer()
        self.model = T5EncoderModel(
            T5Config(
                vocab_size=_BYT5_VOCABULARY,
                d_model=config.width,
                d_kv=config.width // config.heads,
                d_ff=config.feed_forward,
                num_layers=config.depth,
                num_heads=config.heads,
                feed_forward_proj="gated-gelu",
            )
        )

    def forward(self, text: str) -> torch.Tensor:
        """States (1, L, D) of a text, L its bytes and one more, at most max_tokens; no padding."""
        ids = self.tokenizer(text, truncation=True, max_length=self.max_tokens, return_tensors="pt").input_ids
        return self.model(input_ids=ids.to(self.model.device)).last_hidden_state
