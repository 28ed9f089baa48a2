"""Where joints stand in the head's action vector (RDT-1B's unified vector has 128 places, ours as many as joints).

Used by models/action_dit.py, models/chunk_predictor.py and training. Legend: J joints, U numbers of an action vector.
"""

import torch

from models.config.head import Head


def vector_of(head: Head, joints: torch.Tensor) -> torch.Tensor:
    """Joints in their places of the action vector (Head.joint_places), zero elsewhere.

    Args:
        head: names the places.
        joints: (..., J) normalised.

    Returns:
        (..., U) in the same dtype.
    """
    if head.joint_places == tuple(range(head.action_width)):
        return joints
    vector = joints.new_zeros(*joints.shape[:-1], head.action_width)
    vector[..., list(head.joint_places)] = joints
    return vector


def joints_of(head: Head, vector: torch.Tensor) -> torch.Tensor:
    """The inverse of `vector_of`: what stands elsewhere is dropped.

    Args:
        head: names the places.
        vector: (..., U) action vectors.

    Returns:
        (..., J) normalised.
    """
    return vector[..., list(head.joint_places)]
