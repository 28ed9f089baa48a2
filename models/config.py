"""The choices that make a policy; a checkpoint stores one of these. The sizes there are: models/sizes.py.

Read by every module that makes a network and by runtime/config. The choices are Video2Act's, and section numbers its; where it
leaves something open the first value is the default.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CAMERAS = ("head", "left_wrist", "right_wrist")
JOINT_LAYOUT = "left j1..j6, left gripper, right j1..j6, right gripper; rad, m"


class Part(BaseModel):
    """Base of all groups of model settings: frozen, no unknown field, every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


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

    frames: int
    height_px: int
    width_px: int
    stride_s: float = Field(gt=0)
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
    heads: int
    head_dim: int
    rope_axes: tuple[int, int, int]
    dual_blocks: int
    single_blocks: int
    refiner_blocks: int
    text_dim: int
    pooled_dim: int
    guidance: float = 6.0  # embedded, not classifier-free: the default of diffusers' HunyuanVideoPipeline
    vae_channels: tuple[int, ...]
    vae_layers: int
    vae_groups: int
    latent_channels: int = 16
    latent_scaling: float = 0.476986  # the published VAE's scaling_factor

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim


class Wan(Part):
    """Wan2.2-TI2V-5B and its VAE; Video2Act's released code keeps the first 20 of 30 blocks.

    Defaults are those of diffusers' configuration of the published model.
    """

    kind: Literal["wan"] = "wan"
    heads: int
    head_dim: int
    blocks: int
    feed_forward: int
    text_dim: int
    vae_width: int
    vae_decoder_width: int
    vae_widths: tuple[int, ...] = (1, 2, 4, 4)
    vae_blocks: int = 2
    latent_channels: int
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
        for name in ("latent_mean", "latent_spread"):
            if len(getattr(self, name)) != self.latent_channels:
                raise ValueError(f"{name}: expected {self.latent_channels} values, got {len(getattr(self, name))}")
        return self


class Video(Part):
    """System 2's video model, and the two windows of the head camera that go through it."""

    backbone: Hunyuan | Wan = Field(discriminator="kind")
    encoding: Literal["frames", "causal"] = "frames"
    """frames: encode each frame by itself and keep it; causal: encode each window as a video, four frames per latent."""
    high: Window
    low: Window


class Filters(Part):
    """What is taken from the features (Video2Act, eq. (3)); no learnable weight in it."""

    spatial: Literal["sobel", "scharr", "laplacian", "none"] = "sobel"
    border: Literal["replicate", "zeros"] = "replicate"
    """What the spatial filter finds beyond the border. replicate: the outermost features again, so that the border is no
    boundary; zeros: nothing, so that it is one (released code). The paper does not say."""
    laplacian: Literal["signed", "absolute"] = "signed"
    """Whether the Laplacian keeps its sign, or only its magnitude, as Sobel and Scharr do (released code)."""
    root_floor: float = Field(default=0.0, ge=0)
    """Added to Gx^2 + Gy^2 under the root of Sobel and Scharr; 1e-6 in the released code, 0 in the paper."""
    motion: Literal["fft", "none"] = "fft"
    place: Literal["features", "latents"] = "features"
    """Where the filters act: on the blocks' features (Video2Act, eq. (3)), or on the latents that go into the blocks (released
    code)."""
    low_bin: int = Field(default=1, ge=0)
    """First frequency bin kept by the high-pass; 1 drops only the mean."""
    high_bin: int | None = None
    """Last bin kept; none keeps all up to half the frame rate."""
    low_hz: float | None = Field(default=None, ge=0)
    """The band in Hz instead of bins, which does not depend on the window's length."""
    high_hz: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_hz = self.low_hz is not None or self.high_hz is not None
        if by_hz and (self.low_bin != 1 or self.high_bin is not None):
            raise ValueError("give the motion band as low_bin and high_bin, or as low_hz and high_hz, not both")
        return self


class QFormer(Part):
    """The token compressor, one for each branch. The paper calls them lightweight (section 3.2.1) and gives no sizes."""

    tokens: int = 224  # as many as the Video Former of the Video Prediction Policy gives
    width: int = 512  # chosen, with depth and heads: both branches' tokens are 0.44 MiB in bfloat16, features 42 MiB
    depth: int = 3
    heads: int = 8
    positions: Literal["apart", "summed"] = "apart"
    """How a feature's place is told. apart: frame, row and column have channels of their own. summed: frame and place share
    theirs, so that different places look alike (policies trained before this setting)."""
    scaled: bool = False
    """Tokens less their mean over the training data, divided by their spread there: what tells scenes apart is then as large as
    the tokens. false: as they are (policies trained before this setting)."""


class Siglip(Part):
    """System 1's eyes as in the paper (section 3.2.1): SigLIP's vision model, the same for every camera."""

    kind: Literal["siglip"] = "siglip"
    image_px: int
    width: int
    depth: int
    heads: int
    patch_px: int
    feed_forward: int

    @property
    def tokens(self) -> int:
        """Tokens of one picture: one a patch."""
        return (self.image_px // self.patch_px) ** 2


class Keypoints(Part):
    """System 1's eyes of `small`: convolutions and a spatial softmax for each camera; learns from scratch on little data."""

    kind: Literal["keypoints"] = "keypoints"
    image_px: int
    width: int
    """Numbers of a token."""
    points: int = 32  # Levine et al. 2016
    channels: tuple[int, int] = (32, 64)
    """Channels of the two convolutions (receptive field 16x16 px, stride 4 px)."""
    grid: int = 4
    """N: also N x N averages of image patches."""

    @property
    def tokens(self) -> int:
        """Tokens of one picture: all keypoints in one, then one a patch."""
        return 1 + self.grid**2


class Text(Part):
    """The instruction's encoder for System 1: a T5 as in the paper (section 3.2.1), published, or small and of our own."""

    width: int
    depth: int
    heads: int
    feed_forward: int
    max_tokens: int
    kind: Literal["byt5", "t5"] = "byt5"
    """byt5: byte tokens without a vocabulary file; t5: the published T5 with its tokenizer."""


class Head(Part):
    """The action diffusion transformer (RDT-1B's shape; `full` has its sizes too)."""

    width: int
    depth: int
    heads: int
    action_width: int = 14
    """Width of an action vector."""
    joint_places: tuple[int, ...] = tuple(range(14))
    """Places of the joints in the action vector; RDT-1B's vector has places for many robots."""
    steps: int = 5
    """Denoising steps of DPM-Solver++; RDT-1B's."""
    train_steps: int = 1000  # diffusion times, RDT-1B's
    prediction: Literal["sample", "epsilon", "velocity"] = "sample"
    token_targets: int = Field(default=1, ge=1)
    """Targets per token; RDT-1B has 1, more make a small head several times as fast."""
    guess_width: int = Field(default=0, ge=0)
    """Width of a perceptron that estimates the chunk from joints and keypoints; the transformer corrects it. It learns faster
    from few samples. 0: none, as in RDT-1B."""
    guess_tokens: int = Field(default=0, ge=0)
    """Numbers of each of System 2's tokens for that perceptron; 0: only their mean."""
    guess_blend: int = Field(default=0, ge=0)
    """Targets within which that estimate leads from where the committed ones end back to itself; 0: it ignores these."""
    norm: Literal["rms", "variance"] = "rms"
    """What the blocks' norms divide by. rms: the root of the mean square; variance: the standard deviation, without centring,
    which is what RDT-1B's weights were trained with (timm 1.0.3's RmsNorm)."""


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

    name: str
    video: Video
    filters: Filters = Filters()
    spatial_former: QFormer
    motion_former: QFormer
    image: Siglip | Keypoints = Field(discriminator="kind")
    text: Text
    head: Head
    joints: int = 14  # two arms of six joints and a gripper
    horizon: int = 64  # targets in a chunk: H of Video2Act, section 4.2.2
    dt_s: float = 1 / 30  # the rate of cameras and demonstrations (Video2Act, table 3)
    history_offset_s: float = Field(default=1 / 30, ge=0)
    """How much older the first set of the image history is: one frame, as RDT-1B was trained; the paper does not say."""
    control_hz: float = 30  # what the head is told of its targets' rate, as RDT-1B is: 1 / dt_s
    published: Published = Published()
    cameras: tuple[str, ...] = CAMERAS
    colour_order: Literal["RGB"] = "RGB"
    resize: Literal["crop", "letterbox", "stretch", "pad"] = "crop"
    """How frames are resized for System 2's windows and System 1's image encoder."""
    image_resize: Literal["crop", "letterbox", "stretch", "pad"] | None = None
    """Resizing for System 1's image encoder alone; pad: the whole frame on grey, as RDT-1B uses SigLIP."""
    targets: Literal["relative", "physical"] = "relative"
    """relative: targets relative to the present joints, scaled by their spread in the demonstrations.
    physical: absolute targets in rad, grippers as a share of their full opening, as in RDT-1B."""
    joint_layout: str = JOINT_LAYOUT
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
        if self.horizon % self.head.token_targets:
            raise ValueError(
                f"head.token_targets: must divide the horizon {self.horizon}, got {self.head.token_targets}"
            )
        if self.text.kind == "t5" and self.published.text is None:
            raise ValueError("text.kind t5: needs published.text, the folder or repository of a T5 with its tokenizer")
        if self.published.transformer is not None and self.published.video is None:
            raise ValueError("published.transformer: needs published.video, whose VAE and text encoder go with it")
        if len(set(places)) != self.joints or not all(0 <= place < width for place in places):
            raise ValueError(f"head.joint_places: must be {self.joints} different places below {width}, got {places}")
        return self

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
