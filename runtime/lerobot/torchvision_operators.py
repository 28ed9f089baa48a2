"""Names operators of torchvision that its own Python needs when it is imported. Called by command.py before lerobot is.

A torch for the CPU beside the usual torchvision, whose library wants CUDA's: that library cannot be loaded, and torchvision
then describes two operators that do not exist. No policy computes them (they choose among boxes).
"""

import importlib.util
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")  # of torchvision 0.28, those with torch.library.register_fake
_kept: list[torch.library.Library] = []  # what is let go of is forgotten by torch


def name_missing() -> None:
    """Name them where torchvision's library cannot be loaded."""
    found = importlib.util.find_spec("torchvision")
    folders = found.submodule_search_locations if found else None
    library = Path(next(iter(folders or ["."]))) / "_C.so"
    try:
        torch.ops.load_library(str(library))
    except OSError:
        named = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            named.define(operator + _SIGNATURE)
        _kept.append(named)
