"""Checkpoint folders: what is saved comes back bit for bit, and every broken piece is named in one line.
Called by pytest; weights are tiny and go through real safetensors files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

import models
from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint, save
from models.config.policy import PolicyConfig
from models.embedding_file import load_embedding, save_embedding
from models.errors import ModelError
from models.identity import CHECKSUMS, checkpoint_folder, checkpoint_id
from models.policy import ConditionTokens, InstructionEmbedding
from models.sizes import by_name

Untrained = Callable[[int], Checkpoint]


def outputs(checkpoint: Checkpoint) -> tuple[InstructionEmbedding, ConditionTokens, NDArray[np.float32]]:
    """What all three networks give for fixed inputs."""
    config = checkpoint.config
    random = np.random.default_rng(13)
    instruction = checkpoint.instructor().encode(["put the block on the mat"])[0]
    slow, fast = checkpoint.slow(), checkpoint.fast()
    shots = [random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(4)]
    for number, shot in enumerate(shots):
        slow.encode(slow.high, number, shot)
        slow.encode(slow.low, number, shot)
    conditions = slow.encode_video([2, 3], [0, 1, 2, 3], instruction)
    seen = fast.encode_images((1,), fast.prepare(tuple(shots[:3])))
    tokens = torch.cat([seen, seen])[None]
    q = np.zeros(config.joints)
    return (
        instruction,
        conditions,
        fast.predict_chunk(tuple(tokens), q, instruction, conditions, 0.1, np.zeros((0, config.joints)), 3),
    )


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether two checkpoints give the same bits."""
    (words, tokens, chunk), (words_b, tokens_b, chunk_b) = outputs(a), outputs(b)
    return (
        torch.equal(words.language, words_b.language)
        and torch.equal(tokens.spatial, tokens_b.spatial)
        and torch.equal(tokens.motion, tokens_b.motion)
        and np.array_equal(chunk, chunk_b)
    )


def store(checkpoint: Checkpoint, folder: Path) -> Path:
    """Save all parts of a checkpoint."""
    parts = {"slow": checkpoint.slow(), "fast": checkpoint.fast(), "text": checkpoint.instructor()}
    save(folder, checkpoint.config, checkpoint.statistics, dict(parts))
    return folder


@pytest.fixture
def folder(untrained: Untrained, tmp_path: Path) -> Path:
    """A saved checkpoint."""
    return store(untrained(1), tmp_path / "policy")


def assert_one_line(error: pytest.ExceptionInfo[ModelError], *words: str) -> None:
    """The message is one line and holds the words."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_saved_policy_gives_the_same_outputs_bit_for_bit(untrained: Untrained, folder: Path) -> None:
    assert same(untrained(1), Checkpoint.load(folder))


def test_loaded_configuration_and_statistics_are_the_saved_ones(untrained: Untrained, folder: Path) -> None:
    loaded = Checkpoint.load(folder)
    assert loaded.config == untrained(1).config
    assert np.array_equal(loaded.statistics.spread, untrained(1).statistics.spread)


def test_loaded_weights_do_not_depend_on_the_random_state(folder: Path) -> None:
    first = Checkpoint.load(folder).fast().state_dict()
    torch.manual_seed(1234)
    second = Checkpoint.load(folder).fast().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_untrained_policy_is_a_function_of_its_seed(untrained: Untrained) -> None:
    assert same(untrained(1), untrained(1))
    assert not same(untrained(1), untrained(2))


def test_untrained_policy_has_no_zero_output_weight(untrained: Untrained) -> None:
    for weight in untrained(1).fast().head.zero_initialised():
        assert weight.abs().max() > 0


def test_named_size_can_be_made_untrained() -> None:
    checkpoint = Checkpoint.untrained(by_name("small"), 4, np.zeros(14), np.full(14, 0.3))
    assert checkpoint.config == by_name("small")
    assert checkpoint.statistics.mean.shape == (64, 14)


def test_networks_are_frozen_and_in_evaluation_mode(untrained: Untrained) -> None:
    for network in (untrained(1).slow(), untrained(1).fast(), untrained(1).instructor()):
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())


def test_id_is_that_of_the_seed_for_an_untrained_policy(untrained: Untrained) -> None:
    assert untrained(1).id == untrained(1).id
    assert untrained(1).id != untrained(2).id


def test_id_changes_with_one_weight(folder: Path) -> None:
    before = Checkpoint.load(folder).id
    assert Checkpoint.load(folder).id == before
    tensors = load_file(folder / "model.safetensors")
    tensors["fast.head.output.bias"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors")
    assert Checkpoint.load(folder).id != before


def test_id_changes_with_the_configuration(folder: Path, tiny: PolicyConfig) -> None:
    other = tiny.model_copy(update={"control_hz": 31.0})
    assert checkpoint_id(other, folder, 0) != checkpoint_id(tiny, folder, 0)


def test_id_of_a_folder_without_weights_names_them(tmp_path: Path, tiny: PolicyConfig) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors") as error:
        checkpoint_id(tiny, tmp_path, 0)
    assert_one_line(error, str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "stats.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, name, str(folder), "missing")


@pytest.mark.parametrize(
    ("part", "name"), [("fast", "head.output.bias"), ("slow", "motion_former.queries"), ("text", "encoder.model")]
)
def test_missing_tensor_is_named(folder: Path, part: str, name: str) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    gone = next(key for key in tensors if key.startswith(f"{part}.{name}"))
    save_file({key: tensor for key, tensor in tensors.items() if key != gone}, path)
    checkpoint = Checkpoint.load(folder)
    load = {"slow": checkpoint.slow, "fast": checkpoint.fast, "text": checkpoint.instructor}[part]
    with pytest.raises(ModelError) as error:
        load()
    assert_one_line(error, gone, "missing")


def test_tensor_of_another_shape_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file(load_file(path) | {"fast.head.output.bias": torch.zeros(3)}, path)
    (folder / CHECKSUMS).unlink()
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder).fast()
    assert_one_line(error, "fast.head.output.bias", "(3,)", "(28,)")


def test_a_checkpoint_without_checksums_is_as_good(untrained: Untrained, folder: Path) -> None:
    """One of an earlier version."""
    before = Checkpoint.load(folder).id
    (folder / CHECKSUMS).unlink()
    assert Checkpoint.load(folder).id == before
    assert same(untrained(1), Checkpoint.load(folder))


def test_a_flipped_bit_is_named_with_its_tensor(folder: Path) -> None:
    """Where a bit was flipped, its value is finite still, as most are."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["fast.head.output.bias"].view(torch.int32)[5] ^= 1 << 3
    save_file(tensors, path)
    Checkpoint.load(folder).slow()
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder).fast()
    assert_one_line(error, f"{path}: fast.head.output.bias: checksum is", "copy the checkpoint again")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("part", "name"), [("fast", "head.output.bias"), ("slow", "motion_former.queries")])
def test_weights_that_are_not_finite_are_refused(
    untrained: Untrained, tmp_path: Path, value: float, part: str, name: str
) -> None:
    made = untrained(1)
    parts = {"slow": made.slow(), "fast": made.fast()}
    parts[part].state_dict()[name].fill_(value)
    save(tmp_path / "policy", made.config, made.statistics, dict(parts))
    loaded = Checkpoint.load(tmp_path / "policy")
    with pytest.raises(ModelError) as error:
        {"slow": loaded.slow, "fast": loaded.fast}[part]()
    count = parts[part].state_dict()[name].numel()
    assert_one_line(error, f"model.safetensors: {part}.{name}: {count} of {count} values are not finite; give another")


def test_the_shipped_policy_has_checksums_and_its_id() -> None:
    """They lie beside its weights, so that its id is the one that tables and sessions know."""
    folder = Path(models.__file__ or "").parent / "shipped" / "small"
    checkpoint = Checkpoint.load(folder)
    assert checkpoint.id == "9c0a3b50af230443"
    assert json.loads((folder / CHECKSUMS).read_text()).keys() == load_file(folder / "model.safetensors").keys()
    checkpoint.fast()
    checkpoint.instructor()


def test_broken_weight_file_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder).fast()
    assert_one_line(error, "model.safetensors", "cannot be read")


@pytest.mark.parametrize("text", ["{", "{}", '{"name": 3}'])
def test_broken_configuration_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, "config.json", str(folder))


def test_statistics_that_are_not_json_are_named(folder: Path) -> None:
    (folder / "stats.json").write_text("{")
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, "stats.json", str(folder))


def test_statistics_of_another_horizon_are_refused(folder: Path) -> None:
    values = json.loads((folder / "stats.json").read_text())
    (folder / "stats.json").write_text(json.dumps(values | {"mean": values["mean"][:-1]}))
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, "(7, 14)", "(8, 14)")


@pytest.mark.parametrize("name", ["spread", "state_mean"])
def test_statistics_of_mixed_shapes_are_refused(folder: Path, name: str) -> None:
    values = json.loads((folder / "stats.json").read_text())
    (folder / "stats.json").write_text(json.dumps(values | {name: [[1.0] * 14] * 3}))
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, name, "(3, 14)")


def test_statistics_without_spread_are_refused(folder: Path) -> None:
    values = json.loads((folder / "stats.json").read_text())
    (folder / "stats.json").write_text(json.dumps(values | {"spread": [[0.0] * 14] * 8}))
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, "spread")


def test_unknown_entry_of_the_statistics_is_named(folder: Path) -> None:
    values = json.loads((folder / "stats.json").read_text())
    (folder / "stats.json").write_text(json.dumps(values | {"surprise": [0.0] * 14}))
    with pytest.raises(ModelError) as error:
        Checkpoint.load(folder)
    assert_one_line(error, "surprise")


def test_embedding_comes_back_bit_for_bit(tmp_path: Path) -> None:
    embedding = InstructionEmbedding(torch.randn(1, 5, 8), VideoText(torch.randn(1, 5, 8), torch.randn(1, 8)))
    save_embedding(tmp_path / "words.safetensors", embedding)
    back = load_embedding(tmp_path / "words.safetensors")
    assert torch.equal(back.language, embedding.language)
    assert torch.equal(back.video.states, embedding.video.states)
    assert torch.equal(back.video.pooled, embedding.video.pooled)
    assert [path.name for path in tmp_path.iterdir()] == ["words.safetensors"]


def test_embedding_of_the_real_encoder_can_be_saved(untrained: Untrained, tmp_path: Path) -> None:
    embedding = untrained(1).instructor().encode(["go"])[0]
    save_embedding(tmp_path / "words.safetensors", embedding)
    assert torch.equal(load_embedding(tmp_path / "words.safetensors").language, embedding.language)


def test_file_that_is_no_embedding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    path.write_bytes(b"half")
    with pytest.raises(ModelError) as error:
        load_embedding(path)
    assert_one_line(error, str(path), "delete it")


def test_embedding_that_is_not_finite_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    states = torch.full((1, 5, 8), float("nan"))
    save_embedding(path, InstructionEmbedding(torch.randn(1, 5, 8), VideoText(states, torch.randn(1, 8))))
    with pytest.raises(ModelError) as error:
        load_embedding(path)
    assert_one_line(error, f"{path}: video_states: 40 of 40 values are not finite", "delete it")


def test_embedding_without_an_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    save_file({"language": torch.zeros(1, 2, 3)}, path)
    with pytest.raises(ModelError) as error:
        load_embedding(path)
    assert_one_line(error, str(path), "video_states")


def test_the_folder_of_a_training_means_the_checkpoint_in_it(tmp_path: Path) -> None:
    """What was given as --out is what somebody gives next."""
    inner = tmp_path / "out" / "checkpoint"
    inner.mkdir(parents=True)
    assert checkpoint_folder(tmp_path / "out") == tmp_path / "out", "nothing was learnt yet"
    (inner / "config.json").touch()
    assert checkpoint_folder(tmp_path / "out") == inner
    assert checkpoint_folder(inner) == inner
    assert checkpoint_folder(tmp_path) == tmp_path
