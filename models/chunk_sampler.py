"""Context and all denoising steps of a chunk (Video2Act, section 3.3) as one call without a decision: a CUDA graph captures it.

Made by models/system1.py, and by models/graphs/system1.py to be written as a graph of ONNX.
Legend: N image tokens, K System 2's tokens, H targets in a chunk, J joints, U numbers of an action vector.
"""

import torch

from models import diffusion
from models.action_dit import ActionTransformer, Words


class ChunkSampler:
    """Makes chunks with a head whose weights stay as they are. What is the same in all of them is made once: here."""

    def __init__(self, head: ActionTransformer, device: torch.device, dtype: torch.dtype) -> None:
        """`device` and `dtype` are the head's."""
        self._head, self._dtype, settings = head, dtype, head.config.head
        self._steps = diffusion.plan(settings.steps, settings.train_steps)
        self._times = tuple(head.at(torch.tensor([step.time], device=device), dtype) for step in self._steps)

    def __call__(
        self,
        words: Words,
        images: torch.Tensor,
        age_s: torch.Tensor,
        state: torch.Tensor,
        noise: torch.Tensor,
        prefix: torch.Tensor,
        committed: torch.Tensor,
        conditions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A chunk from noise; launches the same operations whatever the tensors hold.

        Args:
            words: of the instruction.
            images: (1, N, image width) tokens of two sets of pictures.
            age_s: (1,) float32, of the newest frame that the conditions saw.
            state: (1, J) normalised joints now.
            noise: (1, H, U) float32.
            prefix: (1, H, U) float32, the committed targets in their places.
            committed: (1, H) bool, which targets are.
            conditions: (1, K, former's width); None: the chunk is made without.

        Returns:
            (1, H, U) float32, normalised.
        """
        context = self._head.context_of(words, images, conditions, age_s, state)

        def denoise(x: torch.Tensor, step: diffusion.Step) -> torch.Tensor:
            return self._head(x.to(self._dtype), self._times[step.place], context, committed).float()

        return diffusion.sample(self._head.config.head, self._steps, noise, prefix, committed, denoise)

    def flat(self, *tensors: torch.Tensor) -> tuple[torch.Tensor]:
        """The same of tensors alone, as a CUDA graph takes them: those of the words, then the others in their order."""
        own = 2 * -(-self._head.config.head.depth // 2) + 1
        return (self(Words.of(tensors[:own]), *tensors[own:]),)
