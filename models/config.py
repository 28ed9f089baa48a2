"""The choices that make a policy; a checkpoint stores one of these. The sizes there are: models/sizes.py.

Read by every module that makes a network and by runtime/config. The choices are Video2Act's, and section numbers its; where it
leaves something open the first value is the default.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from models.part import (
    LARGEST_WIDTH,
    Blocks,
    Count,
    Depth,
    Heads,
    Part,
    Pixels,
    Width,
    check_divides,
    check_each,
)

CAMERAS = ("head", "left_wrist", "right_wrist")
_PRINTABLE = r"^[\x20-\x7e]*$"  # what is printed in lines of text must not begin another
JOINT_LAYOUT = "left j1..j6, left gripper, right j1..j6, right gripper; rad, m"


_VAE_LEVELS = 4  # of both video models' VAEs as diffusers makes them
_WIDEST_TOKEN = 16384  # chosen: with the most tokens still 0.5 GB in memory, and 32 times the default
_LARGEST_LATENT = 1e6  # chosen: published means and spreads are 0.01 to 2, and one that is 0 cannot be divided by
_LEAST_SIDE_PX = {"hunyuan": 16, "wan": 32}  # one token: the VAE's 8 or 16 px a latent, 2 latents a token
_LEAST_WAN_HEAD = 6  # a channel pair each for time, row and column


class Source(Part):
    """Published weights: a folder on this machine (of a transformer also a file), or a repository of the hub at one commit."""

    repo: str = Field(min_length=1)
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Read FOLDER (beginning with /, . or ~) or REPOSITORY@COMMIT. Raises ValueError for a repository without commit."""
        repo, _, revision = text.partition("@")
        return cls(repo=repo, revision=revision or None)

    @property
    def folder(self) -> Path | None:
        """The folder with `~` resolved, whether or not it is there; None for a repository."""
        if not self.repo.startswith(("/", ".", "~")):
            return None
        try:
            return Path(self.repo).expanduser()
        except RuntimeError:  # `~name` where nobody is called so: there is no such folder, as the shell sees it too
            return Path(self.repo)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.folder is None and not re.fullmatch("[0-9a-f]{40}", self.revision or ""):
            raise ValueError(f"{self.repo}: revision must be a commit of 40 hexadecimal digits, got {self.revision!r}")
        if self.folder is not None and self.revision is not None:
            raise ValueError(f"{self.repo}: a folder has no revision, got {self.revision!r}")
        return self


class Published(Part):
    """Where the weights of a policy's parts were published. A checkpoint holds only those parts that were trained further."""

    video: Source | None = None
    """Video model, VAE and their text encoders, in the folder layout of diffusers."""
    transformer: Source | None = None
    """The video model's transformer alone, where it is not the one in `video`: a folder, a repository, or for Wan also a file.
    Wan's may be in the original file format, as those tuned on robot video are published."""
    image: Source | None = None
    """SigLIP image encoder."""
    text: Source | None = None
    """T5 text encoder with its tokenizer."""
    head: Source | None = None
    """RDT-1B action head, as the initial weights."""


class Window(Part):
    """One video stream of System 2 (Video2Act, eq. (2)); its `full` sizes are the paper's."""

    frames: Count
    height_px: Pixels
    width_px: Pixels
    stride_s: float = Field(gt=0, le=3600)
    """Time between its frames."""

    @property
    def span_s(self) -> float:
        """Time that its frames stand for, s: each for one stride."""
        return self.frames * self.stride_s


class Hunyuan(Part):
    """HunyuanVideo and its VAE; the paper keeps the first 20 dual-stream and 5 single-stream blocks (appendix B.2).

    Defaults are those of diffusers' configuration of the published model.
    """

    kind: Literal["hunyuan"] = "hunyuan"
    heads: Heads
    head_dim: Width
    rope_axes: tuple[int, int, int]
    dual_blocks: Blocks
    single_blocks: Blocks
    refiner_blocks: Blocks
    text_dim: Width
    pooled_dim: Width
    # embedded, not classifier-free: the default of diffusers' HunyuanVideoPipeline
    guidance: float = Field(default=6.0, ge=0, le=1000)
    vae_channels: tuple[int, ...]
    vae_layers: Depth
    vae_groups: Width
    latent_channels: Width = 16
    latent_scaling: float = Field(default=0.476986, gt=0, le=_LARGEST_LATENT)  # the published VAE's scaling_factor

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("rope_axes", self.rope_axes, 2, LARGEST_WIDTH)
        if any(axis % 2 for axis in self.rope_axes) or sum(self.rope_axes) != self.head_dim:
            raise ValueError(f"rope_axes: must be even and together head_dim {self.head_dim}, got {self.rope_axes}")
        check_each("vae_channels", self.vae_channels, 1, LARGEST_WIDTH, _VAE_LEVELS)
        for channels in self.vae_channels:
            check_divides("vae_groups", self.vae_groups, "vae_channels", channels)
        return self


class Wan(Part):
    """Wan2.2-TI2V-5B and its VAE; Video2Act's released code keeps the first 20 of 30 blocks.

    Defaults are those of diffusers' configuration of the published model.
    """

    kind: Literal["wan"] = "wan"
    heads: Heads
    head_dim: Width
    blocks: Depth
    feed_forward: Width
    text_dim: Width
    vae_width: Width
    vae_decoder_width: Width
    vae_widths: tuple[int, ...] = (1, 2, 4, 4)
    vae_blocks: Depth = 2
    latent_channels: Width
    latent_mean: tuple[float, ...]
    latent_spread: tuple[float, ...]

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim

    @property
    def pooled_dim(self) -> int:
        """0: it reads no pooled text."""
        return 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("latent_mean", self.latent_mean, -_LARGEST_LATENT, _LARGEST_LATENT, self.latent_channels)
        check_each("latent_spread", self.latent_spread, 1 / _LARGEST_LATENT, _LARGEST_LATENT, self.latent_channels)
        check_each("vae_widths", self.vae_widths, 1, LARGEST_WIDTH, _VAE_LEVELS)
        if self.head_dim < _LEAST_WAN_HEAD or self.head_dim % 2:
            raise ValueError(f"head_dim: must be even and at least {_LEAST_WAN_HEAD}, got {self.head_dim}")
        return self


class Video(Part):
    """System 2's video model, and the two windows of the head camera that go through it."""

    backbone: Hunyuan | Wan = Field(discriminator="kind")
    encoding: Literal["frames", "causal"] = "frames"
    """frames: encode each frame by itself and keep it; causal: encode each window as a video, four frames per latent."""
    high: Window
    low: Window

    @model_validator(mode="after")
    def _check(self) -> Self:
        least = _LEAST_SIDE_PX[self.backbone.kind]
        for name in ("high", "low"):
            window: Window = getattr(self, name)
            if min(window.height_px, window.width_px) < least:
                raise ValueError(
                    f"{name}: must be at least {least} px high and wide, got {window.height_px} and {window.width_px}"
                )
        return self

    @property
    def latent_frames(self) -> int:
        """Frames of the low window's latents: one each, or encoded as a video the first and one for every four."""
        return self.low.frames if self.encoding == "frames" else 1 + (self.low.frames - 1) // 4


class Filters(Part):
    """What is taken from the features (Video2Act, eq. (3)); no learnable weight in it."""

    spatial: Literal["sobel", "scharr", "laplacian", "none"] = "sobel"
    border: Literal["replicate", "zeros"] = "replicate"
    """What the spatial filter finds beyond the border. replicate: the outermost features again, so that the border is no
    boundary; zeros: nothing, so that it is one (released code). The paper does not say."""
    laplacian: Literal["signed", "absolute"] = "signed"
    """Whether the Laplacian keeps its sign, or only its magnitude, as Sobel and Scharr do (released code)."""
    root_floor: float = Field(default=0.0, ge=0, le=1e6)
    """Added to Gx^2 + Gy^2 under the root of Sobel and Scharr; 1e-6 in the released code, 0 in the paper."""
    motion: Literal["fft", "none"] = "fft"
    place: Literal["features", "latents"] = "features"
    """Where the filters act: on the blocks' features (Video2Act, eq. (3)), or on the latents that go into the blocks (released
    code)."""
    low_bin: int = Field(default=1, ge=0, le=4096)
    """First frequency bin kept by the high-pass; 1 drops only the mean."""
    high_bin: int | None = Field(default=None, ge=0, le=4096)
    """Last bin kept; none keeps all up to half the frame rate."""
    low_hz: float | None = Field(default=None, ge=0, le=1e6)
    """The band in Hz instead of bins, which does not depend on the window's length."""
    high_hz: float | None = Field(default=None, gt=0, le=1e6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_hz = self.low_hz is not None or self.high_hz is not None
        if by_hz and (self.low_bin != 1 or self.high_bin is not None):
            raise ValueError("give the motion band as low_bin and high_bin, or as low_hz and high_hz, not both")
        return self


class QFormer(Part):
    """The token compressor, one for each branch. The paper calls them lightweight (section 3.2.1) and gives no sizes."""

    tokens: Count = 224  # as many as the Video Former of the Video Prediction Policy gives
    # chosen, with depth and heads: both branches' tokens are 0.44 MiB in bfloat16, features 42 MiB
    width: int = Field(default=512, ge=1, le=_WIDEST_TOKEN)
    depth: Depth = 3
    heads: Heads = 8
    positions: Literal["apart", "summed"] = "apart"
    """How a feature's place is told. apart: frame, row and column have channels of their own. summed: frame and place share
    theirs, so that different places look alike (policies trained before this setting)."""
    scaled: bool = False
    """Tokens less their mean over the training data, divided by their spread there: what tells scenes apart is then as large as
    the tokens. false: as they are (policies trained before this setting)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        return self


class Siglip(Part):
    """System 1's eyes as in the paper (section 3.2.1): SigLIP's vision model, the same for every camera."""

    kind: Literal["siglip"] = "siglip"
    image_px: Pixels
    width: Width
    depth: Depth
    heads: Heads
    patch_px: Width
    feed_forward: Width

    @property
    def tokens(self) -> int:
        """Tokens of one picture: one a patch."""
        return (self.image_px // self.patch_px) ** 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        if self.patch_px > self.image_px:
            raise ValueError(f"patch_px: must be at most image_px {self.image_px}, got {self.patch_px}")
        return self


class Keypoints(Part):
    """System 1's eyes of `small`: convolutions and a spatial softmax for each camera; learns from scratch on little data."""

    kind: Literal["keypoints"] = "keypoints"
    image_px: Pixels
    width: Width
    """Numbers of a token."""
    points: Count = 32  # Levine et al. 2016
    channels: tuple[int, int] = (32, 64)
    """Channels of the two convolutions (receptive field 16x16 px, stride 4 px)."""
    grid: int = Field(default=4, ge=1, le=64)
    """N: also N x N averages of image patches."""

    @property
    def tokens(self) -> int:
        """Tokens of one picture: all keypoints in one, then one a patch."""
        return 1 + self.grid**2

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("channels", self.channels, 1, LARGEST_WIDTH)
        return self


class Text(Part):
    """The instruction's encoder for System 1: a T5 as in the paper (section 3.2.1), published, or small and of our own."""

    width: Width
    depth: Depth
    heads: Heads
    feed_forward: Width
    max_tokens: Width
    kind: Literal["byt5", "t5"] = "byt5"
    """byt5: byte tokens without a vocabulary file; t5: the published T5 with its tokenizer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.heads > self.width:
            raise ValueError(f"heads: must be at most width {self.width}, got {self.heads}")
        return self


class Head(Part):
    """The action diffusion transformer (RDT-1B's shape; `full` has its sizes too)."""

    width: Width
    depth: Depth
    heads: Heads
    action_width: Count = 14
    """Width of an action vector."""
    joint_places: tuple[int, ...] = tuple(range(14))
    """Places of the joints in the action vector; RDT-1B's vector has places for many robots."""
    steps: Count = 5
    """Denoising steps of DPM-Solver++; RDT-1B's."""
    train_steps: int = Field(default=1000, ge=1, le=100_000)  # diffusion times, RDT-1B's
    prediction: Literal["sample", "epsilon", "velocity"] = "sample"
    token_targets: Count = 1
    """Targets per token; RDT-1B has 1, more make a small head several times as fast."""
    guess_width: int = Field(default=0, ge=0, le=LARGEST_WIDTH)
    """Width of a perceptron that estimates the chunk from joints and keypoints; the transformer corrects it. It learns faster
    from few samples. 0: none, as in RDT-1B."""
    guess_tokens: int = Field(default=0, ge=0, le=LARGEST_WIDTH)
    """Numbers of each of System 2's tokens for that perceptron; 0: only their mean."""
    guess_blend: int = Field(default=0, ge=0, le=4096)
    """Targets within which that estimate leads from where the committed ones end back to itself; 0: it ignores these."""
    norm: Literal["rms", "variance"] = "rms"
    """What the blocks' norms divide by. rms: the root of the mean square; variance: the standard deviation, without centring,
    which is what RDT-1B's weights were trained with (timm 1.0.3's RmsNorm)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        if self.width % 2:
            raise ValueError(f"width: must be even, got {self.width}")
        if self.steps > self.train_steps:
            raise ValueError(f"steps: must be at most train_steps {self.train_steps}, got {self.steps}")
        return self


_LATER = (  # fields that earlier checkpoints do not know, each as the path to it from the policy's configuration
    "image_resize",
    "targets",
    "head.norm",
    "head.guess_blend",
    "spatial_former.scaled",
    "motion_former.scaled",
    "published.transformer",
    "filters.border",
    "filters.laplacian",
    "filters.root_floor",
)


class PolicyConfig(Part):
    """Everything that fixes a policy's networks and what the numbers in and out mean; `config.json` of a checkpoint."""

    name: str = Field(pattern=_PRINTABLE, max_length=64)
    video: Video
    filters: Filters = Filters()
    spatial_former: QFormer
    motion_former: QFormer
    image: Siglip | Keypoints = Field(discriminator="kind")
    text: Text
    head: Head
    joints: Count = 14  # two arms of six joints and a gripper
    horizon: Count = 64  # targets in a chunk: H of Video2Act, section 4.2.2
    dt_s: float = Field(default=1 / 30, gt=0, le=1)  # the rate of cameras and demonstrations (Video2Act, table 3)
    history_offset_s: float = Field(default=1 / 30, ge=0, le=3600)
    """How much older the first set of the image history is: one frame, as RDT-1B was trained; the paper does not say."""
    # what the head is told of its targets' rate, as RDT-1B is: 1 / dt_s
    control_hz: float = Field(default=30, gt=0, le=1000)
    published: Published = Published()
    cameras: tuple[str, ...] = Field(default=CAMERAS, min_length=1, max_length=16)
    colour_order: Literal["RGB"] = "RGB"
    resize: Literal["crop", "letterbox", "stretch", "pad"] = "crop"
    """How frames are resized for System 2's windows and System 1's image encoder."""
    image_resize: Literal["crop", "letterbox", "stretch", "pad"] | None = None
    """Resizing for System 1's image encoder alone; pad: the whole frame on grey, as RDT-1B uses SigLIP."""
    targets: Literal["relative", "physical"] = "relative"
    """relative: targets relative to the present joints, scaled by their spread in the demonstrations.
    physical: absolute targets in rad, grippers as a share of their full opening, as in RDT-1B."""
    joint_layout: str = Field(default=JOINT_LAYOUT, pattern=_PRINTABLE, max_length=200)
    action_source: Literal["next_puppet", "master"] = "next_puppet"
    """What a demonstration's targets are: where the follower arm was next (appendix A.3), or what the leader commanded."""
    inputs: Literal["all", "no_video", "no_head", "wrists", "blind"] = "all"
    """Inputs of System 1, for ablations. all: all of them; no_video: without System 2's tokens; no_head: without the head
    camera; wrists: only the wrist cameras; blind: neither tokens nor images."""

    @property
    def eyes_resize(self) -> Literal["crop", "letterbox", "stretch", "pad"]:
        """`image_resize`, or `resize` where it is not set."""
        return self.image_resize or self.resize

    @property
    def hears_video(self) -> bool:
        """Whether System 1 is given System 2's tokens."""
        return self.inputs in ("all", "no_head")

    @property
    def unseen(self) -> tuple[int, ...]:
        """Indices of the cameras whose pictures System 1 is given black."""
        first = {"blind": len(self.cameras), "no_head": 1, "wrists": 1}
        return tuple(range(first.get(self.inputs, 0)))

    @model_validator(mode="after")
    def _check(self) -> Self:
        places, width = self.head.joint_places, self.head.action_width
        if self.head.guess_width and (self.image.kind != "keypoints" or self.head.prediction != "sample"):
            raise ValueError("head.guess_width: needs image.kind keypoints and head.prediction sample")
        check_divides("head.token_targets", self.head.token_targets, "the horizon", self.horizon)
        if self.head.guess_width and self.head.guess_blend > self.horizon:
            raise ValueError(
                f"head.guess_blend: must be at most the horizon {self.horizon}, got {self.head.guess_blend}"
            )
        if self.text.kind == "t5" and self.published.text is None:
            raise ValueError("text.kind t5: needs published.text, the folder or repository of a T5 with its tokenizer")
        if self.published.transformer is not None and self.published.video is None:
            raise ValueError("published.transformer: needs published.video, whose VAE and text encoder go with it")
        if len(set(places)) != self.joints or not all(0 <= place < width for place in places):
            raise ValueError(
                f"head.joint_places: must be {self.joints} different places below {width}, got {f'{places}':.200}"
            )
        self._check_cameras()
        self._check_band()
        return self

    def _check_cameras(self) -> None:
        if not all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in self.cameras):
            raise ValueError(f"cameras: must be names of letters, digits, _ . -, got {f'{self.cameras}':.80}")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras: must be different, got {', '.join(self.cameras):.80}")

    def _check_band(self) -> None:
        """The motion filter's bins must be there: a window of T frames has 0 to T // 2."""
        chosen, highest = self.filters, self.video.latent_frames // 2
        if chosen.motion == "none" or chosen.low_hz is not None or chosen.high_hz is not None:
            return
        first, last = chosen.low_bin, highest if chosen.high_bin is None else chosen.high_bin
        if not first <= last <= highest:
            name = "low_bin" if first > min(last, highest) else "high_bin"
            raise ValueError(
                f"filters.{name}: bins must be 0 to {highest} for {self.video.latent_frames} latent frames, "
                f"got {first} to {last}"
            )

    def digest(self) -> str:
        """16 hexadecimal digits of a hash of every value. Fields that earlier versions lack count only where not at default."""
        return hashlib.sha256(self.model_dump_json(exclude=self._unknown_before()).encode()).hexdigest()[:16]

    def _unknown_before(self) -> dict[str, Any]:
        """Those of `_LATER` that are at their default, nested as pydantic leaves fields out."""
        left_out: dict[str, Any] = {}
        for path in _LATER:
            *parts, name = path.split(".")
            owner: Any = self
            for part in parts:
                owner = getattr(owner, part)
            known = type(owner).model_fields
            if name in known and getattr(owner, name) == known[name].default:
                inner = left_out
                for part in parts:
                    inner = inner.setdefault(part, {})
                inner[name] = True
        return left_out
