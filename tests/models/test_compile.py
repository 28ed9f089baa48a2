"""torch.compile gives the same numbers, and two lengths of an instruction are all it needs to see. Called by pytest."""

import shutil
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint
from models.policy import ConditionTokens, InstructionEmbedding
from models.system1 import FastSystem

Untrained = Callable[[int], Checkpoint]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU"),
    pytest.mark.filterwarnings("ignore"),  # inductor's own
]


def chunk(fast: FastSystem, shots: list[NDArray[np.uint8]], words: int) -> NDArray[np.float32]:
    config = fast.config
    sets = [fast.encode_images((place,), fast.prepare(tuple(shots[3 * place : 3 * place + 3]))) for place in range(2)]
    text = torch.linspace(-1, 1, words * config.text.width).reshape(1, words, -1)
    instruction = InstructionEmbedding(text, VideoText(text, text.mean(1)))
    tokens = ConditionTokens(torch.ones(6, 32), torch.ones(5, 32))
    return fast.predict_chunk(sets, np.zeros(14), instruction, tokens, 0.1, np.zeros((0, 14)), 1)


def test_a_compiled_system1_makes_the_same_chunks_for_any_instruction(untrained: Untrained, pictures: Pictures) -> None:
    plain, compiled, shots = untrained(1).fast(), untrained(1).fast(), pictures(6, 1)
    torch.compiler.reset()
    compiled.compile_networks()
    compiled.warm_up()
    with torch.compiler.set_stance("fail_on_recompile"):
        for words in (3, 7, 30):
            np.testing.assert_allclose(chunk(compiled, shots, words), chunk(plain, shots, words), rtol=1e-4, atol=1e-5)


def test_a_compiled_video_model_has_the_same_features(untrained: Untrained) -> None:
    plain, compiled = untrained(1).slow().backbone, untrained(1).slow().backbone
    torch.compiler.reset()
    compiled.compile_blocks()
    latents = torch.linspace(-1, 1, 4 * 3 * 4 * 6).reshape(1, 4, 3, 4, 6)
    text = VideoText(torch.ones(1, 5, 16), torch.ones(1, 16))
    with torch.inference_mode():
        torch.testing.assert_close(
            compiled.features(latents, text), plain.features(latents, text), rtol=1e-4, atol=1e-4
        )
