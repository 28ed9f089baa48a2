"""Which places of the pictures move a chunk: Grad-CAM of System 1's image encoder and of the video model's features.

Called by runtime/explanation. Video2Act, figure 2, does not name the scalar that it differentiates. Here it is the chunk's
squared arm motion, since its gradient weighs a feature by how much it moves the arms: it has no direction to choose, counts
both arms, and is 0 for a chunk that stands still. Legend: T frames, h w grid, C channels, H targets, J joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from models.action_vector import joints_of
from models.backbones.backbone import VideoText
from models.chunk_sampler import ChunkSampler
from models.grad_cam import grad_cam, own_gradients
from models.policy import InstructionEmbedding, Pictures
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.window import LatentRing

TARGETS = 16
"""Free targets that count. Chosen: half a second at 30 Hz, in which an arm gets somewhere."""
SCALAR = f"squared arm motion of a chunk's first {TARGETS} free targets, rad^2"
WindowName = Literal["high", "low"]


@dataclass(frozen=True)
class MadeOf:
    """What one chunk was made of."""

    sets: tuple[Pictures, ...]
    """The set of pictures before, then the newest one; (H, W, 3) uint8 a camera, in the policy's order."""
    windows: dict[WindowName, Pictures]
    """System 2's frames (H, W, 3) uint8, oldest first."""
    q: NDArray[np.float64]
    """(J,) the joints then, rad, gripper m."""
    instruction: InstructionEmbedding
    age_s: float
    """Of the newest frame in the windows, s."""
    prefix: NDArray[np.floating]
    """(n, J) committed targets, rad, gripper m."""
    noise_seed: int


@dataclass(frozen=True)
class Branch:
    """A layer of System 2 that is explained."""

    name: str
    """raw, or the filter: sobel, scharr, laplacian, fft; `on latents` where it acts before the video model."""
    window: WindowName
    below_filter: bool = False
    """Whether the features are filtered afterwards."""


@dataclass(frozen=True)
class Explanation:
    """The maps of one chunk: (h, w) float32 at least 0, on their layer's grid, in rad^2. Each is Grad-CAM, below a filter own
    gradients, since Grad-CAM is 0 there (grad_cam.own_gradients).
    """

    motion_rad2: float
    """The scalar."""
    chunk: NDArray[np.float32]
    """(H, J) the chunk, rad, gripper m: what System 1 makes of the same inputs."""
    eyes: dict[str, NDArray[np.float32]]
    """By camera, for the newest set; a camera that the policy does not see has none."""
    video: dict[Branch, NDArray[np.float32]]
    """Of each window's newest frame."""


class Explainer:
    """Both systems of a policy with gradients from the chunk back to features; their weights stay as they are."""

    def __init__(self, slow: SlowSystem, fast: FastSystem, arm_joints: Sequence[int]) -> None:
        """`arm_joints`: places in a target that are angles of an arm, no grippers."""
        self._slow, self._fast, self._arm_joints = slow, fast, list(arm_joints)
        self.config = fast.config
        with torch.no_grad():
            self._sampler = ChunkSampler(fast.head, fast.device, fast.dtype)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The layers of System 2, in the order of the picture's way: both windows, each raw and then filtered."""
        filters = self.config.filters
        found: list[Branch] = []
        chosen: tuple[tuple[WindowName, str], ...] = (("high", filters.spatial), ("low", filters.motion))
        for window, kind in chosen:
            if kind == "none":
                found.append(Branch("raw", window))
            elif filters.place == "latents":
                found.append(Branch(f"{kind} on latents", window))
            else:
                found += [Branch("raw", window, below_filter=True), Branch(kind, window)]
        return tuple(found)

    def explain(self, made_of: MadeOf) -> Explanation:
        """Grad-CAM of all layers for one chunk.

        Args:
            made_of: what the chunk is made of.

        Returns:
            Its maps, and the chunk.

        Raises:
            ModelError: the motion filter keeps nothing.
        """
        with torch.no_grad():
            features = [_leaf(part) for part in self._features(made_of)]
            maps = [_leaf(self._fast.images.feature_maps(self._fast.prepare(pictures))) for pictures in made_of.sets]
        filtered = self._slow.filtered(features[0], features[1])
        normalised = self._chunk(made_of, maps, torch.cat(self._slow.formed(*filtered), dim=1))
        scalar = self._motion(normalised, made_of).square().sum()
        layers = self._layers(features, filtered)
        eyes, *gradients = _gradients(scalar, [maps[-1], *layers.values()])
        seen = [place for place in range(len(self.config.cameras)) if place not in self.config.unseen]
        return Explanation(
            float(scalar.detach()),
            self._targets(normalised.detach(), made_of),
            {self.config.cameras[place]: _newest(maps[-1][[place]], eyes[[place]]) for place in seen},
            {
                branch: _newest(layers[branch][0], wrt[0], branch.below_filter)
                for branch, wrt in zip(layers, gradients, strict=True)
            },
        )

    def _features(self, made_of: MadeOf) -> tuple[torch.Tensor, torch.Tensor]:
        """The video model's features (1, T, h, w, C) of both windows."""
        slow = self._slow
        slow.clear()
        high = self._latents(slow.high, made_of.windows["high"])
        low = self._latents(slow.low, made_of.windows["low"])
        slow.clear()
        if self.config.filters.place == "latents":
            high, low = slow.filter_latents(high, low)
        given = made_of.instruction.video
        text = VideoText(*(part.to(slow.device, slow.dtype) for part in (given.states, given.pooled)))
        return slow.features(high, text), slow.features(low, text)

    def _latents(self, ring: LatentRing, pictures: Pictures) -> torch.Tensor:
        """(1, c, T', h, w) of a window."""
        for number, picture in enumerate(pictures):
            self._slow.encode(ring, number, picture)
        return ring.window_latents(range(len(pictures)))

    def _layers(
        self, features: Sequence[torch.Tensor], filtered: tuple[torch.Tensor, torch.Tensor]
    ) -> dict[Branch, torch.Tensor]:
        """The tensor (1, T, h, w, C) of each branch."""
        place: dict[WindowName, int] = {"high": 0, "low": 1}
        before = self.config.filters.place == "latents"
        return {
            branch: (features if before or branch.name == "raw" else filtered)[place[branch.window]]
            for branch in self.branches
        }

    def _chunk(self, made_of: MadeOf, maps: Sequence[torch.Tensor], conditions: torch.Tensor) -> torch.Tensor:
        """The chunk (H, J) as the head makes it, normalised."""
        fast = self._fast
        images = torch.cat([fast.images.tokens_of(one).flatten(0, 1) for one in maps])[None]
        language = made_of.instruction.language.to(fast.device, fast.dtype)
        with torch.no_grad():
            words = fast.head.words(language)
        given = fast.chunk_inputs(
            language, images, _as_sent(conditions).to(fast.device, fast.dtype), made_of.q, made_of.age_s, made_of.prefix,
            made_of.noise_seed,
        )  # fmt: skip
        chunk = self._sampler(
            words, given.images, given.age_s, given.state, given.noise, given.prefix, given.committed, given.conditions
        )
        return joints_of(self.config.head, chunk)[0].float()

    def _motion(self, normalised: torch.Tensor, made_of: MadeOf) -> torch.Tensor:
        """How far the first free targets (n, arm joints) are from where the arms are, rad; not cut to the ranges."""
        free = slice(len(made_of.prefix), len(made_of.prefix) + TARGETS)
        statistics = self._fast.statistics
        spread, mean = (torch.from_numpy(part).to(normalised) for part in (statistics.spread, statistics.mean))
        targets = normalised[free] * spread[free] + mean[free]
        if not statistics.relative:
            targets = targets - torch.from_numpy(made_of.q).to(normalised)
        return targets[:, self._arm_joints]

    def _targets(self, normalised: torch.Tensor, made_of: MadeOf) -> NDArray[np.float32]:
        """(H, J) in the robot's units; the committed ones as they are given."""
        targets = self._fast.statistics.denormalize(normalised, made_of.q)
        targets[: len(made_of.prefix)] = made_of.prefix
        return targets


def _gradients(scalar: torch.Tensor, layers: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """dy/dA of each layer; 0 where the policy reads it nowhere, as a head of one block does with pictures."""
    if not scalar.requires_grad:
        return [torch.zeros_like(layer) for layer in layers]
    return torch.autograd.grad(scalar, layers, materialize_grads=True)


def _leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor where gradients end."""
    return tensor.detach().requires_grad_()


def _newest(activations: torch.Tensor, gradients: torch.Tensor, below_filter: bool = False) -> NDArray[np.float32]:
    """The map of the newest of frames (T, h, w, C)."""
    cam = own_gradients if below_filter else grad_cam
    return cam(activations.detach(), gradients)[-1].cpu().numpy()


def _as_sent(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens rounded as they travel between the systems, to bfloat16; gradients pass as if they were not."""
    return tokens + (tokens.to(torch.bfloat16).to(tokens.dtype) - tokens).detach()
