"""Batches for stage 2: clips, and of each several chunks that begin when the clip is some time old.

Called by runtime/training/video_policy_stages.py; acting.py takes the batches.
Legend: B clips, N chunks of each, H targets, J joints, K cameras, S px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from models.data.episode import DEMONSTRATION_HZ
from models.normalize import Statistics
from models.train.cloned import ON_THE_WAY_S, Cloned
from models.train.prefixes import Demonstrated
from models.train.prepared import Prepared, Tensors
from models.train.statistics import EVERY, chunks
from models.train.video_policy.choices import Acting
from models.train.video_policy.clips import Recording, cut, drawn
from models.video_policy.action_range import min_max
from models.video_policy.config import VideoPolicyConfig


@dataclass(frozen=True)
class Shard:
    """One demonstration, prepared."""

    joints: Prepared
    recording: Recording
    task: str


def statistics(files: Sequence[Prepared], config: VideoPolicyConfig) -> Statistics:
    """Statistics of the chunks that begin at any step of the demonstrations; files as recorded.joints makes them."""
    both = [(file["q"].numpy(), file["targets"].numpy()) for file in files]
    wanted = [chunks(targets, config.action.targets)[: len(q) : EVERY] for q, targets in both]
    return min_max(config.action, np.concatenate(wanted), np.concatenate([q[::EVERY] for q, _ in both]))


class Observations(Dataset[Tensors]):
    """Batches, drawn from the seed and their number alone: a resumed training sees the very same ones."""

    def __init__(
        self, shards: Sequence[Shard], config: VideoPolicyConfig, measured: Statistics, acting: Acting, seed: int
    ) -> None:
        self._shards, self._config, self._statistics, self._acting = shards, config, measured, acting
        self._seed = seed
        self._cloned = Cloned([shard.joints for shard in shards], [shard.task for shard in shards])
        self._share = self._cloned.shares(acting.task_power, acting.cut_share)

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`, what `ActingLoss` takes.

        Returns:
            A row a clip: as `clips.drawn`. A row a chunk, those of a clip behind each other: targets (B N, H, J), normalised,
            of which the first ones, committed (B N,), are shown and the others wanted; age_s (B N,) of the clip's pictures;
            with eyes pictures (B N, K, 3, S, S) uint8 and state (B N, J).
        """
        random = np.random.default_rng([self._seed, number])
        prefixes = np.random.default_rng([self._seed, number, 1])  # what is chosen of them leaves all else as it is
        clips: list[Tensors] = []
        rows: list[Tensors] = []
        for index in random.choice(len(self._shards), size=self._acting.clips, p=self._share):
            last = self._shards[index].recording.steps - 1
            step = int(random.integers(last + 1))
            at = max(0, step - self._lag(random))
            left_s = (last - at) / DEMONSTRATION_HZ
            others = [min(last, at + self._lag(random, left_s)) for _ in range(self._acting.chunks - 1)]
            clips.append(cut(self._shards[index].recording, at, self._config, random))
            rows += [self._chunk(int(index), one, at, random, prefixes) for one in (step, *others)]
        stacked = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        return stacked | drawn(clips, self._acting.dropout, random)

    def _lag(self, random: np.random.Generator, longest_s: float = float("inf")) -> int:
        """A drawn age, in steps; at most `longest_s`, else an episode's last step would be drawn too often."""
        least_s, usual_s = self._acting.age_s
        return round(random.uniform(least_s, max(least_s, min(usual_s, longest_s))) * DEMONSTRATION_HZ)

    def _chunk(
        self, index: int, step: int, at: int, random: np.random.Generator, prefixes: np.random.Generator
    ) -> Tensors:
        """A chunk that begins at `step`, of a clip whose current pictures are of the step `at`."""
        shard, acting, horizon = self._shards[index], self._acting, self._config.action.targets
        q = self._cloned.joints(index, step, random)
        none = random.random() < acting.no_prefix_share
        committed = 0 if none else int(random.integers(min(acting.longest_prefix, horizon) + 1))
        one = Demonstrated(q, self._cloned.targets[index].numpy(), step)
        targets = self._cloned.chunk(one, shard.task, committed, horizon, acting.prefixes, prefixes)
        age_s = (step - at) / DEMONSTRATION_HZ + random.uniform(*ON_THE_WAY_S)
        return self._seen(index, step, q, random) | {
            "targets": self._statistics.normalize(targets, q),
            "committed": torch.tensor(committed),
            "age_s": torch.tensor(age_s, dtype=torch.float32),
        }

    def _seen(self, index: int, step: int, q: np.ndarray, random: np.random.Generator) -> Tensors:
        """What a network with eyes sees when a chunk begins; nothing without them."""
        if self._config.action.eyes is None:
            return {}
        noise = random.normal(0, self._acting.state_noise, len(q)) * self._statistics.state_spread
        return {
            "pictures": self._shards[index].joints.rows("pictures", step, step + 1)[0],
            "state": self._statistics.normalize_state(q + noise),
        }
