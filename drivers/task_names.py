"""The six simulated tasks by name, what a person says for them, and which scenes are evaluation's; loads no simulator.

Called by whoever reads flags; drivers/sim/tasks holds the tasks themselves.
"""

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "block_handover": (
        "hand the long block from the left arm to the right arm and put it on the blue mat",
        "pass the block to the right hand and stand it on the blue mat",
        "take the block with the left gripper, give it to the right one, place it on the mat",
    ),
    "container_place": (
        "put the container on the plate",
        "place the yellow container in the middle of the plate",
        "move the container onto the white plate and let it go",
    ),
    "dual_bottles_pick_easy": (
        "pick up the red bottle with the left arm and the green bottle with the right arm, hold them side by side",
        "lift both bottles and bring them together in front of you",
        "grasp one bottle with each hand and hold them next to each other",
    ),
    "dual_bottles_pick_hard": (
        "pick up both bottles, however they lie, and hold them side by side",
        "lift the red bottle with the left hand and the green one with the right hand, lying or standing",
        "grasp the two bottles and bring them together in front of you",
    ),
    "empty_cup_place": (
        "put the empty cup on the coaster",
        "place the cup onto the orange coaster",
        "set the cup down on the coaster in front of you",
    ),
    "pick_apple_messy": (
        "pick up the apple from the mess",
        "find the apple on the table and lift it",
        "take the red apple that lies among the other things",
    ),
}
"""What a person tells the robot to do: of each task the default first, then other wordings."""
TASK_NAMES = tuple(INSTRUCTIONS)
KEPT_FROM = 1_000_000
"""Scenes of these seeds and above are evaluation's: no demonstration is made of them. Chosen: nobody makes so many."""
