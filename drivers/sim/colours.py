"""The colours that things have unless a scene's appearance says otherwise. Used by the tasks and the draws of worlds."""

from drivers.sim.appearance import Rgb

Colour = tuple[float, float, float, float]  # RGB and opacity

BLUE: Rgb = (0.16, 0.32, 0.78)  # this and the next: chosen by eye, easily told apart
RED: Rgb = (0.80, 0.13, 0.10)  # by eye
GREEN: Rgb = (0.10, 0.55, 0.20)  # by eye
YELLOW: Rgb = (0.88, 0.72, 0.12)  # by eye
PURPLE: Rgb = (0.48, 0.20, 0.62)  # by eye
ORANGE: Rgb = (0.90, 0.45, 0.10)  # by eye
CREAM: Rgb = (0.92, 0.88, 0.78)  # by eye
DARK: Rgb = (0.16, 0.15, 0.17)  # by eye
USUAL: dict[str, dict[str, Rgb]] = {
    "block_handover": {"block": RED, "mat": BLUE},
    "container_place": {"container": YELLOW, "plate": CREAM},
    "dual_bottles_pick_easy": {"red_bottle": RED, "green_bottle": GREEN},
    "dual_bottles_pick_hard": {"red_bottle": RED, "green_bottle": GREEN},
    "empty_cup_place": {"cup": BLUE, "coaster": ORANGE},
    "pick_apple_messy": {"apple": RED, "mess_bottle": BLUE, "mess_cup": YELLOW, "mess_box": PURPLE, "mess_can": GREEN},
}
"""Each task's objects, the ones that are manipulated first."""


def opaque(rgb: Rgb) -> Colour:
    """A colour that nothing shines through."""
    return (*rgb, 1.0)
