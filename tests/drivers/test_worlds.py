"""Drawn worlds: what training shows and what the suites show never meet; colours keep the names they are called by."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from drivers.sim import colours, hues, shift_suites, training_worlds, world_draw
from drivers.sim.appearance import USUAL, Appearance, Lamp, Rgb, from_json, to_json
from drivers.sim.shift_suites import FIRST_BACKGROUND, FIRST_LIGHTING, FIRST_LOOKS, SHIFTS
from drivers.task_names import INSTRUCTIONS, KEPT_FROM, TASK_NAMES

COUNT = 300  # seeds of each of the six tasks, on both sides
NEUTRAL = 0.13  # a little more saturation than a drawn grey has
SECTOR_DEG = (143, 203)


@pytest.fixture(scope="module")
def trained() -> list[tuple[str, Appearance]]:
    return [(task, training_worlds.draw(task, seed)) for task in TASK_NAMES for seed in range(COUNT)]


@pytest.fixture(scope="module")
def held_out() -> list[tuple[str, Appearance]]:
    """All suites at once, but for the scenes with the first fixed variants, which have tests of their own."""
    seeds = [seed for seed in range(KEPT_FROM, KEPT_FROM + COUNT) if seed % shift_suites.FIRST_EVERY]
    return [(task, shift_suites.draw(task, "all", seed)) for task in TASK_NAMES for seed in seeds]


def coloured(world: Appearance) -> Iterator[tuple[str, Rgb]]:
    """Every colour of a world that has a hue, with the kind of thing that has it."""
    assert world.background is not None and world.lighting is not None
    found: list[tuple[str, Rgb]] = []
    for name, style in world.looks.items():
        found += [(world_draw.kind_of(name), style.rgb), ("things", style.trim_rgb or colours.CREAM)]
    found += [("things", rgb) for stray in world.strays for rgb in (stray.rgb, stray.second_rgb)]
    back = world.background
    surfaces = [rgb for surface in (back.table, back.floor) for rgb in (surface.rgb, surface.second_rgb)]
    found += [("background", rgb) for rgb in (*surfaces, back.wall_rgb, back.second_wall_rgb)]
    found += [("lamps", rgb) for rgb in (world.lighting.ambient, *(lamp.rgb for lamp in world.lighting.lamps))]
    return ((kind, rgb) for kind, rgb in found if hues.saturation(rgb) > NEUTRAL)


def by_kind(worlds: list[tuple[str, Appearance]]) -> dict[str, np.ndarray]:
    found: dict[str, list[float]] = {}
    for _, world in worlds:
        for kind, rgb in coloured(world):
            found.setdefault(kind, []).append(hues.hue_deg(rgb))
    return {kind: np.array(values) for kind, values in found.items()}


def azimuth_deg(lamp: Lamp) -> float:
    return float(np.degrees(np.arctan2(-lamp.direction[1], -lamp.direction[0])) % 360)


def test_no_hue_of_the_suites_is_within_20_degrees_of_a_trained_one(
    trained: list[tuple[str, Appearance]], held_out: list[tuple[str, Appearance]]
) -> None:
    seen, unseen = by_kind(trained), by_kind(held_out)
    assert set(seen) == set(unseen) == set(hues.HELD_OUT)
    for kind, wanted in unseen.items():
        known = np.sort(seen[kind])
        around = np.concatenate([known[-1:] - 360, known, known[:1] + 360])
        places = np.searchsorted(around, wanted)
        nearest = np.minimum(wanted - around[places - 1], around[places] - wanted)
        assert nearest.min() >= hues.MARGIN_DEG - 0.5, kind  # colours are kept to four digits


def test_textures_shapes_trims_and_walls_of_the_suites_are_their_own(
    trained: list[tuple[str, Appearance]], held_out: list[tuple[str, Appearance]]
) -> None:
    def shown(worlds: list[tuple[str, Appearance]], of: Callable[[Appearance], list[str]]) -> set[str]:
        return {name for _, world in worlds for name in of(world)}

    def surfaces(world: Appearance) -> list[str]:
        assert world.background is not None
        return [world.background.table.family, world.background.floor.family]

    for of in (
        surfaces,
        lambda world: [stray.kind for stray in world.strays],
        lambda world: [style.trim for name, style in world.looks.items() if name not in ("mat", "plate", "coaster")],
        lambda world: [world.background.wall if world.background else ""],
    ):
        seen, unseen = shown(trained, of), shown(held_out, of)
        assert seen and unseen and seen.isdisjoint(unseen)


def test_lamps_of_the_suites_hang_where_no_trained_one_does(
    trained: list[tuple[str, Appearance]], held_out: list[tuple[str, Appearance]]
) -> None:
    def azimuths(worlds: list[tuple[str, Appearance]]) -> list[float]:
        return [azimuth_deg(lamp) for _, world in worlds if world.lighting for lamp in world.lighting.lamps]

    begins, ends = SECTOR_DEG
    assert ends - begins == 60
    assert all(begins - 0.1 <= azimuth <= ends + 0.1 for azimuth in azimuths(held_out))
    assert not any(begins <= azimuth <= ends for azimuth in azimuths(trained))


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_first_fixed_variants_are_held_out(task: str) -> None:
    """Their taken objects have held-out hues, and so have cloth, walls and lamp; the latter hangs in the suites' sector."""
    taken = [name for name in FIRST_LOOKS[task] if name in hues.HELD_OUT]
    assert taken
    for name in taken:
        assert hues.within(hues.hue_deg(FIRST_LOOKS[task][name].rgb), hues.HELD_OUT[name])
        assert not hues.within(hues.hue_deg(FIRST_LOOKS[task][name].rgb), hues.trained(name))
    for rgb in (FIRST_BACKGROUND.table.rgb, FIRST_BACKGROUND.wall_rgb, FIRST_BACKGROUND.second_wall_rgb):
        assert hues.within(hues.hue_deg(rgb), hues.HELD_OUT["background"])
    (lamp,) = FIRST_LIGHTING.lamps
    assert hues.within(hues.hue_deg(lamp.rgb), hues.HELD_OUT["lamps"])
    assert hues.within(azimuth_deg(lamp), (SECTOR_DEG,))
    first = shift_suites.draw(task, "all", KEPT_FROM)
    assert (first.looks, first.background, first.lighting) == (FIRST_LOOKS[task], FIRST_BACKGROUND, FIRST_LIGHTING)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_what_things_usually_look_like_is_trained(task: str) -> None:
    for name, rgb in colours.USUAL[task].items():
        if hues.saturation(rgb) > hues.GREY:
            assert hues.within(hues.hue_deg(rgb), hues.trained(world_draw.kind_of(name))), name


def test_trained_sectors_leave_the_margin_on_both_sides() -> None:
    assert hues.trained("cup") == ((190, 435),)
    assert hues.trained("red_bottle") == ((80, 230), (330, 366))


@pytest.mark.parametrize("shift", ["objects", "background", "lighting", "all"])
def test_every_scene_has_a_variant_of_its_own_and_the_same_again(shift: shift_suites.Shift) -> None:
    drawn = [to_json(shift_suites.draw("empty_cup_place", shift, KEPT_FROM + seed)) for seed in range(30)]
    again = [to_json(shift_suites.draw("empty_cup_place", shift, KEPT_FROM + seed)) for seed in range(30)]
    assert drawn == again
    assert len(set(drawn)) == 29  # two of them are first ones


def test_one_shift_leaves_the_rest_as_usual() -> None:
    drawn = {shift: shift_suites.draw("container_place", shift, KEPT_FROM + 1) for shift in SHIFTS}
    assert drawn["none"] == drawn["blackout"] == USUAL
    objects, background, lighting = (drawn[shift] for shift in ("objects", "background", "lighting"))
    assert objects.looks and objects.strays and objects.background is None and objects.lighting is None
    assert background == Appearance(background=background.background) != USUAL
    assert lighting == Appearance(lighting=lighting.lighting) != USUAL
    together = Appearance(objects.looks, objects.strays, None, lighting.lighting)
    all_of_them = drawn["all"]
    assert all_of_them == Appearance(together.looks, together.strays, all_of_them.background, together.lighting), (
        "the parts are drawn each by itself"
    )


def test_a_world_is_drawn_from_task_and_seed_and_can_be_stored(trained: list[tuple[str, Appearance]]) -> None:
    for _, world in trained[:: COUNT // 2]:
        assert from_json(to_json(world)) == world
    assert training_worlds.draw("block_handover", 7) == training_worlds.draw("block_handover", 7)
    assert len({to_json(world) for _, world in trained}) == len(trained)


def test_trained_worlds_keep_to_their_ranges(trained: list[tuple[str, Appearance]]) -> None:
    girths = [style.girth for _, world in trained for style in world.looks.values() if style.girth != 1]
    assert 0.88 <= min(girths) < 0.90 and 1.02 < max(girths) <= 1.04
    moved = np.array([offset.moved_m for _, world in trained for offset in world.cameras.values()])
    turned = np.array([offset.turned_rad for _, world in trained for offset in world.cameras.values()])
    assert 0.0095 < np.abs(moved).max() <= 0.010
    assert np.deg2rad(1.4) < np.abs(turned).max() <= np.deg2rad(1.5) + 1e-5
    assert {len(world.strays) for _, world in trained} == {2, 3, 4}
    assert {len(world.lighting.lamps) for _, world in trained if world.lighting} == {1, 2, 3}


@pytest.mark.parametrize("task", TASK_NAMES)
def test_an_instruction_names_only_colours_that_are_there(task: str) -> None:
    """In half of the worlds or more a named object keeps its colour, so that every wording is learnt."""
    heard = [hues.wordings(task, training_worlds.draw(task, seed).looks) for seed in range(COUNT)]
    assert all(heard)
    assert {text for texts in heard for text in texts} == set(INSTRUCTIONS[task])
    assert hues.wordings(task, {}) == INSTRUCTIONS[task]
    for seed in range(COUNT):
        looks = training_worlds.draw(task, seed).looks
        for word, named in hues.NAMED[task].items():
            said = any(word in text.split() for text in hues.wordings(task, looks))
            assert not said or hues.is_called(word, named, looks[named[0]].rgb)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_no_wording_of_a_suite_names_a_colour_that_is_gone(task: str) -> None:
    for seed in range(KEPT_FROM, KEPT_FROM + 25):
        looks = shift_suites.draw(task, "objects", seed).looks
        said = " ".join(hues.wordings(task, looks)).split()
        gone = [
            word for word, named in hues.NAMED[task].items() if named[0] in looks and seed % shift_suites.FIRST_EVERY
        ]
        assert said and not set(said) & set(gone)
    assert shift_suites.instruction(task, "none", 0) == INSTRUCTIONS[task][0]


def test_the_usual_colours_are_called_what_instructions_call_them() -> None:
    for task, words in hues.NAMED.items():
        for word, named in words.items():
            usual = colours.USUAL[task][named[0]]
            assert hues.is_called(word, named, usual) or (word == "white" and hues.saturation(usual) <= 0.16)


def test_damaged_json_is_refused() -> None:
    with pytest.raises(ValueError, match="strays"):
        from_json('{"strays": 3}')
