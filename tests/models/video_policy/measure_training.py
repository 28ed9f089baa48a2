"""Times of a training step of `video-policy-small` on one thread: `python tests/models/video_policy/measure_training.py`.

Whole steps, as `train.sh` makes them: batch, loss, gradients, AdamW, average. Random latents and joints, whose values change no
time. Processor time, the median and the least: on a machine with other work only that is about this program.
"""

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[3]))

from models.train.choices import Schedule
from models.train.loop import fit
from models.train.prepared import SAMPLES, Prepared, Tensors, write
from models.train.video_policy import observations
from models.train.video_policy.acting import ActingLoss
from models.train.video_policy.choices import Acting, Imagining
from models.train.video_policy.clips import ClipBatches, Recording
from models.train.video_policy.imagining import ImaginingLoss, RunAutoencoderLoss, RunsOfPictures
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.imagination import Imagination
from models.video_policy.sizes import small
from models.video_policy.video_model import VideoModel

STEPS = 8  # of which the first is not counted
LENGTH = 100  # of the episode


def measure(name: str, network: nn.Module, batches: Dataset[Tensors], folder: Path) -> None:
    """Print one line."""
    schedule = Schedule(steps=STEPS, loaders=0, save_every=10**6, precision="no")
    times = [time.process_time()]
    for news in fit(network, batches, schedule, folder / name, lambda _: None):
        if news.step < STEPS - 1:  # with the last the state is kept
            times.append(time.process_time())
    each = [after - before for before, after in itertools.pairwise(times[1:])]
    median, least = statistics.median(each), min(each)
    print(f"{name}: {median:.2f} s ({least:.2f}); {3600 / median:.0f} steps an hour ({3600 / least:.0f})", flush=True)


def main() -> None:
    """All lines."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = small()
    video = VideoModel(config).requires_grad_(False)
    clip, tokens = config.clip, [torch.randn(1, 1, config.text.width)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pictures = torch.randint(0, 255, (SAMPLES, clip.frames, 3, clip.height_px, clip.width_px), dtype=torch.uint8)
        write(folder / "samples", {"pictures": pictures})
        shape = (LENGTH, len(clip.cameras), *config.latent_shape)
        write(folder / "latents", {name: torch.randn(shape).half() for name in ("clean", "current")})
        write(folder / "joints", {name: torch.randn(LENGTH, config.action.joints) for name in ("q", "targets")})
        samples, latents, joints = (Prepared(folder / name) for name in ("samples", "latents", "joints"))
        vae = VideoModel(config).vae
        runs = RunsOfPictures([samples], Imagining(), 0)
        measure(f"VAE, {Imagining().pictures} pictures", RunAutoencoderLoss(vae, Imagining()), runs, folder)
        recording = Recording((latents,), (0,))
        video.network.requires_grad_(True)
        clips = ClipBatches([recording], config, Imagining(), 0)
        measure(f"stage 1, {Imagining().clips} clips", ImaginingLoss(video, tokens), clips, folder)
        found = observations.statistics([joints], config)
        for name, acting in (("stage 2", Acting()), ("jointly", Acting(video_loss=1.0))):
            video.network.requires_grad_(acting.video_loss > 0)
            network = ActingLoss(Imagination(config, video), ActionSampler(config), tokens, acting)
            shards = [observations.Shard(joints, recording, "a task")]
            batches = observations.Observations(shards, config, found, acting, 0)
            measure(f"{name}, {acting.clips} clips, {acting.chunks} chunks of each", network, batches, folder)


if __name__ == "__main__":
    main()
