"""Both stages of Video Policy at a tiny size: what is cut out of demonstrations, what reaches the losses, that they fall, and
exact resuming. Called by pytest; networks and files are real, the demonstrations tiny."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import Dataset

from models import images
from models.config.encoders import Keypoints
from models.config.policy import CAMERAS
from models.data.episode import Episode
from models.errors import ModelError
from models.train.augmentation import Film
from models.train.choices import Augmentation, Prefixes, Schedule
from models.train.loop import fit
from models.train.prepared import Prepared, Tensors, write
from models.train.video_policy import recorded
from models.train.video_policy.acting import ActingLoss
from models.train.video_policy.choices import Acting, Imagining
from models.train.video_policy.clips import ClipBatches, Recording, cut, drawn
from models.train.video_policy.imagining import ImaginingLoss, RunAutoencoderLoss, RunsOfPictures, measured_scaling
from models.train.video_policy.observations import Observations, Shard, statistics
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.video_model import VideoModel

STEPS = 40
IMAGINING = Imagining(clips=4, pictures=4)
ACTING = Acting(clips=3, chunks=2, age_s=(0.0, 0.5), longest_prefix=4)


def episode(seed: int) -> Episode:
    """A square that moves as the first joint does; each camera's has another colour, each step another place."""
    random = np.random.default_rng(seed)
    way = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None] * random.uniform(-0.5, 0.5, 14).astype(np.float32)
    jpegs: dict[str, list[bytes]] = {}
    for channel, camera in enumerate(CAMERAS):
        pictures = np.zeros((STEPS, 32, 64, 3), np.uint8)
        for step in range(STEPS):
            left = int(8 + step if seed % 2 else 48 - step)
            pictures[step, 4 + 8 * (seed % 2) :][:12, left : left + 12, channel] = 255
        jpegs[camera] = [simplejpeg.encode_jpeg(picture, 90) for picture in pictures]
    return Episode(way, way, way, way + 0.01, jpegs, ("do it", "please"), "a_task", seed)


@pytest.fixture(scope="module", autouse=True)
def fresh_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(scope="module")
def video(tiny: VideoPolicyConfig) -> VideoModel:
    torch.manual_seed(5)
    return VideoModel(tiny).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def shards(video: VideoModel, tiny: VideoPolicyConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    """Two demonstrations, prepared."""
    folder, found = tmp_path_factory.mktemp("prepared"), list[Shard]()
    for seed in (0, 1):
        one = episode(seed)
        write(folder / f"{seed}-latents", recorded.latents(one, video, seed))
        write(folder / f"{seed}-joints", recorded.joints(one, tiny, "leader"))
        latents, joints = (Prepared(folder / f"{seed}-{kind}") for kind in ("latents", "joints"))
        found.append(Shard(joints, Recording((latents,), (0, 1)), one.task))
    return found


@pytest.fixture(scope="module")
def tokens(tiny: VideoPolicyConfig) -> list[torch.Tensor]:
    """Of two wordings."""
    random = torch.Generator().manual_seed(6)
    return [torch.randn((1, 1, tiny.text.width), generator=random) for _ in range(2)]


@pytest.fixture
def acting_loss(video: VideoModel, tokens: list[torch.Tensor], tiny: VideoPolicyConfig) -> Callable[..., ActingLoss]:
    """A new network with the given choices."""

    def make(**chosen: float) -> ActingLoss:
        torch.manual_seed(7)
        learner = VideoModel(tiny)
        learner.load_state_dict(video.state_dict())
        imagination, sampler = Imagination(tiny, learner.requires_grad_(False)), ActionSampler(tiny)
        imagination.video.network.requires_grad_("video_loss" in chosen)
        return ActingLoss(imagination, sampler, tokens, ACTING.model_copy(update=chosen))

    return make


def observations(shards: list[Shard], config: VideoPolicyConfig, acting: Acting = ACTING) -> Observations:
    """Batches of chunks; their statistics are those of both demonstrations."""
    return Observations(shards, config, statistics([shard.joints for shard in shards], config), acting, seed=3)


def trained(network: nn.Module, batches: Dataset[Tensors], folder: Path, steps: int) -> list[float]:
    """The losses of so many steps, averaged weights left out."""
    schedule = Schedule(
        steps=steps,
        learning_rate=3e-3,
        warmup_steps=0,
        rate="hold",
        fall_steps=0,
        loaders=0,
        average=0.0,
        save_every=1000,
    )
    return [news.loss for news in fit(network, batches, schedule, folder, lambda _: None)]


@pytest.mark.parametrize("step", [0, 17, STEPS - 1])
def test_a_clip_holds_each_cameras_frames_at_their_times(
    step: int, shards: list[Shard], video: VideoModel, tiny: VideoPolicyConfig
) -> None:
    """Against the demonstration's own pictures: the head's now, then each camera's 6 and 12 steps ahead, or the last."""
    one = episode(1)

    def latent(camera: str, at: int) -> torch.Tensor:
        picture = simplejpeg.decode_jpeg(one.jpegs[camera][min(at, STEPS - 1)])
        seen = images.resize(images.to_tensor(picture, torch.device("cpu")), 16, 32, "crop")
        return video.encode(seen[None])[0, 0]

    found = cut(shards[1].recording, step, tiny, np.random.default_rng(0))
    wanted = [latent("head", step)] + [latent(camera, step + ahead) for camera in CAMERAS for ahead in (6, 12)]
    torch.testing.assert_close(found["clean"], torch.stack(wanted), rtol=2e-3, atol=2e-3)
    scaling = tiny.autoencoder.scaling
    current = torch.stack([latent(camera, step) / scaling for camera in CAMERAS])
    others = torch.stack([latent(camera, (step + 20) % STEPS) / scaling for camera in CAMERAS])
    off = (found["current"] - current).abs().mean()
    assert 0 < off < 0.5 * (others - current).abs().mean(), "noise of .02 was added, and it is that step's"


def test_the_vae_sees_runs_of_one_camera(tiny: VideoPolicyConfig) -> None:
    """Two frames of a camera, 6 steps apart: the square is to the right of where it was."""
    made = recorded.samples(episode(1), tiny, seed=2)["pictures"].float()
    assert made.shape[1:] == (2, 3, 16, 32)
    assert (made.amax((1, 3, 4)) > 200).sum(1).eq(1).all(), "one colour, one camera"
    columns = torch.arange(32.0)
    places = (made.sum((2, 3)) * columns).sum(-1) / made.sum((2, 3, 4))
    assert (places[:, 1] >= places[:, 0] - 0.1).all() and (places[:, 1] > places[:, 0] + 2).any()


def test_changed_pictures_make_other_latents_of_every_camera(video: VideoModel) -> None:
    all_of_them = Augmentation(share=1.0, shift_px=0, noise=0.0)
    plain, changed = (recorded.latents(episode(0), video, 4, chosen)["clean"].float() for chosen in (None, all_of_them))
    assert ((plain - changed).abs().mean((0, 2, 3, 4)) > 1e-3).all()
    assert Film(all_of_them, 4).changed(np.full((4, 4, 3), 99, np.uint8)).shape == (4, 4, 3)


def test_a_film_without_a_camera_is_refused_with_the_remedy(video: VideoModel) -> None:
    one = episode(0)
    del one.jpegs["left_wrist"]
    with pytest.raises(
        ModelError, match=r"camera left_wrist is missing \(it has head, right_wrist\).*clip.cameras head,"
    ):
        recorded.latents(one, video, 0)


def test_a_tenth_goes_without_text_a_tenth_without_pictures_and_half_of_each_without_both() -> None:
    clips = [{"clean": torch.zeros(1)}] * 20_000
    made = drawn(clips, 0.1, np.random.default_rng(1))
    text, pictures = made["without_text"], made["without_pictures"]
    assert text.float().mean() == pytest.approx(0.1, abs=0.01)
    assert pictures.float().mean() == pytest.approx(0.1, abs=0.01)
    assert (text & pictures).float().mean() == pytest.approx(0.05, abs=0.01)


def test_what_is_dropped_does_not_reach_the_video_model(
    video: VideoModel, tokens: list[torch.Tensor], shards: list[Shard], tiny: VideoPolicyConfig
) -> None:
    """With both dropped, neither another text nor another picture changes the loss; with none, each does."""
    network = ImaginingLoss(video, tokens)
    batch = ClipBatches([shard.recording for shard in shards], tiny, IMAGINING, 1)[0]
    for without in (True, False):
        dropped = batch | {name: torch.full((4,), without) for name in ("without_text", "without_pictures")}
        before = float(network(dropped))
        for other in ({"text": 1 - batch["text"]}, {"current": batch["current"] + 1}):
            assert (float(network(dropped | other)) == before) is without


def test_stage_1_learns_the_pictures_then_the_films(
    tokens: list[torch.Tensor], shards: list[Shard], tiny: VideoPolicyConfig, tmp_path: Path
) -> None:
    torch.manual_seed(8)
    model = VideoModel(tiny)
    for seed in (0, 1):
        write(tmp_path / f"{seed}", recorded.samples(episode(seed), tiny, seed))
    files = [Prepared(tmp_path / f"{seed}") for seed in (0, 1)]
    losses = trained(RunAutoencoderLoss(model.vae, IMAGINING), RunsOfPictures(files, IMAGINING, 2), tmp_path / "a", 25)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:2])
    model.vae.eval().requires_grad_(False)
    scaling = measured_scaling(model, files, seed=0)
    scaled = tiny.model_copy(update={"autoencoder": tiny.autoencoder.model_copy(update={"scaling": scaling})})
    again = VideoModel(scaled)
    again.load_state_dict(model.state_dict())
    pictures = torch.cat([file["pictures"] for file in files]).float() / 127.5 - 1
    with torch.no_grad():
        assert float(again.encode(pictures).std()) == pytest.approx(1, abs=0.15)
    batches = ClipBatches([shard.recording for shard in shards], tiny, IMAGINING, 1)
    losses = trained(ImaginingLoss(model, tokens), batches, tmp_path / "b", 30)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


def test_stage_2_learns_the_chunks_and_leaves_the_video_model(
    acting_loss: Callable[..., ActingLoss], shards: list[Shard], tiny: VideoPolicyConfig, tmp_path: Path
) -> None:
    network = acting_loss()
    before = {name: tensor.clone() for name, tensor in network.imagination.video.state_dict().items()}
    losses = trained(network, observations(shards, tiny), tmp_path, 50)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    after = network.imagination.video.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("stage", ["imagining", "acting", "joint"])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    stage: str, acting_loss: Callable[..., ActingLoss], video: VideoModel, tokens: list[torch.Tensor],
    shards: list[Shard], tiny: VideoPolicyConfig, tmp_path: Path,
) -> None:  # fmt: skip
    def run(folder: str, *lengths: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        losses: list[float] = []
        for steps in lengths:
            if stage == "imagining":
                model = VideoModel(tiny)
                model.load_state_dict(video.state_dict())
                model.vae.requires_grad_(False)
                network = ImaginingLoss(model, tokens)
                batches = ClipBatches([shard.recording for shard in shards], tiny, IMAGINING, 1)
            else:
                network = acting_loss(video_loss=1.0) if stage == "joint" else acting_loss()
                batches = observations(shards, tiny)
            losses += trained(network, batches, tmp_path / folder, steps)
        return losses, network.state_dict()  # pyright: ignore[reportPossiblyUnboundVariable]

    at_once, resumed = run("at_once", 2), run("resumed", 1, 2)
    assert at_once[0] == resumed[0]
    assert all(torch.equal(tensor, resumed[1][name]) for name, tensor in at_once[1].items())


def test_age_and_prefix_reach_the_loss(
    acting_loss: Callable[..., ActingLoss], shards: list[Shard], tiny: VideoPolicyConfig
) -> None:
    network, batch = acting_loss(), observations(shards, tiny)[0]
    free = batch | {"committed": torch.zeros(6, dtype=torch.long)}
    known = batch | {"committed": torch.full((6,), 3)}
    other = known | {"targets": torch.cat([batch["targets"][:, :3] + 1, batch["targets"][:, 3:]], dim=1)}
    with torch.no_grad():
        found = [float(network(one)) for one in (free, free | {"age_s": batch["age_s"] + 1}, known, other)]
    assert len(set(found)) == 4, "the age; that targets are committed; which ones they are"


def test_committed_targets_are_not_wanted(
    acting_loss: Callable[..., ActingLoss], shards: list[Shard], tiny: VideoPolicyConfig
) -> None:
    """Where all are, nothing is left to learn."""
    batch = observations(shards, tiny)[0] | {"committed": torch.full((6,), tiny.action.targets)}
    with torch.no_grad():
        assert float(acting_loss()(batch)) == 0


def test_the_chunks_loss_never_reaches_the_video_model(
    acting_loss: Callable[..., ActingLoss], shards: list[Shard], tiny: VideoPolicyConfig
) -> None:
    """Jointly: with other targets the adapter's gradient is another one, the U-Net's the same."""
    batch, gradients = observations(shards, tiny)[0], list[dict[str, torch.Tensor]]()
    for targets in (batch["targets"], batch["targets"] + 3):
        network = acting_loss(video_loss=1.0)
        network(batch | {"targets": targets}).backward()
        gradients.append(
            {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}
        )
    one, other = gradients
    same = {name for name in one if torch.equal(one[name], other[name])}
    assert same == {name for name in one if name.startswith("imagination.video.network.")}
    assert {name.split(".")[0] for name in one if name not in same} == {"imagination", "sampler"}


def test_a_chunk_begins_where_its_clip_is_as_old_as_it_says(shards: list[Shard], tiny: VideoPolicyConfig) -> None:
    """The joints move evenly with the step, and so do the targets: age and clip together say which they are."""
    acting = ACTING.model_copy(update={"no_prefix_share": 1.0})
    config = tiny.model_copy(update={"action": tiny.action.model_copy(update={"frame": "absolute"})})
    batches = observations(shards, config, acting)
    measured = statistics([shard.joints for shard in shards], config)
    by_clip = [
        (index, at, shard.recording.latents[0].rows("clean", at, at + 1)[0, 0].float())
        for index, shard in enumerate(shards)
        for at in range(STEPS)
    ]
    ages: list[float] = []
    for number in range(8):
        batch = batches[number]
        for row, (targets, age_s) in enumerate(zip(batch["targets"], batch["age_s"], strict=True)):
            first = batch["clean"][row // acting.chunks, 0]
            index, at, _ = min(by_clip, key=lambda one: float((one[2] - first).abs().sum()))
            step = at + int(float(age_s) * 30 - 0.3)  # a third of a step is the least that a run begins later
            chunk = shards[index].joints["targets"].numpy()[step : step + tiny.action.targets]
            wanted = np.concatenate([chunk, np.repeat(chunk[-1:], tiny.action.targets - len(chunk), 0)])
            off = np.abs(measured.denormalize(targets, np.zeros(14)) - wanted).max()
            assert off < 2.5 * 0.5 / STEPS, "the age says so to within the time on the way, two steps"
            ages.append(float(age_s))
    assert min(ages) < 0.15 and 0.35 < max(ages) < 0.57


def test_targets_fill_the_range_that_is_learnt(shards: list[Shard], tiny: VideoPolicyConfig) -> None:
    measured = statistics([shard.joints for shard in shards], tiny)
    batches = observations(shards, tiny, ACTING.model_copy(update={"no_prefix_share": 1.0}))
    found = torch.cat([batches[number]["targets"] for number in range(20)])
    assert measured.relative and found.abs().max() < 1.6
    assert (found.amax((0, 1)) > 0.7).all() and (found.amin((0, 1)) < -0.7).all()


def test_prefixes_are_perturbed(shards: list[Shard], tiny: VideoPolicyConfig) -> None:
    """Only the share of perturbed prefixes differs, and only rows with a prefix do."""
    plain, off = (
        observations(
            shards, tiny, ACTING.model_copy(update={"no_prefix_share": 0.3, "prefixes": Prefixes(share=share)})
        )
        for share in (0.0, 1.0)
    )
    for number in range(4):
        one, other = plain[number], off[number]
        differs = (one["targets"] != other["targets"]).flatten(1).any(1)
        assert torch.equal(one["committed"], other["committed"])
        assert not differs[one["committed"] == 0].any() and differs.any()


def test_a_network_with_eyes_is_shown_the_newest_pictures(
    video: VideoModel, tokens: list[torch.Tensor], tiny: VideoPolicyConfig, tmp_path: Path
) -> None:
    eyes = Keypoints(image_px=32, width=8, points=4)
    config = tiny.model_copy(update={"action": tiny.action.model_copy(update={"eyes": eyes})})
    one = episode(0)
    write(tmp_path / "latents", recorded.latents(one, video, 0))
    write(tmp_path / "joints", recorded.joints(one, config, "leader"))
    shard = Shard(Prepared(tmp_path / "joints"), Recording((Prepared(tmp_path / "latents"),), (0,)), one.task)
    batch = observations([shard], config)[0]
    assert batch["pictures"].shape == (6, 3, 3, 32, 32) and batch["state"].shape == (6, 14)
    plain = ACTING.model_copy(update={"augmentation": Augmentation(share=0.0)})
    network = ActingLoss(Imagination(config, video), ActionSampler(config), tokens, plain)
    with torch.no_grad():
        found = [float(network(given)) for given in (batch, batch | {"pictures": 255 - batch["pictures"]})]
    assert found[0] != found[1]
