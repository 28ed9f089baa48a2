"""System 2 for live runs: the conditions of the plain one, an instruction read once, one graph after the VAE.
Called by pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from capturable import Capturable
from numpy.typing import NDArray

from models.backbones.backbone import VideoText
from models.capture import Captured, Graphs
from models.checkpoint import Checkpoint
from models.condition_maker import ConditionMaker
from models.lean_system2 import LeanSystem
from models.policy import EncodedVideo, InstructionEmbedding

Untrained = Callable[[int], Checkpoint]
Pictures = Callable[[int, int], list[NDArray[np.uint8]]]
FIELDS = ("spatial", "motion", "spatial_map", "motion_map")


def instruction(words: int = 5) -> InstructionEmbedding:
    text = torch.linspace(-1, 1, words * 16).reshape(1, words, 16)
    return InstructionEmbedding(text, VideoText(text, text.mean(1)))


def understood(system: ConditionMaker, shots: list[NDArray[np.uint8]], wording: InstructionEmbedding) -> EncodedVideo:
    for ring in (system.high, system.low):
        for number in range(4):
            system.encode(ring, number, shots[number])
    return system.encode_video([2, 3], [0, 1, 2, 3], wording)


def test_conditions_are_the_plain_ones_but_for_rounding(untrained: Untrained, pictures: Pictures) -> None:
    shots, plain, lean = pictures(4, 1), untrained(1).slow(), LeanSystem(untrained(1).slow())
    lean.launch(together=True)
    for words in (5, 2):
        theirs, ours = (understood(system, shots, instruction(words)) for system in (plain, lean))
        for name in FIELDS:
            torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-5)
    assert not torch.equal(
        understood(lean, shots, instruction(5)).spatial, understood(lean, shots, instruction(2)).spatial
    )
    assert lean.weights == plain.weights


def test_the_same_inputs_give_the_same_bytes(untrained: Untrained, pictures: Pictures) -> None:
    shots, wording, made = pictures(4, 1), instruction(), list[EncodedVideo]()
    for _ in range(2):
        made.append(understood(LeanSystem(untrained(1).slow()), shots, wording))
    assert all(torch.equal(getattr(made[0], name), getattr(made[1], name)) for name in FIELDS)


def test_an_instruction_is_read_once(untrained: Untrained, pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    shots, lean, read = pictures(4, 1), LeanSystem(untrained(1).slow()), list[VideoText]()
    ask = lean.read
    monkeypatch.setattr(lean, "read", lambda text: (read.append(text), ask(text))[1])
    first, second = instruction(), instruction()
    for wording, reads in ((first, 1), (first, 1), (second, 2), (second, 2), (first, 3)):
        understood(lean, shots, wording)
        assert len(read) == reads


def test_after_the_vae_everything_is_one_graph(untrained: Untrained, pictures: Pictures) -> None:
    torch.compiler.reset()
    lean, wording = LeanSystem(untrained(1).slow()), instruction()
    expected = understood(lean, pictures(4, 1), wording)
    high, low = lean.high.window_latents([2, 3]), lean.low.window_latents([0, 1, 2, 3])
    with torch.inference_mode():
        reading = lean.read(wording.video)

        def conditions(high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            filtered = lean.filter(*(lean.features_of(part, reading) for part in (high, low)))
            return lean.formed(*filtered)

        traced: Any = torch.compile(conditions, fullgraph=True, backend="eager")
        spatial, motion = traced(high, low)
    assert torch.equal(spatial[0], expected.spatial)
    assert torch.equal(motion[0], expected.motion)


def test_what_is_captured_never_waits(
    untrained: Untrained, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls that a GPU gets as graphs, each within the mode that refuses what a capture would."""
    captured: dict[str, int] = {}

    def call(_self: Graphs, name: str, made: Callable[..., Any], *inputs: torch.Tensor) -> Any:
        with Capturable() as seen:
            outputs = made(*inputs)
        captured[name] = seen.launches
        return outputs

    lean = LeanSystem(untrained(1).slow())
    understood(lean, pictures(4, 1), instruction())
    lean.clear()
    monkeypatch.setattr(Graphs, "__call__", call)
    lean.launch(together=True)
    understood(lean, pictures(4, 1), instruction())
    assert set(captured) == {"VAE of a frame", "video model", "Q-formers"}
    assert captured["Q-formers"] <= 200


def test_weights_that_only_an_instruction_needs_stay_on_the_host(untrained: Untrained, pictures: Pictures) -> None:
    shots, wording = pictures(4, 1), instruction()
    lean = LeanSystem(untrained(1).slow())
    expected = understood(lean, shots, wording)
    goes = {id(weight) for weight in lean.device_weights(modulation_on_host=True)}
    stays = [name for name, weight in lean.named_parameters() if id(weight) not in goes]
    assert stays and all(name.startswith("backbone.modulators.") for name in stays)
    assert len(lean.device_weights(modulation_on_host=False)) == len(goes) + len(stays)
    again = LeanSystem(untrained(1).slow())
    again.move(torch.device("cpu"), modulation_on_host=True)
    assert torch.equal(understood(again, shots, wording).spatial, expected.spatial)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_gives_what_its_call_gives_in_memory_of_its_own() -> None:
    graphs, made = Graphs(), list[int]()

    def call(x: torch.Tensor) -> tuple[torch.Tensor]:
        made.append(len(x))
        return (x @ x.T * 2,)

    a, b = (torch.randn(64, 64, device="cuda") for _ in range(2))
    first, second = graphs("product", call, a)[0], graphs("product", call, b)[0]
    torch.testing.assert_close(first, call(a)[0])
    torch.testing.assert_close(second, call(b)[0])
    before = len(made)
    assert torch.equal(graphs("product", call, a)[0], first)
    assert len(made) == before, "it is replayed"
    assert isinstance(Captured(call, (a,), None)(b)[0], torch.Tensor)
