"""Augmented pictures: off is off, a history is changed alike, cameras apart, and each change does what it is called after.
Called by pytest; pictures are (B, T, C, 3, H, W)."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch

from models.train.augmentation import Film, augmented
from models.train.choices import Augmentation

NOTHING: dict[str, Any] = {
    "share": 1.0,
    "gain": (1.0, 1.0),
    "gamma": (1.0, 1.0),
    "offset": 0.0,
    "hue_deg": 0.0,
    "grey": 0.0,
    "noise": 0.0,
    "shift_px": 0,
}


def drawn(pictures: torch.Tensor, seed: int = 1, **chosen: Any) -> torch.Tensor:
    """What becomes of pictures with these changes alone."""
    return augmented(pictures, Augmentation(**NOTHING | chosen), torch.Generator().manual_seed(seed))


def photos(observations: int = 3, size: int = 12) -> torch.Tensor:
    """Both pictures of three cameras, alike in time, uint8."""
    random = torch.Generator().manual_seed(2)
    shape = (observations, 1, 3, 3, size, size)
    return torch.randint(0, 256, shape, generator=random, dtype=torch.uint8).expand(-1, 2, -1, -1, -1, -1)


def test_nothing_is_changed_where_it_is_off() -> None:
    pictures = photos().contiguous()
    random = torch.Generator().manual_seed(1)
    before = random.get_state()
    off = augmented(pictures, Augmentation(share=0), random)
    assert torch.equal(off, pictures.float() / 127.5 - 1)
    assert torch.equal(random.get_state(), before), "and nothing is drawn"
    assert torch.equal(augmented(off, Augmentation(share=0), random), off), "floats too"


def test_the_seed_decides() -> None:
    one, again = (augmented(photos(), Augmentation(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, augmented(photos(), Augmentation(), torch.Generator().manual_seed(4)))


def test_a_history_is_changed_alike_and_its_cameras_apart() -> None:
    pictures = torch.full((2, 2, 3, 3, 8, 8), 0.2)
    found = augmented(pictures, Augmentation(share=1, noise=0), torch.Generator().manual_seed(1))
    assert torch.equal(found[:, 0], found[:, 1])
    colours = found[:, 0, :, :, 0, 0].flatten(0, 1)
    assert torch.pdist(colours).min() > 1e-3, "every camera of every observation"


def test_as_many_cameras_are_changed_as_asked() -> None:
    pictures = photos(200, 4).contiguous()
    same = (drawn(pictures, share=0.3, offset=0.2) == pictures.float() / 127.5 - 1).flatten(3).all(-1)
    assert torch.equal(same[:, 0], same[:, 1])
    assert same.float().mean() == pytest.approx(0.7, abs=0.08)


def test_gains_scale_each_channel_within_their_ends() -> None:
    pictures = torch.zeros(100, 1, 3, 3, 2, 2)  # a brightness of a half
    factors = (drawn(pictures, gain=(0.4, 1.4))[..., 0, 0] + 1).flatten(0, 2)
    assert 0.4 <= factors.min() < 0.45 and 1.35 < factors.max() <= 1.4
    assert np.abs(np.corrcoef(factors.numpy().T) - np.eye(3)).max() < 0.2, "channels apart"


def test_hue_turns_without_a_change_of_greys() -> None:
    pictures = torch.tensor([0.1, -0.3, -0.2])[:, None, None].expand(60, 1, 2, 3, 1, 1)
    before = colorsys.rgb_to_hsv(*((pictures[0, 0, 0].flatten() + 1) / 2).tolist())[0]
    found = ((drawn(pictures, hue_deg=20.0) + 1) / 2).flatten(0, 2).flatten(1)
    turns = [(colorsys.rgb_to_hsv(*colour.tolist())[0] - before + 0.5) % 1 - 0.5 for colour in found]
    assert 15 < max(turns) * 360 < 25 and -25 < min(turns) * 360 < -15
    grey = torch.full((4, 1, 2, 3, 1, 1), 0.3)
    torch.testing.assert_close(drawn(grey, hue_deg=180.0), grey)


def test_colour_is_taken_away_at_the_same_brightness() -> None:
    pictures = photos(40).contiguous()
    plain, found = pictures.float() / 127.5 - 1, drawn(pictures, grey=1.0)
    bright = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(
        torch.einsum("btckhw,k->btchw", found, bright), torch.einsum("btckhw,k->btchw", plain, bright)
    )
    left = (found.std(3).mean((1, 3, 4)) / plain.std(3).mean((1, 3, 4))).flatten()
    assert left.min() < 0.1 and left.max() > 0.9


def test_gamma_keeps_black_and_white() -> None:
    ends = torch.tensor([-1.0, 0.0, 1.0]).expand(50, 1, 1, 3, 1, 3)
    found = drawn(ends, gamma=(0.5, 2.0))
    torch.testing.assert_close(found[..., ::2], ends[..., ::2])
    middle = (found[..., 1] + 1) / 2
    assert 0.25 <= middle.min() < 0.3 and 0.65 < middle.max() <= 0.5**0.5


def test_brightness_and_contrast_change_as_far_as_they_may() -> None:
    levels = torch.tensor([-0.5, 0.0, 0.5]).expand(100, 1, 1, 3, 1, 3)
    brighter = drawn(levels, offset=0.1) - levels
    assert 0.18 < brighter.abs().max() <= 0.2 + 1e-6, "a tenth of white is 0.2 of -1 to 1"
    assert brighter.amin() < -0.1 and brighter.flatten(1).std(1).max() < 1e-5
    sharper = drawn(levels, contrast=0.4)
    torch.testing.assert_close(sharper[..., 1], levels[..., 1])
    assert 0.35 < (sharper[..., 2] / 0.5 - 1).abs().max() <= 0.4


def test_noise_is_fresh_in_each_picture() -> None:
    pictures = torch.zeros(30, 2, 3, 3, 16, 16)
    found = drawn(pictures, noise=0.05)
    assert 0.08 < found.flatten(3).std(-1).max() <= 0.11, "0.05 of white is 0.1 of -1 to 1"
    assert abs(np.corrcoef(found[:, 0].flatten(), found[:, 1].flatten())[0, 1]) < 0.05


def test_pictures_move_by_whole_pixels_and_their_border_is_repeated() -> None:
    pictures = photos(60).contiguous()
    plain, found = pictures.float() / 127.5 - 1, drawn(pictures, shift_px=2)
    seen: set[tuple[int, int]] = set()
    for before, after in zip(plain[:, 0].flatten(0, 1), found[:, 0].flatten(0, 1), strict=True):
        padded = torch.nn.functional.pad(before[None], (2, 2, 2, 2), mode="replicate")[0]
        places = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(padded[:, 4 - down : 16 - down, 4 - right : 16 - right], after)
        ]
        assert len(places) == 1
        seen.update(places)
    assert {down for down, _ in seen} == {right for _, right in seen} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"gain": (0, 1)}, "greater than 0"),
        ({"gain": (1.2, 1.1)}, "smaller first"),
        ({"gamma": (2, 1)}, "smaller first"),
    ],
)
def test_ends_that_are_none_are_refused(chosen: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Augmentation(**chosen)


def test_a_film_is_changed_alike_throughout_but_for_its_noise() -> None:
    picture = photos()[0, 0, 0].permute(1, 2, 0).numpy()
    strong = Augmentation(share=1.0, noise=0.0)
    film = Film(strong, 5)
    first, second = film.changed(picture), film.changed(picture)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, Film(strong, 5).changed(picture))
    assert first.shape == picture.shape and first.dtype == np.uint8
    assert np.abs(first.astype(int) - picture).mean() > 3
    assert np.abs(first.astype(int) - Film(strong, 6).changed(picture)).mean() > 3
    noisy = Film(strong.model_copy(update={"noise": 0.2}), 5)
    assert np.abs(noisy.changed(picture).astype(int) - noisy.changed(picture)).max() > 3


def test_some_films_stay_as_they_are() -> None:
    picture = photos()[0, 0, 0].permute(1, 2, 0).numpy()
    same = [np.array_equal(Film(Augmentation(share=0.5), seed).changed(picture), picture) for seed in range(40)]
    assert 8 < sum(same) < 32
