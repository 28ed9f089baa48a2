"""The sizes of a Video Policy: the same code with other numbers. Chosen by name (models/families.py)."""

from models.config.encoders import Text
from models.config.source import Source
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import ActionNet, Adapter, Autoencoder, Clip, ClipText, Diffusion, Published, VideoUnet

# The text tower that the public code reads with, and Stable Video Diffusion for 25 frames, each at one commit of its
# repository on the Hugging Face hub.
_OPEN_CLIP = Source(repo="laion/CLIP-ViT-H-14-laion2B-s32B-b79K", revision="1c2b8495b28150b8a4922ee1c8edee224c284c0c")
_SVD = Source(repo="stabilityai/stable-video-diffusion-img2vid-xt", revision="9e43909513c6714f1bc78bcb44d96e733cd242aa")


def small() -> VideoPolicyConfig:
    """A few million weights, for one core: as many frames as the paper's, each 64 x 64 px, 8 steps (models/README.md).

    Widths are multiples of 32, which diffusers' blocks ask for; the coarsest level has one place, so its 32 norm groups need
    channels enough. Latents have twice the channels of the published VAE's: on a
    grid of 8 x 8 they cost next to nothing.
    """
    return VideoPolicyConfig(
        name="video-policy-small",
        clip=Clip(height_px=64, width_px=64),
        autoencoder=Autoencoder(widths=(32, 32, 32, 32), layers=1, latent_channels=8),
        unet=VideoUnet(widths=(32, 32, 64, 128), layers=1, heads=(1, 1, 2, 4), text_width=64, added_width=32),
        adapter=Adapter(merged=(128, 64), narrowed=(64, 64), joined=(192, 192, 192, 256, 256)),
        action=ActionNet(widths=(64, 128, 256), time_width=64),
        diffusion=Diffusion(steps=8),
        text=Text(width=64, depth=2, heads=4, feed_forward=128, max_tokens=128),  # as Video2Act's `small`
    )


def full() -> VideoPolicyConfig:
    """The paper's size: Stable Video Diffusion at 256 x 256 px, 30 steps, guidance 2."""
    return VideoPolicyConfig(
        name="video-policy-full",
        clip=Clip(height_px=256, width_px=256),
        autoencoder=Autoencoder(widths=(128, 256, 512, 512), layers=2),
        unet=VideoUnet(widths=(320, 640, 1280, 1280), layers=2, heads=(5, 10, 20, 20), text_width=1024),
        adapter=Adapter(merged=(1920, 1280), narrowed=(864, 576), joined=(1280, 960, 720, 540, 420)),
        action=ActionNet(widths=(256, 512, 1024)),
        diffusion=Diffusion(steps=30),
        text=ClipText(width=1024),
        published=Published(video_unet=_SVD, clip_text=_OPEN_CLIP),
    )


SIZES = {"video-policy-small": small, "video-policy-full": full}
