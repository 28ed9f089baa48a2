"""RDT-1B's weights in our head: a synthetic checkpoint with RDT's own names and shapes, and its formula written out.

Called by pytest; sizes are small, names and layout are the published ones.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from models import normalize, rdt
from models.action_dit import ActionTransformer
from models.action_vector import vector_of
from models.checkpoint import Checkpoint
from models.config import PolicyConfig, Published, Source
from models.errors import ModelError

U, WIDTH, DEPTH, HEADS, WORDS = 20, 32, 2, 4, 12
PLACES = (11, 12, 13, 14, 15, 16, 18, 0, 1, 2, 3, 4, 5, 7)
Weights = dict[str, torch.Tensor]


@pytest.fixture
def config(tiny: PolicyConfig) -> PolicyConfig:
    """The tiny policy with RDT's kind of action vector and text."""
    head = tiny.head.model_copy(
        update={
            "width": WIDTH,
            "depth": DEPTH,
            "heads": HEADS,
            "token_targets": 1,
            "action_width": U,
            "joint_places": PLACES,
        }
    )
    return tiny.model_copy(update={"head": head, "text": tiny.text.model_copy(update={"max_tokens": WORDS})})


def positions(config: PolicyConfig) -> int:
    return 2 * len(config.cameras) * config.image.tokens


@pytest.fixture
def published(config: PolicyConfig) -> Weights:
    """What RDT's own module would save at this size."""
    torch.manual_seed(1)
    weights: Weights = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        weights[f"{name}.weight"] = torch.randn(outputs, inputs) * inputs**-0.5
        weights[f"{name}.bias"] = torch.randn(outputs) * 0.1

    def norm(name: str, width: int) -> None:
        weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)

    for name, inputs in (("lang_adaptor", config.text.width), ("img_adaptor", config.image.width)):
        linear(f"{name}.0", WIDTH, inputs)
        linear(f"{name}.2", WIDTH, WIDTH)
    for index, inputs in ((0, 2 * U), (2, WIDTH), (4, WIDTH)):
        linear(f"state_adaptor.{index}", WIDTH, inputs)
    for name in ("t_embedder", "freq_embedder"):
        linear(f"model.{name}.mlp.0", WIDTH, 256)
        linear(f"model.{name}.mlp.2", WIDTH, WIDTH)
    weights["model.x_pos_embed"] = torch.randn(1, 3 + config.horizon, WIDTH)
    weights["model.lang_cond_pos_embed"] = torch.randn(1, WORDS, WIDTH)
    weights["model.img_cond_pos_embed"] = torch.randn(1, positions(config), WIDTH)
    for index in range(DEPTH):
        block = f"model.blocks.{index}"
        for name in ("norm1", "norm2", "norm3"):
            norm(f"{block}.{name}", WIDTH)
        for name in ("attn", "cross_attn"):
            norm(f"{block}.{name}.q_norm", WIDTH // HEADS)
            norm(f"{block}.{name}.k_norm", WIDTH // HEADS)
            linear(f"{block}.{name}.proj", WIDTH, WIDTH)
        linear(f"{block}.attn.qkv", 3 * WIDTH, WIDTH)
        linear(f"{block}.cross_attn.q", WIDTH, WIDTH)
        linear(f"{block}.cross_attn.kv", 2 * WIDTH, WIDTH)
        linear(f"{block}.ffn.fc1", WIDTH, WIDTH)
        linear(f"{block}.ffn.fc2", WIDTH, WIDTH)
    norm("model.final_layer.norm_final", WIDTH)
    linear("model.final_layer.ffn_final.fc1", WIDTH, WIDTH)
    linear("model.final_layer.ffn_final.fc2", U, WIDTH)
    return weights


@pytest.fixture
def folder(tmp_path: Path, published: Weights) -> Path:
    """It in a folder, as the hub serves it."""
    torch.save(published, tmp_path / "pytorch_model.bin")
    return tmp_path


def make_head(config: PolicyConfig) -> ActionTransformer:
    torch.manual_seed(2)
    return ActionTransformer(config, config.image.width, positions(config), config.spatial_former.width).eval()


def reference(
    w: Weights, language: torch.Tensor, images: torch.Tensor, state: torch.Tensor, noisy: torch.Tensor, time: float,
    frequency: float,
) -> torch.Tensor:  # fmt: skip
    """RDT's forward pass, one line a formula; images in RDT's order of cameras, state and actions as action vectors."""

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * w[f"{name}.weight"]

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return functional.gelu(x, approximate="tanh")

    def embed(name: str, value: float) -> torch.Tensor:
        angles = value * torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(128) / 128)
        hidden = linear(f"model.{name}.mlp.0", torch.cat([angles.cos(), angles.sin()]))
        return linear(f"model.{name}.mlp.2", hidden * torch.sigmoid(hidden))

    def attend(name: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        split = [x.unflatten(-1, (HEADS, -1)).transpose(0, 1) for x in (query, key, value)]
        q, k = norm(f"{name}.q_norm", split[0]), norm(f"{name}.k_norm", split[1])
        scores = q @ k.transpose(1, 2) * (WIDTH // HEADS) ** -0.5
        return linear(f"{name}.proj", (scores.softmax(-1) @ split[2]).transpose(0, 1).flatten(1))

    def adapt(vectors: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros_like(vectors)
        mask[..., list(PLACES)] = 1.0
        hidden = gelu(linear("state_adaptor.0", torch.cat([vectors, mask], -1)))
        return linear("state_adaptor.4", gelu(linear("state_adaptor.2", hidden)))

    words = linear("lang_adaptor.2", gelu(linear("lang_adaptor.0", language)))
    words = words + w["model.lang_cond_pos_embed"][0, : len(language)]
    seen = linear("img_adaptor.2", gelu(linear("img_adaptor.0", images))) + w["model.img_cond_pos_embed"][0]
    first = torch.stack([embed("t_embedder", time), embed("freq_embedder", frequency)])
    x = torch.cat([first, adapt(state)[None], adapt(noisy)]) + w["model.x_pos_embed"][0]
    for index in range(DEPTH):
        block, context = f"model.blocks.{index}", (words, seen)[index % 2]
        query, key, value = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)).chunk(3, dim=-1)
        x = x + attend(f"{block}.attn", query, key, value)
        key, value = linear(f"{block}.cross_attn.kv", context).chunk(2, dim=-1)
        query = linear(f"{block}.cross_attn.q", norm(f"{block}.norm2", x))
        x = x + attend(f"{block}.cross_attn", query, key, value)
        x = x + linear(f"{block}.ffn.fc2", gelu(linear(f"{block}.ffn.fc1", norm(f"{block}.norm3", x))))
    hidden = gelu(linear("model.final_layer.ffn_final.fc1", norm("model.final_layer.norm_final", x)))
    return linear("model.final_layer.ffn_final.fc2", hidden)[-len(noisy) :]


@torch.no_grad()
def test_the_loaded_head_computes_rdts_formula(config: PolicyConfig, published: Weights, folder: Path) -> None:
    head = make_head(config)
    rdt.load(head, folder)
    torch.manual_seed(3)
    language, state = torch.randn(7, config.text.width), torch.randn(config.joints)
    images = torch.randn(2, 3, config.image.tokens, config.image.width)  # times, our cameras, tokens
    noisy = torch.randn(config.horizon, U)
    context = head.context(language[None], images.flatten(0, 2)[None], None, torch.zeros(1), state[None])
    nothing = torch.zeros(1, config.horizon, dtype=torch.bool)
    made = head(noisy[None], torch.tensor([600]), context, nothing)[0]
    theirs = images[:, [config.cameras.index(camera) for camera in rdt.RDT_CAMERAS]].flatten(0, 2)
    expected = reference(published, language, theirs, vector_of(config.head, state), noisy, 600.0, config.control_hz)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)


def test_every_weight_but_the_added_ones_is_replaced(config: PolicyConfig, folder: Path) -> None:
    head = make_head(config)
    before = {name: weight.clone() for name, weight in head.named_parameters()}
    rdt.load(head, folder)
    added = {id(weight) for weight in head.added()}
    for name, weight in head.named_parameters():
        assert torch.equal(weight, before[name]) == (id(weight) in added), name


def test_a_policy_that_names_rdt_starts_its_head_there(config: PolicyConfig, published: Weights, folder: Path) -> None:
    chosen = config.model_copy(update={"published": Published(head=Source(repo=str(folder)))})
    statistics = normalize.untrained(config.horizon, np.zeros(config.joints), np.full(config.joints, 0.5))
    head = Checkpoint(chosen, statistics, None, 1).fast().head
    assert torch.equal(head.output.weight, published["model.final_layer.ffn_final.fc2.weight"])
    assert float(head.condition_age.weight.abs().max()) > 0  # added, and drawn: it would start at zero


def test_safetensors_serve_as_well(config: PolicyConfig, published: Weights, folder: Path) -> None:
    other = make_head(config)
    rdt.load(other, folder)
    (folder / "pytorch_model.bin").unlink()
    save_file({name: tensor.contiguous() for name, tensor in published.items()}, folder / "model.safetensors")
    head = make_head(config)
    rdt.load(head, folder)
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda w: w.pop("model.blocks.1.attn.qkv.bias"), "model.blocks.1.attn.qkv.bias is missing"),
        (lambda w: w.update({"img_adaptor.0.weight": torch.zeros(WIDTH, 5)}), r"image.0.weight: .*\(32, 5\)"),
    ],
)
def test_a_wrong_tensor_is_named(
    spoil: Callable[[Weights], object], said: str, config: PolicyConfig, published: Weights, folder: Path
) -> None:
    spoil(published)
    torch.save(published, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=said):
        rdt.load(make_head(config), folder)


def test_a_folder_without_weights_says_how_to_get_them(config: PolicyConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"weights\.sh"):
        rdt.load(make_head(config), tmp_path)


def test_a_broken_file_is_named(config: PolicyConfig, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ModelError, match="cannot be read"):
        rdt.load(make_head(config), folder)


def test_other_cameras_are_refused(config: PolicyConfig, folder: Path) -> None:
    with pytest.raises(ModelError, match="cameras"):
        rdt.load(make_head(config.model_copy(update={"cameras": ("head", "front", "back")})), folder)
