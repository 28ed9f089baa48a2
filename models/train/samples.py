"""Batches of observations for stage 2, drawn from prepared demonstrations.

Called by runtime/training/stages.py; models/train/action.py takes the batches.
Legend: B samples, H targets, J joints, C cameras, S px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from models.config.policy import PolicyConfig
from models.data.episode import DEMONSTRATION_HZ
from models.normalize import Statistics
from models.train.choices import Cloning
from models.train.cloned import ON_THE_WAY_S, Cloned
from models.train.next_grips import next_grips
from models.train.prefixes import Demonstrated
from models.train.prepared import WINDOW_EVERY, Prepared, Tensors, history_steps, window_of


@dataclass(frozen=True)
class Shard:
    """One demonstration, prepared; `texts` are its wordings' rows in the table of instructions."""

    pictures: Prepared
    features: tuple[Prepared, ...]
    """Of the pictures as they are, and of changed ones; latents where features are made while training. Without video empty."""
    task: str
    texts: tuple[int, ...]


class _Draws:
    """The random numbers of one batch: what is chosen of prefixes, black pictures or versions leaves all others as they are."""

    def __init__(self, seed: int, number: int) -> None:
        made = (np.random.default_rng([seed, number, *own]) for own in ((), (1,), (2,), (3,)))
        self.common, self.prefixes, self.black, self.versions = made


class Samples(Dataset[Tensors]):
    """Batches of observations, drawn from the seed and their number alone: a resumed training sees the very same ones."""

    def __init__(
        self, shards: Sequence[Shard], config: PolicyConfig, statistics: Statistics, cloning: Cloning, seed: int
    ):
        self._shards, self._config, self._statistics, self._cloning = shards, config, statistics, cloning
        self._seed = seed
        self._cloned = Cloned([shard.pictures for shard in shards], [shard.task for shard in shards])
        self._grips = [next_grips(targets.numpy()) for targets in self._cloned.targets] if cloning.grip_loss else []
        self._mean_q = np.concatenate([q.double().numpy() for q in self._cloned.q]).mean(0)
        self._share = self._cloned.shares(cloning.task_power, cloning.cut_share)

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`, what `CloningLoss` takes.

        Returns:
            A row an observation: pictures (B, 2, C, 3, S, S) uint8, state (B, J), age_s (B,); targets (B, H, J), of which the
            first ones, committed (B,), are shown and the others wanted, and those of the demonstration (B, H, J); what is not
            dropped: has_conditions, has_language (B,), has_pictures (B, 2, C); and which cameras are black: is_black (B, C).
            With `grip_loss` grips (B, J) and will_grip (B, A), as next_grips.py has them.
            A row a window of System 2: high, low and text. And a seed (1,).
        """
        draws = _Draws(self._seed, number)
        groups = self._cloning.samples // self._cloning.of_window
        chosen = draws.common.choice(len(self._shards), size=groups, p=self._share)
        windows, samples = [], []
        for index in chosen:
            shown, seen = self._group(int(index), draws)
            windows.append(shown)
            samples += seen
        stacked = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
        stacked |= {name: torch.stack([shown[name] for shown in windows]) for name in windows[0]}
        return stacked | {"seed": torch.tensor([int(draws.common.integers(2**62))])}

    def _group(self, index: int, draws: _Draws) -> tuple[Tensors, list[Tensors]]:
        """A window of a demonstration, and observations that see it at several ages; the first is drawn, then its window."""
        shard, apart, random = self._shards[index], history_steps(self._config), draws.common
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
        if shard.features:
            features = shard.features[int(draws.versions.integers(len(shard.features)))]
            shown = {name: window_of(features, name, at) for name in ("high", "low")}
            if "text" in features:
                text = shard.texts[int(features.rows("text", at, at + 1)[0])]
        shown["text"] = torch.tensor(text)
        return shown, [self._observation(index, place, at, draws) for place in places]

    def _lag(self, random: np.random.Generator, longest_s: float = float("inf")) -> int:
        """A drawn age of conditions, in steps; at most `longest_s`, else an episode's last picture would be drawn too often."""
        shortest_s, usual_s = self._cloning.lag_s
        return round(random.uniform(shortest_s, max(shortest_s, min(usual_s, longest_s))) * DEMONSTRATION_HZ)

    def _observation(self, index: int, place: int, at: int, draws: _Draws) -> Tensors:
        shard, stats, cloning, random = self._shards[index], self._statistics, self._cloning, draws.common
        step = place * history_steps(self._config)
        q = self._cloned.joints(index, step, random)
        q = q + random.normal(0, cloning.state_noise, len(q)) * stats.state_spread
        seen = shard.pictures.rows("pictures", max(0, place - 1), place + 1)
        committed = 0 if random.random() < cloning.no_prefix_share else int(random.integers(cloning.longest_prefix + 1))
        one = Demonstrated(q, self._cloned.targets[index].numpy(), step)
        horizon = self._config.horizon
        targets = self._cloned.chunk(one, shard.task, committed, horizon, cloning.prefixes, draws.prefixes)
        shown = self._mean_q if random.random() < cloning.state_dropout else q  # targets stay as they are seen from q
        has_pictures = random.random((2, seen.shape[1])) >= cloning.picture_dropout
        return self._next_grips(index, step) | {
            "pictures": torch.cat([seen[:1], seen[-1:]]),
            "has_pictures": torch.from_numpy(has_pictures),
            "is_black": torch.from_numpy(self._black(draws.black)),
            "has_language": torch.tensor(random.random() >= cloning.language_dropout),
            "state": stats.normalize_state(shown),
            "targets": stats.normalize(targets, q),
            "demonstration": stats.normalize(one.chunk(horizon), q),
            "committed": torch.tensor(committed),
            "age_s": torch.tensor(
                max(0.0, (step - at * WINDOW_EVERY) / DEMONSTRATION_HZ) + random.uniform(*ON_THE_WAY_S)
            ),
            "has_conditions": torch.tensor(random.random() >= cloning.condition_dropout),
        }

    def _next_grips(self, index: int, step: int) -> Tensors:
        """Where each hand next opens or closes; nothing where nobody learns it."""
        if not self._grips:
            return {}
        places, there = self._grips[index]
        return {
            "grips": self._statistics.normalize_state(places[step].astype(np.float64)),
            "will_grip": torch.from_numpy(there[step]),
        }

    def _black(self, random: np.random.Generator) -> NDArray[np.bool_]:
        """Which cameras (C,) are black: mostly none, in some observations all, in others one of them."""
        cameras, drawn = len(self._config.cameras), random.random()
        one = np.arange(cameras) == random.integers(cameras)
        if drawn < self._cloning.black_share:
            return np.ones(cameras, np.bool_)
        return one & (drawn < self._cloning.black_share + self._cloning.one_black_share)
