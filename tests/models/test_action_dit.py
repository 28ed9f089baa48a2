"""The action head: its context is computed once, every condition matters, and gradients reach every weight.
Called by pytest; the whole of System 1 and the compressors are real, at a tiny size."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models import diffusion
from models.action_dit import ActionTransformer, Context
from models.checkpoint import Checkpoint
from models.config.encoders import Keypoints
from models.config.policy import PolicyConfig
from models.instructor import Instructor
from models.normalize import Statistics
from models.policy import ConditionTokens
from models.system1 import FastSystem, image_encoder
from models.system2 import SlowSystem


def make_head(config: PolicyConfig, redrawn: bool) -> ActionTransformer:
    """A head from a fixed seed, with or without its zeros redrawn."""
    torch.manual_seed(7)
    positions = 2 * len(config.cameras) * config.image.tokens
    head = ActionTransformer(config, config.image.width, positions, config.spatial_former.width)
    if redrawn:
        for weight in head.zero_initialised():
            nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    return head


class Inputs:
    """Everything one prediction takes, random but fixed."""

    def __init__(self, config: PolicyConfig) -> None:
        torch.manual_seed(8)
        tokens = config.spatial_former.tokens + config.motion_former.tokens
        images = 2 * len(config.cameras) * config.image.tokens
        self.language = torch.randn(1, 9, config.text.width)
        self.images = torch.randn(1, images, config.image.width)
        self.conditions: torch.Tensor | None = torch.randn(1, tokens, config.spatial_former.width)
        self.age_s = torch.tensor([0.2])
        self.state = torch.randn(1, config.joints)
        self.noisy = torch.randn(1, config.horizon, config.joints)
        self.time = torch.tensor([600])
        self.committed = (torch.arange(config.horizon) < 2)[None]

    def context(self, head: ActionTransformer) -> Context:
        """The context of these inputs."""
        return head.context(self.language, self.images, self.conditions, self.age_s, self.state)

    def predict(self, head: ActionTransformer) -> torch.Tensor:
        """One prediction (1, H, J)."""
        return head(self.noisy, self.time, self.context(head), self.committed)


@pytest.fixture
def inputs(tiny: PolicyConfig) -> Inputs:
    """Random inputs of the tiny size."""
    return Inputs(tiny)


@pytest.fixture
def head(tiny: PolicyConfig) -> ActionTransformer:
    """A head whose zeros were redrawn."""
    return make_head(tiny, redrawn=True).requires_grad_(False)


def test_fresh_head_predicts_zero(tiny: PolicyConfig, inputs: Inputs) -> None:
    assert inputs.predict(make_head(tiny, redrawn=False)).abs().max() == 0


def test_prediction_has_the_chunks_shape(tiny: PolicyConfig, head: ActionTransformer, inputs: Inputs) -> None:
    assert inputs.predict(head).shape == (1, tiny.horizon, tiny.joints)


def test_context_computed_once_equals_recomputing_it_every_step(
    tiny: PolicyConfig, head: ActionTransformer, inputs: Inputs
) -> None:
    once = inputs.context(head)
    steps = diffusion.plan(tiny.head.steps, tiny.head.train_steps)
    given = tiny.head, steps, inputs.noisy, torch.zeros_like(inputs.noisy), inputs.committed

    def sampled(context: Callable[[], Context]) -> torch.Tensor:
        def denoise(x: torch.Tensor, step: diffusion.Step) -> torch.Tensor:
            return head(x, torch.tensor([step.time]), context(), inputs.committed)

        return diffusion.sample(*given, denoise)

    assert torch.equal(sampled(lambda: once), sampled(lambda: inputs.context(head)))


@pytest.mark.parametrize("name", ["language", "images", "conditions", "age_s", "state", "noisy"])
def test_input_changes_the_prediction(head: ActionTransformer, inputs: Inputs, name: str) -> None:
    before = inputs.predict(head)
    setattr(inputs, name, getattr(inputs, name) + 1.0)
    assert (inputs.predict(head) - before).abs().max() > 1e-4


def test_diffusion_time_changes_the_prediction(head: ActionTransformer, inputs: Inputs) -> None:
    before = inputs.predict(head)
    inputs.time = torch.tensor([100])
    assert (inputs.predict(head) - before).abs().max() > 1e-4


def test_committed_targets_are_marked_for_the_network(head: ActionTransformer, inputs: Inputs) -> None:
    before = inputs.predict(head)
    inputs.committed = torch.zeros_like(inputs.committed)
    assert (inputs.predict(head) - before).abs().max() > 1e-4


def test_absent_conditions_are_left_out(head: ActionTransformer, inputs: Inputs) -> None:
    before = inputs.predict(head)
    inputs.conditions = None
    without = inputs.predict(head)
    assert without.isfinite().all()
    assert (without - before).abs().max() > 1e-4


def test_every_condition_token_matters(head: ActionTransformer, inputs: Inputs) -> None:
    assert inputs.conditions is not None
    conditions = inputs.conditions.requires_grad_(True)
    inputs.predict(head).square().sum().backward()
    assert conditions.grad is not None
    assert conditions.grad.abs().sum(-1).min() > 0


def test_even_blocks_read_the_words_and_odd_ones_the_images(head: ActionTransformer, inputs: Inputs) -> None:
    before = inputs.context(head).keys_values
    inputs.language = inputs.language + 1
    changed = [not torch.equal(a[1], b[1]) for a, b in zip(before, inputs.context(head).keys_values, strict=True)]
    assert changed == [True, False]


def silent(name: str) -> bool:
    """Weights whose gradient is zero by arithmetic: softmax ignores what it adds to every key or place."""
    return name.endswith(("k_proj.bias", "heat.bias"))


def assert_gradients(part: nn.Module) -> None:
    """Every weight of a network has a gradient that is not zero."""
    weights = list(part.named_parameters())
    assert weights
    unreached = [name for name, w in weights if not silent(name) and (w.grad is None or not w.grad.abs().max() > 0)]
    assert not unreached


@pytest.mark.parametrize("kind", ["siglip", "keypoints"])
def test_gradients_reach_every_trained_weight_of_both_systems(tiny: PolicyConfig, inputs: Inputs, kind: str) -> None:
    eyes = tiny.image if kind == "siglip" else Keypoints(image_px=32, width=32, points=8, channels=(8, 8), grid=2)
    config = tiny.model_copy(update={"image": eyes})
    head, slow = make_head(config, redrawn=True), SlowSystem(config).eval()  # of one window
    encoder, instructor = image_encoder(config.image, 3), Instructor(config)
    width = config.video.backbone.width
    tokens = slow.compressed(torch.randn(1, 2, 2, 3, width), torch.randn(1, 4, 2, 2, width))
    inputs.conditions = torch.cat(tokens, dim=1)
    inputs.images = encoder(torch.randn(6, 3, 32, 32)).flatten(0, 1)[None]
    assert instructor.encoder is not None
    inputs.language = instructor.encoder("put the block on the mat")
    (inputs.predict(head) * torch.randn(1, config.horizon, config.joints)).sum().backward()
    for part in (head, slow.spatial_former, slow.motion_former, encoder, instructor):
        assert_gradients(part)


def chunk_of(
    fast: FastSystem, checkpoint: Checkpoint, age_s: float = 0.1, prefix_length: int = 0, seed: int = 1
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """(prefix, chunk) of a fixed observation."""
    config = checkpoint.config
    torch.manual_seed(9)
    random = np.random.default_rng(9)
    tokens = torch.randn(1, 2 * len(config.cameras) * config.image.tokens, config.image.width)
    conditions = ConditionTokens(
        torch.randn(config.spatial_former.tokens, config.spatial_former.width),
        torch.randn(config.motion_former.tokens, config.motion_former.width),
    )
    q = random.uniform(-0.1, 0.1, config.joints)
    prefix = random.uniform(-0.2, 0.2, (prefix_length, config.joints)).astype(np.float32)
    instruction = checkpoint.instructor().encode(["go"])[0]
    return prefix, fast.predict_chunk(tuple(tokens), q, instruction, conditions, age_s, prefix, seed)


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_committed_prefix_comes_back_bit_for_bit(untrained: Callable[[int], Checkpoint], count: int) -> None:
    checkpoint = untrained(1)
    prefix, chunk = chunk_of(checkpoint.fast(), checkpoint, prefix_length=count)
    assert chunk.shape == (8, 14)
    assert chunk.dtype == np.float32
    assert np.array_equal(chunk[:count], prefix)


def test_committed_prefix_changes_what_follows(untrained: Callable[[int], Checkpoint]) -> None:
    checkpoint = untrained(1)
    fast = checkpoint.fast()
    _, free = chunk_of(fast, checkpoint)
    _, continued = chunk_of(fast, checkpoint, prefix_length=3)
    assert np.abs(free[3:] - continued[3:]).max() > 1e-4


def test_chunk_is_a_function_of_its_inputs_and_the_noise_seed(untrained: Callable[[int], Checkpoint]) -> None:
    checkpoint = untrained(1)
    fast = checkpoint.fast()
    _, first = chunk_of(fast, checkpoint)
    _, second = chunk_of(fast, checkpoint)
    _, other = chunk_of(fast, checkpoint, seed=2)
    assert np.array_equal(first, second)
    assert np.abs(other - first).max() > 1e-4


def test_age_of_the_conditions_changes_the_untrained_chunk(untrained: Callable[[int], Checkpoint]) -> None:
    checkpoint = untrained(1)
    fast = checkpoint.fast()
    assert np.abs(chunk_of(fast, checkpoint, age_s=0.1)[1] - chunk_of(fast, checkpoint, age_s=0.9)[1]).max() > 1e-5


def test_targets_stay_inside_the_statistics_ranges(untrained: Callable[[int], Checkpoint]) -> None:
    checkpoint = untrained(1)
    narrow: Statistics = replace(checkpoint.statistics, spread=checkpoint.statistics.spread * 1000)
    fast = checkpoint.fast()
    fast.statistics = narrow
    _, chunk = chunk_of(fast, checkpoint)
    assert (chunk >= narrow.low).all()
    assert (chunk <= narrow.high).all()
