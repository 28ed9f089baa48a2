"""Trainings small enough for tests: their arguments, and the curve that they leave."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

_BACKBONE = {"dual_blocks": 1, "single_blocks": 1, "text_dim": 16, "pooled_dim": 16, "vae_channels": "[8,8,8,8]"}
_VIDEO = [
    *(word for name, value in _BACKBONE.items() for word in (f"--policy.video.backbone.{name}", str(value))),
    *("--policy.video.low.frames", "4", "--policy.video.low.height_px", "32", "--policy.video.low.width_px", "32"),
    *("--policy.video.high.height_px", "32", "--policy.video.high.width_px", "48"),
    *("--policy.text.width", "16", "--policy.text.depth", "1", "--policy.text.feed_forward", "32"),
    *("--filming.windows", "2", "--filming.pictures", "2"),
]
_ACTION = ["--policy.image.image_px", "32", "--policy.head.depth", "1", "--cloning.samples", "6"]
_CLIPS = {
    "clip.height_px": 16, "clip.width_px": 32, "clip.frames": 2, "autoencoder.widths": "32,32", "autoencoder.layers": 1,
    "unet.widths": "32,64,96,128", "unet.heads": "1,2,3,4", "unet.text_width": 16, "unet.added_width": 8, "text.width": 16,
    "text.depth": 1, "text.heads": 2, "text.feed_forward": 32, "adapter.merged": "16,12", "adapter.narrowed": "12,8",
    "adapter.joined": "16,12,8", "action.widths": "16,24,32", "action.time_width": 16, "action.targets": 8,
    "diffusion.steps": 2,
}  # fmt: skip
_OWN = {"video": ["--imagining.clips", "2", "--imagining.pictures", "2"], "action": ["--acting.clips", "2"]}


def video_policy_command(stage: str, data: Path, out: Path, *flags: str) -> list[str]:
    """A training of Video Policy; stage 2 takes the size of `--video`."""
    size = [word for name, value in _CLIPS.items() for word in (f"--policy.{name}", str(value))]
    own = ["--size", "video-policy-small", *size] if stage == "video" else []
    return [stage, "--data", str(data), "--out", str(out), "--workers", "1", *own, *_OWN[stage], *flags]


def command(stage: str, data: Path, out: Path, *flags: str) -> list[str]:
    """A training's own arguments."""
    own = _VIDEO if stage == "video" else _ACTION
    return [stage, "--data", str(data), "--out", str(out), "--workers", "1", *own, *flags]


def vae_step() -> None:
    """Forward and backward of the VAE of `small` in bfloat16, on one batch."""
    import torch  # what else is here does without

    from models import sizes
    from models.system2 import SlowSystem
    from models.train.choices import Filming
    from models.train.video import AutoencoderLoss

    torch.set_num_threads(1)
    backbone = SlowSystem(sizes.by_name("small")).backbone
    loss = AutoencoderLoss(backbone.new_autoencoder(), Filming())
    batch = {
        "pictures": torch.randint(0, 255, (8, 3, 1, 96, 128), dtype=torch.uint8),
        "seed": torch.tensor([1]),
    }
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(batch)
    found.backward()
    assert torch.isfinite(found)


def losses(out: Path, phase: str) -> dict[int, float]:
    """The curve that TensorBoard would draw."""
    curves = EventAccumulator(str(out / "curves" / phase)).Reload()
    return {event.step: event.value for event in curves.Scalars("loss")}
