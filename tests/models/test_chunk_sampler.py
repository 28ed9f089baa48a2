"""A chunk as one call: few operations at the paper's depth, one graph without a decision, the numbers of the plain path.
Called by pytest. Depth and steps are the paper's; widths are small, which changes no operation."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from capturable import Capturable

from models import normalize
from models.action_dit import ActionTransformer
from models.chunk_predictor import ChunkInputs
from models.chunk_sampler import ChunkSampler
from models.config.encoders import Siglip
from models.config.policy import PolicyConfig
from models.sizes import full, small
from models.system1 import FastSystem

_WORDS = 9
_STEP_LAUNCHES, _CHUNK_LAUNCHES, _EYES_LAUNCHES = 900, 5000, 340
"""Ceilings on operations of the full size: a GPU launches each by itself where nothing is captured."""
_BOOKKEEPING = ("_unsafe_view", "unsafe_split")
"""Views that are not called so."""


def paper() -> PolicyConfig:
    """`full` in depth, steps and layout, with narrow networks."""
    whole = full()
    former = whole.spatial_former.model_copy(update={"tokens": 8, "width": 32})
    return whole.model_copy(
        update={
            "head": whole.head.model_copy(update={"width": 64, "heads": 2}),
            "image": Siglip(image_px=28, width=32, depth=27, heads=2, patch_px=14, feed_forward=48),
            "text": whole.text.model_copy(update={"width": 24, "max_tokens": 32}),
            "spatial_former": former,
            "motion_former": former,
        }
    )


def of(config: PolicyConfig, fused: bool) -> FastSystem:
    """System 1 with random weights, each input with influence; the same for the same configuration."""
    torch.manual_seed(11)
    statistics = normalize.untrained(config.horizon, np.zeros(config.joints), np.ones(config.joints))
    fast = FastSystem(config, statistics).eval().requires_grad_(False)
    for weight in fast.head.parameters():
        if weight.ndim > 1:
            weight.normal_(std=weight.shape[-1] ** -0.5)
        else:
            weight.uniform_(0.5, 1.5)
    if fused:
        fast.fuse()
    return fast


def inputs(config: PolicyConfig, committed: int = 0, seed: int = 1) -> ChunkInputs:
    """What a chunk is made from, random."""
    torch.manual_seed(seed)
    blank = ChunkInputs.blank(config, torch.randn(1, _WORDS, config.text.width))
    drawn = {
        name: torch.randn_like(getattr(blank, name)) for name in ("images", "conditions", "state", "noise", "prefix")
    }
    return ChunkInputs(
        language=blank.language,
        age_s=torch.tensor([0.2]),
        committed=(torch.arange(config.horizon) < committed)[None],
        **drawn,
    )


def arguments(given: ChunkInputs) -> tuple[torch.Tensor, ...]:
    """In the sampler's order, behind the words."""
    assert given.conditions is not None
    return given.images, given.age_s, given.state, given.noise, given.prefix, given.committed, given.conditions


def launches(call: Callable[[], object]) -> int:
    """What a call computes, as a GPU without graphs would launch it; raises where a capture would."""
    with torch.no_grad(), Capturable() as seen:
        call()
    return seen.launches - sum(seen.operations[name] for name in _BOOKKEEPING)


@pytest.mark.parametrize("fused", [True, False])
def test_operations_of_a_chunk_of_the_papers_size(fused: bool) -> None:
    config = paper()
    fast, given = of(config, fused), inputs(config)
    head, words = fast.head, fast.head.words(given.language)
    sampler = ChunkSampler(head, fast.device, fast.dtype)
    context = head.context_of(words, given.images, given.conditions, given.age_s, given.state)
    times = head.at(torch.tensor([999]), fast.dtype)
    step = launches(lambda: head(given.noise, times, context, given.committed))
    chunk = launches(lambda: sampler(words, *arguments(given)))
    eyes = launches(lambda: fast.images(torch.zeros(3, 3, config.image.image_px, config.image.image_px)))
    print(f"fused {fused}: a step {step}, a chunk {chunk}, eyes {eyes}")
    assert (step <= _STEP_LAUNCHES and chunk <= _CHUNK_LAUNCHES) is fused
    assert eyes <= _EYES_LAUNCHES


def test_nothing_of_a_modulation_is_computed_where_there_is_none() -> None:
    """What multiplies by one or adds zero: a scale, a shift and a gate for each of two parts of every block."""
    config = paper()
    fast, given = of(config, True), inputs(config)
    context = fast.head.context(given.language, given.images, given.conditions, given.age_s, given.state)
    time = torch.tensor([999])
    with torch.no_grad(), Capturable() as seen:
        fast.head(given.noise, time, context, given.committed)
    depth = config.head.depth
    assert seen.operations["clone"] <= 2 * depth, "no norm copies what it reads"
    assert seen.operations["add"] <= 3 * depth + 10, "the residuals alone"
    assert seen.operations["addmm"] <= 6 * depth + 20, "queries, keys and values are one product"


@pytest.mark.parametrize("config", [paper(), small()], ids=["paper", "small"])
def test_a_chunk_is_one_graph(config: PolicyConfig) -> None:
    fast, given = (
        of(config.model_copy(update={"head": config.head.model_copy(update={"depth": 2})}), True),
        inputs(config),
    )
    words = fast.head.words(given.language)
    sampler = ChunkSampler(fast.head, fast.device, fast.dtype)
    torch.compiler.reset()
    with torch.no_grad():
        whole = torch.compile(sampler.flat, fullgraph=True, backend="eager")
        traced = whole(*words.tensors, *arguments(given))[0]
        torch.testing.assert_close(traced, sampler(words, *arguments(given)), rtol=1e-4, atol=1e-5)
        px = config.image.image_px
        eyes = torch.compile(fast.images, fullgraph=True, backend="eager")
        assert eyes(torch.zeros(3, 3, px, px)).shape == (3, config.image.tokens, config.image.width)


@pytest.mark.parametrize("committed", [0, 3, 16])
@pytest.mark.parametrize("norm", ["rms", "variance"])
def test_the_fused_path_makes_the_chunk_of_the_plain_one(committed: int, norm: str) -> None:
    """To the byte where no norm adds in another order; else within rounding of float32 through five steps."""
    config = paper()
    config = config.model_copy(update={"head": config.head.model_copy(update={"norm": norm, "depth": 6})})
    given, chunks = inputs(config, committed), list[torch.Tensor]()
    for fused in (False, True):
        fast = of(config, fused)
        fast.instructed(given.language)
        chunks.append(fast.denoised(given))
    within = 0.0 if norm == "rms" else 2e-5
    torch.testing.assert_close(chunks[1], chunks[0], rtol=0, atol=within)
    assert torch.equal(chunks[1][:, :committed], given.prefix[:, :committed])


def test_fusing_changes_no_byte_of_a_small_policys_chunk() -> None:
    given = inputs(small(), 3)
    fused, plain = of(small(), True), of(small(), False)
    for fast in (fused, plain):
        fast.instructed(given.language)
    assert torch.equal(fused.denoised(given), plain.denoised(given))


def test_fused_weights_keep_names_shapes_and_numbers() -> None:
    plain, fused = (of(paper(), fused).state_dict() for fused in (False, True))
    assert list(plain) == list(fused)
    assert all(torch.equal(plain[name], fused[name]) for name in plain)
    storages = {weight.untyped_storage().data_ptr() for weight in fused.values()}
    assert len(storages) < len(fused), "merged weights are there once"


def test_words_go_through_their_tensors_and_back() -> None:
    config = paper()
    head: ActionTransformer = of(config, False).head
    words = head.words(torch.randn(1, _WORDS, config.text.width))
    again = type(words).of(words.tensors)
    assert len(again.keys_values) == config.head.depth // 2
    assert all(torch.equal(a, b) for a, b in zip(words.tensors, again.tensors, strict=True))
    assert again.mask is None


def test_another_instruction_makes_another_chunk_and_the_first_its_own_again() -> None:
    config = small()
    fast, given = of(config, True), inputs(config)
    made = list[torch.Tensor]()
    for language in (given.language, given.language + 1, given.language[:, :4], given.language):
        fast.instructed(language)
        made.append(fast.denoised(given))
    assert torch.equal(made[0], made[3])
    assert min((made[0] - other).abs().max() for other in made[1:3]) > 1e-4


def test_pictures_of_one_size_are_prepared_at_once_as_by_themselves() -> None:
    random = np.random.default_rng(3)
    a, b, c = (random.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(3))
    other = random.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    fast = of(small(), True)
    assert torch.equal(fast.prepare((a, b, c))[:2], fast.prepare((a, b, other))[:2])
    assert fast.prepare((a, b, other)).is_contiguous()
