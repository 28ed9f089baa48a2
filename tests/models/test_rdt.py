"""RDT-1B's weights in our head: a synthetic checkpoint with RDT's own names and shapes, and what RDT's own classes compute.

Called by pytest; sizes are small, names and layout are the published ones. The numbers of RDT's classes, with the releases that
it pins, are in rdt_reference.safetensors; tests/real_rdt.sh makes them anew and says how.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models import normalize, rdt
from models.action_dit import ActionTransformer
from models.action_vector import joints_of
from models.checkpoint import Checkpoint
from models.chunk_predictor import ChunkInputs
from models.config.policy import PolicyConfig
from models.config.source import Published, Source
from models.errors import ModelError
from models.normalize import Statistics
from models.norms import NORMS, RMSNorm, VarianceNorm
from models.rdt_files import read
from models.system1 import FastSystem

U, WIDTH, DEPTH, HEADS, WORDS = 20, 32, 2, 4, 12
PLACES = (11, 12, 13, 14, 15, 16, 18, 0, 1, 2, 3, 4, 5, 7)
REFERENCE = Path(__file__).with_name("rdt_reference.safetensors")
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
            "norm": "variance",
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


def statistics_of(config: PolicyConfig) -> Statistics:
    return normalize.untrained(config.horizon, np.zeros(config.joints), np.full(config.joints, 0.5))


def make_head(config: PolicyConfig) -> ActionTransformer:
    torch.manual_seed(2)
    return ActionTransformer(config, config.image.width, positions(config), config.spatial_former.width).eval()


@pytest.fixture(scope="module")
def theirs() -> Weights:
    """What RDT's own classes computed at random weights; made by tests/real_rdt.sh."""
    return load_file(REFERENCE)


@pytest.fixture
def rdts_head(config: PolicyConfig, theirs: Weights) -> Callable[[str], FastSystem]:
    """System 1 with the weights of RDT's own class in its head, by the kind of norm."""
    weights = {name.removeprefix("rdt."): tensor for name, tensor in theirs.items() if name.startswith("rdt.")}

    def make(norm: str) -> FastSystem:
        head = config.head.model_copy(update={"depth": 3, "norm": norm})
        system = FastSystem(config.model_copy(update={"head": head}), statistics_of(config)).requires_grad_(False)
        for name, weight in rdt.translate(system.head, weights, REFERENCE):
            system.head.get_parameter(name).copy_(weight)
        return system.eval()

    return make


def given(config: PolicyConfig, theirs: Weights) -> ChunkInputs:
    """RDT's inputs as System 1 takes them: pictures in our order of cameras, joints out of the action vector."""
    sets = theirs["images"].unflatten(1, (2, len(config.cameras), -1))
    ours = sets[:, :, [rdt.RDT_CAMERAS.index(camera) for camera in config.cameras]].flatten(1, 3)
    nothing = torch.zeros(1, config.horizon)
    return ChunkInputs(
        language=theirs["language"],
        images=ours,
        conditions=None,
        age_s=torch.zeros(1),
        state=joints_of(config.head, theirs["state"][:, 0]),
        noise=theirs["noise"],
        prefix=nothing[..., None].expand(-1, -1, U),
        committed=nothing > 0,
    )


def error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a share of what is expected."""
    return float((ours - expected).norm() / expected.norm())


def step(system: FastSystem, theirs: Weights) -> torch.Tensor:
    """One denoising step of ours, (1, H, U), of what RDT's step was given."""
    inputs = given(system.config, theirs)
    context = system.head.context(inputs.language, inputs.images, None, inputs.age_s, inputs.state)
    return system.head(theirs["noisy"], torch.tensor([600]), context, inputs.committed)


def test_a_step_is_that_of_rdts_own_class(rdts_head: Callable[[str], FastSystem], theirs: Weights) -> None:
    assert error(step(rdts_head("variance"), theirs), theirs["step"]) < 1e-5
    assert error(step(rdts_head("rms"), theirs), theirs["step"]) > 0.05, "the norm makes the difference"


def test_a_chunk_is_that_of_rdts_own_sampler(rdts_head: Callable[[str], FastSystem], theirs: Weights) -> None:
    system = rdts_head("variance")
    places = system.config.head
    system.instructed(theirs["language"])
    ours = joints_of(places, system.denoised(given(system.config, theirs)))
    assert error(ours, joints_of(places, theirs["chunk"])) < 1e-5


@pytest.mark.parametrize("width", [8, 32])
def test_the_norm_is_that_of_timms_own_class(theirs: Weights, width: int) -> None:
    norm = VarianceNorm(width).requires_grad_(False)
    for kind, tolerance in (("float32", 1e-6), ("bfloat16", 0.0)):
        norm.weight.copy_(theirs[f"norm.{width}.{kind}.weight"])
        ours = norm(theirs[f"norm.{width}.{kind}.x"])
        torch.testing.assert_close(ours, theirs[f"norm.{width}.{kind}.y"], rtol=tolerance, atol=0)


@pytest.mark.parametrize("kind", NORMS.values())
def test_a_norm_keeps_its_inputs_type_under_autocast(kind: type[RMSNorm]) -> None:
    x, norm = torch.randn(2, 8), kind(8)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            assert norm(x.to(dtype)).dtype == dtype


def test_rdts_weights_are_refused_by_a_head_of_another_norm(config: PolicyConfig, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"head\.norm variance, got rms"):
        rdt.load(make_head(config.model_copy(update={"head": config.head.model_copy(update={"norm": "rms"})})), folder)


def test_every_weight_but_the_added_ones_is_replaced(config: PolicyConfig, folder: Path) -> None:
    head = make_head(config)
    before = {name: weight.clone() for name, weight in head.named_parameters()}
    rdt.load(head, folder)
    added = {id(weight) for weight in head.added()}
    for name, weight in head.named_parameters():
        assert torch.equal(weight, before[name]) == (id(weight) in added), name


def test_a_policy_that_names_rdt_starts_its_head_there(config: PolicyConfig, published: Weights, folder: Path) -> None:
    chosen = config.model_copy(update={"published": Published(head=Source(repo=str(folder)))})
    head = Checkpoint(chosen, statistics_of(config), None, 1).fast().head
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


def deepspeeds(weights: Weights) -> dict[str, object]:
    """What DeepSpeed's file of a ZeRO-2 training holds beside the weights."""
    shapes = OrderedDict((name, tensor.shape) for name, tensor in weights.items())
    return {"module": OrderedDict(weights), "param_shapes": [shapes], "lr_scheduler": None, "ds_config": {"bf16": {}}}


@pytest.mark.parametrize(
    "place", ["mp_rank_00_model_states.pt", "pytorch_model/mp_rank_00_model_states.pt", "pytorch_model.bin"]
)
def test_what_rdts_own_training_leaves_is_read(
    place: str, config: PolicyConfig, published: Weights, tmp_path: Path
) -> None:
    """DeepSpeed's file in checkpoint-N, or in the folder in it; and a file of the format of torch before 1.6."""
    path = tmp_path / "checkpoint-9" / place
    path.parent.mkdir(parents=True)
    if path.suffix == ".pt":
        torch.save(deepspeeds(published), path)
    else:
        torch.save(published, path, _use_new_zipfile_serialization=False)
    head = make_head(config)
    rdt.load(head, tmp_path / "checkpoint-9")
    assert torch.equal(head.output.weight, published["model.final_layer.ffn_final.fc2.weight"])


def refused(config: PolicyConfig, folder: Path) -> str:
    """The one line that a folder gives."""
    with pytest.raises(ModelError) as error:
        rdt.load(make_head(config), folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["ema/model.safetensors"], "averaged weights alone; to begin with them give {}/ema"),
        (["checkpoint-900/x", "checkpoint-10000/x"], "holds 2 checkpoints of RDT; .*last is {}/checkpoint-10000"),
        (["pytorch_model/zero_pp_rank_0_mp_rank_00_model_states.pt"], "DeepSpeed's parts; .*zero_to_fp32"),
    ],
)
def test_a_folder_of_a_training_says_what_to_give(
    files: list[str], said: str, config: PolicyConfig, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert re.search(said.format(tmp_path), refused(config, tmp_path))


def test_the_averaged_weights_are_read_where_they_are_given(
    config: PolicyConfig, published: Weights, tmp_path: Path
) -> None:
    (tmp_path / "ema").mkdir()
    save_file(published, tmp_path / "ema" / "model.safetensors")
    head = make_head(config)
    rdt.load(head, tmp_path / "ema")
    assert torch.equal(head.output.weight, published["model.final_layer.ffn_final.fc2.weight"])


def test_a_file_in_place_of_its_folder_is_told(config: PolicyConfig, folder: Path) -> None:
    head = Source(repo=str(folder / "pytorch_model.bin"))
    made = Checkpoint(config.model_copy(update={"published": Published(head=head)}), statistics_of(config), None, 1)
    with pytest.raises(ModelError, match=f"is a file; give its folder {folder}"):
        made.fast()


class Runs:
    """Something that would run code where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._trace),)


@pytest.mark.parametrize("modern", [True, False])
def test_a_hostile_file_is_refused_and_runs_nothing(
    modern: bool, config: PolicyConfig, published: Weights, folder: Path
) -> None:
    hostile: Any = published | {"model.blocks.0.norm1.weight": Runs(folder / "trace")}
    torch.save(hostile, folder / "pytorch_model.bin", _use_new_zipfile_serialization=modern)
    assert "pytorch_model.bin: holds more than tensors (posix.mkdir)" in refused(config, folder)
    assert not (folder / "trace").exists()


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ([1, 2], "got list; save a state_dict"),
        ({"a": 3}, "got 'a': int; save a state_dict"),
        ({"module": 4}, "got 'module': int; save a state_dict"),
    ],
)
def test_a_file_of_something_else_is_named(stored: object, said: str, config: PolicyConfig, folder: Path) -> None:
    torch.save(stored, folder / "pytorch_model.bin")
    assert said in refused(config, folder)


@pytest.mark.parametrize("content", [b"PK\x03\x04 nonsense", b"", b"\x80\x02}q\x00"])
def test_a_broken_file_is_named(content: bytes, config: PolicyConfig, folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(content)
    said = refused(config, folder)
    assert str(folder / "pytorch_model.bin") in said
    assert "cannot be read" in said


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning", "ignore:TypedStorage:UserWarning")
@pytest.mark.parametrize("modern", [True, False])
def test_any_damage_is_read_or_refused_in_one_line(modern: bool, published: Weights, folder: Path) -> None:
    path = folder / "pytorch_model.bin"
    few = {name: published[name] for name in list(published)[:3]}
    torch.save(few, path, _use_new_zipfile_serialization=modern)
    sound = path.read_bytes()
    for seed in range(80):
        random = np.random.default_rng(seed)
        damaged = np.frombuffer(sound, np.uint8).copy()
        damaged[random.integers(min(len(sound), 1500), size=1 + seed % 4)] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged[: random.integers(len(sound)) if seed % 3 == 0 else None].tobytes())
        try:
            read(folder)
        except ModelError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


def test_weights_that_are_not_finite_are_named(config: PolicyConfig, published: Weights, folder: Path) -> None:
    published["model.blocks.1.ffn.fc1.bias"][3] = float("nan")
    torch.save(published, folder / "pytorch_model.bin")
    assert "pytorch_model.bin: model.blocks.1.ffn.fc1.bias: 1 of 32 values are not finite" in refused(config, folder)


def test_other_cameras_are_refused(config: PolicyConfig, folder: Path) -> None:
    with pytest.raises(ModelError, match="cameras"):
        rdt.load(make_head(config.model_copy(update={"cameras": ("head", "front", "back")})), folder)
