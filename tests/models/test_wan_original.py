"""Wan's transformer in the original file format: a file of a tiny model, under names written down here, read by the policy.
Called by pytest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from models import normalize
from models.backbones import wan as wan_backbone
from models.backbones.backbone import VideoText
from models.backbones.wan import WanBackbone
from models.backbones.wan_original import original_name
from models.checkpoint import Checkpoint, save
from models.config.policy import PolicyConfig
from models.config.source import Published, Source
from models.config.video import Wan
from models.errors import ModelError
from models.sizes import full_wan

Tensors = dict[str, torch.Tensor]
DEPTH = 4  # blocks in the file; the policy keeps two
MODEL = {
    "scale_shift_table": "head.modulation",
    "patch_embedding.weight": "patch_embedding.weight",
    "patch_embedding.bias": "patch_embedding.bias",
    "condition_embedder.time_embedder.linear_1.weight": "time_embedding.0.weight",
    "condition_embedder.time_embedder.linear_1.bias": "time_embedding.0.bias",
    "condition_embedder.time_embedder.linear_2.weight": "time_embedding.2.weight",
    "condition_embedder.time_embedder.linear_2.bias": "time_embedding.2.bias",
    "condition_embedder.time_proj.weight": "time_projection.1.weight",
    "condition_embedder.time_proj.bias": "time_projection.1.bias",
    "condition_embedder.text_embedder.linear_1.weight": "text_embedding.0.weight",
    "condition_embedder.text_embedder.linear_1.bias": "text_embedding.0.bias",
    "condition_embedder.text_embedder.linear_2.weight": "text_embedding.2.weight",
    "condition_embedder.text_embedder.linear_2.bias": "text_embedding.2.bias",
    "proj_out.weight": "head.head.weight",
    "proj_out.bias": "head.head.bias",
}
BLOCK = {
    "scale_shift_table": "modulation",
    "attn1.to_q.weight": "self_attn.q.weight",
    "attn1.to_q.bias": "self_attn.q.bias",
    "attn1.to_k.weight": "self_attn.k.weight",
    "attn1.to_k.bias": "self_attn.k.bias",
    "attn1.to_v.weight": "self_attn.v.weight",
    "attn1.to_v.bias": "self_attn.v.bias",
    "attn1.to_out.0.weight": "self_attn.o.weight",
    "attn1.to_out.0.bias": "self_attn.o.bias",
    "attn1.norm_q.weight": "self_attn.norm_q.weight",
    "attn1.norm_k.weight": "self_attn.norm_k.weight",
    "attn2.to_q.weight": "cross_attn.q.weight",
    "attn2.to_q.bias": "cross_attn.q.bias",
    "attn2.to_k.weight": "cross_attn.k.weight",
    "attn2.to_k.bias": "cross_attn.k.bias",
    "attn2.to_v.weight": "cross_attn.v.weight",
    "attn2.to_v.bias": "cross_attn.v.bias",
    "attn2.to_out.0.weight": "cross_attn.o.weight",
    "attn2.to_out.0.bias": "cross_attn.o.bias",
    "attn2.norm_q.weight": "cross_attn.norm_q.weight",
    "attn2.norm_k.weight": "cross_attn.norm_k.weight",
    "norm2.weight": "norm3.weight",
    "norm2.bias": "norm3.bias",
    "ffn.net.0.proj.weight": "ffn.0.weight",
    "ffn.net.0.proj.bias": "ffn.0.bias",
    "ffn.net.2.weight": "ffn.2.weight",
    "ffn.net.2.bias": "ffn.2.bias",
}


def names(depth: int) -> dict[str, str]:
    """diffusers' name of every weight of a model of so many blocks, and the original one."""
    blocks = {f"blocks.{n}.{ours}": f"blocks.{n}.{theirs}" for n in range(depth) for ours, theirs in BLOCK.items()}
    return MODEL | blocks


@pytest.fixture(scope="module")
def whole(wan: Wan) -> WanTransformer3DModel:
    """A tuned model, deeper than the policy keeps: no two of its weights are alike, its norms neither."""
    generator = torch.Generator().manual_seed(7)
    arguments: Any = wan_backbone._transformer(wan) | {"num_layers": DEPTH}  # pyright: ignore[reportPrivateUsage]
    model = WanTransformer3DModel(**arguments).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


@pytest.fixture(scope="module")
def original(whole: WanTransformer3DModel) -> Tensors:
    """The same under the original names."""
    stored = dict(whole.named_parameters())
    assert stored.keys() == names(DEPTH).keys()
    return {theirs: stored[ours].data.clone() for ours, theirs in names(DEPTH).items()}


@pytest.fixture(scope="module")
def video(wan: Wan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wan's folder in diffusers' layout, of which only the VAE is there."""
    folder = tmp_path_factory.mktemp("video")
    arguments: Any = wan_backbone._vae(wan)  # pyright: ignore[reportPrivateUsage]
    AutoencoderKLWan(**arguments).save_pretrained(folder / "vae")
    return folder


@pytest.fixture
def policy(tiny: PolicyConfig, wan: Wan, video: Path) -> Callable[[Path], PolicyConfig]:
    """The tiny policy on Wan, whose transformer lies at a path."""

    def made(path: Path) -> PolicyConfig:
        published = Published(video=Source(repo=str(video)), transformer=Source(repo=str(path)))
        return tiny.model_copy(
            update={"video": tiny.video.model_copy(update={"backbone": wan}), "published": published}
        )

    return made


def begun(policy: PolicyConfig) -> Checkpoint:
    """A policy at the start of its training."""
    return Checkpoint(policy, normalize.untrained(policy.horizon, np.zeros(14), np.full(14, 0.5)), None, 1)


def loaded(policy: PolicyConfig, dtype: torch.dtype = torch.float32) -> WanBackbone:
    backbone = begun(policy).slow(dtype=dtype).backbone
    assert isinstance(backbone, WanBackbone)
    return backbone


def hooked(whole: Any, latents: torch.Tensor, text: torch.Tensor, block: int) -> torch.Tensor:
    """What diffusers' own forward pass of the whole model gives after a block."""
    outputs: list[torch.Tensor] = []
    handle = whole.blocks[block].register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    whole(hidden_states=latents, timestep=torch.zeros(1, dtype=torch.long), encoder_hidden_states=text)
    handle.remove()
    return outputs[0]


def one_file(tensors: Tensors, folder: Path) -> Path:
    save_file(tensors, folder / "checkpoint.safetensors")
    return folder / "checkpoint.safetensors"


def in_shards(tensors: Tensors, folder: Path) -> Path:
    """As Wan's own repository, with its configuration beside them."""
    files = {
        name: f"diffusion_pytorch_model-0000{1 + place % 3}-of-00003.safetensors" for place, name in enumerate(tensors)
    }
    for file in set(files.values()):
        save_file({name: tensors[name] for name in tensors if files[name] == file}, folder / file)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    (folder / "config.json").write_text(json.dumps({"_class_name": "WanModel", "model_type": "ti2v", "dim": 32}))
    return folder


def of_torch(tensors: Tensors, folder: Path) -> Path:
    torch.save({"state_dict": tensors, "step": 20_000}, folder / "step.pt")
    return folder / "step.pt"


def legacy(tensors: Tensors, folder: Path) -> Path:
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return folder


@pytest.mark.parametrize("write", [one_file, in_shards, of_torch, legacy])
def test_features_are_those_of_the_whole_model(
    write: Callable[[Tensors, Path], Path],
    policy: Callable[[Path], PolicyConfig], whole: WanTransformer3DModel, original: Tensors, wan: Wan, tmp_path: Path,
) -> None:  # fmt: skip
    backbone = loaded(policy(write(original, tmp_path)))
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn((1, wan.latent_channels, 3, 4, 6), generator=generator)
    text = torch.randn((1, 7, wan.text_dim), generator=generator)
    expected = hooked(whole, latents, text, wan.blocks - 1)
    assert len(backbone.transformer.blocks) == wan.blocks < DEPTH
    assert torch.equal(backbone.features(latents, VideoText(text, torch.zeros(1, 0))).flatten(1, 3), expected)


@pytest.mark.parametrize("prefix", ["module.", "model.", "dit.", "model.dit.", "model.diffusion_model.", "_orig_mod."])
def test_what_trainers_put_in_front_of_the_names_is_taken_off(
    prefix: str, policy: Callable[[Path], PolicyConfig], whole: WanTransformer3DModel, original: Tensors, tmp_path: Path
) -> None:
    path = one_file({prefix + name: tensor for name, tensor in original.items()}, tmp_path)
    there = whole.state_dict()
    for name, weight in loaded(policy(path)).transformer.named_parameters():
        assert torch.equal(weight, there[name]), name


def test_diffusers_own_converter_reads_the_same_from_the_file(original: Tensors, whole: WanTransformer3DModel) -> None:
    """A second witness for the names that are written down here."""
    converted = convert_wan_transformer_to_diffusers(dict(original))
    there = dict(whole.named_parameters())
    assert converted.keys() == there.keys()
    assert all(torch.equal(converted[name], there[name]) for name in there)


def test_every_weight_of_the_published_size_has_its_name() -> None:
    """825 tensors in Wan2.2-TI2V-5B's repository."""
    chosen = full_wan().video.backbone
    assert isinstance(chosen, Wan)
    with torch.device("meta"):
        model = WanBackbone(chosen.model_copy(update={"blocks": 30})).transformer
    expected = names(30)
    assert len(expected) == 825
    assert {name: original_name(name) for name, _ in model.named_parameters()} == expected


def test_bfloat16_keeps_exactly_what_diffusers_keeps(
    policy: Callable[[Path], PolicyConfig], whole: WanTransformer3DModel, original: Tensors, tmp_path: Path
) -> None:
    """Norms, tables and the time embedding come out of a float32 file unrounded."""
    whole.save_pretrained(tmp_path / "diffusers")
    ours = dict(loaded(policy(one_file(original, tmp_path)), torch.bfloat16).transformer.named_parameters())
    theirs = dict(loaded(policy(tmp_path / "diffusers"), torch.bfloat16).transformer.named_parameters())
    assert {weight.dtype for weight in ours.values()} == {torch.bfloat16, torch.float32}
    for name, weight in theirs.items():
        assert ours[name].dtype == weight.dtype, name
        assert torch.equal(ours[name], weight), name


def test_blocks_that_are_not_kept_are_not_read(
    policy: Callable[[Path], PolicyConfig], original: Tensors, wan: Wan, tmp_path: Path
) -> None:
    kept = tuple(f"blocks.{n}." for n in range(wan.blocks))
    path = one_file(
        {
            name: tensor if name.startswith(kept) or not name.startswith("blocks.") else torch.full((3,), torch.nan)
            for name, tensor in original.items()
        },
        tmp_path,
    )
    assert all(bool(weight.isfinite().all()) for weight in loaded(policy(path)).transformer.parameters())


def test_nothing_shares_memory_with_the_file(
    policy: Callable[[Path], PolicyConfig], original: Tensors, tmp_path: Path
) -> None:
    path = of_torch(original, tmp_path)
    before = path.read_bytes()
    for weight in loaded(policy(path)).transformer.parameters():
        weight.zero_()
    assert path.read_bytes() == before
    assert {weight.data_ptr() % 16 for weight in loaded(policy(path)).transformer.parameters()} == {0}


def test_a_checkpoint_reads_it_again_and_one_trained_further_holds_its_own(
    policy: Callable[[Path], PolicyConfig], original: Tensors, tmp_path: Path
) -> None:
    config = policy(one_file(original, tmp_path))
    made = begun(config)
    slow: Any = made.slow()
    parts = {"slow": slow, "fast": made.fast()}
    save(tmp_path / "lean", config, made.statistics, parts)
    slow.backbone.transformer.patch_embedding.bias += 1
    save(tmp_path / "own", config, made.statistics, parts, trained=frozenset({"video"}))
    assert not [name for name in load_file(tmp_path / "lean" / "model.safetensors") if "backbone" in name]
    lean: Any = Checkpoint.load(tmp_path / "lean").slow()
    assert torch.equal(lean.backbone.transformer.patch_embedding.bias, original["patch_embedding.bias"])
    (tmp_path / "checkpoint.safetensors").unlink()
    own: Any = Checkpoint.load(tmp_path / "own").slow()
    assert torch.equal(own.backbone.transformer.patch_embedding.bias, original["patch_embedding.bias"] + 1)


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {there: tensor for there, tensor in tensors.items() if there != name}


def with_one(name: str, tensor: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: tensor}


LATER_NAME = "blocks.1.cross_attn.k.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without(LATER_NAME), rf"{LATER_NAME} is missing \(1 of 69 weights are\); give another published\.transformer"),
        (
            without("patch_embedding.weight"),
            r"patch_embedding\.weight is missing: not a transformer of Wan; give another",
        ),
        (
            with_one(LATER_NAME, torch.zeros(32, 16)),
            rf"{LATER_NAME}: .*expects shape \(32, 32\), got \(32, 16\); give the",
        ),
        (
            with_one(LATER_NAME, torch.full((32, 32), torch.inf)),
            rf"{LATER_NAME}: 1024 of 1024 values are not finite; copy",
        ),
        (
            with_one(LATER_NAME, torch.zeros(32, 32, dtype=torch.int8)),
            rf"{LATER_NAME}: expected floats, got torch\.int8",
        ),
        (
            with_one("blocks.0.self_attn.q.lora_A.weight", torch.zeros(1)),
            r"blocks\.0\.self_attn\.q\.lora_A\.weight is no weight of .* \(1 such\); save that .*low-rank updates merged",
        ),
        (
            with_one("blocks.3.cross_attn.k_img.weight", torch.zeros(1)),
            r"k_img\.weight is no weight of Wan's text-to-video",
        ),
        (with_one("action_dit.weight", torch.zeros(1)), r"action_dit\.weight is no weight of Wan's"),
        (with_one("ema.patch_embedding.weight", torch.zeros(1)), r"holds 2 transformers, \* and ema\.\*; save the one"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(
    change: Callable[[Tensors], Tensors],
    said: str, policy: Callable[[Path], PolicyConfig], original: Tensors, tmp_path: Path,
) -> None:  # fmt: skip
    path = one_file(change(original), tmp_path)
    with pytest.raises(ModelError, match=said) as error:
        loaded(policy(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_shallower_model_is_refused(
    policy: Callable[[Path], PolicyConfig], original: Tensors, tmp_path: Path
) -> None:
    shallow = {
        name: tensor for name, tensor in original.items() if not name.startswith(("blocks.1", "blocks.2", "blocks.3"))
    }
    with pytest.raises(ModelError, match=r"blocks\.1\..* is missing \(27 of 69 weights are\)"):
        loaded(policy(one_file(shallow, tmp_path)))


def test_a_file_under_diffusers_names_is_told_apart(
    policy: Callable[[Path], PolicyConfig], whole: WanTransformer3DModel, tmp_path: Path
) -> None:
    path = one_file(dict(whole.state_dict()), tmp_path)
    with pytest.raises(ModelError, match=r"diffusers' names; give its folder with diffusers' config\.json"):
        loaded(policy(path))


def test_a_path_that_is_not_there_is_named(policy: Callable[[Path], PolicyConfig], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"published\.transformer: .*nothing\.safetensors does not exist"):
        loaded(policy(tmp_path / "nothing.safetensors"))


def test_a_transformer_needs_the_rest_of_its_model(tiny: PolicyConfig) -> None:
    published = {"transformer": {"repo": "/data/wan.safetensors"}}
    with pytest.raises(ValueError, match=r"published\.transformer: needs published\.video"):
        PolicyConfig.model_validate(tiny.model_dump() | {"published": published})
