"""Grad-CAM (Selvaraju et al. 2017): where in a picture a network found what moves a scalar of its output.

Called by models/explanation.py and, to lay a map onto a picture, by runtime/explanation. Legend: T frames, h w grid of a layer,
C channels, H W px of a picture.
"""

import torch
from torch.nn import functional

Rectangle = tuple[float, float, float, float]  # left, top, width, height, as shares of a picture


def grad_cam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Localisation maps: ReLU(sum_c alpha_c A_c), alpha_c the mean of dy/dA_c over all places (Selvaraju et al., eq. 1, 2).

    The places of a video are those of all its frames, so a channel weighs the same in each of them.

    Args:
        activations: (T, h, w, C) A, the output of a layer; any float dtype, computed in float32.
        gradients: (T, h, w, C) dy/dA of the scalar y.

    Returns:
        (T, h, w) float32, at least 0; in units of y.
    """
    weights = gradients.float().mean(dim=(0, 1, 2))
    return (activations.float() @ weights).relu()


def own_gradients(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """The same without the mean: ReLU(sum_c dy/dA_c A_c), each place by its own gradient (HiResCAM, Draelos and Carin 2020).

    For layers below a filter that takes constants away: adding one to a channel then changes nothing, so its gradients sum to
    0 over all places, and Grad-CAM's weights are 0. Not for a layer that a LayerNorm reads, where this sum is 0 in each place.

    Args:
        activations: (T, h, w, C) A, the output of a layer; any float dtype, computed in float32.
        gradients: (T, h, w, C) dy/dA of the scalar y.

    Returns:
        (T, h, w) float32, at least 0; in units of y.
    """
    return (activations.float() * gradients.float()).sum(-1).relu()


def onto(found: torch.Tensor, height_px: int, width_px: int, part: Rectangle) -> torch.Tensor:
    """A map in a picture's pixels, bilinearly; 0 where the network did not see the picture.

    Args:
        found: (h, w) map of what the network saw.
        height_px: H, of the picture.
        width_px: W, of the picture.
        part: what of the picture the network saw; beyond 0 to 1 where it saw more than that.

    Returns:
        (H, W) float32.
    """
    left, top, width, height = part
    x, y = (left * width_px, (left + width) * width_px), (top * height_px, (top + height) * height_px)
    (x0, x1), (y0, y1) = (tuple(round(end) for end in ends) for ends in (x, y))
    size = (max(1, y1 - y0), max(1, x1 - x0))
    large = functional.interpolate(found.float()[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    placed = large.new_zeros(height_px, width_px)
    rows, columns = slice(max(0, y0), min(height_px, y1)), slice(max(0, x0), min(width_px, x1))
    placed[rows, columns] = large[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
    return placed
