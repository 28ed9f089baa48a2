"""The first guess goes on from where the committed targets end. Called by pytest."""

import numpy as np
import pytest
import torch

from models import normalize, sizes
from models.config.policy import PolicyConfig
from models.continuation import Continuation
from models.system1 import FastSystem

H, J, BLEND = 16, 3, 6


@pytest.fixture
def continuation() -> Continuation:
    """With spreads that grow along the chunk, as those of motions do."""
    made = Continuation(H, J, BLEND)
    made.spread.copy_(torch.linspace(0.01, 0.5, H)[:, None] * torch.tensor([1.0, 2.0, 0.1]))
    return made


def committed(*counts: int) -> torch.Tensor:
    return torch.arange(H) < torch.tensor(counts)[:, None]


def test_a_deviation_is_kept_at_the_first_free_target_and_then_lost(continuation: Continuation) -> None:
    guess, off_rad = torch.randn(2, H, J), 0.05
    noisy = torch.where(committed(8, 3)[..., None], guess + off_rad / continuation.spread, torch.randn(2, H, J))
    left_rad = (continuation(guess, noisy, committed(8, 3)) - guess) * continuation.spread
    for row, count in enumerate((8, 3)):
        free = left_rad[row, count:]
        assert (free[0] > 0.9 * off_rad).all() and (free.diff(dim=0) < 1e-6).all()
        torch.testing.assert_close(free[BLEND - 1 :], torch.zeros_like(free[BLEND - 1 :]), atol=1e-6, rtol=0)


def test_it_begins_where_the_last_committed_target_is(continuation: Continuation) -> None:
    """A prefix that leaves the guess ends otherwise than it begins."""
    guess = torch.zeros(1, H, J)
    noisy = torch.zeros(1, H, J)
    noisy[0, :8] = torch.linspace(-1, 1, 8)[:, None]
    made = continuation(guess, noisy, committed(8)) * continuation.spread
    last_rad = continuation.spread[7] * 1.0
    assert (made[0, 8] > 0.9 * last_rad).all() and (made[0, 8] < last_rad).all()


def test_where_nothing_is_committed_the_guess_stays_as_it_was(continuation: Continuation) -> None:
    guess, noisy = torch.randn(2, H, J), torch.full((2, H, J), 1e6)
    torch.testing.assert_close(continuation(guess, noisy, committed(0, 0)), guess)


def test_a_chunk_that_is_committed_to_its_end_is_no_error(continuation: Continuation) -> None:
    assert torch.isfinite(continuation(torch.randn(1, H, J), torch.randn(1, H, J), committed(H))).all()


def test_its_unit_is_that_of_the_policys_statistics() -> None:
    config: PolicyConfig = sizes.by_name("small")
    statistics = normalize.untrained(config.horizon, np.zeros(config.joints), np.linspace(0.1, 1.0, config.joints))
    head = FastSystem(config, statistics).head
    assert head.continuation is not None
    np.testing.assert_array_equal(head.continuation.spread.numpy(), statistics.spread)
    assert not [name for name in head.state_dict() if "continuation" in name], "no weight of a checkpoint"
