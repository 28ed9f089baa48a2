"""Where each hand next opens or closes: told of made movements, and learnt from tokens without joints. Called by pytest."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.train.next_grips import GripTeller, next_grips

STEPS, BEGINS, ENDS = 60, 20, 32  # of the left hand, which closes between these steps


def closing() -> NDArray[np.floating]:
    """Both arms move all the time; the left hand closes once by 48 mm, the right one not at all."""
    targets = np.linspace(0, 1, STEPS)[:, None] * np.arange(1, 15)
    targets[:, [6, 13]] = 0.07
    targets[BEGINS : ENDS + 1, 6] = np.linspace(0.07, 0.022, ENDS - BEGINS + 1)
    targets[ENDS:, 6] = 0.022
    return targets


def test_until_a_hand_closes_its_arms_place_then_is_told() -> None:
    targets = closing()
    places, there = next_grips(targets)
    for step in range(STEPS):
        at = BEGINS if step < BEGINS else step
        assert there[step, 0] == (step < ENDS)
        if there[step, 0]:
            np.testing.assert_array_equal(places[step, :7], targets[at, :7])


def test_a_hand_that_does_not_move_or_creeps_tells_nothing() -> None:
    targets = closing()
    targets[:, 13] += np.linspace(0, 0.04, STEPS) * 0.5  # 10 mm/s
    places, there = next_grips(targets)
    assert not there[:, 1].any()
    np.testing.assert_array_equal(places[:, 7:], np.broadcast_to(targets[-1, 7:], (STEPS, 7)))


def test_an_arm_that_will_not_grip_counts_only_by_whether_it_will() -> None:
    torch.manual_seed(0)
    teller, tokens = GripTeller(4, 8, 14), torch.randn(6, 4, 8)
    grips, there = torch.randn(6, 14), torch.tensor([[True, False]]).expand(6, -1)
    counts = torch.ones(6, dtype=torch.bool)
    other = grips.clone()
    other[:, 7:] += 3  # of the right arm
    assert teller.loss(tokens, grips, there, counts) == teller.loss(tokens, other, there, counts)
    other[:, 0] += 3
    assert teller.loss(tokens, grips, there, counts) < teller.loss(tokens, other, there, counts)


def test_observations_that_show_nothing_do_not_count() -> None:
    torch.manual_seed(0)
    teller, tokens, grips = GripTeller(4, 8, 14), torch.randn(6, 4, 8), torch.randn(6, 14)
    there, counts = torch.ones(6, 2, dtype=torch.bool), torch.arange(6) < 4
    shown = teller.loss(tokens[:4], grips[:4], there[:4], counts[:4])
    assert teller.loss(tokens, grips, there, counts).item() == pytest.approx(shown.item(), rel=1e-5)
    assert teller.loss(tokens, grips, there, torch.zeros(6, dtype=torch.bool)) == 0


def test_it_learns_which_arm_grips_and_where() -> None:
    torch.manual_seed(0)
    teller = GripTeller(4, 8, 14)
    optimiser = torch.optim.Adam(teller.parameters(), 3e-3)
    way = torch.randn(32, 14)
    every = torch.ones(64, dtype=torch.bool)
    for _ in range(300):
        tokens = torch.randn(64, 4, 8)
        there = torch.stack([tokens[:, 0, 0] > 0, tokens[:, 0, 0] <= 0], dim=1)
        loss = teller.loss(tokens, tokens.flatten(1) @ way / 6, there, every)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tokens = torch.randn(500, 4, 8)
    joints, logits = teller(tokens)
    right = (logits[:, 0] > 0) == (tokens[:, 0, 0] > 0)
    assert right.float().mean() > 0.9
    left = tokens[:, 0, 0] > 0
    wanted = (tokens.flatten(1) @ way / 6)[left, :7]
    assert (joints[left, :7] - wanted).square().mean() < 0.3 * wanted.var()
