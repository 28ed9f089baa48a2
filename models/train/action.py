"""Stage 2: cloning demonstrations with the video model frozen (Video2Act, eq. (4)), which trains eyes, head and both Q-formers.

Called by runtime/training/stages.py through models/train/loop.py.
Legend: B samples, C cameras, S px, W windows, T frames, h w feature grid, N image tokens, K System 2's
tokens, D width, L words.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from models import diffusion
from models.action_dit import Context
from models.action_vector import vector_of
from models.images import GREY
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train.augmentation import augmented
from models.train.choices import Cloning
from models.train.next_grips import GripTeller
from models.train.prepared import Tensors
from models.train.token_chunk import TokenChunk

_BLACK = -1.0  # of pictures in -1..1


class CloningLoss(nn.Module):
    """The loss of Video2Act, eq. (4), of a batch. It holds what is trained of both systems, and not the frozen video model."""

    def __init__(
        self, fast: FastSystem, slow: SlowSystem | None, languages: Sequence[torch.Tensor], empty: torch.Tensor,
        cloning: Cloning,
    ) -> None:  # fmt: skip
        """`languages` are the states (1, L, D) of all wordings, `empty` those of an empty text, in place of a dropped one."""
        super().__init__()
        self.fast, self._cloning = fast, cloning
        self._slow = (slow,)  # in a tuple it is no part of this module: it stays where it is, and out of the state
        self.formers = nn.ModuleList([] if slow is None else [slow.spatial_former, slow.motion_former])
        config, hears = fast.config, slow is not None and fast.config.hears_video
        self.token_chunk = TokenChunk(config) if hears and cloning.token_loss else None
        self.heard_grips = GripTeller.of_tokens(config) if hears and cloning.grip_loss else None
        self.seen_grips = GripTeller.of_images(config) if config.inputs != "blind" and cloning.grip_loss else None
        self._words: torch.Tensor
        self._there: torch.Tensor
        self._empty = len(languages)  # the row of the empty text
        languages = [*languages, empty]
        longest = max(states.shape[1] for states in languages)
        words, there = (
            torch.zeros(len(languages), longest, languages[0].shape[-1]),
            torch.zeros(len(languages), longest),
        )
        for row, states in enumerate(languages):
            words[row, : states.shape[1]] = states[0]
            there[row, : states.shape[1]] = 1
        self.register_buffer("_words", words, persistent=False)
        self.register_buffer("_there", there.bool(), persistent=False)

    @property
    def slow(self) -> SlowSystem | None:
        """System 2, of which both formers are trained here; None: a policy without video."""
        return self._slow[0]

    def forward(self, batch: Tensors) -> torch.Tensor:
        """Mean loss of a batch over the targets that are not committed, and the further losses: a scalar, float32.

        Noise and times are drawn from the batch's seed, so that the loss is a function of weights and batch.
        """
        tokens, images = self._tokens(batch), self._images(batch)
        loss = self._denoising_loss(batch, self._context(batch, images, tokens))
        return loss + self._token_loss(batch, tokens) + self._grip_loss(batch, images, tokens)

    def _token_loss(self, batch: Tensors, tokens: torch.Tensor | None) -> torch.Tensor | float:
        """Of the chunk that the tokens tell alone."""
        if self.token_chunk is None or tokens is None:
            return 0.0
        found = self.token_chunk(tokens, batch["state"], batch["age_s"].float())
        return self._cloning.token_loss * self._distance(found, batch["demonstration"]).mean()

    def _grip_loss(self, batch: Tensors, images: torch.Tensor, tokens: torch.Tensor | None) -> torch.Tensor | float:
        """Of where each hand next opens or closes, as the newest images tell it, and as the tokens do."""
        loss: torch.Tensor | float = 0.0
        if self.seen_grips is not None:
            newest = images[:, -1].flatten(1, 2)
            shown = batch["has_pictures"][:, -1].all(-1) & ~batch["is_black"].any(-1)
            loss = loss + self.seen_grips.loss(newest, batch["grips"], batch["will_grip"], shown)
        if self.heard_grips is not None and tokens is not None:
            heard = tokens.repeat_interleave(len(images) // len(tokens), dim=0)
            every = torch.ones(len(images), dtype=torch.bool, device=images.device)
            loss = loss + self.heard_grips.loss(heard, batch["grips"], batch["will_grip"], every)
        return self._cloning.grip_loss * loss

    def _denoising_loss(self, batch: Tensors, context: Context) -> torch.Tensor:
        config, cloning = self.fast.config, self._cloning
        clean = batch["targets"]
        random = torch.Generator(clean.device).manual_seed(int(batch["seed"][0]))
        clean = vector_of(self.fast.config.head, clean).repeat_interleave(cloning.draws, dim=0)
        committed = torch.arange(config.horizon, device=clean.device) < batch["committed"][:, None]
        committed = committed.repeat_interleave(cloning.draws, dim=0)
        time = torch.randint(config.head.train_steps, (len(clean),), generator=random, device=clean.device)
        all_noise = torch.rand(len(clean), generator=random, device=clean.device) < cloning.noise_share
        time = time.masked_fill(all_noise, config.head.train_steps - 1)
        kept = diffusion.kept_share(config.head.train_steps).to(clean.device)[time][:, None, None]
        noise = torch.randn(clean.shape, generator=random, device=clean.device)
        noisy = torch.where(committed[..., None], clean, kept.sqrt() * clean + (1 - kept).sqrt() * noise)
        wanted = diffusion.wanted(config.head, clean, noise, kept.sqrt(), (1 - kept).sqrt())
        # Of what no joint stands for too, as RDT-1B's: it feeds back.
        error = self._distance(self.fast.head(noisy, time, context, committed), wanted)
        free = (~committed)[..., None].expand_as(error)
        return error.mul(free).sum() / free.sum()

    def _distance(self, found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The error of each number, in float32."""
        distance = functional.l1_loss if self._cloning.loss == "l1" else functional.mse_loss
        return distance(found.float(), wanted, reduction="none")

    def features(self, slow: SlowSystem, batch: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Both windows' features (W, T, h, w, C), which were prepared; subclasses make them here."""
        del slow
        return batch["high"], batch["low"]

    def _tokens(self, batch: Tensors) -> torch.Tensor | None:
        """System 2's tokens (W, K, D), spatial then motion; None: a policy without video."""
        if not self.fast.config.hears_video or self.slow is None:
            return None
        return torch.cat(self.slow.compressed(*self.features(self.slow, batch)), dim=1)

    def _context(self, batch: Tensors, images: torch.Tensor, tokens: torch.Tensor | None) -> Context:
        """`images` (B, 2, C, N, D) and `tokens` (W, K, D) as the head takes them, with words, joints and masks."""
        images = images.flatten(1, 3)
        of_window = len(images) // len(batch["text"])
        text = batch["text"].repeat_interleave(of_window).where(batch["has_language"], self._empty)
        there = self._there[text]
        longest = int(there.sum(1).max())
        language, there = self._words[text, :longest], there[:, :longest]
        if tokens is None:
            age_s, conditions, mask = torch.zeros(len(images), device=images.device), None, None
        else:
            age_s, conditions = batch["age_s"].float(), tokens.repeat_interleave(of_window, dim=0)
            mask = batch["has_conditions"][:, None].expand(-1, conditions.shape[1])
        return self.fast.head.context(language, images, conditions, age_s, batch["state"], (there, mask))

    def _images(self, batch: Tensors) -> torch.Tensor:
        """Image tokens (B, 2, C, N, D) of a batch's pictures, changed and left out as they are to be learnt from."""
        pictures, config = batch["pictures"], self.fast.config
        if config.inputs == "blind":  # alike for all: one set is enough
            black = torch.full(pictures[:1].shape, _BLACK, device=pictures.device)
            return self._seen(black).expand(len(pictures), -1, -1, -1, -1)
        own_seed = int(batch["seed"][0]) + 1  # apart from the chunks' noise, which stays alike with and without it
        random = torch.Generator(pictures.device).manual_seed(own_seed)
        pictures = augmented(pictures, self._cloning.augmentation, random)
        pictures[~batch["has_pictures"]] = GREY
        pictures.transpose(1, 2)[batch["is_black"]] = _BLACK
        pictures[:, :, list(config.unseen)] = _BLACK
        if not self._cloning.newest_teaches:
            return self._seen(pictures)
        with torch.no_grad():
            before = self._seen(pictures[:, :-1])
        return torch.cat([before, self._seen(pictures[:, -1:])], dim=1)

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 2, C, 3, S, S) -> image tokens (B, 2, C, N, D)."""
        return self.fast.images(pictures.flatten(0, 2)).unflatten(0, pictures.shape[:3])
