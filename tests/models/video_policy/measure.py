"""Times of `video-policy-small` on one thread, for models/README.md: `python tests/models/video_policy/measure.py`.

Random weights, whose values change no time. Wall time and processor time, the median and the least of several runs: on a
machine with other work only the second is about this program. Stages: a training step without its optimizer, of 8 clips or
chunks.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from models.video_policy import edm
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.imagination import Imagination
from models.video_policy.sizes import small
from models.video_policy.video_model import Given

RUNS = 5
BATCH = 8


def measure(name: str, run: Callable[[], object], runs: int = RUNS) -> None:
    """Print one line: after a first run that is not counted."""
    run()
    walls, processor = list[float](), list[float]()
    for _ in range(runs):
        before = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    times = [f"{statistics.median(kind) * 1e3:.0f} ms ({min(kind) * 1e3:.0f})" for kind in (walls, processor)]
    print(f"{name}: wall {times[0]}, processor {times[1]}", flush=True)


def main() -> None:
    """All lines."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = small()
    imagination, sampler = Imagination(config).eval(), ActionSampler(config).eval()
    parts = {
        "video U-Net": imagination.video.network,
        "VAE": imagination.video.vae,
        "adapter": imagination.adapter,
        "action network": sampler,
    }
    for name, part in parts.items():
        print(f"{name}: {sum(weight.numel() for weight in part.parameters()) / 1e6:.2f} million weights")
    height, width, action = config.clip.height_px, config.clip.width_px, config.action
    pictures = torch.rand(1, 3, 3, height, width) * 2 - 1
    noise, chunk = torch.randn(1, 25, *config.latent_shape), torch.randn(1, action.targets, action.joints)
    given = Given(torch.randn(1, 3, *config.latent_shape), torch.randn(1, 1, config.unet.text_width))
    free = torch.zeros(1, action.targets, dtype=torch.bool)
    moment = torch.randn(1, action.time_width)
    with torch.inference_mode():
        features = imagination.imagine(given, noise).features
        measure("current pictures of three cameras", lambda: imagination.video.encode_current(pictures, pictures))
        measure("one guided step", lambda: imagination.step(noise, 1.0, given))
        measure(f"imagination of {config.diffusion.steps} steps", lambda: imagination.imagine(given, noise))
        measure("a chunk", lambda: sampler.sample(features, moment, chunk, chunk, free))
        measure("imagined frames decoded", lambda: imagination.video.decode(noise))
    clips, chunks, s = noise.repeat(BATCH, 1, 1, 1, 1), chunk.repeat(BATCH, 1, 1), torch.rand(BATCH) + 0.5
    shown = Given(given.current.repeat(BATCH, 1, 1, 1, 1), given.text.repeat(BATCH, 1, 1))

    def first_stage() -> None:
        clean, _ = imagination.video.denoise(clips, s, shown)
        ((clean - clips) ** 2 * edm.per_sample(edm.weight(s), clips)).mean().backward()

    measure(f"stage 1, a batch of {BATCH}", first_stage, 3)
    with torch.no_grad():
        places = imagination.video.denoise(clips, s, shown)[1]

    def second_stage() -> None:
        made = imagination.adapter(places, edm.scalings(s).noise)
        clean = sampler.denoise(chunks, s, made, moment.repeat(BATCH, 1), chunks, free.repeat(BATCH, 1))
        ((clean - chunks) ** 2 * edm.per_sample(edm.weight(s), chunks)).mean().backward()

    measure(f"stage 2 on prepared features, a batch of {BATCH}", second_stage, 3)


if __name__ == "__main__":
    main()
