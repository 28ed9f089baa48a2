"""Scaled tokens: mean 0 and spread 1 over the data, in training as in use, and gradients that statistics would not take away.
Called by pytest; tokens are (B, K, D)."""

import pytest
import torch

from models.config.qformer import QFormer
from models.qformer import TokenCompressor
from models.token_scale import TokenScale

K, D = 3, 8
CONSTANT = torch.linspace(-2, 2, K * D).reshape(K, D)  # alike in all windows, a hundred times what tells them apart


def tokens(batch: int, seed: int, spread: float = 0.01) -> torch.Tensor:
    """Tokens of windows that differ by a hundredth of their size."""
    return CONSTANT + spread * torch.randn(batch, K, D, generator=torch.Generator().manual_seed(seed))


def trained(batch: int = 8, steps: int = 60) -> TokenScale:
    """A scale that has followed some batches."""
    scale = TokenScale(K, D).train()
    for seed in range(steps):
        scale(tokens(batch, seed))
    return scale


def test_untrained_it_changes_nothing() -> None:
    plain = tokens(4, 1)
    assert torch.equal(TokenScale(K, D).eval()(plain), plain)
    half = plain.to(torch.bfloat16)
    assert torch.equal(TokenScale(K, D).eval()(half), half)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_in_use_tokens_have_mean_0_and_spread_1(batch: int) -> None:
    """Also where every batch of the training was one window."""
    found = trained(batch, 60 if batch > 1 else 300).eval()(tokens(500, 99))
    assert found.mean(0).abs().max() < 0.2 + 0.8 / batch
    spread = found.std(0)
    assert spread.mean() == pytest.approx(1, abs=0.25) and spread.min() > 0.5 and spread.max() < 2


def test_use_does_not_change_it() -> None:
    scale = trained().eval()
    before = scale.mean.clone()
    scale(tokens(4, 7) + 5)
    assert torch.equal(scale.mean, before)


def test_training_gives_what_use_gives() -> None:
    """One window of a batch is not told by the others: they would make it another one by a quarter of the spread."""
    scale, batch = trained(), tokens(8, 99)
    in_training = scale(batch)
    in_use = scale.eval()(batch)
    torch.testing.assert_close(in_training, in_use, rtol=1e-4, atol=1e-4)
    alone = (batch - batch.mean(0)) / batch.std(0, correction=0)
    assert (alone - in_use).abs().mean() > 0.1


def test_a_batch_unlike_those_before_does_not_run_away() -> None:
    scale = trained()
    found = scale(tokens(8, 5) + 1.0)  # a hundred spreads away
    assert found.abs().max() < 8 and found.std(0).mean() > 0.3
    assert scale.eval()(tokens(8, 5) + 100).abs().max() == 8


def test_gradients_do_not_ask_for_what_statistics_take_away() -> None:
    """Neither to move all windows of a batch alike, nor to stretch them."""
    scale, batch = trained(), tokens(8, 3).requires_grad_()
    found = scale(batch)
    found.pow(4).sum().backward()
    assert batch.grad is not None
    size = batch.grad.abs().mean()
    assert size > 100, "what tells windows apart is asked for a hundred times as loud"
    assert batch.grad.mean(0).abs().max() < 1e-3 * size
    stretched = (batch.grad * (batch.detach() - batch.detach().mean(0))).mean(0)
    by_itself = 4 * found.detach().pow(4).mean(0)  # were the statistics constants
    assert (stretched.abs() / by_itself).max() < 0.05


def test_two_windows_still_learn() -> None:
    """By their own spread each would be -1 and 1 whatever is in them, without a gradient."""
    scale, batch = trained(), tokens(2, 3).requires_grad_()
    scale(batch).square().sum().backward()
    assert batch.grad is not None and batch.grad.abs().mean() > 1


def test_several_batches_share_one_backward_pass() -> None:
    for count in (1, 2, 8):
        scale, batch = TokenScale(K, D).train(), tokens(count, 1).requires_grad_()
        (scale(batch).square().sum() + scale(batch * 2).square().sum()).backward()
        assert batch.grad is not None and torch.isfinite(batch.grad).all() and batch.grad.any()


def test_measured_statistics_are_used_as_they_are() -> None:
    scale, data = trained(), tokens(400, 5) * 3
    scale.take(data.mean(0), data.var(0, correction=0))
    found = scale.eval()(data)
    assert found.mean(0).abs().max() < 1e-3
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(K, D), rtol=2e-3, atol=0)


def test_a_further_training_begins_with_what_was_measured() -> None:
    """A first batch of a fresh scale would count for all."""
    scale, data = TokenScale(K, D), tokens(400, 5)
    scale.take(data.mean(0), data.var(0, correction=0))
    scale.train()(tokens(8, 6) + 1)
    torch.testing.assert_close(scale.mean, data.mean(0) + 0.1, atol=0.005, rtol=0)


def test_tokens_that_never_change_stay_small() -> None:
    """What rounding leaves of them is not made as large as what tells scenes apart."""
    scale = TokenScale(K, D).train()
    for seed in range(40):
        scale(tokens(8, seed, spread=1e-6))
    assert scale.eval()(tokens(8, 99, spread=1e-6)).abs().max() < 0.02


@pytest.mark.parametrize("temporal", [False, True])
def test_a_compressor_scales_what_it_reads(temporal: bool) -> None:
    config = QFormer(tokens=K, width=D, depth=1, heads=2, scaled=True)
    torch.manual_seed(3)
    model = TokenCompressor(config, 12, temporal).requires_grad_(False)
    random = torch.Generator().manual_seed(4)
    for _ in range(30):
        model.train()(torch.randn(8, 2, 2, 3, 12, generator=random))
    windows = torch.randn(200, 2, 2, 3, 12, generator=random)
    plain, scaled = model.read(windows), model.eval()(windows)
    assert plain.std(0).mean() < 0.5 * plain.abs().mean()
    assert scaled.std(0).mean() == pytest.approx(1, abs=0.15)
    unscaled = TokenCompressor(config.model_copy(update={"scaled": False}), 12, temporal)
    assert not any("scale" in name for name in unscaled.state_dict()), "checkpoints of before fit"
