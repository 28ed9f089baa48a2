"""The sizes of a policy: the same code with other numbers. `small` runs on two CPU cores, `full` is the paper's.

Chosen by name in settings and flags (runtime/config/policy.py, runtime/training).
"""

from models.config.encoders import Keypoints, Siglip, Text
from models.config.filters import Filters
from models.config.head import Head
from models.config.policy import PolicyConfig
from models.config.qformer import QFormer
from models.config.source import Published, Source
from models.config.video import Hunyuan, Video, Wan, Window
from models.errors import ModelError

# The published weights that the full sizes are made of, each at one commit of its repository on the Hugging Face hub.
_HUNYUAN = Source(repo="hunyuanvideo-community/HunyuanVideo", revision="e8c2aaa66fe3742a32c11a6766aecbf07c56e773")
_WAN = Source(repo="Wan-AI/Wan2.2-TI2V-5B-Diffusers", revision="b8fff7315c768468a5333511427288870b2e9635")
_SIGLIP = Source(repo="google/siglip-so400m-patch14-384", revision="9fdffc58afc957d1a03a25b10dba0329ab15c2a3")
_T5 = Source(repo="google/t5-v1_1-xxl", revision="3db67ab1af984cf10548a73467f0e5bca2aaaeb2")
_RDT = Source(repo="robotics-diffusion-transformer/rdt-1b", revision="eb09036cc64ca4945051acbd1bd581d30a1d7711")

# Wan2.2-TI2V-5B's VAE: mean and spread of its 48 latent channels, `latents_mean` and `latents_std` of its configuration.
_WAN_MEAN = (
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
    0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
    -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
)  # fmt: skip
_WAN_SPREAD = (  # in the same order
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
    0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
    0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
)  # fmt: skip


def small() -> PolicyConfig:
    """A few million weights: runs on two CPU cores beside the simulator.

    Its numbers were chosen by the clock: 17 ms a run of System 1, 75 ms of System 2 (models/README.md). Windows have as many
    frames as the paper's; the head's guess is what learns from few samples (models/shipped/README.md).
    """
    return PolicyConfig(
        name="small",
        video=Video(
            backbone=Hunyuan(
                heads=4,
                head_dim=48,
                rope_axes=(8, 20, 20),
                dual_blocks=4,
                single_blocks=2,
                refiner_blocks=1,
                text_dim=64,
                pooled_dim=64,
                vae_channels=(8, 16, 16, 16),
                vae_layers=1,
                vae_groups=8,
            ),
            high=Window(frames=2, height_px=96, width_px=128, stride_s=1 / 30),
            low=Window(frames=16, height_px=64, width_px=64, stride_s=0.1),
        ),
        spatial_former=QFormer(tokens=32, width=128, depth=2, heads=4, scaled=True),
        motion_former=QFormer(tokens=32, width=128, depth=2, heads=4, scaled=True),
        image=Keypoints(image_px=64, width=128),
        text=Text(width=64, depth=2, heads=4, feed_forward=128, max_tokens=128),
        head=Head(width=128, depth=4, heads=4, token_targets=8, guess_width=512, guess_tokens=8, guess_blend=12),
        history_offset_s=2 / 30,
        resize="stretch",
        action_source="master",  # the follower stops at what it holds: its next position would not press
    )


def full() -> PolicyConfig:
    """The paper's sizes: HunyuanVideo's first 20 + 5 blocks, windows of eq. (2), and an action head of 1 B weights (3.2.1).

    Networks have the sizes of their published configurations. The paper's SigLIP-L/14 was never published, so400m is. Joints
    stand in RDT-1B's vector where its own Agilex data has them: left arm at 50, gripper 60, right arm at 0, gripper 10.

    Both windows show the whole picture, stretched. Cropping 4:3 to the long window's square would lose a quarter of the width,
    where the two arms come in. Bars would take up to a quarter of the tokens, and Sobel would find their edges in every frame.
    The video model learns the changed aspect in stage 1, and the released code stretches too.
    """
    former = QFormer(tokens=224, width=512, depth=3, heads=8)
    return PolicyConfig(
        name="full",
        video=Video(
            backbone=Hunyuan(
                heads=24,
                head_dim=128,
                rope_axes=(16, 56, 56),
                dual_blocks=20,
                single_blocks=5,
                refiner_blocks=2,
                text_dim=4096,
                pooled_dim=768,
                vae_channels=(128, 256, 512, 512),
                vae_layers=2,
                vae_groups=32,
            ),
            high=Window(frames=2, height_px=512, width_px=768, stride_s=1 / 30),
            low=Window(frames=16, height_px=256, width_px=256, stride_s=0.1),
        ),
        spatial_former=former,
        motion_former=former,
        image=Siglip(image_px=384, width=1152, depth=27, heads=16, patch_px=14, feed_forward=4304),
        text=Text(width=4096, depth=24, heads=64, feed_forward=10240, max_tokens=1024, kind="t5"),
        head=Head(
            width=2048,
            depth=28,
            heads=32,
            action_width=128,
            joint_places=(50, 51, 52, 53, 54, 55, 60, 0, 1, 2, 3, 4, 5, 10),
            norm="variance",
        ),
        resize="stretch",
        image_resize="pad",
        targets="physical",
        published=Published(video=_HUNYUAN, image=_SIGLIP, text=_T5, head=_RDT),
    )


def full_wan() -> PolicyConfig:
    """`full` as Video2Act's released code has it: Wan2.2-TI2V-5B, 20 of its 30 blocks, windows of 1 + 61 frames, its filters.

    That code filters the latents before the video model reads them: Sobel with zeros beyond the border, bins 1 to 7 of the 16
    latent frames. Its video model was tuned on robot video: give it as `published.transformer` (models/README.md).
    """
    video = Video(
        backbone=Wan(
            heads=24,
            head_dim=128,
            blocks=20,
            feed_forward=14336,
            text_dim=4096,
            vae_width=160,
            vae_decoder_width=256,
            latent_channels=48,
            latent_mean=_WAN_MEAN,
            latent_spread=_WAN_SPREAD,
        ),
        encoding="causal",
        high=Window(frames=1, height_px=480, width_px=832, stride_s=1 / 30),
        low=Window(frames=61, height_px=224, width_px=224, stride_s=1 / 30),
    )
    filters = Filters(place="latents", border="zeros", laplacian="absolute", root_floor=1e-6, low_bin=1, high_bin=7)
    published = full().published.model_copy(update={"video": _WAN})
    changes = {"name": "full-wan", "video": video, "filters": filters, "published": published}
    return full().model_copy(update=changes)


SIZES = {"small": small, "full": full, "full-wan": full_wan}


def by_name(name: str) -> PolicyConfig:
    """The configuration of a size of Video2Act. Raises ModelError for another name."""
    if name not in SIZES:
        raise ModelError(f"unknown policy size {name!r}; choose one of {', '.join(SIZES)}")
    return SIZES[name]()
