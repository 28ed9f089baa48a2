"""Published weights: tiny models of the real classes, saved as their publishers do, and read into a policy's parts.
Called by pytest."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from diffusers.models.autoencoders.autoencoder_kl_hunyuan_video import AutoencoderKLHunyuanVideo
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from safetensors.torch import load_file, save_file
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaModel
from transformers.models.siglip.configuration_siglip import SiglipConfig
from transformers.models.siglip.modeling_siglip import SiglipModel
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration
from transformers.models.umt5.configuration_umt5 import UMT5Config
from transformers.models.umt5.modeling_umt5 import UMT5EncoderModel
from word_tokenizer import TEXT, word_tokenizer

from models import normalize
from models.backbones import hunyuan as hunyuan_backbone
from models.backbones import wan as wan_backbone
from models.checkpoint import Checkpoint, save
from models.config.encoders import Siglip
from models.config.policy import PolicyConfig
from models.config.source import Published, Source
from models.config.video import Hunyuan, Wan
from models.encoders import published_texts
from models.encoders.siglip import SiglipEncoder
from models.errors import ModelError
from models.instructor import Instructor
from models.sizes import full


@pytest.fixture(scope="module")
def hunyuan_folder(tmp_path_factory: pytest.TempPathFactory, hunyuan: Hunyuan) -> Path:
    """A whole HunyuanVideo, deeper than the policy keeps."""
    folder = tmp_path_factory.mktemp("hunyuan")
    torch.manual_seed(3)
    deeper: Any = hunyuan_backbone._transformer(hunyuan) | {"num_layers": 3, "num_single_layers": 4}  # pyright: ignore[reportPrivateUsage]
    HunyuanVideoTransformer3DModel(**deeper).save_pretrained(folder / "transformer", max_shard_size="100KB")
    vae: Any = hunyuan_backbone._vae(hunyuan)  # pyright: ignore[reportPrivateUsage]
    AutoencoderKLHunyuanVideo(**vae).save_pretrained(folder / "vae")
    sizes: Any = {"num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 258, "num_hidden_layers": 4}
    LlamaModel(LlamaConfig(hidden_size=hunyuan.text_dim, **sizes)).save_pretrained(folder / "text_encoder")
    clip = CLIPTextConfig(hidden_size=hunyuan.pooled_dim, eos_token_id=1, pad_token_id=0, bos_token_id=0, **sizes)
    CLIPTextModel(clip).save_pretrained(folder / "text_encoder_2")
    for name in ("tokenizer", "tokenizer_2"):
        word_tokenizer(folder / name)
    return folder


@pytest.fixture(scope="module")
def wan_folder(tmp_path_factory: pytest.TempPathFactory, wan: Wan) -> Path:
    """A whole Wan2.2, deeper than the policy keeps."""
    folder = tmp_path_factory.mktemp("wan")
    deeper: Any = wan_backbone._transformer(wan) | {"num_layers": 3}  # pyright: ignore[reportPrivateUsage]
    WanTransformer3DModel(**deeper).save_pretrained(folder / "transformer")
    vae: Any = wan_backbone._vae(wan)  # pyright: ignore[reportPrivateUsage]
    AutoencoderKLWan(**vae).save_pretrained(folder / "vae")
    umt5 = UMT5Config(d_model=wan.text_dim, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=258)
    UMT5EncoderModel(umt5).save_pretrained(folder / "text_encoder")
    word_tokenizer(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory: pytest.TempPathFactory, tiny: PolicyConfig) -> Path:
    """A whole SigLIP: its text half and its pooling head are of no use here."""
    folder, image = tmp_path_factory.mktemp("siglip"), tiny.image
    assert isinstance(image, Siglip)
    vision = {
        "hidden_size": image.width, "intermediate_size": image.feed_forward, "num_hidden_layers": image.depth,
        "num_attention_heads": image.heads, "image_size": image.image_px, "patch_size": image.patch_px,
    }  # fmt: skip
    text = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 9,
    }
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory, tiny: PolicyConfig) -> Path:
    """A whole T5-v1.1 with its decoder."""
    folder, text = tmp_path_factory.mktemp("t5"), tiny.text
    config = T5Config(
        d_model=text.width, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=258, feed_forward_proj="gated-gelu"
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    word_tokenizer(folder)
    return folder


@pytest.fixture
def policy(tiny: PolicyConfig, hunyuan_folder: Path, siglip_folder: Path, t5_folder: Path) -> PolicyConfig:
    """The tiny policy, made of published parts."""
    published = Published(
        video=Source(repo=str(hunyuan_folder)),
        image=Source(repo=str(siglip_folder)),
        text=Source(repo=str(t5_folder)),
    )
    text = tiny.text.model_copy(update={"kind": "t5"})
    return PolicyConfig.model_validate(tiny.model_copy(update={"published": published, "text": text}).model_dump())


def begun(policy: PolicyConfig, seed: int = 1) -> Checkpoint:
    """A policy at the start of its training."""
    return Checkpoint(policy, normalize.untrained(policy.horizon, np.zeros(14), np.full(14, 0.5)), None, seed)


def equal(ours: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    """Whether every weight of ours is one of theirs, bit for bit."""
    there = theirs.state_dict()
    return all(torch.equal(weight, there[name]) for name, weight in ours.state_dict().items())


def test_the_video_model_is_the_published_one_cut_off(policy: PolicyConfig, hunyuan_folder: Path) -> None:
    slow: Any = begun(policy).slow()
    whole = HunyuanVideoTransformer3DModel.from_pretrained(hunyuan_folder / "transformer")
    assert (len(slow.backbone.transformer.transformer_blocks), len(whole.transformer_blocks)) == (2, 3)
    assert (len(slow.backbone.transformer.single_transformer_blocks), len(whole.single_transformer_blocks)) == (1, 4)
    assert equal(slow.backbone.transformer, whole)
    assert equal(slow.backbone.vae.encoder, AutoencoderKLHunyuanVideo.from_pretrained(hunyuan_folder / "vae").encoder)
    assert slow.backbone.vae.decoder is None
    assert not any(weight.is_meta or weight.requires_grad for weight in slow.parameters())


def test_a_tuned_transformer_may_lie_elsewhere(policy: PolicyConfig, hunyuan_folder: Path, tmp_path: Path) -> None:
    """In diffusers' format, with the VAE of the published model, whose own transformer is not needed."""
    whole: Any = HunyuanVideoTransformer3DModel.from_pretrained(hunyuan_folder / "transformer")
    whole.x_embedder.proj.bias.data += 1
    whole.save_pretrained(tmp_path / "tuned")
    (tmp_path / "rest").mkdir()
    (tmp_path / "rest" / "vae").symlink_to(hunyuan_folder / "vae")
    elsewhere = {"video": Source(repo=str(tmp_path / "rest")), "transformer": Source(repo=str(tmp_path / "tuned"))}
    slow: Any = begun(policy.model_copy(update={"published": policy.published.model_copy(update=elsewhere)})).slow()
    assert equal(slow.backbone.transformer, whole)
    assert equal(slow.backbone.vae.encoder, AutoencoderKLHunyuanVideo.from_pretrained(hunyuan_folder / "vae").encoder)


@pytest.mark.parametrize(("dual", "single"), [(1, 0), (3, 0), (3, 1), (3, 4)])  # as the paper's table cuts 20 + 40
def test_any_depth_is_loaded(policy: PolicyConfig, hunyuan_folder: Path, dual: int, single: int) -> None:
    backbone = policy.video.backbone.model_copy(update={"dual_blocks": dual, "single_blocks": single})
    deep = policy.model_copy(update={"video": policy.video.model_copy(update={"backbone": backbone})})
    slow: Any = begun(deep).slow()
    assert [len(blocks) for blocks in slow.backbone.blocks().values()] == [dual, single]
    assert equal(
        slow.backbone.transformer, HunyuanVideoTransformer3DModel.from_pretrained(hunyuan_folder / "transformer")
    )


def test_wan_is_the_published_one_cut_off(tiny: PolicyConfig, wan: Wan, wan_folder: Path) -> None:
    video = tiny.video.model_copy(update={"backbone": wan})
    policy = tiny.model_copy(update={"video": video, "published": Published(video=Source(repo=str(wan_folder)))})
    backbone: Any = begun(policy).slow().backbone
    assert len(backbone.transformer.blocks) == 2
    assert equal(backbone.transformer, WanTransformer3DModel.from_pretrained(wan_folder / "transformer"))


def test_bfloat16_leaves_in_float32_what_the_library_keeps_there(
    tiny: PolicyConfig, wan: Wan, wan_folder: Path
) -> None:
    video = tiny.video.model_copy(update={"backbone": wan})
    published = Published(video=Source(repo=str(wan_folder)))
    for policy in (
        tiny.model_copy(update={"video": video}),
        tiny.model_copy(update={"video": video, "published": published}),
    ):
        backbone: Any = begun(policy).slow(dtype=torch.bfloat16).backbone
        assert backbone.transformer.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
        assert backbone.transformer.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
        assert backbone.transformer.rope.freqs_cos.dtype in (torch.float32, torch.float64)


def test_the_image_encoder_is_siglips_vision_half(policy: PolicyConfig, siglip_folder: Path) -> None:
    images = begun(policy).fast().images
    assert isinstance(images, SiglipEncoder)
    whole = SiglipModel.from_pretrained(siglip_folder)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        theirs = whole.vision_model(pixel_values=pictures).last_hidden_state
        torch.testing.assert_close(images(pictures), theirs, rtol=1e-5, atol=1e-5)


def test_the_video_models_text_is_that_of_its_pipeline(policy: PolicyConfig, hunyuan_folder: Path) -> None:
    video = Instructor(policy).encode([TEXT])[0].video
    tokenizer = word_tokenizer(hunyuan_folder / "tokenizer")
    llama = LlamaModel.from_pretrained(hunyuan_folder / "text_encoder", dtype=torch.bfloat16).eval()
    template: Any = DEFAULT_PROMPT_TEMPLATE["template"]
    words = tokenizer(template.format(TEXT), return_tensors="pt").input_ids
    with torch.inference_mode():
        states = llama(input_ids=words, output_hidden_states=True).hidden_states[-3][:, 95:]
    assert video.states.shape == states.shape
    torch.testing.assert_close(video.states.float(), states.float(), rtol=0.05, atol=0.05)
    assert tuple(video.pooled.shape) == (1, policy.video.backbone.pooled_dim)


def test_wans_text_is_filled_up_with_zeros(tiny: PolicyConfig, wan: Wan, wan_folder: Path) -> None:
    with torch.inference_mode():
        states = published_texts.wan_texts(wan_folder, wan, [TEXT])[0].states
    assert tuple(states.shape) == (1, 512, wan.text_dim)
    words = len(TEXT.split())
    assert bool((states[:, words:] == 0).all())
    assert bool((states[:, :words] != 0).any(-1).all())


def test_the_language_is_the_published_t5s(policy: PolicyConfig, t5_folder: Path) -> None:
    first, second = Instructor(policy).encode([TEXT, "go"])
    whole = T5ForConditionalGeneration.from_pretrained(t5_folder, dtype=torch.bfloat16).eval()
    words = word_tokenizer(t5_folder)(TEXT, return_tensors="pt").input_ids
    with torch.inference_mode():
        theirs = whole.encoder(input_ids=words).last_hidden_state
    assert torch.equal(first.language, theirs)
    assert second.language.shape[1] == 1


def test_a_t5_with_only_a_sentencepiece_model_is_read(policy: PolicyConfig, t5_folder: Path, tmp_path: Path) -> None:
    """T5-v1.1-XXL as its publisher left it: no tokenizer.json, and weights as torch saved them."""
    (tmp_path / "lines.txt").write_text("\n".join(f"{TEXT} and hand it over to arm number {n}" for n in range(99)))
    made: Any = sentencepiece.SentencePieceTrainer
    made.train(
        input=str(tmp_path / "lines.txt"), model_prefix=str(tmp_path / "spiece"), vocab_size=40, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=5,
    )  # fmt: skip
    (tmp_path / "config.json").write_bytes((t5_folder / "config.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text('{"extra_ids": 0}')
    whole: Any = T5ForConditionalGeneration.from_pretrained(t5_folder)
    torch.save(whole.state_dict(), tmp_path / "pytorch_model.bin")
    pieces: Any = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    words = torch.tensor([[*pieces.encode(TEXT), pieces.eos_id()]])
    with torch.inference_mode():
        ours = published_texts.t5_states(tmp_path, policy.text, [TEXT])[0]
        assert torch.equal(ours, whole.to(torch.bfloat16).encoder(input_ids=words).last_hidden_state)


def test_a_training_begins_with_what_is_published(policy: PolicyConfig) -> None:
    """And with zeros where a chunk shall begin without a say: only an untrained policy that runs has them redrawn."""
    fast, runs = begun(policy).fast_to_train(), begun(policy).fast()
    assert equal(fast.images, runs.images)
    assert fast.training
    assert all(weight.requires_grad for weight in fast.parameters())
    assert not any(bool(weight.any()) for weight in fast.head.zero_initialised())
    assert all(bool(weight.any()) for weight in runs.head.zero_initialised())


def test_a_checkpoint_leaves_out_what_others_have_published(policy: PolicyConfig, tmp_path: Path) -> None:
    made = begun(policy)
    slow, fast = made.slow(), made.fast()
    save(tmp_path / "lean", policy, made.statistics, {"slow": slow, "fast": fast})
    save(tmp_path / "own", policy, made.statistics, {"slow": slow, "fast": fast}, trained=frozenset({"video"}))
    lean, own = Checkpoint.load(tmp_path / "lean"), Checkpoint.load(tmp_path / "own")
    for loaded in (lean, own):
        assert equal(loaded.slow(), slow)
        assert equal(loaded.fast(), fast)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("lean", "own")]
    video = sum(weight.numel() * 4 for weight in slow.backbone.parameters())
    assert sizes[1] - sizes[0] == pytest.approx(video, rel=0.1)


def test_weights_that_were_trained_further_are_the_checkpoints(policy: PolicyConfig, tmp_path: Path) -> None:
    made = begun(policy)
    slow: Any = made.slow()
    slow.backbone.transformer.x_embedder.proj.weight += 1
    save(tmp_path / "own", policy, made.statistics, {"slow": slow, "fast": made.fast()}, trained=frozenset({"video"}))
    loaded: Any = Checkpoint.load(tmp_path / "own").slow()
    assert torch.equal(
        loaded.backbone.transformer.x_embedder.proj.weight, slow.backbone.transformer.x_embedder.proj.weight
    )


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture
def copied(hunyuan_folder: Path, tmp_path: Path) -> Path:
    """A HunyuanVideo that may be broken."""

    return Path(shutil.copytree(hunyuan_folder, tmp_path / "copied"))


def refused(policy: PolicyConfig, folder: Path, load: Callable[[Checkpoint], object] = lambda made: made.slow()) -> str:
    """The one line that a broken folder gives."""
    published = policy.published.model_copy(update={"video": Source(repo=str(folder))})
    with pytest.raises(ModelError) as error:
        load(begun(policy.model_copy(update={"published": published})))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_model_is_named(policy: PolicyConfig, copied: Path) -> None:
    change(copied / "transformer" / "config.json", attention_head_dim=8)
    assert "attention_head_dim: the policy expects 16, got 8" in refused(policy, copied)


def test_another_vae_is_named(policy: PolicyConfig, copied: Path) -> None:
    change(copied / "vae" / "config.json", scaling_factor=0.18)
    assert "got 0.18" in refused(policy, copied)


def test_a_model_that_is_too_shallow_is_named(policy: PolicyConfig, copied: Path) -> None:
    change(copied / "transformer" / "config.json", num_single_layers=0)
    assert "num_single_layers: the policy expects at least 1, got 0" in refused(policy, copied)


def test_a_missing_shard_is_named(policy: PolicyConfig, copied: Path) -> None:
    next(iter(sorted((copied / "transformer").glob("*-00002-*")))).unlink()
    assert "weights.sh" in refused(policy, copied)


def test_a_truncated_file_is_named(policy: PolicyConfig, copied: Path) -> None:
    path = copied / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert str(copied / "vae") in refused(policy, copied)


def test_a_missing_configuration_is_named(policy: PolicyConfig, copied: Path) -> None:
    (copied / "transformer" / "config.json").unlink()
    assert "config.json is missing" in refused(policy, copied)


def test_a_text_encoder_of_another_width_is_named(policy: PolicyConfig, copied: Path) -> None:
    llama = LlamaConfig(
        hidden_size=32, num_attention_heads=2, intermediate_size=32, vocab_size=258, num_hidden_layers=4
    )
    LlamaModel(llama).save_pretrained(copied / "text_encoder")
    said = refused(policy, copied, lambda made: made.instructor().encode([TEXT]))
    assert "the policy's video.backbone.text_dim expects 16, got 32" in said


def test_a_missing_tokenizer_is_named(policy: PolicyConfig, copied: Path) -> None:
    for path in (copied / "tokenizer").iterdir():
        path.unlink()
    said = refused(policy, copied, lambda made: made.instructor().encode([TEXT]))
    assert str(copied / "tokenizer") in said


def test_a_siglip_of_another_size_is_named(policy: PolicyConfig) -> None:
    image = policy.image.model_copy(update={"heads": 8})
    with pytest.raises(ModelError, match="num_attention_heads: the policy expects 8, got 4"):
        begun(policy.model_copy(update={"image": image})).fast()


def test_weights_that_are_not_there_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"HunyuanVideo is not complete on this machine.*launch/weights\.sh"):
        begun(full()).slow()


def test_a_folder_that_is_not_there_is_named(policy: PolicyConfig, tmp_path: Path) -> None:
    assert "does not exist" in refused(policy, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("repo", "revision", "said"),
    [
        ("tencent/HunyuanVideo", None, "must be a commit"),
        ("a/b", "main", "must be a commit"),
        ("/a", "0" * 40, "folder"),
    ],
)
def test_a_source_names_one_commit_or_a_folder(repo: str, revision: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Source(repo=repo, revision=revision)


def spoiled(path: Path, name: str) -> None:
    """Make a weight of a safetensors file all NaN."""
    tensors = load_file(path)
    tensors[name].fill_(float("nan"))
    save_file(tensors, path, {"format": "pt"})


def test_published_weights_that_are_not_finite_are_named_with_their_file(policy: PolicyConfig, copied: Path) -> None:
    name = "x_embedder.proj.weight"
    index = json.loads((copied / "transformer" / "diffusion_pytorch_model.safetensors.index.json").read_text())
    path = copied / "transformer" / index["weight_map"][name]
    spoiled(path, name)
    assert f"{path}: {name}: " in refused(policy, copied)
    assert refused(policy, copied).endswith("values are not finite; fetch it again with ./launch/weights.sh")


def test_a_vae_that_is_not_finite_is_named(policy: PolicyConfig, copied: Path) -> None:
    path = copied / "vae" / "diffusion_pytorch_model.safetensors"
    spoiled(path, "quant_conv.weight")
    assert f"{path}: quant_conv.weight: " in refused(policy, copied)


def test_eyes_that_are_not_finite_are_named(policy: PolicyConfig, siglip_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(siglip_folder, tmp_path / "siglip"))
    spoiled(folder / "model.safetensors", "vision_model.post_layernorm.weight")
    published = policy.published.model_copy(update={"image": Source(repo=str(folder))})
    with pytest.raises(ModelError, match=r"siglip/model\.safetensors: .*post_layernorm\.weight: 32 of 32 values"):
        begun(policy.model_copy(update={"published": published})).fast()


class Runs:
    """Something that would run code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trace",)


@pytest.mark.parametrize("hostile", [True, False])
def test_a_text_encoder_of_the_old_kind_is_read_safely(
    policy: PolicyConfig, t5_folder: Path, tmp_path: Path, hostile: bool
) -> None:
    """T5-XXL is published as a pickle; one that holds more than tensors, or a part of one, is refused in one line."""
    folder = Path(shutil.copytree(t5_folder, tmp_path / "t5"))
    weights: dict[str, Any] = dict(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save(weights | ({"encoder.final_layer_norm.weight": Runs()} if hostile else {}), path)
    if not hostile:
        path.write_bytes(path.read_bytes()[:100])
    published = policy.published.model_copy(update={"text": Source(repo=str(folder))})
    with pytest.raises(ModelError) as error:
        begun(policy.model_copy(update={"published": published})).instructor().encode([TEXT])
    assert ("holds more than tensors (posix.mkdir)" if hostile else "cannot be read") in str(error.value)
    assert "\n" not in str(error.value)


def test_the_home_of_nobody_is_a_folder_that_does_not_exist() -> None:
    folder = Source(repo="~nobody-is-called-so/weights").folder
    assert folder is not None and not folder.exists()
    assert Source(repo="~/weights").folder == Path.home() / "weights"
