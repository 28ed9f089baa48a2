"""The six simulated tasks by name, and which of their scenes are kept for evaluation; loads no simulator.

Called by whoever reads flags; drivers/sim/tasks holds the tasks themselves.
"""

TASK_NAMES = (
    "block_handover",
    "container_place",
    "dual_bottles_pick_easy",
    "dual_bottles_pick_hard",
    "empty_cup_place",
    "pick_apple_messy",
)
KEPT_FROM = 1_000_000
"""Scenes of these seeds and above are evaluation's: no demonstration is made of them. Chosen: nobody makes so many."""
