"""Both stages on a policy of a few thousand weights: what is prepared, what is sampled, that losses fall, and exact resuming.
Called by pytest; the networks and files are real, the demonstrations tiny."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import simplejpeg
import torch
from accelerate.state import AcceleratorState
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torch import nn

from models import normalize
from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint, save
from models.config.encoders import Keypoints
from models.config.policy import CAMERAS, PolicyConfig
from models.data.episode import DEMONSTRATION_HZ, Episode
from models.errors import ModelError
from models.instructor import Instructor
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train import low_rank, prepared, statistics, token_statistics
from models.train.action import CloningLoss
from models.train.choices import Augmentation, Cloning, Filming, Prefixes, Schedule
from models.train.live_features import LiveFeatures
from models.train.loop import Progress, fit
from models.train.prepared import WINDOW_EVERY, Prepared, history_steps, window_of
from models.train.recompute import recompute
from models.train.samples import Samples, Shard
from models.train.training_state import steps_done
from models.train.video import AutoencoderLoss, Film, FlowLoss, Pictures, Windows, latent_spread

STEPS = 40
TEXTS = ("do it", "please do it at once")
CLONING = Cloning(samples=6, draws=2, lag_s=(0.0, 0.6))
CLEAR = CLONING.model_copy(update={"black_share": 0.0, "one_black_share": 0.0, "token_loss": 0.0})


def episode(seed: int) -> Episode:
    """A white square that moves over the head picture as the first joint does."""
    random = np.random.default_rng(seed)
    way = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None] * random.uniform(-0.5, 0.5, 14).astype(np.float32)
    jpegs: dict[str, list[bytes]] = {}
    for camera in CAMERAS:
        pictures = np.zeros((STEPS, 48, 64, 3), np.uint8)
        for step in range(STEPS):
            left = int(28 + 24 * way[step, 0])
            pictures[step, 16:28, left : left + 12] = 255
        jpegs[camera] = [simplejpeg.encode_jpeg(picture, 90) for picture in pictures]
    return Episode(way, way, way, way + 0.01, jpegs, TEXTS, "a_task", seed)


@pytest.fixture(scope="module")
def config(tiny: PolicyConfig) -> PolicyConfig:
    """The tiny policy with eyes that learn from scratch."""
    eyes = Keypoints(image_px=16, width=16, points=4, channels=(8, 8), grid=2)
    head = tiny.head.model_copy(update={"guess_width": 32, "guess_blend": 6})
    return tiny.model_copy(update={"image": eyes, "head": head, "horizon": 8, "action_source": "master"})


@pytest.fixture(scope="module")
def files(config: PolicyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything prepared of three episodes."""
    torch.manual_seed(0)
    folder, slow, instructor = tmp_path_factory.mktemp("prepared"), SlowSystem(config), Instructor(config)
    texts = [embedding.video for embedding in instructor.eval().encode(TEXTS)]
    for seed in range(3):
        one = episode(seed)
        latents = prepared.latents(one, slow)
        made = {
            "pictures": prepared.pictures(one, config),
            "samples": prepared.samples(one, config, seed),
            "latents": latents,
            "features": prepared.features(latents, slow, texts, seed),
        }
        for kind, tensors in made.items():
            prepared.write(folder / kind / f"{seed}.safetensors", tensors)
    return folder


def opened(files: Path, kind: str) -> list[Prepared]:
    return [Prepared(path) for path in sorted((files / kind).iterdir())]


def alone(files: Path, kind: str) -> list[tuple[Prepared, ...]]:
    """Of the pictures as they are, and of no others."""
    return [(one,) for one in opened(files, kind)]


def samples(files: Path, config: PolicyConfig, cloning: Cloning = CLONING) -> Samples:
    """Stage 2's batches."""
    pictures = opened(files, "pictures")
    shards = [Shard(*parts, "a_task", (0, 1)) for parts in zip(pictures, alone(files, "features"), strict=True)]
    return Samples(shards, config, statistics.of(pictures, config.horizon), cloning, seed=3)


def cloning_loss(files: Path, config: PolicyConfig, cloning: Cloning = CLONING) -> CloningLoss:
    """Stage 2's network, drawn from a fixed seed."""
    torch.manual_seed(1)
    fast = FastSystem(config, statistics.of(opened(files, "pictures"), config.horizon))
    slow = SlowSystem(config)
    slow.backbone.requires_grad_(False)
    *languages, empty = (embedding.language for embedding in Instructor(config).eval().encode([*TEXTS, ""]))
    return CloningLoss(fast, slow, languages, empty, cloning)


def repeated(text: VideoText, count: int) -> VideoText:
    """For every sample of a batch."""
    return VideoText(text.states.expand(count, -1, -1), text.pooled.expand(count, -1))


def losses(
    network: nn.Module,
    batches: Any,
    folder: Path,
    steps: int,
    stop: int | None = None,
    precision: Literal["auto", "no"] = "no",
    **more: Any,
) -> list[float]:
    """The loss of every step until `stop`."""
    schedule = Schedule(steps=steps, warmup_steps=2, precision=precision, loaders=0, **more)
    found: list[float] = []
    for news in fit(network, batches, schedule, folder, lambda _: None):
        found.append(news.loss)
        if news.step + 1 == stop:
            break
    return found


@pytest.fixture(autouse=True, scope="module")
def own_accelerator() -> None:
    """Other tests of this process may have trained in another precision."""
    fresh_accelerator()


def fresh_accelerator() -> None:
    """A process trains in one precision only."""
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("hardware", "error"), [(True, 1e-2), (False, 0)])
def test_bf16_is_for_processors_that_have_it(
    hardware: bool, error: float, files: Path, config: PolicyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated it takes ten times as long as float32."""
    batches = samples(files, config)
    exact = losses(cloning_loss(files, config), batches, tmp_path / "exact", steps=1)[0]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": hardware})
    fresh_accelerator()
    found = losses(cloning_loss(files, config), batches, tmp_path / "auto", steps=1, precision="auto")[0]
    fresh_accelerator()
    assert (found == exact) is not hardware and found == pytest.approx(exact, rel=error)


def test_prepared_pictures_are_what_system_1_would_see(files: Path, config: PolicyConfig) -> None:
    fast = FastSystem(config, statistics.of(opened(files, "pictures"), config.horizon))
    place = 3
    step = place * prepared.history_steps(config)
    live = fast.prepare(tuple(simplejpeg.decode_jpeg(episode(1).jpegs[camera][step]) for camera in CAMERAS))
    stored = opened(files, "pictures")[1].rows("pictures", place, place + 1)[0].float() / 127.5 - 1
    assert_allclose(stored, live, atol=1 / 127)


def test_prepared_features_are_what_system_2_would_make(files: Path, config: PolicyConfig) -> None:
    torch.manual_seed(0)
    slow, instructor = SlowSystem(config).eval(), Instructor(config)
    window, heads = 2, episode(2).jpegs["head"]
    last = window * WINDOW_EVERY
    low = [last - 3 * back for back in range(config.video.low.frames - 1, -1, -1)]
    for ring, numbers in ((slow.high, [last - 1, last]), (slow.low, low)):
        for number in numbers:
            slow.encode(ring, number, simplejpeg.decode_jpeg(heads[number]))
    stored = opened(files, "features")[2]
    text = instructor.eval().encode(TEXTS)[int(stored["text"][window])]
    live = slow.encode_video([last - 1, last], low, text)
    high, low_features = (window_of(stored, name, window)[None] for name in ("high", "low"))
    spatial, motion = slow.compressed(high, low_features)
    assert_allclose(spatial[0].detach(), live.spatial, atol=0.05)
    assert_allclose(motion[0].detach(), live.motion, atol=0.05)


def test_windows_before_the_episode_show_its_first_step(files: Path) -> None:
    first = opened(files, "latents")[0].rows("low", 0, 1)[0]
    assert (first == first[:, -1:]).all()


def test_the_next_puppet_position_or_the_master_is_the_target(config: PolicyConfig) -> None:
    one = episode(0)
    assert_allclose(prepared.targets(one, config), one.leader)
    follower = prepared.targets(one, config.model_copy(update={"action_source": "next_puppet"}))
    assert_allclose(follower[:-1], one.q[1:])
    assert_allclose(follower[-1], one.q[-1])


def test_statistics_normalise_what_they_were_made_of(files: Path, config: PolicyConfig) -> None:
    pictures = opened(files, "pictures")
    stats = statistics.of(pictures, config.horizon)
    every = [
        stats.normalize(statistics.chunks(shard["targets"].numpy(), config.horizon)[step], shard["q"][step].numpy())
        for shard in pictures
        for step in range(STEPS)
    ]
    assert torch.stack(every).std(0).max() < 1.3
    assert torch.stack(every).mean(0).abs().max() < 0.3
    assert (stats.low < stats.high).all()


def test_physical_targets_are_angles_and_shares_of_the_grippers_stroke(files: Path, config: PolicyConfig) -> None:
    """As RDT-1B was trained."""
    pictures = opened(files, "pictures")
    stats = statistics.of(pictures, config.horizon, "physical")
    relative = statistics.of(pictures, config.horizon)
    assert_allclose((stats.low, stats.high), (relative.low, relative.high))
    arms = [joint for joint in range(14) if joint not in (6, 13)]
    shares: list[float] = []
    for shard in pictures:
        q, window = shard["q"].numpy(), statistics.chunks(shard["targets"].numpy(), config.horizon)[5]
        made = stats.normalize(window, q[5])
        assert_allclose(made.numpy()[:, arms], window[:, arms])
        assert_allclose(stats.normalize_state(q)[:, arms], q[:, arms])
        assert_allclose(stats.denormalize(made, q[5]), window, rtol=1e-5)
        for gripper in (6, 13):
            everything = np.concatenate([q, shard["targets"].numpy()])
            shares.append(float((everything[:, gripper] / stats.state_spread[gripper]).max()))
        assert_allclose(stats.normalize_state(q)[:, 6], q[:, 6] / stats.state_spread[6])
    assert max(shares) == pytest.approx(1.0)


def test_chunks_repeat_the_last_target_after_the_end() -> None:
    targets = np.arange(10, dtype=np.float32)[:, None]
    found = statistics.chunks(targets, 4)
    assert_allclose(found[8, :, 0], [8, 9, 9, 9])


def test_a_batch_follows_from_its_number(files: Path, config: PolicyConfig) -> None:
    one, again, other = samples(files, config)[5], samples(files, config)[5], samples(files, config)[6]
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["targets"], other["targets"])


def test_every_version_of_the_features_is_drawn_and_changes_nothing_else(files: Path, config: PolicyConfig) -> None:
    pictures, features = opened(files, "pictures"), opened(files, "features")
    measured = statistics.of(pictures, config.horizon)
    batches: list[dict[str, torch.Tensor]] = []
    for versions in ((features[0],), (features[0], features[1])):
        shards = [Shard(pictures[0], versions, "a_task", (0, 1))]
        batches.append(Samples(shards, config, measured, CLONING.model_copy(update={"samples": 120}), seed=3)[2])
    same = [name for name in batches[0] if name not in ("high", "low", "text")]
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in same)
    apart = [not torch.equal(*both) for both in zip(batches[0]["high"], batches[1]["high"], strict=True)]
    assert 0.25 < float(np.mean(apart)) < 0.75


def test_the_first_second_is_drawn_as_often_as_asked(files: Path, config: PolicyConfig) -> None:
    every = history_steps(config)
    early = {
        picture.numpy().tobytes()
        for shown in opened(files, "pictures")
        for picture in shown["pictures"][: DEMONSTRATION_HZ // every + 1]
    }
    found: dict[float, float] = {}
    for share in (0.0, 1.0):
        cloning = CLONING.model_copy(update={"samples": 200, "of_window": 1, "early_share": share})
        newest = samples(files, config, cloning)[0]["pictures"][:, 1]
        found[share] = float(np.mean([picture.numpy().tobytes() in early for picture in newest]))
    assert found[1.0] == 1.0 > found[0.0]


def test_conditions_are_as_old_as_they_are_said_to_be(files: Path, config: PolicyConfig) -> None:
    made = samples(files, config, CLONING.model_copy(update={"samples": 201}))
    every = history_steps(config)
    windows = [
        [window_of(features, "high", at) for at in range(features.count("text"))]
        for features in opened(files, "features")
    ]
    pictures = [shown["pictures"] for shown in opened(files, "pictures")]
    batch = made[0]
    for row, age_s in enumerate(batch["age_s"].tolist()):
        seen, high = batch["pictures"][row, 1], batch["high"][row // CLONING.of_window]
        known = [
            (step, at)
            for shown, kept in zip(pictures, windows, strict=True)
            for step in range(len(shown)) if torch.equal(shown[step], seen)
            for at in range(len(kept)) if torch.equal(kept[at], high)
        ]  # fmt: skip
        ages_s = [max(0, step * every - at * WINDOW_EVERY) / DEMONSTRATION_HZ for step, at in known]
        assert any(0.01 - 1e-6 < age_s - exposed_s < 0.06 + 1e-6 for exposed_s in ages_s), "and on their way to a run"
    assert batch["age_s"].max() > 0.5
    assert 0.02 < 1 - batch["has_conditions"].float().mean() < 0.25
    assert 0 <= batch["committed"].min() <= batch["committed"].max() <= CLONING.longest_prefix


def test_stage_2_learns_and_the_video_reaches_the_chunk(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    network = cloning_loss(files, config)
    found = losses(network, samples(files, config), tmp_path, 90, learning_rate=3e-3)
    assert np.mean(found[-10:]) < 0.8 * np.mean(found[:10])
    assert network.slow is not None
    network.zero_grad()
    network(samples(files, config)[0]).backward()
    for former in (network.slow.spatial_former, network.slow.motion_former):
        assert former.queries.grad is not None and former.queries.grad.abs().max() > 0
    assert all(weight.grad is None for weight in network.slow.backbone.parameters())


def test_the_tokens_alone_learn_to_predict_the_chunk(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    """Neither pictures nor an instruction reach that prediction; Q-formers learn from it though the head hears nothing."""
    cloning = CLONING.model_copy(update={"condition_dropout": 1.0, "token_loss": 1.0})
    network, batches = cloning_loss(files, config, cloning), samples(files, config, cloning)
    assert network.token_chunk is not None and network.slow is not None
    batch = batches[0]

    def alone() -> torch.Tensor:
        assert network.token_chunk is not None and network.slow is not None
        with torch.no_grad():
            tokens = torch.cat(network.slow.compressed(batch["high"], batch["low"]), dim=1)
            found = network.token_chunk(tokens, batch["state"], batch["age_s"].float())
        return (found - batch["demonstration"]).square().mean()

    before, queries = alone(), network.slow.spatial_former.queries.detach().clone()
    losses(network, batches, tmp_path, 60, learning_rate=3e-3)
    assert alone() < 0.7 * before
    assert (network.slow.spatial_former.queries - queries).abs().max() > 1e-2
    kept = load_file(tmp_path / "state" / "model.safetensors")
    assert {name for name in kept if name.startswith("token_chunk.")}, "a resumed training goes on with it"
    assert not any("token_chunk" in name for part in (network.fast, network.slow) for name in part.state_dict())


def test_the_loss_of_the_tokens_is_added_with_its_weight(files: Path, config: PolicyConfig) -> None:
    found: dict[float, float] = {}
    for weight in (0.0, 0.5, 1.0):
        cloning = CLONING.model_copy(update={"token_loss": weight})
        network = cloning_loss(files, config, cloning)
        assert (network.token_chunk is None) is (weight == 0)
        found[weight] = network(samples(files, config)[0]).item()
    assert found[0.0] < found[0.5] < found[1.0]
    assert found[1.0] - found[0.5] == pytest.approx(found[0.5] - found[0.0], rel=1e-3)
    deaf = config.model_copy(update={"inputs": "no_video"})
    assert cloning_loss(files, deaf).token_chunk is None


def test_where_hands_grip_next_is_a_loss_with_its_weight(files: Path, config: PolicyConfig) -> None:
    found: dict[float, float] = {}
    for weight in (0.0, 0.5, 1.0):
        cloning = CLEAR.model_copy(update={"grip_loss": weight})
        network, batch = cloning_loss(files, config, cloning), samples(files, config, cloning)[0]
        assert ("grips" in batch) is (weight > 0)
        found[weight] = network(batch).item()
        assert not any("grips" in name for part in (network.fast, network.slow) if part for name in part.state_dict())
    assert found[1.0] - found[0.5] == pytest.approx(found[0.5] - found[0.0], rel=1e-3) and found[0.5] > found[0.0]
    without = cloning_loss(files, config.model_copy(update={"inputs": "no_video"}), cloning)
    assert without.heard_grips is None and without.seen_grips is not None


@pytest.mark.parametrize("black", [False, True])
def test_eyes_and_formers_learn_where_hands_grip_next(files: Path, config: PolicyConfig, black: bool) -> None:
    """Black images tell nothing of it, and teach the eyes nothing."""
    gradients: dict[float, dict[str, torch.Tensor]] = {}
    for weight in (0.0, 1.0):
        cloning = CLEAR.model_copy(update={"grip_loss": weight})
        network, batch = cloning_loss(files, config, cloning), samples(files, config, cloning)[0]
        network(batch | {"is_black": batch["is_black"] | black}).backward()
        assert network.slow is not None
        parts = {
            "eyes": network.fast.images,
            "spatial": network.slow.spatial_former,
            "motion": network.slow.motion_former,
        }
        gradients[weight] = {
            name: torch.cat([one.grad.flatten() for one in part.parameters() if one.grad is not None])
            for name, part in parts.items()
        }
    changed = {name: not torch.equal(gradients[0.0][name], gradients[1.0][name]) for name in gradients[0.0]}
    assert changed == {"eyes": not black, "spatial": True, "motion": True}


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_formers_learn_at_a_rate_of_their_own(files: Path, config: PolicyConfig, tmp_path: Path, factor: float) -> None:
    """The first steps of Adam are as long as the rate; and a resumed training goes on with both rates."""

    def moved(folder: str, stop: int | None = None) -> tuple[float, float, list[float]]:
        network = cloning_loss(files, config)
        assert network.slow is not None
        former, head = network.slow.spatial_former, network.fast.head
        weights = former.queries, head.output.weight
        before = [weight.detach().clone() for weight in weights]
        rates = [(part, factor) for part in network.formers]
        schedule = Schedule(steps=4, warmup_steps=0, precision="no", loaders=0, weight_decay=0, save_every=2)
        found: list[float] = []
        for news in fit(network, samples(files, config), schedule, tmp_path / folder, lambda _: None, rates):
            found.append(news.loss)
            assert news.learning_rate <= 1e-3, "the schedule's is told"
            if news.step + 1 == stop:
                break
        own, usual = ((weight - was).abs().max().item() for weight, was in zip(weights, before, strict=True))
        return own, usual, found

    own, usual, _ = moved("one", stop=1)
    assert own / usual == pytest.approx(factor, rel=0.1)
    *_, whole = moved("whole")
    moved("cut", stop=3)
    assert moved("cut")[2] == whole[2:]


def test_a_checkpoints_tokens_are_scaled_by_the_data_and_a_training_does_not_notice(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    network, batches = cloning_loss(files, config), samples(files, config)
    losses(network, batches, tmp_path, 12, learning_rate=3e-3)
    assert network.slow is not None
    slow, before = network.slow, {name: value.clone() for name, value in network.state_dict().items()}
    seen: list[torch.Tensor] = []
    with token_statistics.measured(network, batches), torch.no_grad():
        stored = {name: value.clone() for name, value in slow.state_dict().items()}
        slow.eval()
        for number in range(40):
            spatial, motion = slow.compressed(batches[number]["high"], batches[number]["low"])
            seen.append(torch.cat([spatial, motion], dim=1))
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    tokens = torch.cat(seen)
    assert tokens.mean(0).abs().max() < 0.3
    assert tokens.std(0).mean() == pytest.approx(1, abs=0.1) and tokens.std(0).max() < 1.5
    changed = {name for name, value in slow.state_dict().items() if not torch.equal(value, stored[name])}
    names = ("mean", "spread", "batches")
    assert changed == {f"{kind}_former.scale.{name}" for kind in ("spatial", "motion") for name in names}


def test_committed_targets_carry_no_loss(files: Path, config: PolicyConfig) -> None:
    network, batch = cloning_loss(files, config), samples(files, config)[0]
    batch["committed"] = torch.full_like(batch["committed"], 3)
    moved = dict(batch) | {"targets": batch["targets"].clone()}
    network.fast.head.output.weight.data.zero_()  # what is predicted no longer depends on what was committed
    network.fast.head.continuation = None
    network.fast.head.output.bias.data.zero_()
    before = network(batch)
    moved["targets"][:, :3] += 9.0
    assert torch.allclose(network(moved), before)


def test_perturbed_prefixes_change_targets_of_what_is_committed_alone(files: Path, config: PolicyConfig) -> None:
    """The policy keeps room for free targets: eight in a chunk, at most four committed."""
    off, on = (
        samples(files, config, CLONING.model_copy(update={"samples": 300, "longest_prefix": 4, "prefixes": prefixes}))[
            0
        ]
        for prefixes in (Prefixes(share=0), Prefixes(share=1, blend_targets=3))
    )
    assert all(torch.equal(off[name], on[name]) for name in off if name != "targets")
    assert torch.equal(off["targets"], off["demonstration"])
    committed = off["committed"] > 0
    assert torch.equal(off["targets"][~committed], on["targets"][~committed])
    changed = (off["targets"] != on["targets"]).flatten(1).any(1)
    assert changed[committed].float().mean() > 0.95 and committed.float().mean() > 0.3


DROPOUTS = ("language_dropout", "picture_dropout", "state_dropout")


def dropping(files: Path, config: PolicyConfig, share: float, **more: Any) -> dict[str, torch.Tensor]:
    """A batch of many observations; all of it but what is dropped is the same for every share."""
    cloning = CLONING.model_copy(update={"samples": 600, **dict.fromkeys(DROPOUTS, share), **more})
    return samples(files, config, cloning)[0]


def test_inputs_are_dropped_as_often_as_in_rdt(files: Path, config: PolicyConfig) -> None:
    assert [getattr(Cloning(), name) for name in DROPOUTS] == [0.1, 0.1, 0.1]
    none, some, every = (dropping(files, config, share) for share in (0.0, 0.1, 1.0))
    changed = ("state", "has_language", "has_pictures")
    for name in none:
        if name not in changed:
            assert torch.equal(none[name], every[name]), name
    assert none["has_language"].all() and none["has_pictures"].all()
    assert not every["has_language"].any() and not every["has_pictures"].any()
    dropped = {
        "language": ~some["has_language"],
        "state": (some["state"] != none["state"]).any(1),
        "pictures": ~some["has_pictures"].flatten(),
    }
    for name, which in dropped.items():
        assert 0.06 < which.float().mean() < 0.14, name
    kept = some["has_pictures"].float()
    assert kept[:, 0].sub(kept[:, 1]).abs().mean() > 0.1, "each picture by itself"
    assert 0.005 < (dropped["language"] & dropped["state"]).float().mean() < 0.02, "each input by itself"


def test_cameras_are_black_as_often_as_asked(files: Path, config: PolicyConfig) -> None:
    assert (Cloning().black_share, Cloning().one_black_share) == (0.15, 0.1)
    none, some, every = (
        dropping(files, config, 0.1, black_share=share, one_black_share=one)
        for share, one in ((0.0, 0.0), (0.15, 0.1), (1.0, 0.0))
    )
    assert all(torch.equal(none[name], some[name]) for name in none if name != "is_black"), "and nothing else changes"
    assert not none["is_black"].any() and every["is_black"].all()
    cameras = some["is_black"].sum(1)
    assert 0.11 < (cameras == 3).float().mean() < 0.19
    assert 0.06 < (cameras == 1).float().mean() < 0.14
    assert not (cameras == 2).any()
    assert some["is_black"][cameras == 1].any(0).all(), "each of the cameras"


def test_a_black_camera_is_black_in_both_pictures_whatever_else_is_done_to_it(
    files: Path, config: PolicyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batch = cloning_loss(files, config), samples(files, config)[0]
    batch["is_black"][:] = torch.tensor([False, True, False])
    batch["has_pictures"][:] = torch.tensor([[True, True, False], [True, False, True]])
    seen: list[torch.Tensor] = []
    encode = network.fast.images.forward
    monkeypatch.setattr(network.fast.images, "forward", lambda pictures: (seen.append(pictures), encode(pictures))[1])
    network(batch)
    pictures = seen[0].unflatten(0, (-1, 2, len(config.cameras)))
    assert (pictures[:, :, 1] == -1).all()
    assert not (pictures[:, :, 0] == -1).flatten(2).all(-1).any()


@pytest.mark.parametrize("targets", ["relative", "physical"])
def test_a_dropped_state_is_the_mean_of_the_demonstrations(
    files: Path, config: PolicyConfig, targets: Literal["relative", "physical"]
) -> None:
    pictures = opened(files, "pictures")
    measured = statistics.of(pictures, config.horizon, targets)
    shards = [Shard(*parts, "a_task", (0, 1)) for parts in zip(pictures, alone(files, "features"), strict=True)]
    cloning = CLONING.model_copy(update={"state_dropout": 1.0})
    batch = Samples(shards, config, measured, cloning, seed=3)[0]
    mean = np.concatenate([shown["q"].numpy() for shown in pictures]).mean(0).astype(np.float64)
    assert_allclose(batch["state"], measured.normalize_state(mean).expand_as(batch["state"]), atol=1e-5)


def test_dropped_inputs_have_no_influence(files: Path, config: PolicyConfig) -> None:
    network, batch = cloning_loss(files, config, CLEAR), samples(files, config, CLEAR)[0]
    for weight in network.fast.head.zero_initialised():
        nn.init.normal_(weight, std=0.02)
    dropped = dict(batch) | {
        "has_language": torch.zeros_like(batch["has_language"]),
        "has_pictures": torch.zeros_like(batch["has_pictures"]),
    }
    other = {"text": 1 - batch["text"], "pictures": 255 - batch["pictures"]}
    present = dict(batch) | {name: torch.ones_like(batch[name]) for name in ("has_language", "has_pictures")}
    for name, values in other.items():
        assert torch.equal(network(dropped | {name: values}), network(dropped)), name
        assert not torch.equal(network(present | {name: values}), network(present)), name
    one = present | {"has_pictures": present["has_pictures"].clone()}
    one["has_pictures"][:, 1, 2] = False
    unseen = batch["pictures"].clone()
    unseen[:, 1, 2] = 0
    assert torch.equal(network(one | {"pictures": unseen}), network(one)), "only that picture"
    unseen[:, 0, 2] = 0
    assert not torch.equal(network(one | {"pictures": unseen}), network(one))


def test_a_dropped_picture_is_grey_and_a_dropped_instruction_the_empty_one(
    files: Path, config: PolicyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batch = cloning_loss(files, config, CLEAR), samples(files, config, CLEAR)[0]
    batch["has_language"][:], batch["has_pictures"][:] = False, True
    batch["has_pictures"][:, :, 0] = False
    batch["pictures"][:] = 255
    seen: dict[str, torch.Tensor] = {}
    head, eyes = network.fast.head, network.fast.images
    context, encode = head.context, eyes.forward
    monkeypatch.setattr(
        head, "context", lambda language, *rest: (seen.update(language=language), context(language, *rest))[1]
    )
    monkeypatch.setattr(eyes, "forward", lambda pictures: (seen.update(pictures=pictures), encode(pictures))[1])
    network(batch)
    pictures = seen["pictures"].unflatten(0, (-1, 2, len(config.cameras)))
    grey = torch.full_like(pictures[:, :, :1], 127 / 127.5 - 1)
    assert torch.equal(pictures[:, :, :1], grey), "and no augmentation changes it"
    assert not (pictures[:, :, 1:] == grey).flatten(3).all(-1).any()
    assert seen["language"].shape[1] == 1, "the end of the text alone"


@pytest.mark.parametrize(
    ("inputs", "heard"),
    [
        ("all", {"video", "head", "wrists"}),
        ("no_video", {"head", "wrists"}),
        ("no_head", {"video", "wrists"}),
        ("wrists", {"wrists"}),
        ("blind", set[str]()),
    ],
)
def test_less_than_everything_is_given_in_training(
    files: Path, config: PolicyConfig, inputs: str, heard: set[str]
) -> None:
    less = config.model_copy(update={"inputs": inputs})
    network, batch = cloning_loss(files, less, CLEAR), samples(files, less, CLEAR)[0]
    for name in ("has_conditions", "has_pictures"):
        batch[name][:] = True
    for weight in network.fast.head.zero_initialised():
        nn.init.normal_(weight, std=0.02)
    pictures = {name: batch["pictures"].clone() for name in ("head", "wrists")}
    pictures["head"][:, :, 0] = 0
    pictures["wrists"][:, :, 1:] = 0
    changed = {name: dict(batch) | {"pictures": black} for name, black in pictures.items()}
    changed["video"] = dict(batch) | {"high": batch["high"].flip(2)}
    before = network(batch)
    assert {name for name, other in changed.items() if not torch.equal(network(other), before)} == heard


def test_less_than_everything_is_given_in_use(config: PolicyConfig) -> None:
    measured = normalize.untrained(config.horizon, np.zeros(config.joints), np.full(config.joints, 0.5))
    shown = [np.full((24, 32, 3), 90 + 20 * index, np.uint8) for index in range(3)]
    for inputs, unseen in (("all", ()), ("no_head", (0,)), ("wrists", (0,)), ("blind", (0, 1, 2))):
        fast = Checkpoint(config.model_copy(update={"inputs": inputs}), measured, None, 1).fast()
        for camera in range(3):
            other = [picture + 50 if index == camera else picture for index, picture in enumerate(shown)]
            same = torch.equal(fast.prepare(tuple(shown)), fast.prepare(tuple(other)))
            assert same == (camera in unseen), (inputs, camera)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "pad"])
def test_what_is_not_given_is_black_all_over_as_in_training(config: PolicyConfig, resize: Literal["pad"]) -> None:
    """Also where a picture's surroundings would be grey."""
    measured = normalize.untrained(config.horizon, np.zeros(config.joints), np.full(config.joints, 0.5))
    changes = {"inputs": "wrists", "image_resize": resize}
    fast = Checkpoint(config.model_copy(update=changes), measured, None, 1).fast()
    seen = fast.prepare((np.full((24, 32, 3), 90, np.uint8),) * 3)
    assert (seen[0] == -1).all()
    assert (seen[1] > -1).any()


def test_a_killed_training_goes_on_as_if_nothing_had_been(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    whole = losses(cloning_loss(files, config), samples(files, config), tmp_path / "whole", 12, save_every=4)
    begun = losses(cloning_loss(files, config), samples(files, config), tmp_path / "cut", 12, stop=6, save_every=4)
    rest = losses(cloning_loss(files, config), samples(files, config), tmp_path / "cut", 12, save_every=4)
    assert begun == whole[:6]
    assert rest == whole[4:]


def test_a_training_killed_before_its_checkpoint_was_written_writes_it(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    """The state is kept first: what lacks at the end is the checkpoint alone."""
    kept: list[dict[str, torch.Tensor]] = []

    def keep(network: nn.Module) -> None:
        kept.append({name: weight.clone() for name, weight in network.state_dict().items()})
        if len(kept) == 1:
            raise OSError("no space left on device")

    def train() -> list[Progress]:
        network = cloning_loss(files, config)
        return list(fit(network, samples(files, config), Schedule(steps=3, loaders=0, precision="no"), tmp_path, keep))

    with pytest.raises(OSError, match="no space"):
        train()
    assert train() == []
    first, second = kept
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_that_holds_its_rate_is_made_longer_without_a_trace(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"rate": "hold", "fall_steps": 4, "save_every": 2}
    whole = losses(cloning_loss(files, config), samples(files, config), tmp_path / "whole", 12, **more)
    losses(cloning_loss(files, config), samples(files, config), tmp_path / "longer", 8, stop=4, **more)
    rest = losses(cloning_loss(files, config), samples(files, config), tmp_path / "longer", 12, **more)
    assert rest == whole[4:]


def test_the_rate_is_held_and_then_falls(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    schedule = Schedule(steps=10, warmup_steps=2, rate="hold", fall_steps=4, loaders=0, precision="no")
    found = fit(cloning_loss(files, config), samples(files, config), schedule, tmp_path, lambda _: None)
    rates = [news.learning_rate * 1000 for news in found]
    assert rates == pytest.approx([0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_a_resumed_training_takes_the_rate_that_is_given_now(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    losses(cloning_loss(files, config), samples(files, config), tmp_path, 4, stop=2, save_every=2)
    network = cloning_loss(files, config)
    assert network.slow is not None
    schedule = Schedule(
        steps=6, warmup_steps=2, rate="hold", fall_steps=0, learning_rate=3e-4, loaders=0, precision="no"
    )
    former = network.slow.spatial_former
    found = list(fit(network, samples(files, config), schedule, tmp_path, lambda _: None, [(former, 1.0)]))
    assert [news.step for news in found] == [2, 3, 4, 5]
    assert [news.learning_rate for news in found] == pytest.approx([3e-4] * 4)


def test_a_gradient_that_is_not_finite_changes_no_weight(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    """The loss of that step is finite; and the same folder is gone on with at a lower rate."""
    network = cloning_loss(files, config)
    bias = network.fast.head.output.bias
    steps: list[dict[str, torch.Tensor]] = []

    def explode(gradient: torch.Tensor) -> torch.Tensor:
        steps.append({name: weight.detach().clone() for name, weight in network.named_parameters()})
        return gradient * (float("inf") if len(steps) == 4 else 1)

    bias.register_hook(explode)
    with pytest.raises(ModelError, match=r"gradient's norm is (nan|inf) at step 3.*--schedule.learning_rate \(0.001\)"):
        losses(network, samples(files, config), tmp_path, 6, save_every=1)
    assert all(torch.equal(weight, steps[3][name]) for name, weight in network.named_parameters())
    assert steps_done(tmp_path) == 3
    rest = losses(cloning_loss(files, config), samples(files, config), tmp_path, 6, learning_rate=1e-4)
    assert len(rest) == 3 and np.isfinite(rest).all()


def test_a_full_disk_costs_no_state(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    """The system's own limit of a file's size stands for the full disk."""
    whole = losses(cloning_loss(files, config), samples(files, config), tmp_path / "whole", 6, save_every=2)
    begun = losses(cloning_loss(files, config), samples(files, config), tmp_path / "cut", 6, stop=2, save_every=2)
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
    try:
        with pytest.raises(
            ModelError, match=r"state of step 4 cannot be written \(.*\); free disk space.* resumes at step 2$"
        ):
            losses(cloning_loss(files, config), samples(files, config), tmp_path / "cut", 6, save_every=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["state"], "nothing half written is left"
    assert begun + losses(cloning_loss(files, config), samples(files, config), tmp_path / "cut", 6) == whole


def test_the_eyes_may_learn_from_the_newest_images_alone(files: Path, config: PolicyConfig) -> None:
    """All images are seen as before. What the eyes learn does not depend on how the older ones came about."""
    batch = samples(files, config)[0]
    found: dict[bool, tuple[float, torch.Tensor, torch.Tensor]] = {}
    for newest in (False, True):
        plain = {"newest_teaches": newest, "augmentation": Augmentation(share=0)}
        network = cloning_loss(files, config, CLONING.model_copy(update=plain))
        pictures = batch["pictures"].float() / 127.5 - 1
        seen = pictures.clone().requires_grad_()
        tokens = network._images({**batch, "pictures": seen})  # pyright: ignore[reportPrivateUsage]
        loss = network({**batch, "pictures": pictures})
        tokens.square().sum().backward()
        assert seen.grad is not None
        found[newest] = loss.item(), seen.grad[:, 0].abs().sum(), seen.grad[:, 1].abs().sum()
    assert found[True][0] == found[False][0]
    assert found[False][1] > 0 and found[True][1] == 0, "the older"
    assert found[False][2] > 0 and found[True][2] == pytest.approx(found[False][2].item(), rel=1e-4), "the newest"


def test_a_state_of_another_network_is_refused(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    losses(cloning_loss(files, config), samples(files, config), tmp_path, 2)
    other = config.model_copy(update={"head": config.head.model_copy(update={"width": 16})})
    with pytest.raises(ModelError, match="cannot be resumed"):
        losses(cloning_loss(files, other), samples(files, other), tmp_path, 4)


@pytest.mark.parametrize("name", ["optimizer.bin", "custom_checkpoint_1.pkl", "model.safetensors", "step.json"])
@pytest.mark.parametrize("content", [b"", b"\x80\x02 nothing of the kind"])
def test_a_damaged_state_is_one_line(
    name: str, content: bytes, files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    """Files are empty after a power cut."""
    losses(cloning_loss(files, config), samples(files, config), tmp_path, 2)
    (tmp_path / "state" / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be resumed \(.+\); give another --out"):
        losses(cloning_loss(files, config), samples(files, config), tmp_path, 4)


def test_a_loss_that_explodes_is_told(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    network = cloning_loss(files, config)
    network.fast.head.output.bias.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="loss is nan at step 0"):
        losses(network, samples(files, config), tmp_path, 2)


def test_a_trained_policy_is_a_checkpoint_that_acts(
    files: Path, config: PolicyConfig, tmp_path: Path, untrained: Callable[[int], Checkpoint]
) -> None:
    network = cloning_loss(files, config)
    losses(network, samples(files, config), tmp_path / "run", 3)
    assert network.slow is not None
    parts = {"slow": network.slow, "fast": network.fast, "text": Instructor(config)}
    save(tmp_path / "policy", config, network.fast.statistics, parts)
    found = Checkpoint.load(tmp_path / "policy")
    for name, weight in found.fast().state_dict().items():
        assert torch.equal(weight, network.fast.state_dict()[name]), name


def test_a_vae_learns_pictures_and_its_latents_are_brought_to_spread_1(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    slow, pictures = SlowSystem(config), opened(files, "samples")
    vae = slow.backbone.new_autoencoder()
    filming = Filming(pictures=4)
    found = losses(AutoencoderLoss(vae, filming), Pictures(pictures, filming, 0), tmp_path, 40, learning_rate=3e-3)
    assert np.mean(found[-8:]) < 0.8 * np.mean(found[:8])
    slow.backbone.take_autoencoder(vae.eval())
    measured = slow.backbone.measured(*latent_spread(slow.backbone, pictures, 0))
    better = config.video.backbone.model_copy(update=measured)
    again = SlowSystem(config.model_copy(update={"video": config.video.model_copy(update={"backbone": better})}))
    again.backbone.take_autoencoder(vae)
    _, spread = latent_spread(again.backbone, pictures, 0)
    assert 0.9 < float(spread.square().mean().sqrt()) < 1.1


def test_the_video_model_learns_windows_and_time_0_is_among_them(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    slow, texts = SlowSystem(config), [both.video for both in Instructor(config).eval().encode(TEXTS)]
    films = [Film(latents, (0, 1)) for latents in opened(files, "latents")]
    windows = Windows(films, Filming(windows=6), 0)
    assert 0.02 < np.mean([float((windows[number]["time"] == 0).float().mean()) for number in range(60)]) < 0.25
    found = losses(FlowLoss(slow.backbone, texts), windows, tmp_path, 40, learning_rate=3e-3)
    assert np.mean(found[-8:]) < 0.9 * np.mean(found[:8])


def test_features_made_while_training_are_those_that_were_prepared(files: Path, config: PolicyConfig) -> None:
    plain = cloning_loss(files, config)
    assert plain.slow is not None
    assert not any("backbone" in name for name in plain.state_dict()), "the frozen video model is not kept in the state"
    *encoded, empty = Instructor(config).eval().encode([*TEXTS, ""])
    languages, texts = [both.language for both in encoded], [both.video for both in encoded]
    live = LiveFeatures(plain.fast, plain.slow, languages, empty.language, texts, CLONING, plain.slow.backbone)
    shards = [
        Shard(p, f, "a_task", (0, 1)) for p, f in zip(opened(files, "pictures"), alone(files, "latents"), strict=True)
    ]
    measured = statistics.of(opened(files, "pictures"), config.horizon)
    batch = dict(Samples(shards, config, measured, CLONING, seed=3)[0])
    high, low = live.features(plain.slow, batch)
    with torch.no_grad():
        text, there = live.wordings(batch["text"])
        wanted = [plain.slow.backbone.features(batch[name].float(), text, there) for name in ("high", "low")]
    torch.testing.assert_close([high, low], wanted)
    assert not high.requires_grad
    loss = live(batch)
    loss.backward()
    assert plain.slow.spatial_former.queries.grad is not None
    assert all(weight.grad is None for weight in plain.slow.backbone.parameters())


def test_updates_of_low_rank_learn_alone_and_are_stored_within_the_weights(
    files: Path, config: PolicyConfig, tmp_path: Path
) -> None:
    slow, texts = (
        SlowSystem(config).requires_grad_(False),
        [both.video for both in Instructor(config).eval().encode(TEXTS)],
    )
    before = {name: weight.clone() for name, weight in slow.state_dict().items()}
    low_rank.adapt(slow.backbone, 4)
    recompute(slow.backbone.transformer)
    begun = low_rank.Whole(slow).state_dict()
    assert begun.keys() == before.keys() and all(torch.equal(begun[name], before[name]) for name in before)
    films = [Film(latents, (0, 1)) for latents in opened(files, "latents")]
    windows = Windows(films, Filming(windows=6), 0)
    found = losses(FlowLoss(slow.backbone, texts), windows, tmp_path, 40, learning_rate=3e-2)
    assert np.mean(found[-8:]) < 0.97 * np.mean(found[:8])
    after = low_rank.Whole(slow).state_dict()
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert changed and all("transformer_blocks" in name and name.endswith("weight") for name in changed)
    again = SlowSystem(config)
    again.load_state_dict(after)
    latents = windows[1]["clean"]
    with torch.no_grad():
        summed, apart = (system.backbone.features(latents, repeated(texts[0], 6)) for system in (again, slow))
    torch.testing.assert_close(summed, apart, rtol=1e-4, atol=1e-4)


def test_activations_that_are_computed_again_change_nothing(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    plain = losses(cloning_loss(files, config), samples(files, config), tmp_path / "plain", 4)
    network = cloning_loss(files, config)
    calls: list[int] = []
    attention = network.fast.head.blocks[0].get_submodule("self_attention")
    attention.register_forward_pre_hook(lambda *_: calls.append(1))
    for part in (network.fast, *network.formers):
        recompute(part)
    assert losses(network, samples(files, config), tmp_path / "again", 4) == plain
    assert len(calls) == 8, "once forward and once backward"


def test_the_state_holds_what_learns_alone(files: Path, config: PolicyConfig, tmp_path: Path) -> None:
    """And a run goes on from it as from a whole one: what is frozen is as it was."""
    texts = [both.video for both in Instructor(config).eval().encode(TEXTS)]
    windows = Windows([Film(latents, (0, 1)) for latents in opened(files, "latents")], Filming(windows=2), 0)

    def flow(folder: str, stop: int | None = None) -> list[float]:
        torch.manual_seed(5)
        slow = SlowSystem(config).requires_grad_(False)
        low_rank.adapt(slow.backbone, 2)
        return losses(FlowLoss(slow.backbone, texts), windows, tmp_path / folder, 6, stop=stop, save_every=2)

    whole = flow("whole")
    kept = load_file(tmp_path / "whole" / "state" / "model.safetensors")
    assert kept and all(".lora_" in name for name in kept)
    assert flow("cut", stop=5) + flow("cut")[1:] == whole
    broken = tmp_path / "cut" / "state" / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:99])
    with pytest.raises(ModelError, match="cannot be resumed"):
        flow("cut")
