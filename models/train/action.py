"""Stage 2: cloning demonstrations with the video model frozen (Video2Act, eq. (4)), which trains eyes, head and both Q-formers.

Called by runtime/training/stages.py through models/train/loop.py.
Legend: B samples, K noise draws of each, H targets, J joints, C cameras, L words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from models import diffusion
from models.action_dit import Context
from models.action_vector import vector_of
from models.config import PolicyConfig
from models.data.episode import DEMONSTRATION_HZ
from models.images import GREY
from models.normalize import Statistics
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train.choices import Cloning
from models.train.prepared import WINDOW_EVERY, Prepared, Tensors, history_steps, window_of
from models.train.statistics import window

_ON_THE_WAY_S = (0.01, 0.06)
"""How much later than its newest picture was exposed a live run begins. Chosen: it takes some 10 ms to read a set of pictures,
and the set may be more than a frame (33 ms) old before System 1 is free."""


@dataclass(frozen=True)
class Shard:
    """One demonstration, prepared; `texts` are its wordings' rows in the table of instructions."""

    pictures: Prepared
    features: Prepared | None  # latents where features are made while training; None: a policy without video
    task: str
    texts: tuple[int, ...]


class Samples(Dataset[Tensors]):
    """Batches of observations, drawn from the seed and their number alone: a resumed training sees the very same ones."""

    def __init__(
        self, shards: Sequence[Shard], config: PolicyConfig, statistics: Statistics, cloning: Cloning, seed: int
    ):
        self._shards, self._config, self._statistics, self._cloning = shards, config, statistics, cloning
        self._seed = seed
        self._q = [shard.pictures["q"] for shard in shards]
        self._targets = [shard.pictures["targets"] for shard in shards]
        self._mean_q = np.concatenate([q.double().numpy() for q in self._q]).mean(0)
        steps = np.array([len(q) for q in self._q], np.float64)
        by_task = {
            task: sum(steps[i] for i, s in enumerate(shards) if s.task == task) for task in {s.task for s in shards}
        }
        share = np.array([by_task[shard.task] ** (cloning.task_power - 1) for shard in shards]) * steps
        self._share = share / share.sum()

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`, what `CloningLoss` takes.

        Returns:
            A row an observation: pictures (B, 2, C, 3, S, S) uint8, state (B, J), targets (B, H, J), committed (B,),
            age_s (B,); and what is not dropped: has_conditions, has_language (B,), has_pictures (B, 2, C).
            A row a window of System 2: high, low and text. And a seed (1,).
        """
        random = np.random.default_rng([self._seed, number])
        groups = self._cloning.samples // self._cloning.of_window
        chosen = random.choice(len(self._shards), size=groups, p=self._share)
        windows, samples = [], []
        for index in chosen:
            shown, seen = self._group(int(index), random)
            windows.append(shown)
            samples += seen
        stacked = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
        stacked |= {name: torch.stack([shown[name] for shown in windows]) for name in windows[0]}
        return stacked | {"seed": torch.tensor([int(random.integers(2**62))])}

    def _group(self, index: int, random: np.random.Generator) -> tuple[Tensors, list[Tensors]]:
        """A window of a demonstration, and observations that see it at several ages; the first is drawn, then its window."""
        shard, apart = self._shards[index], history_steps(self._config)
        last = shard.pictures.count("pictures") - 1
        early = random.random() < self._cloning.early_share
        place = int(random.integers(min(last, DEMONSTRATION_HZ // apart) + 1 if early else last + 1))
        at = max(0, place * apart - self._lag(random)) // WINDOW_EVERY
        places = [place]
        left_s = (last * apart - at * WINDOW_EVERY) / DEMONSTRATION_HZ
        for _ in range(self._cloning.of_window - 1):
            places.append(min(last, (at * WINDOW_EVERY + self._lag(random, left_s)) // apart))
        shown: Tensors = {}
        text = int(random.choice(shard.texts))
        if shard.features is not None:
            shown = {name: window_of(shard.features, name, at) for name in ("high", "low")}
            if "text" in shard.features:
                text = shard.texts[int(shard.features.rows("text", at, at + 1)[0])]
        shown["text"] = torch.tensor(text)
        return shown, [self._observation(index, place, at, random) for place in places]

    def _lag(self, random: np.random.Generator, longest_s: float = float("inf")) -> int:
        """A drawn age of conditions, in steps; at most `longest_s`, else an episode's last picture would be drawn too often."""
        shortest_s, usual_s = self._cloning.lag_s
        return round(random.uniform(shortest_s, max(shortest_s, min(usual_s, longest_s))) * DEMONSTRATION_HZ)

    def _observation(self, index: int, place: int, at: int, random: np.random.Generator) -> Tensors:
        shard, stats, cloning = self._shards[index], self._statistics, self._cloning
        step = place * history_steps(self._config)
        q = self._joints(index, step, random)
        q = q + random.normal(0, cloning.state_noise, len(q)) * stats.state_spread
        targets = window(self._targets[index], step, self._config.horizon).numpy()
        seen = shard.pictures.rows("pictures", max(0, place - 1), place + 1)
        committed = 0 if random.random() < cloning.no_prefix_share else int(random.integers(cloning.longest_prefix + 1))
        shown = self._mean_q if random.random() < cloning.state_dropout else q  # targets stay as they are seen from q
        has_pictures = random.random((2, seen.shape[1])) >= cloning.picture_dropout
        return {
            "pictures": torch.cat([seen[:1], seen[-1:]]),
            "has_pictures": torch.from_numpy(has_pictures),
            "has_language": torch.tensor(random.random() >= cloning.language_dropout),
            "state": stats.normalize_state(shown),
            "targets": stats.normalize(targets, q),
            "committed": torch.tensor(committed),
            "age_s": torch.tensor(
                max(0.0, (step - at * WINDOW_EVERY) / DEMONSTRATION_HZ) + random.uniform(*_ON_THE_WAY_S)
            ),
            "has_conditions": torch.tensor(random.random() >= cloning.condition_dropout),
        }

    def _joints(self, index: int, step: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Joints (J,) a little later than the pictures: a live run reads them when it begins, not when the cameras exposed."""
        q = self._q[index][step : step + 2].double().numpy()
        return q[0] + (q[-1] - q[0]) * random.random()


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
        """Mean loss of a batch over the targets that are not committed: a scalar, float32.

        Noise and times are drawn from the batch's seed, so that the loss is a function of weights and batch.
        """
        config, cloning = self.fast.config, self._cloning
        clean = batch["targets"]
        random = torch.Generator(clean.device).manual_seed(int(batch["seed"][0]))
        context = self._context(batch, random)
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
        found = self.fast.head(noisy, time, context, committed)
        distance = functional.l1_loss if cloning.loss == "l1" else functional.mse_loss
        error = distance(
            found.float(), wanted, reduction="none"
        )  # of what no joint stands for too, as RDT-1B's: it feeds back
        free = (~committed)[..., None].expand_as(error)
        return error.mul(free).sum() / free.sum()

    def features(self, slow: SlowSystem, batch: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Both windows' features (W, T, h, w, C), which were prepared; subclasses make them here."""
        del slow
        return batch["high"], batch["low"]

    def _context(self, batch: Tensors, random: torch.Generator) -> Context:
        config, head = self.fast.config, self.fast.head
        pictures = batch["pictures"].float().div_(127.5).sub_(1)
        if config.inputs == "blind":  # alike for all: one set is enough
            images = self._seen(torch.full_like(pictures[:1], -1)).expand(len(pictures), -1, -1, -1, -1)
        else:
            pictures = self._jittered(pictures, random)
            pictures = pictures.where(batch["has_pictures"][..., None, None, None], GREY)
            pictures[:, :, list(config.unseen)] = -1  # black
            images = self._seen(pictures)
        images = images.flatten(1, 3)
        of_window = len(images) // len(batch["text"])
        text = batch["text"].repeat_interleave(of_window).where(batch["has_language"], self._empty)
        there = self._there[text]
        longest = int(there.sum(1).max())
        language, there = self._words[text, :longest], there[:, :longest]
        if not config.hears_video or self.slow is None:
            age_s = torch.zeros(len(images), device=images.device)
            return head.context(language, images, None, age_s, batch["state"], (there, None))
        high, low = self.features(self.slow, batch)
        conditions = torch.cat(self.slow.compressed(high, low), dim=1).repeat_interleave(of_window, dim=0)
        mask = batch["has_conditions"][:, None].expand(-1, conditions.shape[1])
        return head.context(language, images, conditions, batch["age_s"].float(), batch["state"], (there, mask))

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 2, C, 3, S, S) -> image tokens (B, 2, C, N, D)."""
        return self.fast.images(pictures.flatten(0, 2)).unflatten(0, pictures.shape[:3])

    def _jittered(self, pictures: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Pictures (B, 2, C, 3, S, S) with brightness and contrast changed a little, alike in both pictures of a history."""
        size = (len(pictures), 1, pictures.shape[2], 1, 1, 1)
        off = [torch.rand(size, generator=random, device=pictures.device) * 2 - 1 for _ in range(2)]
        jitter = self._cloning.colour_jitter
        return pictures * (1 + jitter * off[0]) + jitter * off[1]
