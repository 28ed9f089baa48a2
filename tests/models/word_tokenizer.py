"""A tokenizer of words, saved as models' tokenizers are. Used by the tests of published weights."""

from pathlib import Path
from typing import Any

from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

TEXT = "put the block on the mat"


def word_tokenizer(folder: Path, ends: bool = False) -> Any:
    """A tokenizer of words, saved where a model's tokenizer lies; `ends`: each text gets an end, as CLIP's."""
    template: Any = DEFAULT_PROMPT_TEMPLATE["template"]
    splitter = pre_tokenizers.Whitespace()
    words = dict.fromkeys(word for word, _ in splitter.pre_tokenize_str(f"{template} {TEXT}"))
    vocabulary = {word: place for place, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    core = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    core.pre_tokenizer = splitter
    if ends:
        core.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", vocabulary["</s>"])])
    named: Any = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "padding_side": "right"}
    made = PreTrainedTokenizerFast(tokenizer_object=core, **named)
    made.save_pretrained(folder)
    return made
