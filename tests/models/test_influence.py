"""What a chunk depends on: against a predictor whose answers are known by hand, and with the real networks, tiny."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint
from models.chunk_predictor import ChunkInputs, ChunkPredictor
from models.config.policy import PolicyConfig
from models.influence import OFFSET_RAD, Influence, measure
from models.moments import Moment
from models.normalize import Statistics
from models.policy import ConditionTokens, InstructionEmbedding

_INSTRUCTION = InstructionEmbedding(torch.zeros(1, 1, 16), VideoText(torch.zeros(1, 1, 16), torch.zeros(1, 16)))


class Sum(ChunkPredictor):
    """Every joint goes by the mean of the tokens, and by that of the newest pictures' tokens; it continues a prefix, or not."""

    def __init__(self, config: PolicyConfig, continues: bool) -> None:
        zeros, ones = np.zeros((config.horizon, config.joints), np.float32), np.ones(config.joints, np.float32)
        plain = Statistics(zeros, zeros + 1, 0 * ones, ones, -100 * ones, 100 * ones, squash=False)
        super().__init__(config, plain)
        self._continues = continues

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def weights(self) -> int:
        return 0

    def encoded(self, prepared: torch.Tensor) -> torch.Tensor:
        return prepared

    def denoised(self, given: ChunkInputs) -> torch.Tensor:
        assert given.conditions is not None
        moved = given.conditions.mean() + given.images[:, given.images.shape[1] // 2 :].mean()
        chunk = torch.full_like(given.noise, float(moved))
        count = int(given.committed.sum())
        if count and self._continues:
            chunk = chunk + given.prefix[:, count - 1 : count]
        return chunk


def moment(tiny: PolicyConfig, tokens: float, pictures: float, demonstrated: float) -> Moment:
    """A scene whose numbers are all alike; the grippers' targets are elsewhere, and must not count."""
    spatial, motion = (
        torch.full((former.tokens, former.width), float(tokens)) for former in (tiny.spatial_former, tiny.motion_former)
    )
    targets = np.full((5, tiny.joints), demonstrated)
    targets[:, [6, 13]] = 50.0
    seen = torch.full((6, tiny.image.width), float(pictures))
    q = np.zeros(tiny.joints)
    return Moment("a scene", (torch.zeros_like(seen), seen), q, ConditionTokens(spatial, motion), 0.5, targets)


def test_figures_are_what_is_reckoned_by_hand(tiny: PolicyConfig) -> None:
    """Tokens 0, 1 and 5, pictures 0, 10 and 30, and demonstrations at 0.5, 10 and 36."""
    scenes = [moment(tiny, *of) for of in ((0, 0, 0.5), (1, 10, 10), (5, 30, 36))]
    found = measure(Sum(tiny, continues=False), _INSTRUCTION, scenes, others=9)
    assert [one.tokens_rad for one in found] == pytest.approx([3, 2.5, 4.5])
    assert [one.pictures_rad for one in found] == pytest.approx([20, 15, 25])
    assert [one.to_tell_rad for one in found] == pytest.approx([22.5, 17.75, 30.75])
    assert [one.own_error_rad for one in found] == pytest.approx([0.5, 1, 1])
    assert [one.mean_error_rad for one in found] == pytest.approx([1.5, 2, 4]), "their mean is 2"
    assert [one.other_error_rad for one in found] == pytest.approx([2.5, 2.5, 5.5])
    assert [one.understood_rad for one in found] == pytest.approx([1, 1, 3])


def test_each_is_compared_with_so_many_that_follow_it(tiny: PolicyConfig) -> None:
    scenes = [moment(tiny, *of) for of in ((0, 0, 0), (1, 0, 0), (5, 0, 0))]
    found = measure(Sum(tiny, continues=False), _INSTRUCTION, scenes, others=1)
    assert [one.tokens_rad for one in found] == pytest.approx([1, 4, 5])


@pytest.mark.parametrize("continues", [True, False])
def test_what_is_kept_of_a_prefix(tiny: PolicyConfig, continues: bool) -> None:
    scenes = [moment(tiny, 0, 0, 0.2), moment(tiny, 1, 0, 0.2)]
    found = measure(Sum(tiny, continues), _INSTRUCTION, scenes, others=1)
    assert [one.kept_share for one in found] == pytest.approx([float(continues)] * 2, abs=1e-5)
    assert OFFSET_RAD > 0


@pytest.fixture
def scenes(tiny: PolicyConfig) -> list[Moment]:
    """Three scenes by chance."""
    random = np.random.default_rng(3)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.from_numpy(random.normal(size=shape)).float()

    images = (len(tiny.cameras) * tiny.image.tokens, tiny.image.width)
    formers = (tiny.spatial_former, tiny.motion_former)
    return [
        Moment(
            f"scene {number}",
            (tensor(*images), tensor(*images)),
            random.normal(scale=0.1, size=tiny.joints),
            ConditionTokens(*(tensor(former.tokens, former.width) for former in formers)),
            0.7,
            random.normal(scale=0.1, size=(4 * number + 3, tiny.joints)),
        )
        for number in range(3)
    ]


def test_a_policy_that_listens_is_moved_as_its_own_chunks_say(
    untrained: Callable[[int], Checkpoint], scenes: list[Moment]
) -> None:
    """Summed up target by target, joint by joint."""
    checkpoint = untrained(1)
    fast, instruction = checkpoint.fast(), checkpoint.instructor().encode(["hand it over"])[0]

    def chunk(sets: Moment, conditions: Moment) -> NDArray[np.float32]:
        nothing = np.zeros((0, 14))
        return fast.predict_chunk(sets.sets, scenes[0].q, instruction, conditions.conditions, 0.7, nothing, 7)

    own, tokens, pictures = (chunk(scenes[a], scenes[b]) for a, b in ((0, 0), (0, 1), (1, 0)))
    found = measure(fast, instruction, scenes, others=1)[0]
    joints = [*range(6), *range(7, 13)]
    for moved, figure in ((tokens, found.tokens_rad), (pictures, found.pictures_rad)):
        squares = [float(moved[target][joint] - own[target][joint]) ** 2 for target in range(8) for joint in joints]
        assert figure == pytest.approx((sum(squares) / len(squares)) ** 0.5)
        assert figure and figure > 1e-4


def test_a_policy_that_ignores_tokens_is_not_moved_by_them(
    untrained: Callable[[int], Checkpoint], scenes: list[Moment]
) -> None:
    """The last layer that reads them gives nothing, whatever it reads."""
    checkpoint = untrained(1)
    fast, instruction = checkpoint.fast(), checkpoint.instructor().encode(["hand it over"])[0]
    for weight in fast.head.condition.parameters():
        weight.zero_()
    found = measure(fast, instruction, scenes, others=2)
    assert [one.tokens_rad for one in found] == [0, 0, 0]
    assert [one.understood_rad for one in found] == [0, 0, 0]
    assert min(one.pictures_rad for one in found) > 1e-4


def test_without_video_there_are_no_figures_of_tokens(
    tiny: PolicyConfig, untrained: Callable[[int], Checkpoint], scenes: list[Moment]
) -> None:
    blind = tiny.model_copy(update={"inputs": "no_video"})
    checkpoint = Checkpoint(blind, untrained(1).statistics, None, 1)
    without = [Moment(s.scene, s.sets, s.q, None, s.age_s, s.targets) for s in scenes]
    found = measure(checkpoint.fast(), checkpoint.instructor().encode(["wait"])[0], without, others=2)
    for one in found:
        assert (one.tokens_rad, one.mean_error_rad, one.other_error_rad, one.understood_rad) == (None,) * 4
        assert isinstance(one, Influence) and one.pictures_rad > 1e-4
